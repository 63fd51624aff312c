/* See letter_choice.h. */
#include "cli/operator/letter_choice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/loop.h"
#include "base/nearest.h"
#include "base/say.h"
#include "cli/operator/operator_session.h"
#include "decode/value/time.h"
#include "postgres/operator/lane_row.h"

static const int64_t SECOND_USEC = 1000000;

const struct letter_choice choice_of_all = {
    .filter = {.partition = -1, .offset = -1, .since_usec = -1, .limit = -1}};

/* "90s", "15m", "2h", "3d" before now. */
static bool parse_age(const char *text, int64_t *out)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char digits[10];
    int64_t n;
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len >= sizeof(digits) || strlen(text) != len + 1) {
        return false;
    }
    snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (units[i].unit == text[len] && options_offset(digits, &n)) {
            int64_t since = wall_usec() - n * units[i].seconds * SECOND_USEC;
            *out = since > 0 ? since : 0;
            return true;
        }
    }
    return false;
}

static bool parse_time(const char *text, int64_t *out)
{
    struct time_parts t = {0};
    if (time_read_stamp(text, strlen(text), &t) || t.infinity != 0) {
        return false;
    }
    int64_t offset = t.zone == TIME_OFFSET ? t.offset_sec : 0;
    int64_t since = t.days * TIME_DAY_USEC + t.usec - offset * SECOND_USEC;
    *out = since > 0 ? since : 0;
    return true;
}

static int refuse_word(const struct verb *v, const char *option,
                       const char *word, const char *const *words, size_t n)
{
    const char *near = nearest_word(word, words, n);
    return near != NULL ? options_refuse(v, "no %s is '%s'; did you mean '%s'?",
                                         option, word, near)
                        : options_refuse(v, "no %s is '%s'", option, word);
}

static int check_word(const struct verb *v, const char *option,
                      const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n && word; i++) {
        if (strcmp(words[i], word) == 0) {
            return EX_OK;
        }
    }
    return word ? refuse_word(v, option, word, words, n) : EX_OK;
}

/* A name or half a code would match nothing, and look like good news. */
static bool is_sqlstate(const char *code)
{
    return strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
           code[5] == '\0';
}

static int check_words(const struct letter_filter *f, const struct verb *v)
{
    static const char *const states[] = {"failed", "held"};
    const char *classes[ERR_FATAL + 2] = {"held"};
    for (int i = 0; i <= ERR_FATAL; i++) {
        classes[i + 1] = err_class_name((enum err_class)i);
    }
    if (f->sqlstate && !is_sqlstate(f->sqlstate)) {
        return options_refuse(v,
                              "'%s' is no SQLSTATE: five digits and capitals, "
                              "such as 23505 or 22P02",
                              f->sqlstate);
    }
    int status = check_word(v, "state", f->state, states, 2);
    return status != EX_OK
               ? status
               : check_word(v, "class", f->class, classes, ERR_FATAL + 2);
}

static int take_place(struct letter_choice *c, const struct verb *v,
                      const char *place)
{
    struct letter_filter *f = &c->filter;
    if (!place_parse(place, &c->place)) {
        return options_refuse(v, "'%s' is not TOPIC[/PARTITION[/OFFSET]]",
                              place);
    }
    if (f->topic || f->partition >= 0 || f->offset >= 0) {
        return options_refuse(v, "either %s, or --topic, --partition, --offset",
                              place);
    }
    f->topic = c->place.topic;
    f->partition = c->place.partition;
    f->offset = c->place.offset;
    return EX_OK;
}

int choice_make(struct letter_choice *c, const struct verb *v,
                const char *place)
{
    if (c->since && !parse_age(c->since, &c->filter.since_usec) &&
        !parse_time(c->since, &c->filter.since_usec)) {
        return options_refuse(v,
                              "--since takes 90s, 15m, 2h, 3d or a time such "
                              "as 2026-01-31T12:00:00Z, not '%s'",
                              c->since);
    }
    int status = place != NULL ? take_place(c, v, place) : EX_OK;
    return status == EX_OK ? check_words(&c->filter, v) : status;
}

static bool reads(const struct plan *p, const char *topic)
{
    for (uint32_t i = 0; i < p->source.n_topics; i++) {
        if (strcmp(p->source.topics[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

static int refuse_place(const struct letter_filter *f, const struct verb *v,
                        const struct plan *p)
{
    complain("tidemill %s: pipeline %s has no lane %s", v->name, p->name,
             f->topic != NULL ? f->topic : "");
    if (f->partition >= 0) {
        complain("%s%" PRId64, f->topic != NULL ? "/" : "of partition ",
                 f->partition);
    }
    if (f->topic && !reads(p, f->topic)) {
        complain_near(
            nearest_word(f->topic, p->source.topics, p->source.n_topics));
    }
    complain("\n'tidemill lane list %s' names its lanes\n", p->path);
    return EX_NOINPUT;
}

int choice_found_none(const struct letter_choice *c, const struct verb *v,
                      struct operator_connection *conn)
{
    const struct letter_filter *f = &c->filter;
    const struct plan *p = conn->plan;
    struct lane_rows lanes;
    struct err e;
    int status = EX_OK;
    if (f->offset >= 0) {
        complain("tidemill %s: pipeline %s has no such dead letter\n", v->name,
                 p->name);
        return EX_NOINPUT;
    }
    if ((!f->topic || reads(p, f->topic)) && f->partition < 0) {
        return EX_OK;
    }
    if (!lane_rows_load(conn, f->topic, f->partition, &lanes, &e)) {
        status = operator_fail(v, &e);
    } else if (lanes.n == 0) {
        status = refuse_place(f, v, p);
    }
    lane_rows_close(&lanes);
    return status;
}

bool choice_is_empty(const struct letter_choice *c)
{
    const struct letter_filter *f = &c->filter;
    return !f->topic && f->partition < 0 && f->offset < 0 && !f->key &&
           !f->class && !f->sqlstate && !f->state && f->since_usec < 0 &&
           f->limit < 0;
}
