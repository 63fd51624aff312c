/* tidemill lane: the lanes of a pipeline, and what a person does to them. */
#include "cli/operator/operator_session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/json.h"
#include "base/say.h"
#include "cli/operator/admin_client.h"
#include "cli/operator/place.h"
#include "cli/options.h"
#include "cli/table.h"
#include "kafka/peek.h"
#include "postgres/operator/lane_row.h"
#include "postgres/store/position.h"

static const char help[] =
    "A lane is one partition of a topic with its position: a row of\n"
    "tidemill.lane, which moves only together with the tables. A lane that\n"
    "cannot go on without a person is halted: it says why, and the others go\n"
    "on. These words work on the database (skip and seek also ask Kafka which\n"
    "offsets it has); a running worker notices within about a second and "
    "reads\n"
    "its lane from the new position.\n"
    "\n"
    "What usually helps, in this order:\n"
    "  1. tidemill lane list PATH     what does the lane wait for?\n"
    "  2. mend the cause (the script, the table, the producer)\n"
    "  3. tidemill lane resume PATH TOPIC/PARTITION\n"
    "Only if a record can never be applied, and is not needed: lane skip.\n"
    "\n"
    "Every change says first what it will do, asks for a \"yes\" (--yes where\n"
    "nobody is at a terminal), and leaves a row in tidemill.audit.\n"
    "'tidemill lane WORD --help' explains a word.\n";

const struct verb verb_lane = {
    .name = "lane",
    .usage = "WORD PATH [TOPIC/PARTITION] [OPTIONS]",
    .summary = "list lanes; resume, skip or seek one that is halted",
    .help = help,
    .words = (const struct verb *const[]){&lane_list, &lane_resume, &lane_skip,
                                          &lane_seek, NULL},
};

static const char list_help[] =
    "Lists the lanes of PATH, or one of them: the next offset to apply, the "
    "lag\n"
    "(records that Kafka has from there on; ? when it does not answer), the\n"
    "epoch (raised by each claim and each change by hand), dead letters that\n"
    "failed and that wait for one (held), when the row last changed, who\n"
    "claimed the lane last, and why it is halted. Nothing is changed. What a\n"
    "run waits for, that is no halt, is known to it alone: it is asked at its\n"
    "admin port, and says it after the list.\n";

static const char list_notes[] =
    "Examples:\n"
    "  tidemill lane list bank\n"
    "  tidemill lane list bank orders/3\n"
    "  tidemill lane list bank --halted --json | jq -r .halted\n"
    "\n"
    "Exit status: 0 done, 64 usage, 66 no such lane, 69 no database, 78 the\n"
    "pipeline or the database is not right.\n";

static const struct table_column columns[] = {
    {"LANE", false},  {"POSITION", true}, {"LAG", true},      {"EPOCH", true},
    {"FAILED", true}, {"HELD", true},     {"UPDATED", false}, {"OWNER", false},
};

/* Records that Kafka has beyond the position; -1: one of the two is unknown. */
static int64_t lag_of(const struct lane_row *row, const struct peek_end *end)
{
    if (row->next_offset == POSITION_UNBEGUN || end->offset < 0) {
        return -1;
    }
    return end->offset > row->next_offset ? end->offset - row->next_offset : 0;
}

static void put_lag(struct table *t, const struct lane_row *row,
                    const struct peek_end *end)
{
    int64_t lag = lag_of(row, end);

    if (lag < 0) {
        table_text(t, end->offset < 0 ? "?" : NULL);
    } else {
        table_int(t, lag);
    }
}

static void put_row(struct table *t, const struct lane_row *row,
                    const struct peek_end *end)
{
    struct buf text = {0};
    buf_printf(&text, "%s/%d", row->topic, row->partition);
    table_text(t, buf_text(&text));
    if (row->next_offset == POSITION_UNBEGUN) {
        table_text(t, "-");
    } else {
        table_int(t, row->next_offset);
    }
    put_lag(t, row, end);
    table_int(t, row->epoch);
    table_int(t, row->n_failed);
    table_int(t, row->n_held);
    table_text(t, row->updated);
    table_text(t, row->owner);
    if (row->halted) {
        buf_clear(&text);
        buf_printf(&text, "halted since %s: %s",
                   row->halted_at != NULL ? row->halted_at : "some time",
                   row->halted);
        table_note(t, buf_text(&text));
    }
    buf_close(&text);
}

static void put_natural(struct buf *out, const char *name, int64_t n)
{
    if (n < 0) {
        json_key_text(out, name, NULL);
    } else {
        json_key_int(out, name, n);
    }
}

static void print_json(const struct lane_row *row, const struct peek_end *end)
{
    struct buf out = {0};
    json_open(&out, '{');
    json_key_text(&out, "topic", row->topic);
    json_key_int(&out, "partition", row->partition);
    json_key_int(&out, "position", row->next_offset);
    put_natural(&out, "end", end->offset);
    put_natural(&out, "lag", lag_of(row, end));
    json_key_int(&out, "epoch", row->epoch);
    json_key_text(&out, "owner", row->owner);
    json_key_text(&out, "updated", row->updated);
    json_key_int(&out, "failed", row->n_failed);
    json_key_int(&out, "held", row->n_held);
    json_key_text(&out, "halted", row->halted);
    json_key_text(&out, "halted_at", row->halted_at);
    json_key_text(&out, "halted_generation", row->halted_generation);
    json_close(&out, '}');
    puts(buf_text(&out));
    buf_close(&out);
}

