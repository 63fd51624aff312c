/* tidemill send: one record, by hand. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/say.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/send/send_reading.h"
#include "cli/verb.h"
#include "kafka/peek.h"
#include "kafka/producer.h"

static const char help[] =
    "Writes one record to a topic of the pipeline, with its brokers, options\n"
    "and format: to try a handler, or to put right what a producer forgot.\n"
    "PATH may be left out in the pipeline's own folder. Without VALUE, or "
    "with\n"
    "-, the value is read from standard input. The record is first read as a\n"
    "run would read it; one that would be set aside is refused.\n";

static const char notes[] =
    "A record of an outbox gets a header id with a new UUID, unless --header\n"
    "gives one. Where it was written is printed as TOPIC/PARTITION/OFFSET.\n"
    "\n"
    "Examples:\n"
    "  tidemill send bank outbox.event.account --type MoneyDeposited \\\n"
    "    --key 00000001-0000-4000-8000-000000000001 '{\"amount\": 10.50}'\n"
    "  jq .value letter.json | tidemill send bank orders --key 7\n"
    "\n"
    "Exit status: 0 written, 64 usage, 65 a run would set the record aside, "
    "66\n"
    "no such pipeline, topic, partition or file, 69 Kafka does not answer, 78\n"
    "the pipeline or a setting was refused.\n";

enum { MOST_BYTES = 64 << 20, FLUSH_MS = 35000 };

struct send {
    const struct verb *verb;
    const char *path, *word; /* word: VALUE; NULL: none */
    const char *type, *file;
    struct option_list given;
    int64_t partition; /* -1: the key chooses */
    bool is_raw;
    struct send_record r;
    char id[37];
};

static const struct option_spec options[] = {
    TEXT_OPTION(struct send, r.key, "key", "TEXT", "the record's key"),
    TEXT_OPTION(struct send, type, "type", "NAME",
                "the event's type: the header of an outbox topic"),
    LIST_OPTION(struct send, given, "header", "NAME=VALUE",
                "a header; may come again"),
    TEXT_OPTION(struct send, file, "file", "FILE",
                "the value is what FILE holds"),
    FLAG_OPTION(struct send, r.is_tombstone, "tombstone",
                "no value at all: null"),
    OFFSET_OPTION(struct send, partition, "partition", "N",
                  "into that one; else the key chooses it, as Kafka's own "
                  "clients do"),
    FLAG_OPTION(struct send, is_raw, "raw",
                "write the bytes as they are, whatever a run makes of them"),
    END_OPTION,
};

/* ---- what is to be sent ---- */

static bool read_all(struct send *s, FILE *f, const char *name)
{
    char part[8192];
    size_t n;

    while ((n = fread(part, 1, sizeof(part), f)) > 0 &&
           s->r.value.len < MOST_BYTES) {
        buf_put(&s->r.value, part, n);
    }
    if (ferror(f) || s->r.value.len >= MOST_BYTES) {
        complain("tidemill send: cannot read %s: %s\n", name,
                 ferror(f) ? strerror(errno) : "it is longer than 64 MiB");
        return false;
    }
    return true;
}

/* An editor and echo end a text with a line break, which is no part of it. */
static void trim(struct send *s)
{
    while (!s->is_raw && s->r.value.len > 0 &&
           (s->r.value.data[s->r.value.len - 1] == '\n' ||
            s->r.value.data[s->r.value.len - 1] == '\r')) {
        s->r.value.len--;
    }
}

static int read_file(struct send *s)
{
    FILE *f = fopen(s->file, "re");

    if (!f) {
        complain("tidemill send: cannot open %s: %s\n", s->file,
                 strerror(errno));
        return EX_NOINPUT;
    }
    bool ok = read_all(s, f, s->file);

    fclose(f);
    trim(s);
    return ok ? EX_OK : EX_NOINPUT;
}

