/* tidemill dlq: the dead letters of a pipeline; list, show and export. */
#include "cli/operator/operator_session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/loop.h"
#include "base/say.h"
#include "cli/operator/letter_choice.h"
#include "cli/operator/letter_text.h"
#include "cli/table.h"
#include "decode/value/time.h"

enum { SHOWN_AT_ONCE = 100, KEY_WIDTH = 16 };

static const char help[] =
    "A dead letter is a record that could not be applied and was set aside,\n"
    "with the reason, in the transaction that moved its lane past it. It\n"
    "'failed'; later records of the same key in the same lane are 'held':\n"
    "they wait for it, so that no row is built on a gap. These words work\n"
    "on the database alone; letters are retried by the worker that owns\n"
    "their lane.\n"
    "\n"
    "What usually helps, in this order:\n"
    "  1. tidemill dlq list PATH                          what failed, and "
    "why?\n"
    "  2. tidemill dlq show PATH TOPIC/PARTITION/OFFSET   the record itself\n"
    "  3. mend the cause: the script, the table, the rights\n"
    "  4. tidemill dlq retry PATH --all\n"
    "Only what can never be applied, and is not needed: dlq export, and then\n"
    "dlq discard.\n"
    "\n"
    "'tidemill dlq WORD --help' explains a word.\n";

const struct verb verb_dlq = {
    .name = "dlq",
    .usage = "WORD PATH [TOPIC[/PARTITION[/OFFSET]]] [OPTIONS]",
    .summary = "list, show, retry, discard or export dead letters",
    .help = help,
    .words = (const struct verb *const[]){&dlq_list, &dlq_show, &dlq_retry,
                                          &dlq_discard, &dlq_export, NULL},
};

static const char list_help[] =
    "Lists dead letters, a line each: the record's place, its state, key,\n"
    "class and SQLSTATE, how often it was tried (with a + when a retry is\n"
    "asked for), its age and the message; then how many there are by class.\n"
    "Nothing is changed.\n";

static const char list_notes[] =
    "Examples:\n"
    "  tidemill dlq list bank\n"
    "  tidemill dlq list bank orders/3 --state failed --since 2h\n"
    "  tidemill dlq list bank --class data --json | jq -r .message | sort -u\n"
    "\n"
    "Exit status: 0 done, 64 usage, 66 no such topic, partition or letter, 69\n"
    "no database, 78 the pipeline or the database is not right.\n";

static const char show_help[] =
    "Shows one dead letter: why it failed, its headers and value, and the\n"
    "other letters of its key, which a retry takes with it.\n"
    "\n"
    "Example:\n"
    "  tidemill dlq show bank orders/3/1200\n"
    "\n"
    "Exit status: 0 done, 64 usage, 66 no such letter, 69 no database, 78 the\n"
    "pipeline or the database is not right.\n";

static const char export_help[] =
    "Writes dead letters to stdout, a JSON object a line, by place. Nothing\n"
    "of a record is lost: key and value are text, or base64 as \"key_base64\"\n"
    "and \"value_base64\" when they are not UTF-8. Nothing is changed.\n";

static const char export_notes[] =
    "Examples:\n"
    "  tidemill dlq export bank > letters.jsonl\n"
    "  tidemill dlq export bank --class data | jq -r .value\n"
    "\n"
    "Exit status: 0 done, 64 usage, 66 no such topic, partition or letter, 69\n"
    "no database, 74 stdout is full or closed, 78 the pipeline or the "
    "database\n"
    "is not right.\n";

/* What the three words are called with. */
struct dlq_request {
    const struct verb *v;
    const char *path, *place;
    bool is_json;
    struct letter_choice choice;
    struct operator_session session;
    struct table table;
    int64_t now_usec, n_shown, n_failed, n_held;
    struct buf sums; /* "data 7, script 5" */
};

static const struct option_spec list_options[] = {
    CHOICE_OPTIONS(struct dlq_request, choice, " (100; all with --json)"),
    HEADING_OPTION("Options:"),
    FLAG_OPTION(struct dlq_request, is_json, "json",
                "one JSON object a line, without value and headers"),
    END_OPTION,
};

static const struct option_spec export_options[] = {
    CHOICE_OPTIONS(struct dlq_request, choice, ""),
    END_OPTION,
};

static const struct table_column columns[] = {
    {"LETTER", false}, {"STATE", false}, {"KEY", false},     {"CLASS", false},
    {"TRIES", true},   {"AGE", true},    {"MESSAGE", false},
};

