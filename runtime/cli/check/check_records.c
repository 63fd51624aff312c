/* See check_records.h. */
#include "cli/check/check_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/nearest.h"
#include "base/say.h"
#include "cli/check/check_list.h"
#include "cli/table.h"
#include "kafka/peek.h"
#include "kafka/source.h"
#include "lua/inspect.h"
#include "postgres/operator/lane_row.h"

enum { PEEK_MS = 10000, INDENT = 4, ARROW_INDENT = 7 };

struct checking {
    const struct plan *plan;
    struct peek *peek;
    struct vm *vm;
    struct check_list *list; /* borrowed */
    struct arena arena;
    struct lane_rows lanes; /* where a run stands; none: it never ran */
    struct buf text;        /* of the finding in hand */
    int n_problems;
    bool has_unread; /* Kafka did not give what was asked for */
};

/* ---- findings ---- */

/* Bytes of records are in there, so nothing may move the cursor. */
static void print_folded(struct checking *k, const char *lead, int indent)
{
    struct buf clean = {0}, folded = {0};

    printable(&clean, k->text.data, k->text.len);
    buf_puts(&folded, lead);
    put_folded(&folded, buf_text(&clean), indent);
    complain("%s\n", buf_text(&folded));
    buf_close(&clean);
    buf_close(&folded);
    buf_clear(&k->text);
}

static void list_finding(const struct checking *k, const char *topic,
                         const struct finding *f)
{
    struct buf place = {0};

    buf_puts(&place, topic);
    if (f->record) {
        buf_printf(&place, "/%d/%" PRId64, f->record->partition,
                   f->record->offset);
    }
    check_list_add(
        k->list,
        &(struct check_item){.code = "records",
                             .severity = f->is_warning ? "warning" : "problem",
                             .place = buf_text(&place),
                             .what = f->what,
                             .cure = f->hint[0] ? f->hint : NULL});
    buf_close(&place);
}

static void print_finding(struct checking *k, const char *topic,
                          const struct finding *f)
{
    k->n_problems += !f->is_warning;
    list_finding(k, topic, f);
    buf_printf(&k->text, "%s: %s", f->is_warning ? "warning" : "problem",
               topic);
    if (f->record) {
        buf_printf(&k->text, "/%d/%" PRId64, f->record->partition,
                   f->record->offset);
    }
    buf_printf(&k->text, ": %s", f->what);
    print_folded(k, "\n", INDENT);
    if (f->hint[0]) {
        buf_puts(&k->text, f->hint);
        print_folded(k, "    -> ", ARROW_INDENT);
    }
}

/* ---- a topic ---- */

