/* tidemill lane resume, skip and seek. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/arena.h"
#include "base/say.h"
#include "cli/operator/operator_session.h"
#include "cli/operator/place.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/table.h"
#include "kafka/peek.h"
#include "postgres/operator/lane_row.h"
#include "postgres/store/position.h"

static const char resume_help[] =
    "Ends the halt of a lane: its owner reads it on from its position. If the\n"
    "cause is still there, the lane halts again; nothing is lost by trying.\n";

static const char resume_notes[] =
    "Examples:\n"
    "  tidemill lane resume bank orders/3\n"
    "  tidemill lane resume bank --all --yes --reason 'column added'\n"
    "\n"
    "Exit status: 0 done, 64 usage or not confirmed, 66 no such lane, or it "
    "is\n"
    "not halted, 69 no database, 75 it changed meanwhile, 78 the pipeline or\n"
    "the database is not right.\n";

static const char skip_help[] =
    "Moves a lane past records, by default past the one it stands at. They\n"
    "are LOST to the tables: not applied, and not set aside as dead letters;\n"
    "only Kafka still has them, as long as it keeps them. A halt ends. Kafka\n"
    "is asked which offsets there are; past its end is refused.\n";

static const char skip_notes[] =
    "Examples:\n"
    "  tidemill lane skip bank orders/3\n"
    "  tidemill lane skip bank orders/3 --to 1200 --reason 'test data'\n"
    "\n"
    "Exit status: 0 done, 64 usage or not confirmed, 65 no such offset, 66 no\n"
    "such lane, 69 no database, 75 it changed meanwhile, 78 the pipeline or\n"
    "the database is not right.\n";

static const char seek_help[] =
    "Sets the position of a lane. Forwards, the records between are LOST to\n"
    "the tables, as with `lane skip`. Backwards, records are applied AGAIN:\n"
    "folds, appends and sums count them twice, so it is right only together\n"
    "with tables that were taken back to the same point. Where the lane has\n"
    "dead letters at or after the new position it is refused: they would be\n"
    "read a second time. So is an offset that Kafka does not have. A halt\n"
    "ends.\n";

static const char seek_notes[] =
    "Example:\n"
    "  tidemill lane seek bank orders/3 --to 0 --reason 'tables emptied'\n"
    "\n"
    "Exit status: 0 done, 64 usage or not confirmed, 65 dead letters are in\n"
    "the way, or no such offset, 66 no such lane, 69 no database, 75 it\n"
    "changed meanwhile, 78 the pipeline or the database is not right.\n";

enum { HALT_INDENT = 2 };

struct lane_request {
    const struct verb *v;
    const char *path, *lane, *reason;
    bool is_all, is_yes;
    int64_t records, to; /* -1: not said */
    struct place place;
    struct operator_session session;
    struct lane_rows rows;
    struct lane_change *changes; /* one a row that is changed */
    uint32_t n_changes;
};

#define CHANGE_OPTIONS                                                         \
    FLAG_OPTION(struct lane_request, is_yes, "yes", "do not ask"),             \
        TEXT_OPTION(struct lane_request, reason, "reason", "TEXT",             \
                    "goes into tidemill.audit"),                               \
        END_OPTION

static const struct option_spec resume_options[] = {
    FLAG_OPTION(struct lane_request, is_all, "all",
                "every lane that is halted"),
    CHANGE_OPTIONS,
};

static const struct option_spec skip_options[] = {
    OFFSET_OPTION(struct lane_request, records, "records", "N",
                  "how many offsets (1); topics with transactions or "
                  "compaction have offsets without a record"),
    OFFSET_OPTION(struct lane_request, to, "to", "OFFSET",
                  "the next offset to apply"),
    CHANGE_OPTIONS,
};

static const struct option_spec seek_options[] = {
    OFFSET_OPTION(struct lane_request, to, "to", "OFFSET",
                  "the next offset to apply"),
    CHANGE_OPTIONS,
};

