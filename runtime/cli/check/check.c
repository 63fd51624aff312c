/* tidemill check: what a pipeline does, and whether it can. */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/say.h"
#include "cli/check/check_records.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/verb.h"
#include "lua/bundle.h"
#include "lua/vm.h"
#include "postgres/store/catalog.h"

static const char help[] =
    "Loads PATH (a pipeline file, or a folder with a pipeline.lua) and says\n"
    "for each projection how it is kept exact, why, and what that costs. "
    "Looks\n"
    "at the first and last records of its topics, without a consumer group,\n"
    "and says what does not fit: which property of the connector to change, "
    "or\n"
    "which word of kafka{} to write. Then compares tables, columns, types, "
    "keys\n"
    "and privileges with the database. Nothing is changed.\n"
    "\n"
    "Options:\n"
    "  --offline   ask neither Kafka nor the database\n"
    "\n"
    "Examples:\n"
    "  tidemill check bank\n"
    "  tidemill check bank --offline       in CI, without servers\n"
    "\n"
    "Exit status: 0 ok, 64 usage, 66 no such pipeline, 69 Kafka or the\n"
    "database does not answer, 75 the database lacks something for now, 78\n"
    "problems were found (also when something else could not be asked).\n";

/* What each way of being exact costs. */
static const char *const costs[] = {
    [EXACT_ALIGNED] = "rows are loaded before the transaction begins; no "
                      "lock is held while Lua runs",
    [EXACT_SHARED] = "rows stay locked from load to commit; a hot key lets "
                     "one batch at a time through",
    [EXACT_MERGE] = "nothing is loaded; rows are locked only for "
                    "the last statement before commit",
    [EXACT_OVERWRITE] = "nothing is loaded; one upsert a batch "
                        "for each set of assigned columns",
    [EXACT_APPEND] = "nothing is loaded; one INSERT a batch",
};
EACH(costs, PLAN_EXACTS);

static void print_topic(const char *title, const struct plan_topic *t)
{
    static const char *const flattened[] = {
        [FLATTENED_UNSAID] = "",
        [FLATTENED_REWRITE] = ", flattened (rewrite)",
        [FLATTENED_TOMBSTONE] = ", flattened (tombstone)",
    };
    EACH(flattened, PLAN_FLATTENED);

    say("%s%s: %s%s%s\n", title, t->name, plan_formats[t->format],
        t->outbox ? ", raw rows" : "", flattened[t->flattened]);
}

static void print_pipeline(const struct plan *p)
{
    const struct plan_source *s = &p->source;
    say("pipeline   %s (%s)\n", p->name, p->path);
    say("generation %.12s\n", p->hash);
    say("source     %s, group %s\n", s->brokers, s->group);
    for (uint32_t i = 0; i < s->n_topics; i++) {
        print_topic(i == 0 ? "topics     " : "           ", &s->settings[i]);
    }
    say("batch      %u events, %" PRIu64 " bytes, linger %u ms, "
        "concurrency %u\n",
        p->limits.size, p->limits.bytes, p->limits.linger_ms,
        p->limits.concurrency);
    say("failure    %s\n", p->failure_rule);
}

/* [n_left]: tables of a batch function that are still to be printed, this one
 * included; 0: it is a projection by itself. */
static void print_projection(const struct plan_projection *p, uint32_t n_left)
{
    if (p->n_set > 0) {
        say("\nbatch function of %u table%s\n", p->n_set,
            p->n_set == 1 ? "" : "s");
    }
    say("%s%s %s (%s:%d)\n", p->n_set > 0 ? "" : "\n",
        n_left > 0 ? "table" : "projection", p->table, p->file, p->line);
    say("  kind     %s\n", plan_kinds[p->kind]);
    say("  exact    %s: %s\n", plan_exacts[p->exact],
        p->why != NULL ? p->why : "");
    say("  cost     %s\n", costs[p->exact]);
    if (p->unlogged) {
        say("  unlogged a crash of the server may empty the table, and its "
            "events do not come again\n");
    }
    if (p->cached_why) {
        say("  cache    %s: %s\n", p->is_cached ? "yes" : "no", p->cached_why);
    }
}

static int compare(const char *path, struct plan *p)
{
    struct buf problems = {0};
    struct err e;
    int n = 0, status = EX_OK;
    if (!catalog_check(p, false, &problems, &n, &e)) {
        complain("\ntidemill check: %s\n", e.text);
        status = verb_status(&e);
    } else if (problems.len > 0) {
        complain("\n%s", buf_text(&problems));
    }
    if (n > 0) {
        complain("\n%d problem%s: 'tidemill schema %s' prints the SQL of what "
                 "is missing\n",
                 n, n == 1 ? "" : "s", path);
        status = EX_CONFIG;
    }
    buf_close(&problems);
    return status;
}

/* What is wrong counts more than what could not be asked. */
static int graver(int a, int b)
{
    return a == EX_CONFIG || b == EX_OK ? a : b;
}

/* Kafka, then the database; what fails later is told too. */
static int ask(const char *path, struct plan *p, struct vm *vm)
{
    int status = check_records(p, vm);

    status = graver(status, compare(path, p));
    if (status == EX_UNAVAILABLE || status == EX_TEMPFAIL) {
        complain("\nnot all was looked at: `tidemill check %s --offline` asks "
                 "neither Kafka nor the database\n",
                 path);
    }
    return status;
}

static int look(const struct bundle *b, struct plan *p, struct vm *vm,
                const char *path, bool is_offline)
{
    print_pipeline(p);
    for (uint32_t i = 0, n_left = 0; i < p->n_projections; i++) {
        n_left = p->projections[i].n_set ? p->projections[i].n_set : n_left;
        print_projection(&p->projections[i], n_left);
        n_left -= n_left > 0;
    }
    fflush(stdout);
    int status = vm_examples(b);
    if (!is_offline) {
        status = graver(status, ask(path, p, vm));
    }
    if (status == EX_OK) {
        say("\nok%s\n",
            is_offline ? " (neither Kafka nor the database was asked)" : "");
    }
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *path;
    bool is_offline = false;
    const struct option_spec specs[] = {
        {.name = "offline", .kind = OPTION_FLAG, .out = &is_offline},
    };
    if (!options_parse(v, specs, 1, argc, argv, &path)) {
        return EX_USAGE;
    }
    int status = EX_OK;
    struct bundle b;
    if (!pipeline_read(v, path, &b, &status)) {
        return status;
    }
    struct vm *vm;
    struct plan *p = pipeline_with_vm(&b, path, &vm, &status);
    if (p) {
        status = look(&b, p, vm, path, is_offline);
        vm_free(vm);
        plan_free(p);
    }
    bundle_close(&b);
    return status;
}

const struct verb verb_check = {
    .name = "check",
    .usage = "PATH [--offline]",
    .summary = "say what a pipeline does and whether topics and tables fit",
    .help = help,
    .run = run,
};
