/* See address.h. Neither address is ever part of a text. */
#include "flow/database/address.h"

#include <string.h>

#include "base/log.h"
#include "lua/vm.h"

enum { RENEW_PAUSE_USEC = 2000000, AWAY_PAUSE_USEC = 5000000 };

/* How long after the last reading of the address such a failure is worth another
 * one; 0: never. A password is wrong, missing, or the address cannot even be
 * read (a file that was being written). Half of one, or an old one, may name a
 * server or a database that there is not; mostly that is an outage. Not: no such
 * right. */
static usec pause_of(const struct err *e)
{
    if (e->class == ERR_CONNECTION || strncmp(e->sqlstate, "3D", 2) == 0) {
        return AWAY_PAUSE_USEC;
    }
    return e->class == ERR_CONFIG &&
                   (!e->sqlstate[0] || strncmp(e->sqlstate, "28", 2) == 0)
               ? RENEW_PAUSE_USEC
               : 0;
}

static bool take_over(struct pgpool *pool, const struct plan *p)
{
    if (!pgpool_set_conninfo(pool, p->database.write)) {
        return false;
    }
    log_line(LOG_INFO, "the database address was read again: it is new",
             "pipeline=%s", p->name);
    return true;
}

bool address_renew(struct address *a, struct pgpool *pool, const struct err *e,
                   usec now)
{
    usec pause = pause_of(e);
    const struct plan *p = NULL;
    struct err why;
    struct vm *v;
    bool is_new = false;

    if (!pause || now < a->renewed_at + pause) {
        return false;
    }
    a->renewed_at = now;
    v = vm_new(a->bundle, &why);
    if (v) {
        vm_shows_life(v, a->heartbeat);
    }
    p = v ? vm_load(v, &why) : NULL;
    if (p) {
        is_new = take_over(pool, p);
        plan_free(p);
    } else if (log_once(&a->logged, why.text)) {
        log_line(LOG_WARN, "the database address cannot be read again",
                 "error=%s", log_quote(why.text));
    }
    if (v) {
        vm_free(v);
    }
    return is_new;
}
