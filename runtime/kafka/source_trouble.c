/*
 * From librdkafka's errors to words for people. Connections that break are
 * librdkafka's to mend; told is what somebody may have to act on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kafka/errors.h"
#include "kafka/refusal.h"
#include "kafka/settings.h"
#include "kafka/source_part.h"

static void add(struct source *s, const struct err *e)
{
    if (news_add(&s->news, e, clock_usec())) {
        source_poke(s);
    }
}

void trouble_tell(struct source *s, const struct err *e)
{
    snprintf(s->said, sizeof(s->said), "kafka: %.290s", e->text);
    s->said_at = clock_usec();
    s->is_down = false;
    add(s, e);
}

static void fence(struct source *s)
{
    s->news.is_fenced = true;
    err_set(&s->news.fence, ERR_FENCED,
            "another process uses the instance id '%s' in the group '%s': stop "
            "one of the two, or give each its own --instance",
            s->instance ? s->instance : "", s->group);
    source_poke(s);
}

static void die(struct source *s, const char *reason)
{
    char text[400];
    struct err e;

    snprintf(text, sizeof(text), "%s", reason);
    if (rd_kafka_fatal_error(s->rk, text, sizeof(text)) ==
        RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
        fence(s);
        return;
    }
    err_set(&e, ERR_FATAL, "the Kafka consumer cannot go on: %s", text);
    trouble_tell(s, &e);
}

/* librdkafka ends many reasons in " (after 3ms in state CONNECT, 2 identical
 * error(s) suppressed)": without it the text repeats, and is told once. */
static void tell(struct source *s, enum err_class class, const char *what,
                 const char *reason)
{
    const char *detail = strstr(reason, " (after ");
    int len = detail ? (int)(detail - reason) : (int)strlen(reason);
    struct err e;

    err_set(&e, class, "Kafka at %s: %s (%.*s)", s->brokers, what, len, reason);
    trouble_tell(s, &e);
}

/* Errors of the connection or the group as a whole. */
static void tell_general(struct source *s, rd_kafka_resp_err_t code,
                         const char *reason)
{
    const struct kafka_error *k = kafka_error(code);

    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && s->failure[0]) {
        reason = s->failure;
    }
    if (k->act != KAFKA_MENDS) {
        tell(s, k->class, k->words ? k->words : kafka_error_name(code), reason);
    }
}

void trouble_on_error(rd_kafka_t *rk, int code, const char *reason,
                      void *source)
{
    struct source *s = source;

    (void)rk;
    if (kafka_error(code)->act == KAFKA_DIES) {
        die(s, reason);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        snprintf(s->failure, sizeof(s->failure), "%.250s", reason);
        s->hint = refusal_hint(reason, rd_kafka_version());
    }
    if (s->hint) { /* brokers that are up, but will not take us */
        tell(s, ERR_CONFIG, s->hint, s->failure);
    } else {
        tell_general(s, code, reason);
    }
    s->is_down |= code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

void trouble_on_log(const rd_kafka_t *rk, int level, const char *facility,
                    const char *text)
{
    const char *reason = refusal_in_log(facility, text);

    if (reason) {
        trouble_on_error(NULL, RD_KAFKA_RESP_ERR__TRANSPORT, reason,
                         rd_kafka_opaque(rk));
    }
    settings_on_log(rk, level, facility, text);
}

/* The error may be older than the last seek: then it is about an offset that
 * nobody reads any more. Behind records that cannot be read it is about an offset
 * that librdkafka made of their bytes, and what came before them is in the inbox. */
static void lose(struct source *s, struct partition *p,
                 const rd_kafka_message_t *m)
{
    struct err e;

    if (!p || !p->is_fetching || p->is_stuck ||
        m->offset < p->fetched - p->is_checking) {
        return;
    }
    p->is_lost = true;
    partitions_note(s, p);
    err_set(&e, ERR_CONFIG,
            "%s/%d: Kafka says that it does not have offset %" PRId64
            " (%s); looking at what it has",
            p->topic, p->number, m->offset, rd_kafka_message_errstr(m));
    trouble_tell(s, &e);
}

static void tell_missing(struct source *s, const rd_kafka_message_t *m)
{
    struct err e;

    if (m->rkt) {
        topics_missed(s, rd_kafka_topic_name(m->rkt));
    }
    err_set(&e, ERR_CONFIG,
            "topic %s does not exist on %s: create it, or correct topics in "
            "kafka{} (%s)",
            m->rkt ? rd_kafka_topic_name(m->rkt) : "?", s->brokers,
            rd_kafka_message_errstr(m));
    trouble_tell(s, &e);
}

/* What keeps a partition from going on is told once, and shown with it until
 * something comes of it again. */
void trouble_of(struct source *s, struct partition *p, const struct err *e)
{
    if (strncmp(p->trouble, e->text, sizeof(p->trouble) - 1) == 0) {
        return;
    }
    if (!p->trouble[0]) {
        p->troubled_at = loop_now(s->loop);
    }
    snprintf(p->trouble, sizeof(p->trouble), "%.239s", e->text);
    add(s, e);
}

/* librdkafka may go on behind the records that it cannot read. Once those
 * before them are committed it is read again from there instead,
 * and comes here again, until they can be read or a person decides. Which
 * offset is named does not matter: it is that of a whole set of records, which
 * may begin before [fetched]. What comes after that is what librdkafka made of
 * damaged bytes. */
static void stay(struct source *s, struct partition *p,
                 const rd_kafka_message_t *m)
{
    struct err e;

    if (!p || !p->is_fetching || p->is_stuck) {
        return;
    }
    partitions_stuck(s, p);
    err_set(&e, ERR_CONFIG,
            "%s/%d: records at offset %" PRId64 " cannot be read: %s (%s); "
            "nothing is skipped by itself: `tidemill lane seek` says where "
            "reading should go on",
            p->topic, p->number, m->offset, kafka_error(m->err)->words,
            rd_kafka_message_errstr(m));
    trouble_of(s, p, &e);
}

/* librdkafka tries on; without a partition it is about all of them. */
static void tell_passing(struct source *s, struct partition *p,
                         const rd_kafka_message_t *m)
{
    const struct kafka_error *k = kafka_error(m->err);
    struct err e;

    if (!p || !p->is_fetching) {
        tell_general(s, m->err, rd_kafka_message_errstr(m));
    } else if (k->act != KAFKA_MENDS) {
        err_set(&e, k->class, "%s/%d: Kafka at %s: %s (%s)", p->topic,
                p->number, s->brokers,
                k->words ? k->words : kafka_error_name(m->err),
                rd_kafka_message_errstr(m));
        trouble_of(s, p, &e);
    }
}

void trouble_take(struct source *s, const rd_kafka_message_t *m)
{
    switch (kafka_error(m->err)->act) {
    case KAFKA_LOSES:
        lose(s, partitions_find(m), m);
        break;
    case KAFKA_SKIPS:
        stay(s, partitions_find(m), m);
        break;
    case KAFKA_MISSES:
        tell_missing(s, m);
        break;
    case KAFKA_DIES:
        die(s, rd_kafka_message_errstr(m));
        break;
    case KAFKA_MENDS:
    case KAFKA_REJOINS:
    case KAFKA_TELLS:
        tell_passing(s, partitions_find(m), m);
    }
}