static void add(struct lane_request *q, const struct lane_row *row, int64_t to,
                bool may_have_moved)
{
    q->changes[q->n_changes++] = (struct lane_change){
        .shown = row,
        .action = q->v->name,
        .reason = q->reason,
        .to = to,
        .may_have_moved = may_have_moved,
    };
}

static int refuse_lane(const struct lane_request *q, int status,
                       const char *why)
{
    complain("tidemill %s: %s\n", q->v->name, why);
    return status;
}

/* Past the end a lane would wait for records that are not written yet, and pass
 * them by unread; before the beginning it halts at once. */
static int check_range(const struct lane_request *q, const struct lane_row *row,
                       int64_t to)
{
    int64_t range[2];
    struct err e;
    if (!peek_range(&q->session.plan->source, row->topic, row->partition, range,
                    &e)) {
        complain("warning: which offsets %s has is not known, so nothing says "
                 "whether %" PRId64 " is one of them: %s\n",
                 q->lane, to, e.text);
        return EX_OK;
    }
    if (to >= range[0] && to <= range[1]) {
        return EX_OK;
    }
    complain("tidemill %s: offset %" PRId64 " is %s of %s: ", q->v->name, to,
             to < range[0] ? "before the beginning" : "past the end", q->lane);
    if (range[0] < range[1]) {
        complain("Kafka has %" PRId64 " to %" PRId64 ", and ", range[0],
                 range[1] - 1);
    }
    complain("%" PRId64 " is the next one to come\n", range[1]);
    return EX_DATAERR;
}

/* What has no position yet begins where `start` says, which only Kafka knows. */
static bool has_position(const struct lane_row *row)
{
    return row->next_offset != POSITION_UNBEGUN;
}

static void say_begins(const struct lane_row *row, int64_t to)
{
    say("%s/%d has no position yet, and begins at offset %" PRId64
        ": records below it are\nLOST to the tables: they are not applied, and "
        "not set aside.\n",
        row->topic, row->partition, to);
}

static void say_lost(const struct lane_row *row, int64_t to)
{
    int64_t n = to - row->next_offset;
    say("%s/%d goes forward from offset %" PRId64 " to %" PRId64 ": ",
        row->topic, row->partition, row->next_offset, to);
    if (n == 1) {
        say("the record at %" PRId64 " is LOST to the\n"
            "tables: it is not applied, and not set aside.\n",
            row->next_offset);
    } else {
        say("%" PRId64 " records are LOST to the\n"
            "tables: they are not applied, and not set aside.\n",
            n);
    }
    if (!row->halted) {
        puts("The lane is not halted: if a worker moves it meanwhile, nothing "
             "is done.");
    }
}

static const char *twice(const struct plan_projection *p)
{
    static const char *const words[] = {
        [KIND_FOLD] = "fold: COUNTS THEM TWICE",
        [KIND_APPEND] = "append: INSERTS THEIR ROWS TWICE",
        [KIND_MERGE] = "merge: sums COUNT THEM TWICE, min and max stay right",
        [KIND_MAP] = "map: older rows until it has caught up, then right again",
        [KIND_MIRROR] =
            "mirror: older rows until it has caught up, then right again",
    };
    EACH(words, PLAN_KINDS);
    return p->kind == KIND_APPEND && p->n_key > 0
               ? "append with a key: fails at the rows that are there"
               : words[p->kind];
}

static void say_again(const struct lane_request *q, const struct lane_row *row,
                      int64_t to)
{
    const struct plan *p = q->session.plan;
    say("%s/%d goes BACK from offset %" PRId64 " to %" PRId64 ": %" PRId64
        " records are applied AGAIN.\n",
        row->topic, row->partition, row->next_offset, to,
        row->next_offset - to);
    puts("Unless you have taken these tables back to the same point:");
    for (uint32_t i = 0; i < p->n_projections; i++) {
        const struct plan_projection *projection = &p->projections[i];
        if (plan_reads(projection, row->topic)) {
            say("  %-20s %s\n", projection->table, twice(projection));
        }
    }
}

