/* tidemill schema: the SQL a pipeline needs. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/say.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/verb.h"
#include "postgres/store/catalog.h"

static const char help[] =
    "Prints the SQL that PATH needs: the tidemill schema (positions, dead\n"
    "letters, functions) and each projection's table; with --role, the least\n"
    "rights that `run` needs. `run` never changes a schema by itself, so its\n"
    "role needs to own nothing. Everything is IF NOT EXISTS: tables that are\n"
    "there stay as they are; --apply and `tidemill check` name what differs.\n"
    "A tidemill schema of an older version is brought up to date and keeps\n"
    "what it holds; one of a newer version is refused.\n";

static const char notes[] =
    "Examples:\n"
    "  tidemill schema bank > bank.sql     review it, keep it with migrations\n"
    "  tidemill schema bank --role mill | psql -1 -v ON_ERROR_STOP=1 "
    "$OWNER_URL\n"
    "  DATABASE_URL=$OWNER_URL tidemill schema bank --role mill --apply\n"
    "  tidemill schema bank --diff | psql -1 -v ON_ERROR_STOP=1 $OWNER_URL\n"
    "\n"
    "Exit status: 0 done, 64 usage, 66 no such pipeline, 69 no database, 75\n"
    "the server lacks something for now, 78 the pipeline or the SQL was\n"
    "refused, or a table that was there lacks something; --diff: no SQL mends\n"
    "some of it.\n";

struct schema_request {
    const char *role, *operator_role;
    bool must_apply, is_diff;
};

static const struct option_spec options[] = {
    TEXT_OPTION(struct schema_request, role, "role", "NAME",
                "also GRANT what `run` needs to this role"),
    TEXT_OPTION(struct schema_request, operator_role, "operator", "NAME",
                "also GRANT what `lane` and `dlq` need to this role"),
    FLAG_OPTION(struct schema_request, must_apply, "apply",
                "run the SQL on the pipeline's database instead of printing "
                "it: as a role that may create and grant"),
    FLAG_OPTION(struct schema_request, is_diff, "diff",
                "print only what the database lacks: ALTERs, tables and GRANTs "
                "to the role that DATABASE_URL names, for psql; what loses or "
                "may lose something says so in a comment"),
    END_OPTION,
};

/* Tables that were there before are left alone, so they may lack something. */
static int compare(const struct plan *p)
{
    struct buf lines = {0};
    struct catalog_found found = {0};
    struct err e;
    int status = EX_OK;
    if (!catalog_look(p, CATALOG_OWNER, &lines, NULL, &found, &e)) {
        complain("tidemill schema: the SQL was run, but %s\n", e.text);
        status = verb_status(&e);
    } else if (found.n_problems > 0) {
        complain("%s\ntidemill schema: the SQL was run, but a table that was "
                 "there before stays as it is:\n%d problem%s, each with what "
                 "mends it\n",
                 buf_text(&lines), found.n_problems, plural(found.n_problems));
        status = EX_CONFIG;
    } else {
        complain("%s", buf_text(&lines)); /* warnings */
        uint32_t n_tables = plan_n_tables(p);

        say("ok: the schema of %s is in place (%u table%s)\n", p->name,
            n_tables, plural(n_tables));
    }
    buf_close(&lines);
    return status;
}

static int apply(const struct plan *p, struct buf *sql)
{
    struct err e;
    if (catalog_apply(p->database.write, buf_text(sql), &e)) {
        return compare(p);
    }
    complain("tidemill schema: %s\n", e.text);
    return verb_status(&e);
}

/* stdout is SQL and nothing else; how much of it there is stands on stderr. */
static int diff(const struct plan *p)
{
    struct buf lines = {0}, sql = {0};
    struct catalog_found found = {0};
    struct err e;
    int status = EX_OK;

    if (!catalog_look(p, CATALOG_PRIMARY, &lines, &sql, &found, &e)) {
        complain("tidemill schema: %s\n", e.text);
        status = verb_status(&e);
    } else if (sql.len == 0) {
        complain("nothing differs: the database has all that %s needs\n",
                 p->name);
    } else {
        fputs(buf_text(&sql), stdout);
        fflush(stdout);
        complain("%d difference%s; review it before it is run\n",
                 found.n_problems, plural(found.n_problems));
        status = found.n_unmended > 0 ? EX_CONFIG : EX_OK;
    }
    free(found.list);
    buf_close(&lines);
    buf_close(&sql);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *path;
    struct schema_request q = {0};
    if (!options_parse(v, &q, argc, argv, &path)) {
        return EX_USAGE;
    }
    if (q.is_diff && (q.role || q.operator_role || q.must_apply)) {
        return options_refuse(v, "--diff compares the database with what the "
                                 "role of DATABASE_URL needs: it takes no "
                                 "other option");
    }
    int status = EX_OK;
    const struct plan *p = pipeline_load(v, path, &status);
    if (!p) {
        return status;
    }
    if (q.is_diff) {
        status = diff(p);
        plan_free(p);
        return status;
    }
    struct buf sql = {0};
    pipeline_sql(p, q.role, q.operator_role, &sql);
    if (q.must_apply) {
        status = apply(p, &sql);
    } else {
        fputs(buf_text(&sql), stdout);
    }
    buf_close(&sql);
    plan_free(p);
    return status;
}

const struct verb verb_schema = {
    .name = "schema",
    .usage = "PATH [--role NAME] [--operator NAME] [--apply] [--diff]",
    .summary = "print or apply the SQL that a pipeline needs",
    .help = help,
    .options = options,
    .notes = notes,
    .run = run,
};