static void print_sum(const struct lane_rows *rows)
{
    int64_t n_halted = 0, n_failed = 0, n_held = 0;
    for (uint32_t i = 0; i < rows->n; i++) {
        n_halted += rows->at[i].halted != NULL;
        n_failed += rows->at[i].n_failed;
        n_held += rows->at[i].n_held;
    }
    say("%u lane%s, %" PRId64 " halted; dead letters: %" PRId64
        " failed, %" PRId64 " held\n",
        rows->n, plural(rows->n), n_halted, n_failed, n_held);
}

/* Where the partitions end; what Kafka does not say shows as unknown. */
static struct peek_end *ask_ends(const struct plan *p,
                                 const struct lane_rows *rows, struct err *e)
{
    struct peek_end *ends = mem_zero(rows->n + 1, sizeof(*ends));

    *e = (struct err){0};
    for (uint32_t i = 0; i < rows->n; i++) {
        ends[i] =
            (struct peek_end){rows->at[i].topic, rows->at[i].partition, -1};
    }
    if (rows->n > 0) {
        err_ignore(peek_ends(&p->source, ends, rows->n, e)); /* it is told */
    }
    return ends;
}

static void print(const struct lane_rows *rows, const struct peek_end *ends,
                  bool only_halted, bool is_json)
{
    struct table t;
    table_init(&t, columns, sizeof(columns) / sizeof(*columns));
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct lane_row *row = &rows->at[i];
        if (only_halted && !row->halted) {
            continue;
        }
        if (is_json) {
            print_json(row, &ends[i]);
        } else {
            put_row(&t, row, &ends[i]);
        }
    }
    if (!is_json) {
        if (t.cells.len > 0) {
            table_print(&t);
        }
        print_sum(rows);
    }
    table_close(&t);
}

/* Behind the list, for people alone. */
static void print_waits(const char *admin, const char *pipeline)
{
    struct buf text = {0};
    switch (admin_client_ask(admin, pipeline, &text)) {
    case ADMIN_CLIENT_SAYS:
        if (text.len > 0) {
            say("\nthe run at %s waits:\n%s", admin, buf_text(&text));
        }
        break;
    case ADMIN_CLIENT_LOCKED:
        say("\nthe run at %s wants a token: see its /readyz\n", admin);
        break;
    case ADMIN_CLIENT_NONE:
        break;
    }
    buf_close(&text);
}

struct list_request {
    const char *path, *lane, *admin;
    bool only_halted, is_json;
    struct place place;
};

static const struct option_spec list_options[] = {
    FLAG_OPTION(struct list_request, only_halted, "halted",
                "only those that are halted"),
    FLAG_OPTION(struct list_request, is_json, "json",
                "one JSON object a line, for scripts"),
    TEXT_OPTION(struct list_request, admin, "admin", "HOST:PORT",
                "where a run may be asked (127.0.0.1:9465), or off"),
    END_OPTION,
};

static int list(const struct verb *v, const struct list_request *q)
{
    struct operator_session d;
    struct lane_rows rows;
    struct err e;
    int status = operator_open(&d, v, q->path);
    if (status != EX_OK) {
        operator_close(&d);
        return status;
    }
    if (!lane_rows_load(&d.connection, q->lane ? q->place.topic : NULL,
                        q->place.partition, &rows, &e)) {
        status = operator_fail(v, &e);
    } else if (rows.n == 0 && q->lane) {
        complain("tidemill %s: pipeline %s has no lane %s here\n", v->name,
                 d.plan->name, q->lane);
        status = EX_NOINPUT;
    } else {
        struct peek_end *ends = ask_ends(d.plan, &rows, &e);

        print(&rows, ends, q->only_halted, q->is_json);
        free(ends);
        if (e.text[0]) {
            fflush(stdout);
            complain("tidemill %s: the lag is unknown: %s\n", v->name, e.text);
        }
        if (!q->is_json && strcmp(q->admin, "off") != 0) {
            print_waits(q->admin, d.plan->name);
        }
    }
    lane_rows_close(&rows);
    operator_close(&d);
    return status;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct list_request q = {.place = {.partition = -1},
                             .admin = "127.0.0.1:9465"};
    const char *words[2];
    const struct option_words given = {words, 2};
    if (!options_parse_words(v, &q, argc, argv, &given)) {
        return EX_USAGE;
    }
    q.path = words[0];
    q.lane = words[1];
    if (q.lane && (!place_parse(q.lane, &q.place) || q.place.offset >= 0)) {
        return options_refuse(v, "'%s' is not TOPIC or TOPIC/PARTITION",
                              q.lane);
    }
    return list(v, &q);
}

const struct verb lane_list = {
    .name = "lane list",
    .usage = "PATH [TOPIC[/PARTITION]] [--halted] [--json] [--admin HOST:PORT]",
    .summary = "where each lane stands, and what a halted one waits for",
    .help = list_help,
    .options = list_options,
    .notes = list_notes,
    .run = run,
};
