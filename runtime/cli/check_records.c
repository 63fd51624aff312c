/* See check_records.h. */
#include "cli/check_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/table.h"
#include "decode/recognise.h"
#include "kafka/peek.h"
#include "kafka/source.h"
#include "postgres/lane_row.h"

enum { PEEK_MS = 5000, INDENT = 4, ARROW_INDENT = 7 };

struct checking {
    struct plan *plan;
    struct peek *peek;
    struct arena arena;
    struct tm_trial *trial;
    struct lane_rows lanes; /* where a run stands; none: it never ran */
    struct buf text;        /* of the finding in hand */
    int n_problems;
};

/* ---- findings ---- */

/* Bytes of records are in there, so nothing may move the cursor. */
static void print_folded(struct checking *k, const char *lead, int indent)
{
    struct buf clean = {0}, folded = {0};

    printable(&clean, k->text.data, k->text.len);
    buf_puts(&folded, lead);
    put_folded(&folded, buf_text(&clean), indent);
    fprintf(stderr, "%s\n", buf_text(&folded));
    buf_close(&clean);
    buf_close(&folded);
    buf_clear(&k->text);
}

static void print_finding(struct checking *k, const char *topic,
                          const struct finding *f)
{
    k->n_problems += !f->is_warning;
    buf_printf(&k->text, "%s: %s", f->is_warning ? "warning" : "problem",
               topic);
    if (f->record) {
        buf_printf(&k->text, "/%d/%" PRId64, f->record->partition,
                   f->record->offset);
    }
    buf_printf(&k->text, ": %s", f->what);
    print_folded(k, "\n", INDENT);
    if (f->cure[0]) {
        buf_puts(&k->text, f->cure);
        print_folded(k, "    -> ", ARROW_INDENT);
    }
}

/* ---- what a run would make of the records ---- */

static void feed(struct checking *k, const struct record *r)
{
    struct record_header h;

    tm_trial_event(k->trial, r->topic, r->partition, r->offset, r->time_ms,
                   r->key, r->key ? (int)r->key_len : -1, r->value,
                   r->value ? (int)r->value_len : -1);
    for (uint32_t i = 0; source_header_at(r->message, i, &h); i++) {
        tm_trial_header(k->trial, h.name, h.value, h.value ? (int)h.len : -1);
    }
}

static void print_failure(struct checking *k, const struct record *r,
                          const char *reason)
{
    const struct finding f = {.what = reason, .cure = "", .record = r};

    print_finding(k, r->topic, &f);
}

/* The first record that could not be read. */
static bool print_unread(struct checking *k, const struct record *records,
                         const struct tm_batch *b)
{
    for (uint32_t i = 0; i < b->n_events; i++) {
        if (b->states[i] == TM_EVENT_FAILED) {
            print_failure(k, &records[i], b->reasons[i]);
            return true;
        }
    }
    return false;
}

/* Keys, and the rows of mirrors; handlers are for `tidemill test`. */
static void try_projection(struct checking *k, const struct record *records,
                           struct tm_batch *b, uint32_t projection)
{
    const struct plan_projection *p = &k->plan->projections[projection];
    struct tm_rows *rows;

    if (p->keys_in_lua) {
        return;
    }
    rows = tm_trial_rows(k->trial, projection);
    if (rows && p->kind == KIND_MIRROR && tm_trial_mirror(k->trial, rows) < 0) {
        rows = NULL;
    }
    if (!rows && b->current >= 0) {
        print_failure(k, &records[b->current], b->error);
    }
}

/* What recognition has no words for. */
static void try_records(struct checking *k, const struct recognise *q)
{
    struct record *list = arena_alloc(&k->arena, (q->n + 1) * sizeof(*list));
    uint32_t n = 0;

    tm_trial_reset(k->trial);
    for (uint32_t i = 0; i < q->n; i++) {
        if (!q->passed[i]) {
            list[n++] = q->records[i];
            feed(k, &q->records[i]);
        }
    }
    struct tm_batch *b = tm_trial_decode(k->trial);
    if (print_unread(k, list, b)) {
        return;
    }
    for (uint32_t i = 0; i < q->n_projections; i++) {
        uint32_t index = (uint32_t)(q->projections[i] - k->plan->projections);

        try_projection(k, list, b, index);
    }
}

/* ---- a topic ---- */

static void add_projections(struct checking *k, struct recognise *q)
{
    const struct plan_projection **list =
        arena_alloc(&k->arena, (k->plan->n_projections + 1) * sizeof(*list));

    for (uint32_t i = 0; i < k->plan->n_projections; i++) {
        if (plan_reads(&k->plan->projections[i], q->topic->name)) {
            list[q->n_projections++] = &k->plan->projections[i];
        }
    }
    q->projections = list;
}

static const struct lane_row *lane_of(const struct checking *k,
                                      const struct record *r)
{
    for (uint32_t i = 0; i < k->lanes.n; i++) {
        const struct lane_row *lane = &k->lanes.at[i];

        if (lane->partition == r->partition &&
            strcmp(lane->topic, r->topic) == 0) {
            return lane;
        }
    }
    return NULL;
}

/* It was applied, or a new lane begins behind it. */
static bool is_passed(const struct checking *k, const struct record *r)
{
    const struct plan_source *s = &k->plan->source;
    const struct lane_row *lane = lane_of(k, r);

    if (lane) {
        return r->offset < lane->next_offset;
    }
    return s->start == START_LATEST ||
           (s->start == START_TIMESTAMP && r->time_ms < s->start_ms);
}

