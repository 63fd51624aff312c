/*
 * What the database itself may do to a row that is written: triggers, policies
 * of row-level security, rules, child tables, actions of foreign keys. Such a
 * table is no mistake, so nothing here is a problem; but a row that is kept back,
 * hidden or moved by it is not what its record says.
 */
#include <string.h>

#include "postgres/store/catalog.h"
#include "postgres/store/catalog_part.h"
#include "postgres/store/rights.h"

/* A fold counts the rows of each statement; what others write is not counted,
 * since it may be there or not. */
static const char *when_lost(const struct plan_projection *p)
{
    return p->kind == KIND_FOLD
               ? "its record becomes a dead letter"
               : "nobody is told: let it raise an error for what must not be "
                 "lost";
}

/* Is anything done that the trigger or rule is for? */
static bool does(const bool writes[N_RIGHTS], const char *when)
{
    static const enum right rights[] = {RIGHT_INSERT, RIGHT_UPDATE,
                                        RIGHT_DELETE};

    for (size_t i = 0; i < sizeof(rights) / sizeof(*rights); i++) {
        if (writes[rights[i]] && strstr(when, right_words[rights[i]])) {
            return true;
        }
    }
    return false;
}

static void report_cause(struct catalog_report *r, char kind, const char *name,
                         const char *on, const char *when)
{
    switch (kind) {
    case CAUSE_TRIGGER:
        buf_printf(
            report_begin(r, true),
            "trigger %s of %s runs before each %s: where it leaves a row "
            "out (RETURN NULL) or changes its key, %s\n",
            name, on, when, when_lost(r->p));
        break;
    case CAUSE_POLICY:
        buf_printf(report_begin(r, true),
                   "row level security applies to role %s (policies: %s): a "
                   "record whose row it may not see or write becomes a dead "
                   "letter%s; ALTER ROLE … BYPASSRLS, or a policy for the "
                   "role, lets all through\n",
                   r->user, name,
                   r->p->kind == KIND_FOLD
                       ? ""
                       : ", and a row that it may not see is not deleted");
        break;
    case CAUSE_RULE:
        buf_printf(report_begin(r, true),
                   "rule %s of %s rewrites its %s, which PostgreSQL refuses in "
                   "most statements of a pipeline, and where it does not, rows "
                   "may be lost: let a trigger do what it does\n",
                   name, on, when);
        break;
    case CAUSE_CHILD:
        buf_printf(
            report_begin(r, true),
            "table %s inherits from it, so a key may be there twice, and "
            "records of such a key become dead letters: ALTER TABLE %s "
            "NO INHERIT %s;\n",
            name, name, on);
        break;
    default: /* may change rows, but keeps none back */
        break;
    }
}

void report_causes(struct catalog_report *r, const struct pg_result *causes)
{
    struct rights needs = rights_of(r->plan, r->p);

    for (int i = 0; i < pg_rows(causes); i++) {
        const char *when = pg_str(causes, i, CAUSE_WHEN);

        if (!when[0] || does(needs.needs, when)) {
            report_cause(r, pg_str(causes, i, CAUSE_KIND)[0],
                         pg_str(causes, i, CAUSE_NAME),
                         pg_str(causes, i, CAUSE_ON), when);
        }
    }
}

/* ---- tables of schema tidemill ---- */

/* What is written to each, and what becomes of a row that is not. */
static const struct own {
    bool writes[N_RIGHTS];
    const char *then;
} own[N_OWN] = {
    [OWN_LANE] = {{[RIGHT_INSERT] = true, [RIGHT_UPDATE] = true}, "lanes halt"},
    [OWN_LETTER] =
        {{[RIGHT_INSERT] = true, [RIGHT_UPDATE] = true, [RIGHT_DELETE] = true},
         "lanes halt, and dead letters cannot be tried again or "
         "discarded"},
    [OWN_AUDIT] = {{[RIGHT_INSERT] = true},
                   "`tidemill lane` and `tidemill dlq` change nothing"},
};

