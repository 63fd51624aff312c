/* tidemill run: a pipeline in production. */
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/say.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/run_dry.h"
#include "cli/start.h"
#include "cli/verb.h"
#include "lua/bundle.h"
#include "model/page.h"

static const char help[] =
    "Runs the pipeline at PATH (a file, or a folder with a pipeline.lua) "
    "until\n"
    "it is told to stop. A supervisor watches N worker processes, starts "
    "again\n"
    "what dies, and answers the admin port. SIGTERM or Ctrl-C stops within\n"
    "5 seconds; a second one stops at once. Either way no event is lost or\n"
    "applied twice: positions and rows commit together.\n"
    "The files are read once: what is edited under a run holds from the next\n"
    "one on.\n";

static const char notes[] =
    "Admin port: /livez /readyz /metrics (Prometheus) /status (JSON)\n"
    "\n"
    "Environment:\n"
    "  TIDEMILL_LOG              debug, info (default), warn or error\n"
    "  TIDEMILL_LOG_FORMAT       logfmt (default) or json\n"
    "  TIDEMILL_LOG_PREFIX       a level (<3>) in front of each line: auto\n"
    "                            (default: for the journal), always or never\n"
    "  TIDEMILL_HEARTBEAT_SECONDS\n"
    "                            how long a worker may show no sign of life\n"
    "                            before it is killed (20; 2 to 3600)\n"
    "  NO_COLOR                  no colours in the live line\n"
    "  and whatever the pipeline reads by env('NAME')\n"
    "\n"
    "Examples:\n"
    "  tidemill run bank\n"
    "  tidemill run bank --workers 4 --instance bank-1\n"
    "  tidemill run bank --until-end       catch up, then stop (in a job)\n"
    "  tidemill run bank --dry-run         what the next records would write\n"
    "\n"
    "Exit status: 0 stopped or caught up, 64 usage, 65 only halted lanes\n"
    "remain (they are named), or records were set aside under --strict or "
    "would\n"
    "be in a dry run, 66\n"
    "no such pipeline, 69 a dry run cannot ask Kafka or the database, 70 "
    "software\n"
    "error, 75 the instance name is used elsewhere, the files change while "
    "they\n"
    "are read, or a dry run takes too long, 78 the pipeline or the admin port "
    "was\n"
    "refused.\n";

struct run_request {
    struct start start;
    bool is_dry;
    uint32_t records; /* of a dry run; 0: not said */
};

enum { DRY_RECORDS = 1000, DRY_RECORDS_MOST = 100000 };

static const struct option_spec options[] = {
    NUMBER_OPTION(struct run_request, start.workers, "workers", "N", 1,
                  PAGE_WORKERS, "worker processes, 1 to 64 (default 1)"),
    TEXT_OPTION(struct run_request, start.admin, "admin", "HOST:PORT",
                "admin port, or 'off' (default 127.0.0.1:9465)"),
    TEXT_OPTION(struct run_request, start.token_file, "admin-token-file",
                "FILE",
                "ask for 'Authorization: Bearer TOKEN'; needed when HOST is "
                "not loopback"),
    TEXT_OPTION(struct run_request, start.instance, "instance", "NAME",
                "name of this supervisor in the consumer group (default "
                "host-port, the port of --admin)"),
    FLAG_OPTION(struct run_request, start.until_end, "until-end",
                "stop when every lane has reached the end that its partition "
                "had at the start; the last lines say how many records were "
                "set aside"),
    FLAG_OPTION(struct run_request, start.is_strict, "strict",
                "with --until-end: exit status 65 when this run set records "
                "aside (those of earlier runs do not count)"),
    FLAG_OPTION(struct run_request, is_dry, "dry-run",
                "apply the next records in a transaction, show the rows, and "
                "roll it back: no position moves, no dead letter or halt is "
                "written, and a run that is at work keeps its lanes"),
    NUMBER_OPTION(struct run_request, records, "records", "N", 1,
                  DRY_RECORDS_MOST,
                  "with --dry-run: how many, of all lanes (default 1000)"),
    END_OPTION,
};

static int run_plan(struct start *o, const struct bundle *b,
                    const struct plan *p)
{
    o->bundle = b;
    o->plan = p;
    o->page = page_new(o->workers);
    if (!o->page) {
        complain("tidemill: no memory for the shared page\n");
        return EX_OSERR;
    }
    int status = start_supervisor(o);
    page_free(o->page);
    return status;
}

/* One that comes before the supervisor takes it must not end the run either. */
static void hold_hangup(void)
{
    sigset_t held;

    sigemptyset(&held);
    sigaddset(&held, SIGHUP);
    sigprocmask(SIG_BLOCK, &held, NULL);
}

/* What options say that do not go together. */
static int refuse_options(const struct verb *v, const struct run_request *q)
{
    struct err e;

    if (q->start.is_strict && !q->start.until_end) {
        return options_refuse(v, "--strict is about the end of a run: it goes "
                                 "with --until-end");
    }
    if (q->is_dry && q->start.until_end) {
        return options_refuse(v, "--dry-run ends by itself: leave --until-end "
                                 "out");
    }
    if (q->records > 0 && !q->is_dry) {
        return options_refuse(v, "--records goes with --dry-run");
    }
    return start_is_address(q->start.admin, &e)
               ? EX_OK
               : options_refuse(v, "--admin: %s", e.text);
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct run_request q = {.start = {.workers = 1, .admin = "127.0.0.1:9465"}};
    struct start *o = &q.start;
    if (!options_parse(v, &q, argc, argv, &o->path)) {
        return EX_USAGE;
    }
    int status = refuse_options(v, &q);
    if (status != EX_OK) {
        return status;
    }
    if (q.is_dry) {
        return run_dry(v, o->path, q.records > 0 ? q.records : DRY_RECORDS);
    }
    struct bundle b;
    hold_hangup();
    if (!pipeline_read(v, o->path, &b, &status)) {
        return status;
    }
    const struct plan *p = pipeline_plan(&b, o->path, &status);
    if (p) {
        status = run_plan(o, &b, p);
        plan_free(p);
    }
    bundle_close(&b);
    return status;
}

const struct verb verb_run = {
    .name = "run",
    .usage = "PATH [OPTIONS]",
    .summary = "run a pipeline",
    .help = help,
    .options = options,
    .notes = notes,
    .run = run,
};
