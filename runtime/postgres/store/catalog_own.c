/* What a run and its operators need in schema tidemill. See catalog_part.h. */
#include "postgres/sql/schema_version.h"
#include "postgres/store/catalog_part.h"
#include "postgres/store/rights.h"

/* Tables of schema tidemill, and what is needed of them. */
static const struct own_table {
    const char *name;
    enum server_field field; /* its columns; its rights are the next one */
    int n_columns;
    const char *rights; /* NULL: a run does without it, the operator's verbs
                           do not */
} own_tables[] = {
    {"tidemill.lane", SERVER_LANE, 16, RIGHTS_LANE},
    {"tidemill.dead_letter", SERVER_LETTER, 21, RIGHTS_DEAD_LETTER},
    {"tidemill.audit", SERVER_AUDIT, 8, NULL},
};

void report_schema_hint(struct catalog_report *r, struct buf *b)
{
    buf_printf(b,
               "run `tidemill schema %s --apply`, or apply the SQL that "
               "`tidemill schema %s` prints\n",
               r->plan->path, r->plan->path);
}

static void check_own(struct catalog_report *r, const struct pg_result *s,
                      const struct own_table *t)
{
    int64_t n = pg_int(s, 0, (int)t->field);
    if (n < t->n_columns) {
        struct buf *b = report_begin(r, !t->rights);
        buf_printf(b,
                   n ? "table %s is of an older version, or lacks columns: "
                     : "there is no table %s: ",
                   t->name);
        report_schema_hint(r, b);
        report_mend_own(r);
    } else if (t->rights && r->server != CATALOG_OWNER &&
               !pg_int(s, 0, (int)t->field + 1)) {
        struct buf *b = report_problem(r);
        buf_printf(b, "role %s may not use %s: ", r->user, t->name);
        report_grant(r, t->rights, t->name);
    }
}

static void check_must(struct catalog_report *r, const struct pg_result *s)
{
    int len;
    if (!pg_value(s, 0, SERVER_MUST, &len)) {
        struct buf *b = report_problem(r);
        buf_puts(b, "there is no function tidemill.must(boolean, text): ");
        report_schema_hint(r, b);
        report_mend_own(r);
    } else if (r->server != CATALOG_OWNER && !pg_int(s, 0, SERVER_MUST)) {
        struct buf *b = report_problem(r);
        buf_printf(b, "role %s may not call tidemill.must(): ", r->user);
        report_grant(r, "EXECUTE", "FUNCTION tidemill.must(boolean, text)");
    }
}

/* Whatever a projection says of its own rows. */
static void check_unlogged(struct catalog_report *r, const struct pg_result *s)
{
    const char *name = pg_str(s, 0, SERVER_UNLOGGED);

    if (name[0]) {
        struct buf *b = report_problem(r);
        buf_printf(b,
                   "table tidemill.%s is UNLOGGED, so that a crash of the "
                   "server empties it and leaves the rows: ",
                   name);
        size_t from = b->len;
        buf_printf(b, "ALTER TABLE tidemill.%s SET LOGGED;\n", name);
        report_mends(r, from, NULL);
    }
}

void report_own(struct catalog_report *r, const struct pg_result *s)
{
    const char *version = pg_str(s, 0, SERVER_SCHEMA);

    if (schema_age(version) != SCHEMA_KNOWN) {
        struct buf *b = report_problem(r);
        schema_put_age(b, version, r->plan->path);
        buf_puts(b, "\n");
        if (schema_age(version) == SCHEMA_OLDER) {
            report_mend_own(r);
        }
        return;
    }
    for (size_t i = 0; i < sizeof(own_tables) / sizeof(*own_tables); i++) {
        check_own(r, s, &own_tables[i]);
    }
    check_must(r, s);
    check_unlogged(r, s);
}
