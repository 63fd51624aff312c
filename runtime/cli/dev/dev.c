/* tidemill dev: a pipeline with everything it needs, from nothing. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/loop.h"
#include "base/say.h"
#include "cli/dev/dev_load.h"
#include "cli/dev/dev_postgres.h"
#include "cli/dev/dev_report.h"
#include "cli/dev/dev_scratch.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/start.h"
#include "cli/typed.h"
#include "cli/verb.h"
#include "kafka/embedded.h"
#include "lua/bundle.h"
#include "lua/generator.h"
#include "postgres/store/catalog.h"
#include "supervise/process.h"

enum { PARTITIONS = 4 }; /* of a topic that load.lua does not name */

static const char no_brokers[] = "the-broker-of-tidemill-dev.invalid:9092";
static const char no_database[] = "postgresql://the-database-of-tidemill-dev";

static const char help[] =
    "Runs the pipeline in DIR with everything embedded: a private PostgreSQL\n"
    "made for the occasion, a Kafka broker inside, the pipeline's tables and\n"
    "topics, and a load generator when DIR has a load.lua. At the end it says\n"
    "how fast it went and shows some rows; then all of it is removed. Nothing\n"
    "else is touched: the pipeline has to take its brokers from\n"
    "env('KAFKA_BROKERS') and its database from env('DATABASE_URL').\n";

static const char notes[] =
    "load.lua returns:\n"
    "  { topics = { ['outbox.event.account'] = { partitions = 4 } },\n"
    "    rate = 1000,                     events a second; nil: all it takes\n"
    "    next = function(n, random)       the nth event; nil: no more\n"
    "      return { topic = '...', key = '...', value = '...',\n"
    "               headers = { eventType = '...' } }\n"
    "    end }\n"
    "\n"
    "Needs initdb, in /usr/lib/postgresql/*/bin or PATH; run by root, the\n"
    "database runs as the user postgres.\n"
    "\n"
    "Environment:\n"
    "  TMPDIR             where the database lives (default /tmp)\n"
    "  TIDEMILL_LOG       debug, info (default), warn or error\n"
    "  NO_COLOR           no colours in the live line\n"
    "\n"
    "Examples:\n"
    "  tidemill dev examples/bank --seconds 30\n"
    "  tidemill dev bank --workers 2\n"
    "\n"
    "Exit status: as of `tidemill run`; 0 after Ctrl-C and after --seconds, "
    "69\n"
    "when with --seconds nothing became ready within 60 s.\n";

struct dev {
    struct start start;
    struct dev_scratch scratch;
    struct dev_postgres postgres;
    struct embedded *broker;
    char brokers[256];
    struct embedded_topic *topics; /* owned, names too */
    uint32_t n_topics;
    struct bundle bundle;
    const struct plan *plan;
    struct generator *script; /* NULL: no load.lua */
    char script_file[4096];
    pid_t load;    /* 0: none */
    bool is_quiet; /* --no-load */
};

static const struct option_spec options[] = {
    NUMBER_OPTION(struct dev, start.seconds, "seconds", "N", 0, 1000000,
                  "stop N seconds after all is ready; 0: at Ctrl-C"),
    NUMBER_OPTION(struct dev, start.workers, "workers", "N", 1, PAGE_WORKERS,
                  "worker processes, 1 to 64 (default 1)"),
    TEXT_OPTION(struct dev, start.admin, "admin", "HOST:PORT",
                "admin port, or 'off' (default 127.0.0.1:9465)"),
    FLAG_OPTION(struct dev, is_quiet, "no-load",
                "leave load.lua out: events come from `tidemill send`"),
    END_OPTION,
};

/* ---- before the run ---- */

/* Signals wait while things are made and unmade, or a folder would stay
 * behind; the supervisor takes them in between. */
static void hold_signals(void)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGHUP);
    sigprocmask(SIG_BLOCK, &held, NULL);
}

static bool is_interrupted(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 ||
           sigismember(&pending, SIGTERM) == 1;
}

/* What stands for the servers until they are there: topics have to be known
 * before the broker starts, and the pipeline to know them. */
static void set_servers(const char *brokers, const char *url)
{
    setenv("KAFKA_BROKERS", brokers, 1);
    setenv("DATABASE_URL", url, 1);
}

static bool start_services(struct dev *d, struct err *e)
{
    say("Making a private PostgreSQL and a broker ...\n");
    fflush(stdout);
    if (!dev_scratch_make(&d->scratch, e) ||
        !dev_postgres_start(&d->postgres, &d->scratch, e)) {
        return false;
    }
    d->broker = embedded_start(d->topics, d->plan->source.n_topics, d->brokers,
                               sizeof(d->brokers), e);
    set_servers(d->brokers, d->postgres.url);
    return d->broker != NULL;
}

