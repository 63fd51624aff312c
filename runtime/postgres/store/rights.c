/* See rights.h. */
#include "postgres/store/rights.h"

#include "postgres/sql/sql_text.h"

const char *const right_words[N_RIGHTS] = {
    [RIGHT_SELECT] = "SELECT",     [RIGHT_INSERT] = "INSERT",
    [RIGHT_UPDATE] = "UPDATE",     [RIGHT_DELETE] = "DELETE",
    [RIGHT_TRUNCATE] = "TRUNCATE",
};

const char RIGHTS_LANE[] = "SELECT, INSERT, UPDATE";
const char RIGHTS_DEAD_LETTER[] = "SELECT, INSERT, UPDATE, DELETE";

/* An appended row is never read: only whether there are rows at all is asked,
 * when the pipeline does not say where to start, and ON CONFLICT looks at the
 * column of `once`. */
static void add_append(struct rights *r, const struct plan *plan,
                       const struct plan_projection *p)
{
    if (plan->source.start == START_UNSAID) {
        r->needs[RIGHT_SELECT] = p->n_columns == 0;
        r->read_column = p->n_columns > 0 ? 0 : -1;
    }
    if (p->once >= 0) {
        r->read_column = p->once;
    }
}

/* ON CONFLICT DO UPDATE reads what it overwrites: its EXCLUDED counts as
 * reading the column of the table. */
struct rights rights_of(const struct plan *plan,
                        const struct plan_projection *p)
{
    struct rights r = {
        .needs = {[RIGHT_INSERT] = true, [RIGHT_TRUNCATE] = p->empties},
        .read_column = -1};
    if (p->kind == KIND_APPEND) {
        add_append(&r, plan, p);
        return r;
    }
    r.needs[RIGHT_SELECT] = true;
    r.needs[RIGHT_UPDATE] = true;
    r.needs[RIGHT_DELETE] = p->kind == KIND_MIRROR || p->deletes;
    return r;
}

static void put_to(struct buf *b, const char *role)
{
    buf_puts(b, " TO ");
    sql_quote(b, role);
    buf_puts(b, ";\n");
}

static void put_grant(struct buf *b, const char *what, const char *role)
{
    buf_printf(b, "GRANT %s", what);
    put_to(b, role);
}

static void put_usage(struct buf *b, const struct plan_name *n,
                      const char *role)
{
    if (n->schema[0]) {
        buf_puts(b, "GRANT USAGE ON SCHEMA ");
        sql_quote(b, n->schema);
        put_to(b, role);
    }
}

void rights_grant_table(struct buf *b, const struct plan *plan,
                        const struct plan_projection *p, const char *role)
{
    struct rights r = rights_of(plan, p);
    const char *comma = "";
    put_usage(b, &p->name, role);
    buf_puts(b, "GRANT ");
    if (!r.needs[RIGHT_SELECT] && r.read_column >= 0) {
        buf_puts(b, "SELECT (");
        sql_quote(b, p->columns[r.read_column].name);
        buf_puts(b, ")");
        comma = ", ";
    }
    for (int i = 0; i < N_RIGHTS; i++) {
        if (r.needs[i]) {
            buf_printf(b, "%s%s", comma, right_words[i]);
            comma = ", ";
        }
    }
    buf_puts(b, " ON ");
    sql_quote_table(b, &p->name);
    put_to(b, role);
}

void rights_grant_own(struct buf *b, const char *role)
{
    put_grant(b, "USAGE ON SCHEMA tidemill", role);
    buf_printf(b, "GRANT %s ON tidemill.lane", RIGHTS_LANE);
    put_to(b, role);
    buf_printf(b, "GRANT %s ON tidemill.dead_letter", RIGHTS_DEAD_LETTER);
    put_to(b, role);
    put_grant(b, "EXECUTE ON FUNCTION tidemill.must(boolean, text)", role);
}

void rights_grant_run(struct buf *b, const struct plan *plan, const char *role)
{
    rights_grant_own(b, role);
    for (uint32_t i = 0; i < plan->n_projections; i++) {
        rights_grant_table(b, plan, &plan->projections[i], role);
    }
}

void rights_grant_operator(struct buf *b, const char *role)
{
    put_grant(b, "USAGE ON SCHEMA tidemill", role);
    put_grant(b, "SELECT, UPDATE ON tidemill.lane", role);
    put_grant(b, "SELECT, UPDATE, DELETE ON tidemill.dead_letter", role);
    put_grant(b, "SELECT, INSERT ON tidemill.audit", role);
}