static void say_halt(const char *why)
{
    struct buf text = {0}, lines = {0};
    printable(&text, why, strlen(why));
    put_folded(&lines, buf_text(&text), HALT_INDENT);
    say("%*s%s\n", HALT_INDENT, "", buf_text(&lines));
    buf_close(&text);
    buf_close(&lines);
}

static void say_goes_on(const char *what, const struct lane_row *row,
                        int64_t at)
{
    say("%s%s/%d goes on ", what, row->topic, row->partition);
    if (at == POSITION_UNBEGUN) {
        say("where it begins, once Kafka tells");
    } else {
        say("at offset %" PRId64, at);
    }
}

static void end_halt(struct lane_request *q, const struct lane_row *row)
{
    say_goes_on("", row, row->next_offset);
    puts(". It is halted:");
    say_halt(row->halted);
    add(q, row, row->next_offset, false);
}

static int plan_resume(struct lane_request *q)
{
    for (uint32_t i = 0; i < q->rows.n; i++) {
        if (q->rows.at[i].halted) {
            end_halt(q, &q->rows.at[i]);
        }
    }
    if (q->n_changes == 0) {
        return refuse_lane(q, EX_NOINPUT,
                           q->is_all ? "no lane is halted, so there is nothing "
                                       "to resume"
                                     : "the lane is not halted, so there is "
                                       "nothing to resume");
    }
    return EX_OK;
}

static int plan_skip(struct lane_request *q)
{
    const struct lane_row *row = &q->rows.at[0];
    int64_t at = row->next_offset;
    int64_t n = q->records < 0 ? 1 : q->records;
    if (!has_position(row)) {
        return refuse_lane(q, EX_DATAERR,
                           "the lane has no position yet, so there is nothing "
                           "to go past: 'lane seek' says where it begins");
    }
    if (q->to >= 0 ? q->to <= at : n > INT64_MAX - at) {
        return options_refuse(q->v,
                              "%s stands at %" PRId64 ": skip goes forward "
                              "only, and 'lane seek' back",
                              q->lane, at);
    }
    int64_t to = q->to >= 0 ? q->to : at + n;
    int status = check_range(q, row, to);
    if (status == EX_OK) {
        say_lost(row, to);
        add(q, row, to, false);
    }
    return status;
}

static int plan_seek(struct lane_request *q)
{
    const struct lane_row *row = &q->rows.at[0];
    /* The words of a halt may name where it stands: a person has decided. */
    if (q->to == row->next_offset && row->halted) {
        end_halt(q, row);
        return EX_OK;
    }
    if (q->to == row->next_offset) {
        return options_refuse(q->v, "%s stands at %" PRId64 " already", q->lane,
                              q->to);
    }
    int status = check_range(q, row, q->to);
    if (status != EX_OK) {
        return status;
    }
    if (row->last_letter >= q->to) {
        complain("tidemill %s: %s has dead letters up to offset %" PRId64
                 ", which would be read a second time:\nretry them, or export "
                 "and discard them first ('tidemill dlq --help')\n",
                 q->v->name, q->lane, row->last_letter);
        return EX_DATAERR;
    }
    if (!has_position(row)) {
        say_begins(row, q->to);
    } else if (q->to > row->next_offset) {
        say_lost(row, q->to);
    } else {
        say_again(q, row, q->to);
    }
    add(q, row, q->to, true);
    return EX_OK;
}

static int change(struct lane_request *q)
{
    struct err e;
    if (!operator_confirm(q->v, q->is_yes)) {
        return EX_USAGE;
    }
    if (!lane_rows_change(&q->session.connection, q->changes, q->n_changes,
                          &e)) {
        return operator_fail(q->v, &e);
    }
    for (uint32_t i = 0; i < q->n_changes; i++) {
        const struct lane_row *row = q->changes[i].shown;
        say_goes_on("done: ", row, q->changes[i].to);
        puts("");
    }
    return EX_OK;
}