/* A pipeline that names its own servers would be run on those. */
static bool is_ours(const struct plan *p, struct err *e)
{
    const struct plan_database *db = &p->database;
    if (strcmp(p->source.brokers, no_brokers) != 0) {
        return err_set(e, ERR_CONFIG,
                       "%s: brokers: dev would read from servers that are not "
                       "its own: write brokers = env('KAFKA_BROKERS', '...')",
                       p->path);
    }
    if (strcmp(db->write, no_database) != 0 ||
        (db->read != NULL && strcmp(db->read, no_database) != 0)) {
        return err_set(e, ERR_CONFIG,
                       "%s: database: dev would write to a server that is not "
                       "its own: write postgres { write = env('DATABASE_URL', "
                       "'...') }",
                       p->path);
    }
    return true;
}

static bool open_script(struct dev *d, struct err *e)
{
    snprintf(d->script_file, sizeof(d->script_file), "%s/load.lua",
             d->plan->folder);
    if (d->is_quiet || access(d->script_file, F_OK) != 0) {
        return true;
    }
    d->script = generator_open(d->script_file, e);
    return d->script != NULL;
}

static void list_topics(struct dev *d)
{
    const struct plan_source *s = &d->plan->source;
    d->topics = mem_zero(s->n_topics, sizeof(*d->topics));
    for (uint32_t i = 0; i < s->n_topics; i++) {
        uint32_t n =
            !d->script ? 0 : generator_partitions(d->script, s->topics[i]);
        d->topics[i].name = mem_dup(s->topics[i]);
        d->topics[i].n_partitions = n == 0 ? PARTITIONS : (int32_t)n;
    }
    d->n_topics = s->n_topics;
}

