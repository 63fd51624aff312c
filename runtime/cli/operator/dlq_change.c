/* tidemill dlq retry and discard. */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>
#include <time.h>

#include "base/loop.h"
#include "base/say.h"
#include "cli/operator/letter_choice.h"
#include "cli/operator/operator_session.h"

static const char retry_help[] =
    "Asks that letters are tried again. The worker that owns their lane does\n"
    "it within about a second: all letters of a key together, in the order of\n"
    "their offsets, in one transaction with deleting them, so each is applied\n"
    "exactly once. To choose one letter is therefore to choose all of its "
    "key.\n"
    "Those that fail again stay, with one try more; nothing is lost by "
    "trying.\n";

static const char retry_notes[] =
    "Examples:\n"
    "  tidemill dlq retry bank orders/3/1200 --wait 30\n"
    "  tidemill dlq retry bank --sqlstate 23514 --reason 'constraint dropped'\n"
    "\n"
    "Exit status: 0 asked (with --wait: all applied), 64 usage, 65 some "
    "failed\n"
    "again, 66 no such letter, 69 no database, 75 they still wait, 78 the\n"
    "pipeline or the database is not right.\n";

static const char discard_help[] =
    "Deletes letters for good. Their records are LOST to the tables; only\n"
    "Kafka still has them, as long as it keeps them: `dlq export` them first.\n"
    "A failed letter for which others wait (held) is refused, unless it is\n"
    "said what becomes of those.\n";

static const char discard_notes[] =
    "Examples:\n"
    "  tidemill dlq export bank orders/3/1200 > kept.jsonl\n"
    "  tidemill dlq discard bank orders/3/1200 --head-only\n"
    "  tidemill dlq discard bank --key test-1 --chain --yes\n"
    "\n"
    "Exit status: 0 done, 64 usage or not confirmed, 66 no such letter, 69 no\n"
    "database, 75 they changed meanwhile, 78 the pipeline or the database is\n"
    "not right.\n";

struct dlq_change {
    const struct verb *v;
    const char *path, *place, *reason;
    bool is_all, is_yes, is_chain, is_head_only;
    uint32_t wait_sec; /* 0: does not wait */
    struct letter_choice choice;
    struct operator_session session;
};

static const struct option_spec retry_options[] = {
    CHOICE_OPTIONS(struct dlq_change, choice, ""),
    HEADING_OPTION("Options:"),
    FLAG_OPTION(struct dlq_change, is_all, "all",
                "every letter of the pipeline"),
    NUMBER_OPTION(struct dlq_change, wait_sec, "wait", "SECONDS", 1, 86400,
                  "wait until they are applied, or have failed again"),
    TEXT_OPTION(struct dlq_change, reason, "reason", "TEXT",
                "goes into tidemill.audit"),
    END_OPTION,
};

static const struct option_spec discard_options[] = {
    CHOICE_OPTIONS(struct dlq_change, choice, ""),
    HEADING_OPTION("Options:"),
    FLAG_OPTION(struct dlq_change, is_all, "all",
                "every letter of the pipeline"),
    FLAG_OPTION(struct dlq_change, is_chain, "chain",
                "and all other letters of their keys"),
    FLAG_OPTION(struct dlq_change, is_head_only, "head-only",
                "only the failed ones; those that they hold are tried again, "
                "without the record that goes"),
    FLAG_OPTION(struct dlq_change, is_yes, "yes", "do not ask"),
    TEXT_OPTION(struct dlq_change, reason, "reason", "TEXT",
                "goes into tidemill.audit, with the offsets"),
    END_OPTION,
};

static int none(const struct dlq_change *q)
{
    complain("tidemill %s: no such dead letter of pipeline %s; 'tidemill dlq "
             "list %s' shows them\n",
             q->v->name, q->session.plan->name, q->path);
    return EX_NOINPUT;
}

static int say_retried(const struct dlq_change *q, const struct letter_retry *r)
{
    int64_t n = r->n_failed + r->n_held;
    if (r->n_waiting > 0) {
        complain("tidemill %s: %" PRId64 " of %" PRId64 " still wait after %u "
                 "s: does the pipeline run, and is their lane not halted "
                 "('tidemill lane list %s')?\n",
                 q->v->name, r->n_waiting, n, q->wait_sec, q->path);
        return EX_TEMPFAIL;
    }
    if (r->n_again > 0) {
        complain("tidemill %s: %" PRId64 " of %" PRId64 " failed again: "
                 "'tidemill dlq list %s' says why\n",
                 q->v->name, r->n_again, n, q->path);
        return EX_DATAERR;
    }
    say("done: all %" PRId64 " were applied\n", n);
    return EX_OK;
}

static int wait_for(struct dlq_change *q, struct letter_retry *r)
{
    static const struct timespec pause = {.tv_nsec = 250 * 1000000};
    usec end = clock_usec() + (usec)q->wait_sec * 1000000;
    struct err e;
    fflush(stdout);
    do {
        if (!letters_retried(&q->session.connection, r, &e)) {
            return operator_fail(q->v, &e);
        }
        if (r->n_waiting == 0) {
            break;
        }
        nanosleep(&pause, NULL);
    } while (clock_usec() < end);
    return say_retried(q, r);
}

