/* See address.h. Neither address is ever part of a text. */
#include "flow/engine/address.h"

#include <string.h>

#include "base/log.h"
#include "flow/engine/engine.h"

enum { RENEW_PAUSE_USEC = 2000000 };

/* A password is wrong, missing, or the address cannot even be read (a file
 * that was being written). Not: no such database, no such right. */
static bool is_about_address(const struct err *e)
{
    return e->class == ERR_CONFIG &&
           (e->sqlstate[0] == '\0' || strncmp(e->sqlstate, "28", 2) == 0);
}

static bool take_over(struct engine *g, const struct plan *p)
{
    if (!pgpool_set_conninfo(g->pool, p->database.write)) {
        return false;
    }
    log_line(LOG_INFO, "the database address was read again: it is new",
             "pipeline=%s", g->plan->name);
    return true;
}

bool address_renew(struct engine *g, const struct err *e)
{
    usec now = clock_usec();
    struct plan *p = NULL;
    struct err why;
    struct vm *v;
    bool is_new = false;

    if (!is_about_address(e) || now < g->database.renew_at) {
        return false;
    }
    g->database.renew_at = now + RENEW_PAUSE_USEC;
    v = vm_new(g->bundle, &why);
    if (v) { /* the scripts may take longer than a worker may be silent */
        vm_shows_life(v, &g->counts->heartbeat_usec);
    }
    p = v ? vm_load(v, &why) : NULL;
    if (p) {
        is_new = take_over(g, p);
        plan_free(p);
    } else {
        log_line(LOG_WARN, "the database address cannot be read again",
                 "error=%s", log_quote(why.text));
    }
    if (v) {
        vm_free(v);
    }
    return is_new;
}