/* In a child, so that no handle of libpq was ever here before the forks. */
static bool apply_schema(const struct dev *d, struct err *e)
{
    int status = 0;
    pid_t pid = process_fork(-1);
    if (pid == 0) {
        struct buf sql = {0};
        pipeline_sql(d->plan, NULL, NULL, &sql);
        bool ok = catalog_apply(d->postgres.url, buf_text(&sql), e);
        if (!ok) {
            complain("tidemill dev: %s\n", e->text);
        }
        _exit(ok ? 0 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        return err_set(e, ERR_SCHEMA, "the tables could not be made");
    }
    return true;
}

static bool start_load(struct dev *d, struct err *e)
{
    if (!d->script) {
        say(d->is_quiet ? "Nothing is sent: that is for you.\n"
                        : "There is no load.lua: send events yourself.\n");
        return true;
    }
    const struct dev_load load = {.file = d->script_file,
                                  .brokers = d->brokers,
                                  .topics = d->topics,
                                  .n_topics = d->n_topics,
                                  .page = d->start.page};
    d->load = dev_load_start(&load, e);
    return d->load > 0;
}

/* The first type that a handler waits for: a header, in an outbox. */
static const char *some_type(const struct plan *p)
{
    const struct plan_topic *t = &p->source.settings[0];

    for (uint32_t i = 0; i < p->n_projections; i++) {
        const struct plan_projection *q = &p->projections[i];

        if (t->format == FORMAT_OUTBOX && !t->outbox &&
            plan_reads(q, t->name) && q->n_types > 0) {
            return q->types[0];
        }
    }
    return NULL;
}

/* What to type in another terminal, in the same folder. */
static void print_send(const struct dev *d)
{
    const char *type = some_type(d->plan);
    struct buf text = {0};

    buf_puts(&text, "\nFor one event by hand, in another terminal here:\n  "
                    "export KAFKA_BROKERS=");
    typed_word(&text, d->brokers);
    buf_puts(&text, " DATABASE_URL=");
    typed_word(&text, d->postgres.url);
    buf_printf(&text, "\n  %s send ", typed_program());
    typed_word(&text, d->start.path);
    buf_puts(&text, " ");
    typed_word(&text, d->plan->source.topics[0]);
    if (type) {
        buf_puts(&text, " --type ");
        typed_word(&text, type);
    }
    buf_puts(&text, " --key KEY 'JSON'\n");
    say("%s", buf_text(&text));
    buf_close(&text);
}

static void print_addresses(const struct dev *d)
{
    say("\n  database  %s\n", d->postgres.psql);
    say("  brokers   %s\n", d->brokers);
    if (strcmp(d->start.admin, "off") != 0) {
        say("  admin     http://%s/status and /metrics\n", d->start.admin);
    }
    print_send(d);
    if (d->start.seconds > 0) {
        say("\nRunning for %u s; Ctrl-C stops earlier.\n\n", d->start.seconds);
    } else {
        say("\nRunning; Ctrl-C stops.\n\n");
    }
    fflush(stdout);
}

static bool load(struct dev *d, int *status)
{
    plan_free(d->plan);
    d->plan = pipeline_plan(&d->bundle, d->start.path, status);
    return d->plan != NULL;
}

/* All that can be refused before anything is made. False without e->text: it
 * has been said. */
static bool look(struct dev *d, int *status, struct err *e)
{
    set_servers(no_brokers, no_database);
    if (!pipeline_read(&verb_dev, d->start.path, &d->bundle, status) ||
        !load(d, status)) {
        return false;
    }
    *status = EX_CONFIG;
    if (!is_ours(d->plan, e) || !open_script(d, e)) {
        return false;
    }
    list_topics(d);
    return true;
}

static bool prepare(struct dev *d, int *status, struct err *e)
{
    if (!look(d, status, e)) {
        return false;
    }
    *status = EX_SOFTWARE;
    if (!start_services(d, e) || !load(d, status)) {
        return false;
    }
    d->start.bundle = &d->bundle;
    d->start.plan = d->plan;
    *status = EX_SOFTWARE;
    return apply_schema(d, e) && start_load(d, e);
}

/* ---- the run and after ---- */

/* What would otherwise look like a pipeline that does nothing. */
static bool is_fine(void *arg, struct err *e)
{
    struct dev *d = arg;
    int status;
    if (d->load > 0 && waitpid(d->load, &status, WNOHANG) == d->load) {
        d->load = 0;
        if (status != 0) {
            return err_set(e, ERR_FATAL, "the load generator failed");
        }
    }
    if (waitpid(d->postgres.pid, &status, WNOHANG) == d->postgres.pid) {
        d->postgres.pid = 0;
        return err_set(e, ERR_FATAL, "the private PostgreSQL has ended");
    }
    return true;
}

static void stop_load(struct dev *d)
{
    if (d->load > 0) {
        kill(d->load, SIGKILL);
        waitpid(d->load, NULL, 0);
        d->load = 0;
    }
}

/* "  ./tidemill check shop --offline" and what it is for. */
static void print_command(const char *verb, const char *path, const char *more,
                          const char *what)
{
    struct buf line = {0};

    buf_printf(&line, "  %s %s ", typed_program(), verb);
    typed_word(&line, path);
    buf_puts(&line, more);
    say("%-42s # %s\n", buf_text(&line), what);
    buf_close(&line);
}

static void print_next(const char *path)
{
    say("\nNext:\n");
    print_command("test", path, "", "runs its specs");
    print_command("check", path, " --offline", "how each table is kept exact");
    print_command("schema", path, "", "the SQL for your own database");
    print_command("run", path, "", "on KAFKA_BROKERS and DATABASE_URL");
}

static int run_prepared(struct dev *d)
{
    d->start.is_fine = is_fine;
    d->start.arg = d;
    print_addresses(d);
    usec ready = clock_usec();
    d->start.ready_usec = &ready;
    int status = start_supervisor(&d->start);
    double seconds = (double)(clock_usec() - ready) / 1e6;
    hold_signals();
    stop_load(d);
    if (status == EX_OK && d->postgres.pid > 0) {
        dev_report_print(d->plan, d->start.page, seconds);
        print_next(d->start.path);
    }
    return status;
}

static void close_all(struct dev *d)
{
    stop_load(d);
    if (d->script) {
        generator_close(d->script);
    }
    embedded_stop(d->broker);
    dev_postgres_stop(&d->postgres);
    dev_scratch_remove(&d->scratch);
    for (uint32_t i = 0; i < d->n_topics; i++) {
        free((char *)d->topics[i].name);
    }
    free(d->topics);
    plan_free(d->plan);
    bundle_close(&d->bundle);
    page_free(d->start.page);
}

static int dev_run(struct dev *d)
{
    struct err e = {0};
    int status;
    hold_signals();
    d->start.page = page_new(d->start.workers);
    if (!d->start.page) {
        complain("tidemill: no memory for the shared page\n");
        return EX_OSERR;
    }
    bool ok = prepare(d, &status, &e);
    if (is_interrupted()) {
        status = EX_OK;
    } else if (ok) {
        status = run_prepared(d);
    } else if (e.text[0] != '\0') {
        complain("tidemill dev: %s\n", e.text);
        status = verb_status(&e);
    }
    close_all(d);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct dev d = {
        .start = {.workers = 1, .admin = "127.0.0.1:9465", .instance = "dev"}};
    if (!options_parse(v, &d, argc, argv, &d.start.path)) {
        return EX_USAGE;
    }
    struct err e;
    if (!start_is_address(d.start.admin, &e)) {
        return options_refuse(v, "--admin: %s", e.text);
    }
    if (!d.start.path) {
        return options_refuse(v, "which pipeline? Name its folder");
    }
    return dev_run(&d);
}

const struct verb verb_dev = {
    .name = "dev",
    .usage = "DIR [OPTIONS]",
    .summary = "run a pipeline with everything embedded, under load",
    .help = help,
    .options = options,
    .notes = notes,
    .run = run,
};
