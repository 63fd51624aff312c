/* tidemill check: what a pipeline does, and whether it can. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/say.h"
#include "cli/check/check_list.h"
#include "cli/check/check_records.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/verb.h"
#include "lua/bundle.h"
#include "lua/report.h"
#include "lua/vm.h"
#include "postgres/store/catalog.h"
#include "postgres/wire/dial.h"

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
    "  tidemill check bank --json | jq -r '.findings[].what'\n"
    "\n"
    "Exit status: 0 ok, 64 usage, 66 no such pipeline, 69 Kafka or the\n"
    "database does not answer, 75 the database lacks something for now, 78\n"
    "problems were found (also when something else could not be asked).\n";

struct check_request {
    bool is_offline, is_json;
};

static const struct option_spec options[] = {
    FLAG_OPTION(struct check_request, is_offline, "offline",
                "ask neither Kafka nor the database"),
    FLAG_OPTION(struct check_request, is_json, "json",
                "print one JSON document, for scripts: what was found, each "
                "with code, severity, file, line, what and cure"),
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

/* A line that a comparison wrote: "warning: FILE:LINE: what". */
static void list_problem(struct check_list *list, const struct buf *lines,
                         const struct buf *sql, const struct catalog_finding *f)
{
    struct buf what = {0}, cure = {0};

    buf_put(&what, lines->data + f->what_from, f->what_to - f->what_from);
    if (f->sql_to > f->sql_from) {
        buf_put(&cure, sql->data + f->sql_from, f->sql_to - f->sql_from);
    }
    check_list_add(list, &(struct check_item){
                             .code = f->code,
                             .severity = f->is_warning ? "warning" : "problem",
                             .file = f->file,
                             .line = f->line,
                             .place = f->table,
                             .what = buf_text(&what),
                             .cure = cure.len > 0 ? buf_text(&cure) : NULL});
    buf_close(&what);
    buf_close(&cure);
}

static int compare(const char *path, const struct plan *p,
                   struct check_list *list)
{
    struct buf problems = {0}, sql = {0};
    struct catalog_found found = {0};
    struct err e;
    int status = EX_OK;
    if (!catalog_look(p, p->database.read ? CATALOG_REPLICA : CATALOG_PRIMARY,
                      &problems, &sql, &found, &e)) {
        check_list_add(list, &(struct check_item){.code = "database",
                                                  .severity = "unknown",
                                                  .what = e.text});
        complain("\ntidemill check: %s\n", e.text);
        status = verb_status(&e);
    } else if (problems.len > 0) {
        complain("\n%s", buf_text(&problems));
    }
    for (uint32_t i = 0; i < found.n; i++) {
        list_problem(list, &problems, &sql, &found.list[i]);
    }
    if (found.n_problems > 0) {
        complain("\n%d problem%s: 'tidemill schema %s --diff' prints the SQL "
                 "that mends what SQL can\n",
                 found.n_problems, plural(found.n_problems), path);
        status = EX_CONFIG;
    }
    free(found.list);
    buf_close(&problems);
    buf_close(&sql);
    return status;
}

/* Words that handlers ask for and that are not there: a run would set records aside. */
static int print_handlers(struct vm *vm, struct check_list *list)
{
    struct vm_report r;
    struct err e;
    if (!vm_report(vm, "handlers", NULL, 0, &r, &e)) {
        complain("tidemill check: %s\n", e.text);
        return EX_SOFTWARE;
    }
    bool has_any = r.out[0] != '\0';
    if (has_any) {
        complain("\nhandlers cannot do this:\n");
        buf_clear(&list->said);
        complain("%s\n", r.out);
        check_list_said(list, "handlers", "problem");
    }
    report_close(&r);
    return has_any ? EX_CONFIG : EX_OK;
}

static bool is_address(const struct plan_database *d, const char *field,
                       const char *conninfo)
{
    struct err e;

    if (!conninfo || dial_check(conninfo, &e)) {
        return true;
    }
    complain("\n%s:%d: postgres: '%s': %s\n", d->file, d->line, field, e.text);
    return false;
}

/* Seen without asking anybody. */
static bool are_addresses(const struct plan_database *d,
                          struct check_list *list)
{
    bool can_write = is_address(d, "write", d->write);
    bool can_read = is_address(d, "read", d->read);

    check_list_said(list, "address", "problem");
    return can_read && can_write;
}

/* What is wrong counts more than what could not be asked. */
static int graver(int a, int b)
{
    return a == EX_CONFIG || b == EX_OK ? a : b;
}

/* Kafka, then the database; what fails later is told too. */
static int ask(const char *path, const struct plan *p, struct vm *vm,
               struct check_list *list, bool is_address)
{
    int status = check_records(p, vm, list);

    status = graver(status, is_address ? compare(path, p, list) : EX_CONFIG);
    if (status == EX_UNAVAILABLE || status == EX_TEMPFAIL) {
        complain("\nnot all was looked at: `tidemill check %s --offline` asks "
                 "neither Kafka nor the database\n",
                 path);
    }
    return status;
}

static int look(const struct bundle *b, const struct plan *p, struct vm *vm,
                const char *path, bool is_offline, struct check_list *list)
{
    int status = print_plan(vm);
    if (status != EX_OK) {
        check_list_said(list, "pipeline", "problem");
        return status;
    }
    buf_clear(&list->said);
    bool is_address = are_addresses(&p->database, list);
    bool is_handled = print_handlers(vm, list) == EX_OK;
    status = vm_examples(b);
    if (status != EX_OK) {
        check_list_said(list, "examples", "problem");
    }
    status = graver(is_address && is_handled ? EX_OK : EX_CONFIG, status);
    if (!is_offline) {
        status = graver(status, ask(path, p, vm, list, is_address));
    }
    if (status == EX_OK) {
        say("\nok%s\n",
            is_offline ? " (neither Kafka nor the database was asked)" : "");
    }
    return status;
}

static int check(const struct verb *v, const char *path,
                 const struct check_request *q, struct check_list *list)
{
    int status = EX_OK;
    struct bundle b;
    if (!pipeline_read(v, path, &b, &status)) {
        check_list_said(list, "pipeline", "problem");
        return status;
    }
    struct vm *vm;
    const struct plan *p = pipeline_with_vm(&b, path, &vm, &status);
    if (p) {
        snprintf(list->name, sizeof(list->name), "%s", p->name);
        snprintf(list->hash, sizeof(list->hash), "%s", p->hash);
        status = look(&b, p, vm, path, q->is_offline, list);
        vm_free(vm);
        plan_free(p);
    } else {
        check_list_said(list, "pipeline", "problem");
    }
    bundle_close(&b);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *path;
    struct check_request q = {0};
    if (!options_parse(v, &q, argc, argv, &path)) {
        return EX_USAGE;
    }
    struct check_list list = {.is_json = q.is_json && path};
    check_list_open(&list);
    int status = check(v, path, &q, &list);
    if (list.is_json) {
        check_list_print(&list, path, status);
    }
    return status;
}

const struct verb verb_check = {
    .name = "check",
    .usage = "PATH [--offline] [--json]",
    .summary = "say what a pipeline does and whether topics and tables fit",
    .help = help,
    .options = options,
    .notes = notes,
    .run = run,
};