/* "12s", "3m", "2h", "5d" since an ISO time. */
static void put_age(struct buf *out, const char *since, int64_t now_usec)
{
    struct time_parts t = {0};
    time_read_stamp(since, strlen(since), &t);
    int64_t s = (now_usec - t.days * TIME_DAY_USEC - t.usec) / 1000000;
    s = s > 0 ? s : 0;
    if (s < 60) {
        buf_printf(out, "%" PRId64 "s", s);
    } else if (s < 3600) {
        buf_printf(out, "%" PRId64 "m", s / 60);
    } else if (s < 86400) {
        buf_printf(out, "%" PRId64 "h", s / 3600);
    } else {
        buf_printf(out, "%" PRId64 "d", s / 86400);
    }
}

/* The text of [b] as the next cell; [b] is empty again. */
static void take_cell(struct table *t, struct buf *b)
{
    table_text(t, buf_text(b));
    buf_clear(b);
}

static void put_row(const struct letter_row *l, void *arg)
{
    struct dlq_request *q = arg;
    struct table *t = &q->table;
    struct buf b = {0};
    buf_printf(&b, "%s/%" PRId64 "/%" PRId64, l->topic, l->partition,
               l->offset);
    take_cell(t, &b);
    table_text(t, l->state);
    letter_key(&b, l->key, KEY_WIDTH);
    take_cell(t, &b);
    buf_printf(&b, "%s%s%s", l->class, l->sqlstate != NULL ? " " : "",
               l->sqlstate != NULL ? l->sqlstate : "");
    take_cell(t, &b);
    buf_printf(&b, "%" PRId64 "%s", l->attempts,
               l->retry_at != NULL ? "+" : "");
    take_cell(t, &b);
    put_age(&b, l->first_seen, q->now_usec);
    take_cell(t, &b);
    if (l->cause) {
        buf_printf(&b, "held: %s", l->cause);
    } else {
        buf_puts(&b, l->message);
    }
    take_cell(t, &b);
    buf_close(&b);
    q->n_shown++;
}

static void print_object(const struct letter_row *l, bool values)
{
    struct buf out = {0};
    letter_json(&out, l, values);
    puts(buf_text(&out));
    buf_close(&out);
}

static void print_brief(const struct letter_row *l, void *arg)
{
    ((struct dlq_request *)arg)->n_shown++;
    print_object(l, false);
}

static void print_full(const struct letter_row *l, void *arg)
{
    ((struct dlq_request *)arg)->n_shown++;
    print_object(l, true);
}

/* A mistyped name must not look like "all is well". */
static int end_of(struct dlq_request *q)
{
    return q->n_shown > 0
               ? EX_OK
               : choice_found_none(&q->choice, q->v, &q->session.connection);
}

static void add_count(const struct letter_count *n, void *arg)
{
    struct dlq_request *q = arg;
    q->n_failed += n->n_failed;
    q->n_held += n->n_held;
    buf_printf(&q->sums, "%s%s %" PRId64, q->sums.len > 0 ? ", " : "", n->class,
               n->n_failed + n->n_held);
}

static void print_sums(struct dlq_request *q)
{
    int64_t n = q->n_failed + q->n_held;
    if (n == 0) {
        puts("no dead letters");
        return;
    }
    table_print(&q->table);
    say("%" PRId64 " failed, %" PRId64 " held; by class: %s\n", q->n_failed,
        q->n_held, buf_text(&q->sums));
    if (q->n_shown < n) {
        say("%" PRId64 " of %" PRId64 " are shown: --limit shows more\n",
            q->n_shown, n);
    }
}

static int list(struct dlq_request *q)
{
    struct operator_connection *c = &q->session.connection;
    struct letter_filter f = q->choice.filter;
    struct err e;
    if (q->is_json) {
        return letters_each(c, &f, false, print_brief, q, &e)
                   ? end_of(q)
                   : operator_fail(q->v, &e);
    }
    f.limit = f.limit < 0 ? SHOWN_AT_ONCE : f.limit;
    q->now_usec = wall_usec();
    table_init(&q->table, columns, sizeof(columns) / sizeof(*columns));
    bool ok = letters_each(c, &f, false, put_row, q, &e) &&
              letters_count(c, &f, add_count, q, &e);
    int status = ok ? end_of(q) : operator_fail(q->v, &e);
    if (status == EX_OK) {
        print_sums(q);
    }
    table_close(&q->table);
    buf_close(&q->sums);
    return status;
}

