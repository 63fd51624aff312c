/* tidemill check: what a pipeline does, and whether it can. */
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
#include "lua/report.h"
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
    "and privileges with the database. Nothing is changed.\n";

static const char notes[] =
    "Examples:\n"
    "  tidemill check bank\n"
    "  tidemill check bank --offline       in CI, without servers\n"
    "\n"
    "Exit status: 0 ok, 64 usage, 66 no such pipeline, 69 Kafka or the\n"
    "database does not answer, 75 the database lacks something for now, 78\n"
    "problems were found (also when something else could not be asked).\n";

struct check_request {
    bool is_offline;
};

static const struct option_spec options[] = {
    FLAG_OPTION(struct check_request, is_offline, "offline",
                "ask neither Kafka nor the database"),
    END_OPTION,
};

/* What is known without asking anybody. */
static int print_plan(struct vm *vm)
{
    struct vm_report r;
    struct err e;
    if (!vm_report(vm, "plan", NULL, 0, &r, &e)) {
        complain("tidemill check: %s\n", e.text);
        return EX_SOFTWARE;
    }
    say("%s", r.out);
    fflush(stdout);
    report_close(&r);
    return EX_OK;
}

static int compare(const char *path, const struct plan *p)
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
                 n, plural(n), path);
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
static int ask(const char *path, const struct plan *p, struct vm *vm)
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

static int look(const struct bundle *b, const struct plan *p, struct vm *vm,
                const char *path, bool is_offline)
{
    int status = print_plan(vm);
    if (status != EX_OK) {
        return status;
    }
    status = vm_examples(b);
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
    struct check_request q = {0};
    if (!options_parse(v, &q, argc, argv, &path)) {
        return EX_USAGE;
    }
    int status = EX_OK;
    struct bundle b;
    if (!pipeline_read(v, path, &b, &status)) {
        return status;
    }
    struct vm *vm;
    const struct plan *p = pipeline_with_vm(&b, path, &vm, &status);
    if (p) {
        status = look(&b, p, vm, path, q.is_offline);
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
    .options = options,
    .notes = notes,
    .run = run,
};