static void report_own_cause(struct catalog_report *r, enum catalog_own table,
                             char kind, const char *name, const char *on,
                             const char *when)
{
    switch (kind) {
    case CAUSE_TRIGGER:
        buf_printf(report_begin(r, true),
                   "trigger %s of %s runs before each %s: where it leaves a "
                   "row out or changes it, %s; drop it\n",
                   name, on, when, own[table].then);
        break;
    case CAUSE_POLICY:
        buf_printf(report_begin(r, true),
                   "row level security applies to role %s on %s (policies: "
                   "%s): where it hides or refuses a row, %s; ALTER TABLE %s "
                   "DISABLE ROW LEVEL SECURITY;\n",
                   r->user, on, name, own[table].then, on);
        break;
    case CAUSE_RULE:
        buf_printf(report_begin(r, true),
                   "rule %s of %s rewrites its %s, which PostgreSQL refuses in "
                   "most statements of Tidemill, and where it does not, %s; "
                   "drop it\n",
                   name, on, when, own[table].then);
        break;
    case CAUSE_CHILD:
        buf_printf(report_begin(r, true),
                   "table %s inherits from %s, so a row may be there twice, "
                   "and then %s: ALTER TABLE %s NO INHERIT %s;\n",
                   name, on, own[table].then, name, on);
        break;
    default:
        break;
    }
}

void report_own_causes(struct catalog_report *r, const struct pgreply *reply)
{
    for (int t = 0; t < N_OWN; t++) {
        const struct pg_result *causes = reply->results[ANSWER_OWN + t];

        for (int i = 0; i < pg_rows(causes); i++) {
            const char *when = pg_str(causes, i, CAUSE_WHEN);
            char kind = pg_str(causes, i, CAUSE_KIND)[0];
            /* A run leaves that one alone, and whose role works on it is not
             * known here. */
            bool is_others = t == OWN_AUDIT && kind == CAUSE_POLICY;

            if (!is_others && (!when[0] || does(own[t].writes, when))) {
                report_own_cause(r, (enum catalog_own)t, kind,
                                 pg_str(causes, i, CAUSE_NAME),
                                 pg_str(causes, i, CAUSE_ON), when);
            }
        }
    }
}

/* ---- for a record that meets one ---- */

static void put_cause(struct buf *b, const struct pg_result *causes, int i)
{
    const char *name = pg_str(causes, i, CAUSE_NAME);
    const char *on = pg_str(causes, i, CAUSE_ON);
    const char *when = pg_str(causes, i, CAUSE_WHEN);

    buf_puts(b, b->len ? "; " : "");
    switch (pg_str(causes, i, CAUSE_KIND)[0]) {
    case CAUSE_POLICY:
        buf_printf(b, "row level security of %s (policies: %s)", on, name);
        break;
    case CAUSE_RULE:
        buf_printf(b, "rule %s of %s", name, on);
        break;
    case CAUSE_CHILD:
        buf_printf(b, "table %s, which inherits from %s", name, on);
        break;
    case CAUSE_ACTION:
        buf_printf(b, "foreign key %s, which acts on changes of %s", name, on);
        break;
    default:
        buf_printf(b, "trigger %s of %s (%s)", name, on, when);
    }
}

char *catalog_own_causes(const struct pgreply *r)
{
    struct buf b = {0};

    for (int i = OWN_LANE; i <= OWN_LETTER; i++) {
        const struct pg_result *causes = r->results[ANSWER_OWN + i];

        for (int k = 0; k < pg_rows(causes); k++) {
            put_cause(&b, causes, k);
        }
    }
    return b.len ? buf_text(&b) : NULL;
}

char *catalog_causes(const struct pgreply *r, const struct plan *p)
{
    struct buf b = {0};

    for (uint32_t i = 0; i < p->n_projections; i++) {
        const struct pg_result *causes = catalog_answer(r, i, OF_CAUSES);

        for (int k = 0; k < pg_rows(causes); k++) {
            put_cause(&b, causes, k);
        }
    }
    return b.len ? buf_text(&b) : NULL;
}

bool catalog_hides(const struct pgreply *r, const struct plan *p)
{
    for (uint32_t i = 0; i < p->n_projections; i++) {
        const struct pg_result *causes = catalog_answer(r, i, OF_CAUSES);

        for (int k = 0; k < pg_rows(causes); k++) {
            if (pg_str(causes, k, CAUSE_KIND)[0] == CAUSE_POLICY) {
                return true;
            }
        }
    }
    return false;
}