/* It shows what comes next. */
static bool is_newest(const struct peek_topic *t, uint32_t i)
{
    return i + 1 == t->n ||
           t->records[i + 1].partition != t->records[i].partition;
}

/* All of them, to see what they are, and which of them are passed. */
static void add_records(struct checking *k, const struct peek_topic *t,
                        struct recognise *q)
{
    bool *passed = arena_zero(&k->arena, t->n + 1);

    for (uint32_t i = 0; i < t->n; i++) {
        passed[i] = is_passed(k, &t->records[i]) && !is_newest(t, i);
    }
    q->records = t->records;
    q->n = t->n;
    q->passed = passed;
}

static bool has_problem(const struct recognised *found)
{
    for (uint32_t i = 0; i < found->n; i++) {
        if (!found->list[i].is_warning) {
            return true;
        }
    }
    return false;
}

static void print_missing(struct checking *k, const struct peek_topic *t)
{
    const char *near = nearest_word(t->name, k->peek->names, k->peek->n_names);
    const struct finding f = {
        .is_warning = true,
        .what = "Kafka has no such topic, or does not show it to this user",
        .cure = near ? arena_printf(&k->arena, "did you mean '%s'?", near)
                     : "create it; a connector makes it with its first record, "
                       "if the broker or topic.creation.default.* let it"};

    print_finding(k, t->name, &f);
}

/* One topic, looked at. */
struct looked {
    const struct peek_topic *topic;
    struct recognise q;
    struct recognised found;
};

static void look(struct checking *k, uint32_t i, struct looked *l)
{
    l->topic = &k->peek->topics[i];
    l->q = (struct recognise){.topic = &k->plan->source.settings[i],
                              .n_partitions = l->topic->n_partitions,
                              .header = source_header,
                              .header_at = source_header_at};
    add_projections(k, &l->q);
    add_records(k, l->topic, &l->q);
    recognise(&l->q, &k->arena, &l->found);
}

/* Names of fields are bytes of records. */
static void print_keys(const char *keys)
{
    struct buf clean = {0};

    printable(&clean, keys, strlen(keys));
    printf("    %s\n", buf_text(&clean));
    buf_close(&clean);
}

static void print_topic(const struct looked *l)
{
    const struct peek_topic *t = l->topic;
    const char *summary = l->found.summary;

    if (t->n_partitions == 0) {
        printf("  %s: no such topic\n", t->name);
        return;
    }
    printf("  %s: %d partition%s, %u record%s seen%s%s\n", t->name,
           t->n_partitions, t->n_partitions == 1 ? "" : "s", t->n,
           t->n == 1 ? "" : "s", summary[0] ? ": " : "", summary);
    if (l->found.keys) {
        print_keys(l->found.keys);
    }
}

/* Problems are told first. */
static void print_findings(struct checking *k, const struct looked *l,
                           bool are_warnings)
{
    for (uint32_t i = 0; i < l->found.n; i++) {
        if (l->found.list[i].is_warning == are_warnings) {
            print_finding(k, l->topic->name, &l->found.list[i]);
        }
    }
}

static void judge_topic(struct checking *k, const struct looked *l)
{
    if (l->topic->n_partitions == 0) {
        print_missing(k, l->topic);
        return;
    }
    if (l->topic->failure[0]) {
        const struct finding f = {
            .is_warning = true, .what = l->topic->failure, .cure = ""};

        print_finding(k, l->topic->name, &f);
    }
    print_findings(k, l, false);
    print_findings(k, l, true);
    if (!has_problem(&l->found)) {
        try_records(k, &l->q);
    }
}

/* What they are on stdout, then what is wrong with them on stderr. */
static void check_topics(struct checking *k)
{
    uint32_t n = k->peek->n_topics;
    struct looked *list = arena_zero(&k->arena, (n + 1) * sizeof(*list));

    puts("\nrecords");
    for (uint32_t i = 0; i < n; i++) {
        look(k, i, &list[i]);
        print_topic(&list[i]);
    }
    fflush(stdout);
    for (uint32_t i = 0; i < n; i++) {
        judge_topic(k, &list[i]);
    }
    if (k->n_problems > 0) {
        fprintf(stderr,
                "\n%d problem%s in the records: change the connector or "
                "kafka{} as the arrows say\n",
                k->n_problems, k->n_problems == 1 ? "" : "s");
    }
}

/* Without a database every record counts; that it is away is told where its
 * tables are compared. */
static void load_lanes(struct checking *k)
{
    struct console c;
    struct err ignored;

    if (!console_open(&c, k->plan, "", &ignored) ||
        !lane_rows_load(&c, NULL, -1, &k->lanes, &ignored)) {
        k->lanes.n = 0;
    }
    console_close(&c);
}

int check_records(struct plan *p)
{
    struct checking k = {.plan = p};
    struct err e;

    k.peek = peek_open(&p->source, PEEK_MS, &e);
    if (!k.peek) {
        buf_printf(&k.text, "%s: %s; the records were not looked at",
                   e.class == ERR_CONFIG ? "problem" : "warning", e.text);
        print_folded(&k, "\n", INDENT);
        buf_close(&k.text);
        return e.class == ERR_CONFIG;
    }
    arena_init(&k.arena, 0);
    k.trial = tm_trial_new(p);
    load_lanes(&k);
    check_topics(&k);
    lane_rows_close(&k.lanes);
    tm_trial_free(k.trial);
    arena_close(&k.arena);
    buf_close(&k.text);
    peek_free(k.peek);
    return k.n_problems;
}
