/* The load generator: see dev_load.h. */
#include "cli/dev/dev_load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "cli/start.h"
#include "kafka/producer.h"
#include "lua/generator.h"
#include "supervise/process.h"

enum {
    AHEAD_RECORDS = 50000,
    AHEAD_BYTES = 3 * 1024 * 1024,
    RECORD_OVERHEAD = 70, /* bytes of a record beside key and value */
    NAP_USEC = 2000,
    FLUSH_MS = 10000
};

/* One partition, and how far it is ahead of its lane. */
struct sink {
    const char *topic; /* borrowed */
    int32_t partition;
    const struct page_lane *lane; /* NULL: no worker has named it yet */
    int64_t sent;
};

struct dev_generator {
    const struct dev_load *o; /* borrowed */
    struct generator *script;
    struct producer *producer;
    struct sink *sinks; /* owned; the partitions of a topic are neighbours */
    uint32_t n_sinks;
    uint64_t n_sent;
    uint64_t bytes;
    usec started;
};

static void open_sinks(struct dev_generator *g)
{
    for (uint32_t t = 0; t < g->o->n_topics; t++) {
        g->n_sinks += (uint32_t)g->o->topics[t].n_partitions;
    }
    g->sinks = mem_zero(g->n_sinks, sizeof(*g->sinks));
    struct sink *next = g->sinks;
    for (uint32_t t = 0; t < g->o->n_topics; t++) {
        for (int32_t i = 0; i < g->o->topics[t].n_partitions; i++) {
            next->topic = g->o->topics[t].name;
            next->partition = i;
            next++;
        }
    }
}

/* Equal keys go to equal partitions; records without a key take turns. The
 * partition is chosen here, since it is here that it must be counted. */
static struct sink *find_sink(struct dev_generator *g,
                              const struct generator_record *r)
{
    struct sink *first = g->sinks;
    for (uint32_t t = 0; t < g->o->n_topics; t++) {
        uint32_t n = (uint32_t)g->o->topics[t].n_partitions;
        if (strcmp(g->o->topics[t].name, r->topic) == 0) {
            uint64_t choice =
                !r->key ? g->n_sent : hash_bytes(r->key, (uint32_t)r->key_len);
            return &first[choice % n];
        }
        first += n;
    }
    return NULL;
}

static const struct page_lane *find_lane(const struct page *p,
                                         const struct sink *s)
{
    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        const struct page_lane *lane = &p->lanes[i];
        if (lane->partition == s->partition &&
            strcmp(lane->topic, s->topic) == 0) {
            return lane;
        }
    }
    return NULL;
}

static bool is_too_far_ahead(const struct dev_generator *g, struct sink *s)
{
    uint64_t average = g->n_sent == 0 ? 0 : g->bytes / g->n_sent;
    int64_t limit = AHEAD_BYTES / (int64_t)(average + RECORD_OVERHEAD);
    limit = limit < AHEAD_RECORDS ? limit : AHEAD_RECORDS;
    if (!s->lane && s->sent >= limit) {
        s->lane = find_lane(g->o->page, s);
    }
    const volatile int64_t *position = s->lane ? &s->lane->position : NULL;
    return s->sent - (position ? *position : 0) >= limit;
}

/* How long before the next record may go, by the rate. */
static void keep_rate(const struct dev_generator *g, double rate)
{
    if (rate <= 0 || g->n_sent % 16 != 0) {
        return;
    }
    usec due = g->started + (usec)((double)g->n_sent / rate * 1e6);
    usec now = clock_usec();
    if (due > now) {
        usleep((useconds_t)(due - now < 1000000 ? due - now : 1000000));
    }
}

static bool send_one(struct dev_generator *g, const struct generator_record *r,
                     struct err *e)
{
    struct sink *s = find_sink(g, r);
    if (!s) {
        return err_set(e, ERR_CONFIG,
                       "%s: the topic %s is not one of the pipeline's",
                       g->o->file, r->topic);
    }
    while (is_too_far_ahead(g, s)) {
        producer_waiting(g->producer);
        usleep(NAP_USEC);
    }
    const struct producer_record record = {
        .topic = s->topic,
        .partition = s->partition,
        .key = r->key,
        .key_len = r->key_len,
        .value = r->value,
        .value_len = r->value_len,
        .headers = r->headers,
        .n_headers = r->n_headers,
    };
    s->sent++;
    g->n_sent++;
    g->bytes += r->key_len + r->value_len;
    return producer_send(g->producer, &record, e);
}

/* Until load.lua has no more; false with e. */
static bool send_all(struct dev_generator *g, struct err *e)
{
    double rate = generator_rate(g->script);
    struct generator_record r = {0};
    g->started = clock_usec();
    while (generator_next(g->script, g->n_sent + 1, &r, e)) {
        if (!send_one(g, &r, e)) {
            return false;
        }
        if (g->n_sent % 256 == 0) {
            producer_waiting(g->producer); /* serves its callbacks */
        }
        keep_rate(g, rate);
    }
    return e->class == ERR_NONE && producer_flush(g->producer, FLUSH_MS, e);
}

_Noreturn static void generate(const struct dev_load *o)
{
    struct dev_generator g = {.o = o};
    struct err e;
    log_setup("load");
    open_sinks(&g);
    g.script = generator_open(o->file, &e);
    g.producer = !g.script ? NULL : producer_new(o->brokers, NULL, 0, &e);
    if (!g.producer || !send_all(&g, &e)) {
        log_line(LOG_ERROR, "no more load", "why=%s", log_quote(e.text));
        _exit(EX_SOFTWARE);
    }
    log_line(LOG_INFO, "load.lua has no more events", NULL);
    _exit(EX_OK);
}

pid_t dev_load_start(const struct dev_load *o, struct err *e)
{
    pid_t parent = getpid();
    pid_t pid = process_fork(-1);
    if (pid == 0) {
        setsid(); /* Ctrl-C is for `dev`, which ends us */
        process_die_with_parent(parent, SIGKILL);
        generate(o);
    }
    if (pid < 0) {
        err_set(e, ERR_FATAL, "cannot fork: %s", strerror(errno));
    }
    return pid;
}
