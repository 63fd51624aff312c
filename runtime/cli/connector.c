/* tidemill connector: how Debezium has to be set up for a pipeline. */
#include <stdio.h>
#include <sysexits.h>

#include "base/say.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/verb.h"
#include "lua/bundle.h"
#include "lua/report.h"
#include "lua/vm.h"

static const char help[] =
    "Prints the Debezium connector that PATH needs, as the JSON that Kafka\n"
    "Connect's REST API takes. A pipeline that reads several sources needs\n"
    "several: they are printed as a list, and NAME picks one. What there is "
    "to\n"
    "do besides goes to stderr. Nothing is asked and nothing is changed.\n";

static const char notes[] =
    "${env:NAME} is read from the environment of the Connect worker, if its\n"
    "properties say\n"
    "  config.providers=env\n"
    "  "
    "config.providers.env.class=org.apache.kafka.common.config.provider."
    "EnvVarConfigProvider\n"
    "\n"
    "Examples:\n"
    "  tidemill connector shop --host db --user debezium --dbname shop |\n"
    "    curl -X POST -H 'Content-Type: application/json' -d @- "
    "http://connect:8083/connectors\n"
    "  tidemill connector shop shop-outbox      one of several\n"
    "\n"
    "Exit status: 0 printed, 64 usage, 66 no connector of that name or none\n"
    "needed, 78 the pipeline was refused.\n";

/* [value] of said[]: what a person says about the source. */
enum { HOST, PORT, USER, PASSWORD, DBNAME, TABLE, TEXTS };

struct connector_request {
    const char *said[TEXTS];
    uint32_t n_partitions;
};

#define SAID(which, name, value, help)                                         \
    TEXT_OPTION(struct connector_request, said[which], name, value, help)

static const struct option_spec options[] = {
    SAID(HOST, "host", "HOST", "of the source database (${env:PGHOST})"),
    SAID(PORT, "port", "PORT", "its port (5432)"),
    SAID(USER, "user", "USER", "(${env:PGUSER})"),
    SAID(PASSWORD, "password", "TEXT",
         "better a reference than the password itself (${env:PGPASSWORD})"),
    SAID(DBNAME, "dbname", "NAME", "(${env:PGDATABASE})"),
    SAID(TABLE, "table", "NAME",
         "the outbox table, as schema.table (public.outbox)"),
    NUMBER_OPTION(struct connector_request, n_partitions, "partitions", "N", 1,
                  10000, "of topics that Connect makes (the broker's default)"),
    END_OPTION,
};

static int print(const struct bundle *b, const char *path,
                 const struct report_word *said, uint32_t n)
{
    struct vm *vm;
    struct vm_report r = {0};
    struct err e;
    int status;
    const struct plan *p = pipeline_with_vm(b, path, &vm, &status);
    if (!p) {
        return status;
    }
    if (vm_report(vm, "connector", said, n, &r, &e)) {
        status = r.out ? EX_OK : EX_NOINPUT;
        fputs(r.out ? r.out : "", stdout);
        fflush(stdout);
        complain("%s", r.err);
    } else {
        complain("tidemill connector: %s\n", e.text);
        status = EX_SOFTWARE;
    }
    report_close(&r);
    vm_free(vm);
    plan_free(p);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *words[2] = {NULL};
    char partitions[12];
    struct connector_request q = {0};
    struct report_word said[TEXTS + 3];
    const struct option_words all = {words, 2};
    if (!options_parse_words(v, &q, argc, argv, &all)) {
        return EX_USAGE;
    }
    int status = EX_OK;
    struct bundle b;
    if (!pipeline_read(v, words[0], &b, &status)) {
        return status;
    }
    for (int i = 0; i < TEXTS; i++) {
        said[i] = (struct report_word){options[i].name, q.said[i]};
    }
    snprintf(partitions, sizeof(partitions), "%u", q.n_partitions);
    said[TEXTS] =
        (struct report_word){"partitions", q.n_partitions ? partitions : NULL};
    said[TEXTS + 1] = (struct report_word){"path", words[0]};
    said[TEXTS + 2] = (struct report_word){"name", words[1]};
    status = print(&b, words[0], said, TEXTS + 3);
    bundle_close(&b);
    return status;
}

const struct verb verb_connector = {
    .name = "connector",
    .usage = "PATH [NAME] [OPTIONS]",
    .summary = "print the Debezium connector that a pipeline needs",
    .help = help,
    .options = options,
    .notes = notes,
    .run = run,
};
