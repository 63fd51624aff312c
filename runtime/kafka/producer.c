/* See producer.h. */
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kafka/errors.h"
#include "kafka/producer.h"
#include "kafka/refusal.h"
#include "kafka/settings.h"

enum { ROOM_MS = 1000, POLL_MS = 20 };

struct producer {
    rd_kafka_t *rk;
    struct producer_place last;
    uint64_t n_failed;
    rd_kafka_resp_err_t
        failure; /* of the first that failed, or was not taken */
};

/* murmur2_random: the partition that Java's producer would choose. */
static const struct {
    const char *name;
    const char *value;
} options[] = {
    {"client.id", "tidemill"},
    {"enable.idempotence", "true"},
    {"partitioner", "murmur2_random"},
    {"linger.ms", "10"},
    {"queue.buffering.max.messages", "200000"},
    {"message.timeout.ms", "30000"},
    /* A topic that is missing, and one that was made since, show in seconds. */
    {"topic.metadata.propagation.max.ms", "5000"},
    {"topic.metadata.refresh.interval.ms", "5000"},
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct producer *p = arg;

    (void)rk;
    if (m->err) {
        p->failure = p->n_failed++ ? p->failure : m->err;
    } else {
        p->last = (struct producer_place){m->partition, m->offset};
    }
}

static bool set_up(rd_kafka_conf_t *conf, const char *brokers, struct err *e)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if (!settings_put(conf, options[i].name, options[i].value, e)) {
            return false;
        }
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return settings_log(conf, e) &&
           settings_put(conf, "bootstrap.servers", brokers, e);
}

/* Those of the consumer are not for us; librdkafka knows which. */
static bool is_for_producers(const char *name)
{
    static const char *const prefixes[] = {
        "security.",    "sasl.",       "ssl.",        "socket.",
        "broker.",      "client.",     "reconnect.",  "retry.",
        "compression.", "message.max", "enable.ssl.", "enable.sasl."};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool put_options(rd_kafka_conf_t *conf, const struct plan_option *list,
                        uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        if (is_for_producers(list[i].name) &&
            !settings_put(conf, list[i].name, list[i].value, e)) {
            return false;
        }
    }
    return true;
}

struct producer *producer_new(const char *brokers,
                              const struct plan_option *list, uint32_t n,
                              struct err *e)
{
    struct producer *p = mem_zero(1, sizeof(*p));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[400];

    p->last.offset = -1;
    rd_kafka_conf_set_opaque(conf, p);
    if (!set_up(conf, brokers, e) || !put_options(conf, list, n, e)) {
        rd_kafka_conf_destroy(conf);
        free(p);
        return NULL;
    }
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!p->rk) {
        rd_kafka_conf_destroy(conf);
        free(p);
        refusal_set(e, "the Kafka producer", text, list, n);
        return NULL;
    }
    settings_log_from(p->rk);
    return p;
}

void producer_free(struct producer *p)
{
    if (p) {
        rd_kafka_purge(p->rk,
                       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(p->rk, 0);
        rd_kafka_destroy(p->rk);
        free(p);
    }
}

static rd_kafka_headers_t *headers_of(const struct producer_record *r)
{
    rd_kafka_headers_t *h =
        r->n_headers ? rd_kafka_headers_new(r->n_headers) : NULL;

    for (uint32_t i = 0; i < r->n_headers; i++) {
        rd_kafka_header_add(h, r->headers[i].name, -1, r->headers[i].value,
                            (ssize_t)r->headers[i].len);
    }
    return h;
}

/* The headers are librdkafka's when it took the record. */
static rd_kafka_resp_err_t queue(struct producer *p,
                                 const struct producer_record *r,
                                 rd_kafka_headers_t *headers)
{
    return rd_kafka_producev(
        p->rk, RD_KAFKA_V_TOPIC(r->topic), RD_KAFKA_V_PARTITION(r->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(r->key, r->key_len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value, r->value_len),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
}

static const char *words_of(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                   code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
                   code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
               ? "the topic does not exist: create it, or correct its name"
               : rd_kafka_err2str(code);
}

bool producer_is_over(const struct producer *p)
{
    return rd_kafka_fatal_error(p->rk, NULL, 0) != 0;
}

static bool not_sent(const struct producer *p, const struct producer_record *r,
                     rd_kafka_resp_err_t code, struct err *e)
{
    char why[200];
    rd_kafka_resp_err_t over = rd_kafka_fatal_error(p->rk, why, sizeof(why));

    return err_set(e, kafka_error_class(over ? over : code),
                   "topic %s: a record cannot be sent: %s", r->topic,
                   over ? why : words_of(code));
}

bool producer_send(struct producer *p, const struct producer_record *r,
                   struct err *e)
{
    rd_kafka_headers_t *headers = headers_of(r);
    rd_kafka_resp_err_t code = queue(p, r, headers);

    for (int waited = 0;
         code == RD_KAFKA_RESP_ERR__QUEUE_FULL && waited < ROOM_MS;
         waited += POLL_MS) {
        rd_kafka_poll(p->rk, POLL_MS);
        code = queue(p, r, headers);
    }
    if (!code) {
        return true;
    }
    p->failure = code;
    if (headers) {
        rd_kafka_headers_destroy(headers);
    }
    return not_sent(p, r, code, e);
}

uint32_t producer_waiting(struct producer *p)
{
    rd_kafka_poll(p->rk, 0);
    return (uint32_t)rd_kafka_outq_len(p->rk);
}

bool producer_flush(struct producer *p, int timeout_ms, struct err *e)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(p->rk, timeout_ms);

    if (p->n_failed > 0) {
        return err_set(e, kafka_error_class(p->failure),
                       "%llu records were not delivered: %s",
                       (unsigned long long)p->n_failed, words_of(p->failure));
    }
    return !code ||
           err_set(e, ERR_CONNECTION, "%d records are still not delivered: %s",
                   rd_kafka_outq_len(p->rk), rd_kafka_err2str(code));
}

struct producer_place producer_last(const struct producer *p)
{
    return p->last;
}

bool producer_refuses(const struct producer *p)
{
    return p->failure == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           p->failure == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
           p->failure == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
           p->failure == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
}

uint64_t producer_failed(struct producer *p, struct err *e)
{
    uint64_t n = p->n_failed;

    if (n > 0) {
        err_set(e, kafka_error_class(p->failure), "%s", words_of(p->failure));
    }
    p->n_failed = 0;
    return n;
}
