/* tidemill connector: how Debezium has to be set up for a pipeline. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/say.h"
#include "cli/connector/connector_need.h"
#include "cli/connector/connector_text.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/verb.h"

static const char help[] =
    "Prints the Debezium connector that PATH needs, as the JSON that Kafka\n"
    "Connect's REST API takes. A pipeline that reads several sources needs\n"
    "several: they are printed as a list, and NAME picks one. What there is "
    "to\n"
    "do besides goes to stderr. Nothing is asked and nothing is changed.\n"
    "\n"
    "Options:\n"
    "  --host HOST      of the source database (${env:PGHOST})\n"
    "  --port PORT      its port (5432)\n"
    "  --user USER      (${env:PGUSER})\n"
    "  --password TEXT  better a reference than the password itself\n"
    "                   (${env:PGPASSWORD})\n"
    "  --dbname NAME    (${env:PGDATABASE})\n"
    "  --table NAME     the outbox table, as schema.table (public.outbox)\n"
    "  --partitions N   of topics that Connect makes (the broker's default)\n"
    "\n"
    "${env:NAME} is read from the environment of the Connect worker, if its\n"
    "properties say\n"
    "  config.providers=env\n"
    "  config.providers.env.class="
    "org.apache.kafka.common.config.provider.EnvVarConfigProvider\n"
    "\n"
    "Examples:\n"
    "  tidemill connector shop --host db --user debezium --dbname shop |\n"
    "    curl -X POST -H 'Content-Type: application/json' -d @- "
    "http://connect:8083/connectors\n"
    "  tidemill connector shop shop-outbox      one of several\n"
    "\n"
    "Exit status: 0 printed, 64 usage, 66 no connector of that name or none\n"
    "needed, 78 the pipeline was refused.\n";

struct asked {
    const char *name; /* or NULL */
    struct connector_source source;
};

static void print_one(const struct plan *p, const struct need *n,
                      const struct asked *asked)
{
    struct buf text = {0};

    connector_text(n, p->source.start, &asked->source, 0, &text);
    puts(buf_text(&text));
    buf_close(&text);
}

static void print_all(const struct plan *p, const struct needs *needs,
                      const struct asked *asked)
{
    struct buf text = {0};

    for (uint32_t i = 0; i < needs->n; i++) {
        buf_puts(&text, i == 0 ? "[\n" : ",\n");
        connector_text(&needs->list[i], p->source.start, &asked->source, 2,
                       &text);
    }
    buf_puts(&text, "\n]");
    puts(buf_text(&text));
    buf_close(&text);
}

static const struct need *find(const struct needs *needs, const char *name)
{
    for (uint32_t i = 0; i < needs->n; i++) {
        if (strcmp(needs->list[i].name, name) == 0) {
            return &needs->list[i];
        }
    }
    return NULL;
}

static int refuse_name(const struct needs *needs, const char *name)
{
    complain("tidemill connector: no connector '%s' is needed", name);
    for (uint32_t i = 0; i < needs->n; i++) {
        complain("%s%s", i == 0 ? ", but " : ", ", needs->list[i].name);
    }
    fputs("\n", stderr);
    return EX_NOINPUT;
}

static bool has_outbox(const struct needs *needs)
{
    for (uint32_t i = 0; i < needs->n; i++) {
        if (needs->list[i].kind == NEED_OUTBOX) {
            return true;
        }
    }
    return false;
}

/* What the JSON does not say, for the one who reads it. */
static void print_notes(const char *path, struct needs *needs,
                        const struct asked *asked, bool is_table_said)
{
    if (needs->n > 1 && !asked->name) {
        complain("%u connectors are needed, so this is a list, which "
                 "Kafka Connect does not take. One at a time:\n",
                 needs->n);
        for (uint32_t i = 0; i < needs->n; i++) {
            complain("  tidemill connector %s %s\n", path, needs->list[i].name);
        }
    }
    if (has_outbox(needs) && !is_table_said) {
        complain("the outbox table is taken to be %s; --table says another\n",
                 asked->source.outbox_table);
    }
    fputs(buf_text(&needs->notes), stderr);
}

static int print(const struct plan *p, const struct needs *needs,
                 const struct asked *asked)
{
    const struct need *one = needs->n == 1 ? &needs->list[0] : NULL;

    if (asked->name) {
        one = find(needs, asked->name);
        if (!one) {
            return refuse_name(needs, asked->name);
        }
    }
    if (one) {
        print_one(p, one, asked);
    } else if (needs->n > 1) {
        print_all(p, needs, asked);
    } else {
        fputs("no connector is needed\n", stderr);
        return EX_NOINPUT;
    }
    return EX_OK;
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *words[2] = {NULL};
    struct asked asked = {0};
    struct connector_source *s = &asked.source;
    const struct option_spec specs[] = {
        {.name = "host", .kind = OPTION_TEXT, .out = &s->host},
        {.name = "port", .kind = OPTION_TEXT, .out = &s->port},
        {.name = "user", .kind = OPTION_TEXT, .out = &s->user},
        {.name = "password", .kind = OPTION_TEXT, .out = &s->password},
        {.name = "dbname", .kind = OPTION_TEXT, .out = &s->dbname},
        {.name = "table", .kind = OPTION_TEXT, .out = &s->outbox_table},
        {.name = "partitions",
         .kind = OPTION_NUMBER,
         .out = &s->n_partitions,
         .least = 1,
         .most = 10000},
    };
    const struct option_words all = {words, 2};
    if (!options_parse_words(v, specs, sizeof(specs) / sizeof(*specs), argc,
                             argv, &all)) {
        return EX_USAGE;
    }
    int status = EX_OK;
    struct plan *p = pipeline_load(v, words[0], &status);
    if (!p) {
        return status;
    }
    asked.name = words[1];
    bool is_table_said = s->outbox_table != NULL;
    s->outbox_table = is_table_said ? s->outbox_table : "public.outbox";
    struct arena a;
    struct needs needs;
    arena_init(&a, 0);
    needs_of(p, &a, &needs);
    status = print(p, &needs, &asked);
    fflush(stdout);
    print_notes(words[0], &needs, &asked, is_table_said);
    needs_close(&needs);
    arena_close(&a);
    plan_free(p);
    return status;
}

const struct verb verb_connector = {
    .name = "connector",
    .usage = "PATH [NAME] [--host HOST] [--user USER] …",
    .summary = "print the Debezium connector that a pipeline needs",
    .help = help,
    .run = run,
};