static int retry(struct dlq_change *q)
{
    struct letter_retry r;
    struct err e;
    if (!letters_retry(&q->session.connection, &q->choice.filter, q->reason, &r,
                       &e)) {
        return operator_fail(q->v, &e);
    }
    if (r.n_failed + r.n_held == 0) {
        return none(q);
    }
    say("asked: %" PRId64 " failed and %" PRId64 " held letters are tried "
        "again by the worker that owns\n"
        "their lane, all of a key together. Those that fail again stay, "
        "with one try more.\n",
        r.n_failed, r.n_held);
    if (q->wait_sec > 0) {
        return wait_for(q, &r);
    }
    say("Watch them: tidemill dlq list %s\n", q->path);
    return EX_OK;
}

static int refuse_orphans(const struct dlq_change *q, int64_t n)
{
    return options_refuse(
        q->v,
        "%" PRId64 " held letter%s would wait for ever, since the failed one "
        "before goes.\n  --chain discards all letters of these keys\n"
        "  --head-only discards only the failed ones, and tries the others "
        "again",
        n, plural(n));
}

static void say_discarded(const struct dlq_change *q,
                          const struct letter_look *l)
{
    say("%" PRId64 " failed and %" PRId64 " held letters in %" PRId64
        " lane%s are DISCARDED: their records are LOST to\n"
        "the tables, and only Kafka still has them.\n",
        l->n_failed, l->n_held, l->n_lanes, plural(l->n_lanes));
    if (q->is_head_only && l->n_rest > 0) {
        say("%" PRId64 " other letter%s of these keys %s tried again, "
            "without the records that go.\n",
            l->n_rest, plural(l->n_rest), l->n_rest == 1 ? "is" : "are");
    } else if (l->n_held > 0) {
        puts("Later records of these keys are applied without them.");
    }
    if (!q->is_yes) {
        puts("'tidemill dlq export' keeps a copy.");
    }
}

static int discard(struct dlq_change *q)
{
    enum letter_scope scope = q->is_chain       ? LETTERS_CHAINS
                              : q->is_head_only ? LETTERS_HEADS
                                                : LETTERS_PICKED;
    struct operator_connection *c = &q->session.connection;
    const struct letter_filter *f = &q->choice.filter;
    struct letter_look look;
    struct err e;
    if (!letters_look(c, f, scope, &look, &e)) {
        return operator_fail(q->v, &e);
    }
    if (look.n_failed + look.n_held == 0) {
        return none(q);
    }
    if (look.n_orphans > 0 && !q->is_head_only) {
        return refuse_orphans(q, look.n_orphans);
    }
    say_discarded(q, &look);
    if (!operator_confirm(q->v, q->is_yes)) {
        return EX_USAGE;
    }
    if (!letters_discard(c, f, scope, &look, q->reason, &e)) {
        return operator_fail(q->v, &e);
    }
    say("done: %" PRId64 " discarded\n", look.n_failed + look.n_held);
    if (look.halted[0] != '\0') {
        say("Halted as before: %s. 'tidemill lane resume %s ...' lets it go "
            "on.\n",
            look.halted, q->path);
    }
    return EX_OK;
}

static int parse(struct dlq_change *q, int argc, char **argv)
{
    const char *words[2];
    const struct option_words given = {words, 2};
    if (!options_parse_words(q->v, q, argc, argv, &given)) {
        return EX_USAGE;
    }
    q->path = words[0];
    q->place = words[1];
    int status = choice_make(&q->choice, q->v, q->place);
    if (status == EX_OK && q->path &&
        q->is_all == !choice_is_empty(&q->choice)) {
        status = options_refuse(q->v, "which letters? Choose some, or say "
                                      "--all, but not both");
    }
    return status;
}

/* Opens the pipeline and does it. */
static int in_session(struct dlq_change *q, int (*word)(struct dlq_change *))
{
    int status = operator_open(&q->session, q->v, q->path);
    status = status == EX_OK ? word(q) : status;
    operator_close(&q->session);
    return status;
}

static int run_retry(const struct verb *v, int argc, char **argv)
{
    struct dlq_change q = {.v = v, .choice = choice_of_all};
    int status = parse(&q, argc, argv);
    return status == EX_OK ? in_session(&q, retry) : status;
}

static int run_discard(const struct verb *v, int argc, char **argv)
{
    struct dlq_change q = {.v = v, .choice = choice_of_all};
    int status = parse(&q, argc, argv);
    if (status == EX_OK && q.is_chain && q.is_head_only) {
        return options_refuse(v, "either --chain or --head-only");
    }
    return status == EX_OK ? in_session(&q, discard) : status;
}

const struct verb dlq_retry = {
    .name = "dlq retry",
    .usage = "PATH [TOPIC[/PARTITION[/OFFSET]]] [OPTIONS] [--wait SECONDS]",
    .summary = "try letters again, in order, exactly once",
    .help = retry_help,
    .options = retry_options,
    .notes = retry_notes,
    .run = run_retry,
};

const struct verb dlq_discard = {
    .name = "dlq discard",
    .usage = "PATH [TOPIC[/PARTITION[/OFFSET]]] [OPTIONS]\n"
             "                            [--chain | --head-only] [--yes]",
    .summary = "delete letters for good",
    .help = discard_help,
    .options = discard_options,
    .notes = discard_notes,
    .run = run_discard,
};
