/* See settings.h. */
#include "kafka/settings.h"

#include <stddef.h>
#include <string.h>

#include "base/log.h"

struct setting {
    const char *name;
    const char *value; /* NULL: comes from the pipeline */
    const char *why;   /* what a user who sets it is told */
};

static const struct setting ours[] = {
    {"bootstrap.servers", NULL, "brokers in kafka{} sets it"},
    {"metadata.broker.list", NULL, "brokers in kafka{} sets it"},
    {"group.id", NULL, "group in kafka{} sets it"},
    {"group.instance.id", NULL, "the option --instance of run sets it"},
    {"auto.offset.reset", "error",
     "start in kafka{} says where a new lane "
     "begins, and an old one is never reset"},
    {"group.protocol", NULL,
     "it is classic, by which lanes are handed over all at once"},
    {"enable.auto.commit", "false", "positions are kept in the database"},
    {"enable.auto.offset.store", "false", "positions are kept in the database"},
    {"isolation.level", "read_committed",
     "records of open or aborted transactions are never applied"},
    {"enable.partition.eof", "true", "the end of a partition must be seen"},
    {"log.queue", "true", "librdkafka's log lines are written by Tidemill"},
};

/*
 * librdkafka before 2.2 waits up to a second before it fetches again for a
 * partition whose prefetch is full; so the prefetch has to last that second:
 * by count (200,000 a partition) and by bytes (64 MB for all: 32 MB costs a
 * quarter of the throughput of small records). For later ones see
 * [brief]. session.timeout.ms is short because a worker that is killed comes back
 * under its old name at once; roundrobin, since range gives every topic of one
 * partition to one member.
 */
static const struct setting defaults[] = {
    {"client.id", "tidemill", NULL},
    {"session.timeout.ms", "10000", NULL},
    {"heartbeat.interval.ms", "3000", NULL},
    {"max.poll.interval.ms", "300000", NULL},
    {"partition.assignment.strategy", "roundrobin", NULL},
    {"check.crcs", "true", NULL},
    {"queued.min.messages", "200000", NULL},
    {"queued.max.messages.kbytes", "65536", NULL},
    {"fetch.wait.max.ms", "100", NULL},
    {"fetch.min.bytes", "1", NULL},
    /* New partitions are read as soon; librdkafka would take five minutes. */
    {"topic.metadata.refresh.interval.ms", "30000", NULL},
    {"socket.keepalive.enable", "true", NULL},
    {"socket.nagle.disable", "true", NULL},
    {"reconnect.backoff.max.ms", "5000", NULL},
};

/* Where it can be told how long to wait, the prefetch lasts as long as that, and
 * a worker takes the less memory. The first one is what makes it so. The
 * second bounds what comes on top of a prefetch that is almost full; a larger
 * record comes all the same. */
static const struct setting brief[] = {
    {"fetch.queue.backoff.ms", "50", NULL},
    {"max.partition.fetch.bytes", "524288", NULL},
    {"queued.min.messages", "20000", NULL},
    {"queued.max.messages.kbytes", "16384", NULL},
};

/* librdkafka 2.2 */
enum { WAITS_AS_TOLD = 0x02020000 };

enum {
    N_BRIEF = sizeof(brief) / sizeof(*brief),
    N_OURS = sizeof(ours) / sizeof(*ours),
    N_DEFAULTS = sizeof(defaults) / sizeof(*defaults)
};

bool settings_put(rd_kafka_conf_t *conf, const char *name, const char *value,
                  struct err *e)
{
    char text[400];

    switch (rd_kafka_conf_set(conf, name, value, text, sizeof(text))) {
    case RD_KAFKA_CONF_OK:
        return true;
    case RD_KAFKA_CONF_UNKNOWN:
        return err_set(e, ERR_CONFIG, "kafka option: %s", text);
    default:
        break;
    }
    /* librdkafka quotes the value that it refuses, and it may be a secret. */
    if (value && *value && strstr(text, value)) {
        return err_set(e, ERR_CONFIG,
                       "kafka option \"%s\": librdkafka refuses its value (not "
                       "shown here); see its CONFIGURATION.md for what it may "
                       "be",
                       name);
    }
    return err_set(e, ERR_CONFIG, "kafka option \"%s\": %s", name, text);
}