static void print_text(const struct letter_row *l, void *arg)
{
    struct dlq_request *q = arg;
    struct buf out = {0};
    letter_text(&out, l);
    fputs(buf_text(&out), stdout);
    buf_close(&out);
    q->n_shown++;
}

enum { MOST_BESIDE = 20 };

/* Thousands may wait for one that failed. */
static void put_beside(const struct letter_row *l, void *arg)
{
    struct dlq_request *q = arg;

    if (q->n_shown < MOST_BESIDE) {
        put_row(l, q);
    } else {
        q->n_shown++;
    }
}

static int show(struct dlq_request *q)
{
    struct operator_connection *c = &q->session.connection;
    const struct letter_filter *f = &q->choice.filter;
    struct err e;
    if (!letters_each(c, f, true, print_text, q, &e)) {
        return operator_fail(q->v, &e);
    }
    if (q->n_shown == 0) {
        complain("tidemill %s: pipeline %s has no dead letter %s\n", q->v->name,
                 q->session.plan->name, q->place);
        return EX_NOINPUT;
    }
    q->n_shown = 0;
    q->now_usec = wall_usec();
    table_init(&q->table, columns, sizeof(columns) / sizeof(*columns));
    bool ok = letters_beside(c, f, put_beside, q, &e);
    if (ok && q->n_shown > 0) {
        say("\n%" PRId64 " other letter%s of this key:\n", q->n_shown,
            plural(q->n_shown));
        table_print(&q->table);
    }
    if (ok && q->n_shown > MOST_BESIDE) {
        say("The first %d are shown: 'tidemill dlq list --key' has all\n",
            MOST_BESIDE);
    }
    table_close(&q->table);
    return ok ? EX_OK : operator_fail(q->v, &e);
}

static int export(struct dlq_request *q)
{
    struct err e;
    if (!letters_each(&q->session.connection, &q->choice.filter, true,
                      print_full, q, &e)) {
        return operator_fail(q->v, &e);
    }
    return end_of(q);
}

static int work(struct dlq_request *q, int (*word)(struct dlq_request *))
{
    int status = choice_make(&q->choice, q->v, q->place);
    if (status != EX_OK) {
        return status;
    }
    status = operator_open(&q->session, q->v, q->path);
    status = status == EX_OK ? word(q) : status;
    operator_close(&q->session);
    return status;
}

static bool parse(struct dlq_request *q, int argc, char **argv)
{
    const char *words[2];
    const struct option_words given = {words, 2};
    if (!options_parse_words(q->v, q, argc, argv, &given)) {
        return false;
    }
    q->path = words[0];
    q->place = words[1];
    return true;
}

static int run_list(const struct verb *v, int argc, char **argv)
{
    struct dlq_request q = {.v = v, .choice = choice_of_all};
    return parse(&q, argc, argv) ? work(&q, list) : EX_USAGE;
}

static int run_show(const struct verb *v, int argc, char **argv)
{
    struct dlq_request q = {.v = v, .choice = choice_of_all};
    struct place place;
    if (!parse(&q, argc, argv)) {
        return EX_USAGE;
    }
    if (!q.place || !place_parse(q.place, &place) || place.offset < 0) {
        return options_refuse(v, "which letter? Name it as "
                                 "TOPIC/PARTITION/OFFSET");
    }
    return work(&q, show);
}

static int run_export(const struct verb *v, int argc, char **argv)
{
    struct dlq_request q = {.v = v, .choice = choice_of_all};
    return parse(&q, argc, argv) ? work(&q, export) : EX_USAGE;
}

const struct verb dlq_list = {
    .name = "dlq list",
    .usage = "PATH [TOPIC[/PARTITION[/OFFSET]]] [OPTIONS]",
    .summary = "what was set aside, and why",
    .help = list_help,
    .options = list_options,
    .notes = list_notes,
    .run = run_list,
};

const struct verb dlq_show = {
    .name = "dlq show",
    .usage = "PATH TOPIC/PARTITION/OFFSET",
    .summary = "all of one letter",
    .help = show_help,
    .run = run_show,
};

const struct verb dlq_export = {
    .name = "dlq export",
    .usage = "PATH [TOPIC[/PARTITION[/OFFSET]]] [OPTIONS]",
    .summary = "letters as JSON lines, with nothing lost",
    .help = export_help,
    .options = export_options,
    .notes = export_notes,
    .run = run_export,
};