/* It was applied, or a new lane begins behind it. */
static bool is_passed(const struct checking *k, const struct record *r)
{
    const struct plan_source *s = &k->plan->source;
    const struct lane_row *lane =
        lane_rows_find(&k->lanes, r->topic, r->partition);

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

/* All of them show what they are, those that are passed too. */
static const bool *passed(struct checking *k, const struct peek_topic *t)
{
    bool *list = arena_zero(&k->arena, t->n + 1);

    for (uint32_t i = 0; i < t->n; i++) {
        list[i] = is_passed(k, &t->records[i]) && !is_newest(t, i);
    }
    return list;
}

static void print_missing(struct checking *k, const struct peek_topic *t)
{
    const char *near = nearest_word(t->name, k->peek->names, k->peek->n_names);
    const struct finding f = {
        .what = "Kafka has no such topic, or does not show it to this user",
        .hint = near ? arena_printf(&k->arena, "did you mean '%s'?", near)
                     : "create it; a connector makes it with its first record, "
                       "if the broker or topic.creation.default.* let it"};

    print_finding(k, t->name, &f);
}

/* One topic, looked at. */
struct looked {
    const struct peek_topic *topic;
    struct inspected found;
    const char *failure; /* why it was not; NULL: it was */
};

static void look(struct checking *k, uint32_t i, struct looked *l)
{
    l->topic = &k->peek->topics[i];
    const struct inspection q = {.plan = k->plan,
                                 .topic = i,
                                 .n_partitions = l->topic->n_partitions,
                                 .records = l->topic->records,
                                 .n = l->topic->n,
                                 .passed = passed(k, l->topic),
                                 .header_at = source_header_at};
    struct err e;

    if (!vm_inspect(k->vm, &q, &k->arena, &l->found, &e)) {
        l->found.summary = "";
        l->failure = arena_dup(&k->arena, e.text, strlen(e.text));
    }
}

/* Names of fields are bytes of records. */
static void print_keys(const char *keys)
{
    struct buf clean = {0};

    printable(&clean, keys, strlen(keys));
    say("    %s\n", buf_text(&clean));
    buf_close(&clean);
}

static void print_topic(const struct looked *l)
{
    const struct peek_topic *t = l->topic;
    const char *summary = l->found.summary;

    if (t->n_partitions == 0) {
        say("  %s: no such topic\n", t->name);
        return;
    }
    say("  %s: %d partition%s, %u record%s seen%s%s\n", t->name,
        t->n_partitions, plural(t->n_partitions), t->n, plural(t->n),
        summary[0] ? ": " : "", summary);
    if (l->found.keys) {
        print_keys(l->found.keys);
    }
}

/* Not all of it was looked at. */
static void print_failure(struct checking *k, const char *topic,
                          const char *failure, bool is_problem)
{
    check_list_add(k->list, &(struct check_item){
                                .code = is_problem ? "records" : "kafka",
                                .severity = is_problem ? "problem" : "unknown",
                                .place = topic,
                                .what = failure});
    buf_printf(&k->text, "problem: %s: %s", topic, failure);
    print_folded(k, "\n", INDENT);
    k->has_unread |= !is_problem;
    k->n_problems += is_problem;
}

static void inspect_topic(struct checking *k, const struct looked *l)
{
    const struct peek_topic *t = l->topic;

    if (t->n_partitions == 0) {
        print_missing(k, t);
        return;
    }
    if (t->failure[0]) {
        print_failure(k, t->name, t->failure, t->is_refused);
    }
    if (l->failure) {
        print_failure(k, t->name, l->failure, true);
    }
    for (uint32_t i = 0; i < l->found.n; i++) {
        print_finding(k, t->name, &l->found.list[i]);
    }
}

/* What they are on stdout, then what is wrong with them on stderr. */
static void check_topics(struct checking *k)
{
    uint32_t n = k->peek->n_topics;
    struct looked *list = arena_zero(&k->arena, (n + 1) * sizeof(*list));

    say("\nrecords\n");
    for (uint32_t i = 0; i < n; i++) {
        look(k, i, &list[i]);
        print_topic(&list[i]);
    }
    fflush(stdout);
    for (uint32_t i = 0; i < n; i++) {
        inspect_topic(k, &list[i]);
    }
    if (k->n_problems > 0) {
        complain("\n%d problem%s in the records: change the connector or "
                 "kafka{} as the arrows say\n",
                 k->n_problems, plural(k->n_problems));
    }
}

/* Without a database every record counts; that it is away is told where its
 * tables are compared. */
static void load_lanes(struct checking *k)
{
    struct operator_connection c;
    struct err ignored;

    if (!operator_connection_look(&c, k->plan, &ignored) ||
        !lane_rows_load(&c, NULL, -1, &k->lanes, &ignored)) {
        k->lanes.n = 0;
    }
    operator_connection_close(&c);
}

static int status_of(const struct checking *k)
{
    return k->n_problems > 0 ? EX_CONFIG
           : k->has_unread   ? EX_UNAVAILABLE
                             : EX_OK;
}

int check_records(const struct plan *p, struct vm *vm, struct check_list *list)
{
    struct checking k = {.plan = p, .vm = vm, .list = list};
    struct err e;

    k.peek = peek_open(&p->source, PEEK_MS, &e);
    if (!k.peek) {
        bool is_refused = e.class == ERR_CONFIG;

        check_list_add(list, &(struct check_item){
                                 .code = "kafka",
                                 .severity = is_refused ? "problem" : "unknown",
                                 .what = e.text});
        buf_printf(&k.text, "problem: %s; the records were not looked at",
                   e.text);
        print_folded(&k, "\n", INDENT);
        buf_close(&k.text);
        return e.class == ERR_CONFIG ? EX_CONFIG : EX_UNAVAILABLE;
    }
    arena_init(&k.arena, 0);
    load_lanes(&k);
    check_topics(&k);
    lane_rows_close(&k.lanes);
    arena_close(&k.arena);
    buf_close(&k.text);
    peek_free(k.peek);
    return status_of(&k);
}