static int read_value(struct send *s)
{
    bool is_stdin = !s->word || strcmp(s->word, "-") == 0;

    if (s->r.is_tombstone) {
        return EX_OK;
    }
    if (s->file) {
        return read_file(s);
    }
    if (!is_stdin) {
        buf_puts(&s->r.value, s->word);
        return EX_OK;
    }
    if (isatty(STDIN_FILENO)) {
        complain("The value, then Ctrl-D:\n");
    }
    bool ok = read_all(s, stdin, "standard input");

    trim(s);
    return ok ? EX_OK : EX_NOINPUT;
}

static void add_header(struct send *s, const char *name, const char *value)
{
    s->r.headers[s->r.n_headers++] =
        (struct record_header){name, value, strlen(value)};
}

static bool has_header(const struct send *s, const char *name)
{
    for (uint32_t i = 0; i < s->r.n_headers; i++) {
        if (strcmp(s->r.headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* As EventRouter gives each record one; of version 4. */
static const char *new_id(struct send *s)
{
    unsigned char b[16];
    size_t at = 0;

    must(getrandom(b, sizeof(b), 0) == (ssize_t)sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    for (int i = 0; i < 16; i++) {
        bool is_gap = i == 4 || i == 6 || i == 8 || i == 10;

        at += (size_t)snprintf(s->id + at, sizeof(s->id) - at, "%s%02x",
                               is_gap ? "-" : "", b[i]);
    }
    return s->id;
}

/* "NAME=VALUE" is cut in place: argv is ours. */
static int take_headers(struct send *s)
{
    for (size_t i = 0; i < s->given.n; i++) {
        char *text = (char *)(uintptr_t)s->given.at[i];
        char *equals = strchr(text, '=');

        if (!equals || equals == text) {
            return options_refuse(s->verb,
                                  "--header takes NAME=VALUE, not "
                                  "'%s'",
                                  text);
        }
        *equals = '\0';
        add_header(s, text, equals + 1);
    }
    return EX_OK;
}

static int refuse_type(const struct send *s)
{
    const struct plan_topic *t = s->r.settings;

    if (t->format == FORMAT_JSON && t->type_path) {
        return options_refuse(s->verb,
                              "--type is for outbox topics: %s has the type "
                              "in its value, at %s",
                              t->name, t->type_path);
    }
    return options_refuse(s->verb,
                          "--type is for outbox topics: the value of %s says "
                          "what happened",
                          t->name);
}

static int add_type(struct send *s)
{
    const struct plan_topic *t = s->r.settings;
    bool is_routed = t->format == FORMAT_OUTBOX && !t->outbox;

    if (s->type && !is_routed) {
        return refuse_type(s);
    }
    if (s->type) {
        add_header(s, t->type_header, s->type);
    }
    if (!is_routed || s->is_raw) {
        return EX_OK;
    }
    if (!has_header(s, t->type_header) && !s->r.is_tombstone) {
        return options_refuse(s->verb,
                              "the events of %s have their type in the header "
                              "%s: say --type NAME",
                              t->name, t->type_header);
    }
    if (!has_header(s, "id")) {
        add_header(s, "id", new_id(s));
    }
    return EX_OK;
}

/* ---- sending ---- */

static int fail(const struct err *e)
{
    complain("tidemill send: %s\n", e->text);
    return e->class == ERR_DATA ? EX_NOINPUT : verb_status(e);
}

/* Kafka is asked first, which is quick: a producer waits for half a minute. */
static int look(const struct send *s)
{
    int64_t range[2];
    struct err e;
    int32_t partition = s->partition < 0 ? 0 : (int32_t)s->partition;

    if (peek_range(&s->r.plan->source, s->r.topic, partition, range, &e)) {
        return EX_OK;
    }
    if (e.class == ERR_DATA && s->partition >= 0) {
        err_wrap(&e, "%s/%d", s->r.topic, partition);
    } else if (e.class == ERR_DATA) {
        err_set(&e, ERR_DATA,
                "Kafka at %s has no topic %s, or does not show it to this "
                "user: create it first",
                s->r.plan->source.brokers, s->r.topic);
    }
    return fail(&e);
}

static int produce(const struct send *s)
{
    const struct plan_source *source = &s->r.plan->source;
    const struct producer_record r = {
        .topic = s->r.topic,
        .partition = (int32_t)s->partition,
        .key = s->r.key,
        .key_len = s->r.key ? strlen(s->r.key) : 0,
        .value = s->r.is_tombstone ? NULL
                 : s->r.value.data ? s->r.value.data
                                   : "",
        .value_len = s->r.value.len,
        .headers = s->r.headers,
        .n_headers = s->r.n_headers};
    struct err e;
    struct producer *p =
        producer_new(source->brokers, source->options, source->n_options, &e);
    bool ok = p && producer_send(p, &r, &e) && producer_flush(p, FLUSH_MS, &e);

    if (ok) {
        say("written: %s/%d/%" PRId64 "\n", s->r.topic,
            producer_last(p).partition, producer_last(p).offset);
    }
    producer_free(p);
    return ok ? EX_OK : fail(&e);
}

/* ---- the verb ---- */

static int find_topic(struct send *s)
{
    const struct plan_source *source = &s->r.plan->source;

    for (uint32_t i = 0; i < source->n_topics; i++) {
        if (strcmp(source->topics[i], s->r.topic) == 0) {
            s->r.settings = &source->settings[i];
            return EX_OK;
        }
    }
    complain("tidemill send: pipeline %s reads no topic %s; it reads ",
             s->r.plan->name, s->r.topic);
    for (uint32_t i = 0; i < source->n_topics; i++) {
        complain("%s%s", i > 0 ? ", " : "", source->topics[i]);
    }
    complain_near(nearest_word(s->r.topic, source->topics, source->n_topics));
    complain("\n");
    return EX_NOINPUT;
}

/* What was typed, against what the topic holds. */
static int make(struct send *s)
{
    int status = find_topic(s);

    status = status == EX_OK ? take_headers(s) : status;
    status = status == EX_OK ? add_type(s) : status;
    status = status == EX_OK ? read_value(s) : status;
    if (status != EX_OK || s->is_raw) {
        return status;
    }
    return send_is_readable(&s->r) ? EX_OK : EX_DATAERR;
}

static int send(struct send *s)
{
    int status = EX_OK;

    log_setup("send");
    s->r.plan = pipeline_load(s->verb, s->path, &status);
    if (!s->r.plan) {
        return status;
    }
    status = make(s);
    status = status == EX_OK ? look(s) : status;
    status = status == EX_OK ? produce(s) : status;
    buf_close(&s->r.value);
    plan_free(s->r.plan);
    return status;
}

static bool is_twofold(const struct send *s)
{
    return (s->word != NULL) + (s->file != NULL) + s->r.is_tombstone > 1;
}

/* In the pipeline's own folder the first word may be the topic. */
static void take_words(struct send *s, const char *const words[3])
{
    bool is_here = words[0] && !pipeline_is_there(words[0]) && !words[2] &&
                   access("pipeline.lua", F_OK) == 0;

    s->path = is_here ? "." : words[0];
    s->r.topic = words[!is_here];
    s->word = words[1 + !is_here];
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct send s = {.verb = v, .partition = -1};
    const char *words[3];
    const struct option_words given = {words, 3};

    if (!options_parse_words(v, &s, argc, argv, &given)) {
        return EX_USAGE;
    }
    take_words(&s, words);
    if (!s.path || !s.r.topic) {
        return options_refuse(v,
                              "which pipeline and which topic? For example: "
                              "%s PATH orders --key 7 '{\"amount\": 1}'",
                              v->name);
    }
    if (s.partition > INT32_MAX) {
        return options_refuse(v, "--partition %" PRId64 " is too great",
                              s.partition);
    }
    if (is_twofold(&s)) {
        return options_refuse(v, "VALUE, --file and --tombstone are one value "
                                 "each: say one of them");
    }
    return send(&s);
}

const struct verb verb_send = {
    .name = "send",
    .usage = "[PATH] TOPIC [VALUE] [OPTIONS]",
    .summary = "write one event to a topic of a pipeline, by hand",
    .help = help,
    .options = options,
    .notes = notes,
    .run = run,
};
