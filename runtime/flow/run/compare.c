/* See compare.h. */
#include "flow/run/compare.h"

#include <string.h>

#include "flow/generation/compared.h"
#include "flow/run/run.h"
#include "postgres/store/catalog_ask.h"

/* ---- comparing ---- */

/* The first problem in the words of `check`, and how many more there are. */
static void set_problem(const struct plan *p, const char *lines, int n,
                        struct err *e)
{
    while (strncmp(lines, "warning: ", 9) == 0) {
        lines = strchr(lines, '\n') + 1;
    }
    err_set(e, ERR_SCHEMA, "%.*s", (int)strcspn(lines, "\n"), lines);
    if (n > 1) {
        err_set(e, ERR_SCHEMA,
                "%.480s (and %d more: `tidemill check %.120s` names all)",
                e->text, n - 1, p->path);
    }
}

bool compare_begin(struct batch *b)
{
    if (b->generation->tables.is_known) {
        b->tables.era = b->generation->tables.era;
    } else {
        b->tables.has_compared = true;
        catalog_ask(b->attempt.conn, b->generation->plan);
    }
    return b->generation->tables.is_known;
}

/* Rows are cached under one check: another generation that finds the tables as
 * they were goes on with them. */
static struct cache_ring *cache_of(const struct batch *b)
{
    return generation_is_like(b->generation, b->run->worker->now)
               ? &b->run->cache
               : NULL;
}

bool compare_answered(struct batch *b, const struct pgreply *r, struct err *e)
{
    struct buf lines = {0};
    int n = compared_tables(b->generation, b->run->worker->show.page,
                            cache_of(b), r, &lines);

    if (n > 0) {
        set_problem(b->generation->plan, buf_text(&lines), n, e);
    } else {
        b->tables.era = b->generation->tables.era;
    }
    buf_close(&lines);
    return n == 0;
}

/* ---- checking ---- */

/* Of each a session keeps the last one alone. */
enum { SERIES_WRITE_CHECK = 1, SERIES_CHECK };

static void add(struct batch *b, uint32_t series, const char *sql)
{
    pgconn_add_series(b->attempt.conn, sql, series, NULL);
}

void compare_check(struct batch *b, bool keeps)
{
    const struct compared *t = &b->generation->tables;

    if (keeps && t->shape.write_check) {
        add(b, SERIES_WRITE_CHECK, t->shape.write_check);
    }
    add(b, SERIES_CHECK, t->shape.check);
}

bool compare_is_outdated(const struct batch *b)
{
    return b->tables.era != b->generation->tables.era;
}

bool compare_explains(struct batch *b, const struct err *e)
{
    bool is_raised = strcmp(e->sqlstate, "TM003") == 0;

    bool is_like_one = e->class == ERR_SCHEMA || e->class == ERR_CONFIG;

    if (!is_raised && (!is_like_one || b->tables.has_compared)) {
        return false;
    }
    if (!compare_is_outdated(b)) {
        b->generation->tables.is_known = false;
    }
    return true;
}

bool compare_before_blame(struct batch *b)
{
    struct pgconn *c = b->attempt.conn;

    if (!c || pgconn_state(c) != PGCONN_IDLE) {
        return false;
    }
    pgconn_add_sql(c, "ROLLBACK");
    compare_check(b, false);
    return true;
}