static bool put_all(rd_kafka_conf_t *conf, const struct setting *list, int n,
                    struct err *e)
{
    for (int i = 0; i < n; i++) {
        if (list[i].value &&
            !settings_put(conf, list[i].name, list[i].value, e)) {
            return false;
        }
    }
    return true;
}

uint64_t settings_inbox_bytes(int version)
{
    return version < WAITS_AS_TOLD ? 32 << 20 : 16 << 20;
}

static bool put_brief(rd_kafka_conf_t *conf, struct err *e)
{
    return rd_kafka_conf_set(conf, brief[0].name, brief[0].value, NULL, 0) !=
               RD_KAFKA_CONF_OK ||
           put_all(conf, brief + 1, N_BRIEF - 1, e);
}

static bool put_option(rd_kafka_conf_t *conf, const struct plan_option *o,
                       struct err *e)
{
    for (int i = 0; i < N_OURS; i++) {
        if (strcmp(o->name, ours[i].name) == 0) {
            return err_set(e, ERR_CONFIG,
                           "kafka option \"%s\" cannot be set in options: %s",
                           o->name, ours[i].why);
        }
    }
    if (strcmp(o->name, "partition.assignment.strategy") == 0 &&
        strstr(o->value, "cooperative")) {
        return err_set(e, ERR_CONFIG,
                       "kafka option \"%s\" must be roundrobin or range: lanes "
                       "are handed over all at once",
                       o->name);
    }
    return settings_put(conf, o->name, o->value, e);
}

/* A connection that fails is tried again several times a second: the source
 * tells that in its own words, once. AUTOCREATE is said of every broker that
 * does not offer what we do not want. */
static enum log_level level_of(int syslog_level, const char *facility)
{
    if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0 ||
        strcmp(facility, "AUTOCREATE") == 0) {
        return LOG_DEBUG;
    }
    if (syslog_level <= 4) {
        return LOG_WARN;
    }
    return syslog_level == 5 ? LOG_INFO : LOG_DEBUG;
}

void settings_on_log(const rd_kafka_t *rk, int level, const char *facility,
                     const char *text)
{
    (void)rk;
    log_line(level_of(level, facility), text, "from=librdkafka facility=%s",
             facility);
}

bool settings_log(rd_kafka_conf_t *conf, struct err *e)
{
    rd_kafka_conf_set_log_cb(conf, settings_on_log);
    return settings_put(conf, "log.queue", "true", e);
}

void settings_log_from(rd_kafka_t *rk)
{
    rd_kafka_set_log_queue(rk, NULL);
}

static bool fill(rd_kafka_conf_t *conf, const struct plan_source *plan,
                 const char *instance, struct err *e)
{
    if (!put_all(conf, ours, N_OURS, e) ||
        !put_all(conf, defaults, N_DEFAULTS, e) || !put_brief(conf, e) ||
        !settings_log(conf, e) ||
        !settings_put(conf, "bootstrap.servers", plan->brokers, e) ||
        (plan->group && !settings_put(conf, "group.id", plan->group, e))) {
        return false;
    }
    /* Where there is a choice; it may not stay the default. */
    rd_kafka_conf_set(conf, "group.protocol", "classic", NULL, 0);
    if (instance && !settings_put(conf, "group.instance.id", instance, e)) {
        return false;
    }
    for (uint32_t i = 0; i < plan->n_options; i++) {
        if (!put_option(conf, &plan->options[i], e)) {
            return false;
        }
    }
    return true;
}

rd_kafka_conf_t *settings_consumer(const struct plan_source *plan,
                                   const char *instance, struct err *e)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    if (!fill(conf, plan, instance, e)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}
