/* tidemill schema: the SQL a pipeline needs. */
#include <stdio.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/verb.h"
#include "postgres/catalog.h"

static const char help[] =
    "Prints the SQL that PATH needs: the tidemill schema (positions, dead\n"
    "letters, functions), each projection's table and the grants. `run` never\n"
    "changes a schema by itself. Everything is IF NOT EXISTS: tables that are\n"
    "there stay as they are, and `tidemill check` names what differs.\n"
    "\n"
    "Options:\n"
    "  --apply   run the SQL on the pipeline's database instead of printing "
    "it\n"
    "\n"
    "Examples:\n"
    "  tidemill schema bank > bank.sql     review it, keep it with migrations\n"
    "  tidemill schema bank --apply        run it as the pipeline's own user\n"
    "\n"
    "Exit status: 0 done, 64 usage, 69 no database, 78 the pipeline or the\n"
    "SQL was refused.\n";

static int apply(const struct plan *p, struct buf *sql)
{
    struct err e;
    if (catalog_apply(p->database.write, buf_text(sql), &e)) {
        printf("ok: the schema of %s is in place (%u tables)\n", p->name,
               p->n_projections);
        return EX_OK;
    }
    fprintf(stderr, "tidemill schema: %s\n", e.text);
    return e.class == ERR_CONNECTION ? EX_UNAVAILABLE : EX_CONFIG;
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *path;
    bool must_apply = false;
    const struct option_spec specs[] = {
        {.name = "apply", .kind = OPTION_FLAG, .out = &must_apply},
    };
    if (!options_parse(v, specs, 1, argc, argv, &path)) {
        return EX_USAGE;
    }
    int status = EX_OK;
    struct plan *p = pipeline_load(v, path, &status);
    if (p == NULL) {
        return status;
    }
    struct buf sql = {0};
    pipeline_sql(p, &sql);
    if (must_apply) {
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
    .usage = "PATH [--apply]",
    .summary = "print or apply the SQL that a pipeline needs",
    .help = help,
    .run = run,
};
