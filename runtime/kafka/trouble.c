/*
 * From librdkafka's errors to words for people. Connections that break are
 * librdkafka's to mend; told is what somebody may have to act on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kafka/consumer.h"

void trouble_tell(struct source *s, const struct err *e)
{
    if (news_add(&s->news, e, clock_usec())) {
        source_poke(s);
    }
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

static void die(struct source *s)
{
    char text[400];
    struct err e;

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
    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
        return; /* one connection; others may answer */
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        tell(s, ERR_CONNECTION,
             "no broker answers; trying on. Does Kafka run, and is brokers in "
             "kafka{} right?",
             s->failure[0] ? s->failure : reason);
        return;
    case RD_KAFKA_RESP_ERR__RESOLVE:
        tell(s, ERR_CONNECTION,
             "a host name is unknown; is brokers in kafka{} right?", reason);
        return;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__SSL:
        tell(s, ERR_CONFIG,
             "it does not let us in; check security.protocol, sasl.* and ssl.* "
             "in options of kafka{}",
             reason);
        return;
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        tell(s, ERR_CONFIG,
             "our user may not do that; it needs READ on the topics and on the "
             "group",
             reason);
        return;
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
        tell(s, ERR_FENCED,
             "this worker did not look for max.poll.interval.ms, so its lanes "
             "went to others; it joins again",
             reason);
        return;
    default:
        tell(s, ERR_CONNECTION, rd_kafka_err2name(code), reason);
    }
}

void trouble_on_error(rd_kafka_t *rk, int code, const char *reason,
                      void *source)
{
    struct source *s = source;

    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        die(s);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        snprintf(s->failure, sizeof(s->failure), "%.250s", reason);
    }
    tell_general(s, code, reason);
}

/* The error may be older than the last seek: then it is about an offset that
 * nobody reads any more. */
static void lose(struct source *s, struct lane *lane,
                 const rd_kafka_message_t *m)
{
    struct err e;

    if (!lane || !lane->is_fetching ||
        m->offset < lane->fetched - lane->is_checking) {
        return;
    }
    lane->is_lost = true;
    err_set(&e, ERR_CONFIG,
            "%s/%d: Kafka says that it does not have offset %" PRId64
            " (%s); looking at what it has",
            lane->topic, lane->partition, m->offset,
            rd_kafka_message_errstr(m));
    trouble_tell(s, &e);
}

static void tell_missing(struct source *s, const rd_kafka_message_t *m)
{
    struct err e;

    err_set(&e, ERR_CONFIG,
            "topic %s does not exist on %s: create it, or correct topics in "
            "kafka{} (%s)",
            m->rkt ? rd_kafka_topic_name(m->rkt) : "?", s->brokers,
            rd_kafka_message_errstr(m));
    trouble_tell(s, &e);
}

void trouble_take(struct source *s, const rd_kafka_message_t *m)
{
    switch (m->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        lose(s, lanes_of(m), m);
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        tell_missing(s, m);
        break;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        die(s);
        break;
    default:
        tell_general(s, m->err, rd_kafka_message_errstr(m));
    }
}