/* [plan]: fills changes and says what they do. */
static int work(struct lane_request *q, int (*plan)(struct lane_request *))
{
    struct err e;
    int status = operator_open(&q->session, q->v, q->path);
    if (status != EX_OK) {
        operator_close(&q->session);
        return status;
    }
    bool ok = lane_rows_load(&q->session.connection,
                             q->is_all ? NULL : q->place.topic,
                             q->place.partition, &q->rows, &e);
    if (!ok) {
        status = operator_fail(q->v, &e);
    } else if (q->rows.n == 0 && !q->is_all) {
        complain("tidemill %s: pipeline %s has no lane %s here; 'tidemill lane "
                 "list %s' names them\n",
                 q->v->name, q->session.plan->name, q->lane, q->path);
        status = EX_NOINPUT;
    } else {
        q->changes = mem_zero(q->rows.n + 1, sizeof(*q->changes));
        status = plan(q);
        status = status == EX_OK ? change(q) : status;
        free(q->changes);
    }
    lane_rows_close(&q->rows);
    operator_close(&q->session);
    return status;
}

static int parse(struct lane_request *q, int argc, char **argv)
{
    const char *words[2];
    const struct option_words given = {words, 2};
    if (!options_parse_words(q->v, q, argc, argv, &given)) {
        return EX_USAGE;
    }
    q->path = words[0];
    q->lane = words[1];
    q->place.partition = -1;
    if (!q->path || q->is_all) {
        return !q->path || !q->lane
                   ? EX_OK
                   : options_refuse(q->v, "either a lane or --all");
    }
    if (!q->lane) {
        return options_refuse(q->v, "which lane? Name it as TOPIC/PARTITION");
    }
    if (!place_parse(q->lane, &q->place) || q->place.partition < 0 ||
        q->place.offset >= 0) {
        return options_refuse(q->v, "'%s' is not TOPIC/PARTITION", q->lane);
    }
    return EX_OK;
}

static int run_resume(const struct verb *v, int argc, char **argv)
{
    struct lane_request q = {.v = v};
    int status = parse(&q, argc, argv);
    return status == EX_OK ? work(&q, plan_resume) : status;
}

static int run_skip(const struct verb *v, int argc, char **argv)
{
    struct lane_request q = {.v = v, .records = -1, .to = -1};
    int status = parse(&q, argc, argv);
    if (status != EX_OK) {
        return status;
    }
    if (q.records >= 0 && q.to >= 0) {
        return options_refuse(v, "either --records or --to");
    }
    if (q.records == 0) {
        return options_refuse(v, "--records 0 would skip nothing");
    }
    return work(&q, plan_skip);
}

static int run_seek(const struct verb *v, int argc, char **argv)
{
    struct lane_request q = {.v = v, .to = -1};
    int status = parse(&q, argc, argv);
    if (status != EX_OK) {
        return status;
    }
    if (q.to < 0) {
        return options_refuse(v, "where to? Say --to OFFSET");
    }
    return work(&q, plan_seek);
}

const struct verb lane_resume = {
    .name = "lane resume",
    .usage = "PATH TOPIC/PARTITION|--all [--yes] [--reason TEXT]",
    .summary = "end the halt of a lane: it goes on where it stands",
    .help = resume_help,
    .options = resume_options,
    .notes = resume_notes,
    .run = run_resume,
};

const struct verb lane_skip = {
    .name = "lane skip",
    .usage = "PATH TOPIC/PARTITION [--records N | --to OFFSET] [--yes]\n"
             "                          [--reason TEXT]",
    .summary = "move a lane past records, which are lost to the tables",
    .help = skip_help,
    .options = skip_options,
    .notes = skip_notes,
    .run = run_skip,
};

const struct verb lane_seek = {
    .name = "lane seek",
    .usage = "PATH TOPIC/PARTITION --to OFFSET [--yes] [--reason TEXT]",
    .summary = "set the position of a lane, also backwards",
    .help = seek_help,
    .options = seek_options,
    .notes = seek_notes,
    .run = run_seek,
};
