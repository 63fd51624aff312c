/*
 * What Tidemill is measured against: the least code that does each half.
 *
 *   bare consume BROKERS TOPIC PARTITIONS EVENTS
 *       takes the records out of librdkafka and drops them
 *   bare write CONNINFO CONNECTIONS EVENTS BATCH KEYS u|z
 *       makes up keys and writes the batches: the last value of each key,
 *       sorted by key, one upsert of binary arrays a batch
 *
 * Each prints "seconds cpu_seconds": cpu of this program alone. There is no
 * position, no fence, no retry and no decoding here.
 */
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { INT8_OID = 20, TEXT_OID = 25, BOOL_OID = 16, TIMESTAMPTZ_OID = 1184 };
enum { COLUMNS = 5, OWNER_BYTES = 12, CONSUME_MAX = 1000 };

struct row {
    int64_t key;
    int64_t sequence; /* position in the batch: the last one wins */
};

struct array {
    char *data; /* owned */
    size_t len;
};

struct writer {
    PGconn *conn;
    const double *cumulative; /* of Zipf's law; NULL: uniform */
    int64_t n_keys;
    int connections, number; /* all of them, and which one this is */
    uint64_t random;
    struct row *rows;
    struct array arrays[COLUMNS];
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bare: %s: %s\n", what, why);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_of(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static rd_kafka_t *consumer_new(const char *brokers)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const settings[][2] = {
        {"bootstrap.servers", brokers},    {"group.id", "bare"},
        {"enable.auto.commit", "false"},   {"check.crcs", "true"},
        {"queued.min.messages", "500000"},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why,
                              sizeof(why)) != RD_KAFKA_CONF_OK) {
            die(settings[i][0], why);
        }
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!rk) {
        die("consumer", why);
    }
    return rk;
}

static int consume(char **argv)
{
    rd_kafka_t *rk = consumer_new(argv[0]);
    int partitions = atoi(argv[2]);
    long wanted = atol(argv[3]);
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++) {
        rd_kafka_topic_partition_list_add(list, argv[1], i)->offset = 0;
    }
    double from = now();
    rd_kafka_assign(rk, list);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_message_t *messages[CONSUME_MAX];
    for (long n = 0; n < wanted;) {
        ssize_t got =
            rd_kafka_consume_batch_queue(queue, 1000, messages, CONSUME_MAX);
        for (ssize_t i = 0; i < got; i++) {
            n += messages[i]->err == 0;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    printf("%.3f %.3f\n", now() - from, cpu_of(RUSAGE_SELF));
    fflush(stdout);
    /* The end of the process frees the rest, faster than leaving would. */
    _exit(0);
}

static uint64_t next_random(struct writer *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static int64_t draw_key(struct writer *w)
{
    if (!w->cumulative) {
        return (int64_t)(next_random(w) % (uint64_t)w->n_keys) + 1;
    }
    double x = (double)(next_random(w) >> 11) / 9007199254740992.0 *
               w->cumulative[w->n_keys - 1];
    int64_t low = 0, high = w->n_keys - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (w->cumulative[middle] < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (low + 1) * 48271 % w->n_keys + 1;
}

/* Connections share no key, as batches of different lanes do not. */
static int64_t next_key(struct writer *w)
{
    int64_t key = draw_key(w);
    while (key % w->connections != w->number) {
        key = draw_key(w);
    }
    return key;
}

static double *zipf_new(int64_t n)
{
    double *cumulative = malloc((size_t)n * sizeof(*cumulative)), sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += 1 / (double)(i + 1);
        cumulative[i] = sum;
    }
    return cumulative;
}

static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Fills rows with the last event of each key, sorted; how many. */
static int next_batch(struct writer *w, int size)
{
    for (int i = 0; i < size; i++) {
        w->rows[i] = (struct row){next_key(w), i};
    }
    qsort(w->rows, (size_t)size, sizeof(*w->rows), by_key);
    int n = 0;
    for (int i = 0; i < size; i++) {
        if (i + 1 == size || w->rows[i + 1].key != w->rows[i].key) {
            w->rows[n++] = w->rows[i];
        }
    }
    return n;
}

static void put(struct array *a, const void *p, size_t n)
{
    memcpy(a->data + a->len, p, n);
    a->len += n;
}

static void put_u32(struct array *a, uint32_t v)
{
    v = __builtin_bswap32(v);
    put(a, &v, sizeof(v));
}

static void put_int8(struct array *a, int64_t v)
{
    uint64_t big = __builtin_bswap64((uint64_t)v);
    put_u32(a, sizeof(big));
    put(a, &big, sizeof(big));
}

static void put_row(struct writer *w, const struct row *r)
{
    char owner[OWNER_BYTES + 1];
    char is_active = r->sequence % 5 != 0;
    snprintf(owner, sizeof(owner), "owner-%06u", (unsigned)r->key % 1000000);
    put_int8(&w->arrays[0], r->key);
    put_u32(&w->arrays[1], OWNER_BYTES);
    put(&w->arrays[1], owner, OWNER_BYTES);
    put_int8(&w->arrays[2], (int64_t)(next_random(w) % 10000000));
    put_u32(&w->arrays[3], 1);
    put(&w->arrays[3], &is_active, 1);
    put_int8(&w->arrays[4], (int64_t)(next_random(w) >> 12));
}

static void write_batch(struct writer *w, int n)
{
    static const uint32_t elements[COLUMNS] = {INT8_OID, TEXT_OID, INT8_OID,
                                               BOOL_OID, TIMESTAMPTZ_OID};
    static const int formats[COLUMNS] = {1, 1, 1, 1, 1};
    const char *values[COLUMNS];
    int lengths[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        struct array *a = &w->arrays[c];
        a->len = 0;
        put_u32(a, 1); /* dimensions */
        put_u32(a, 0); /* no NULLs */
        put_u32(a, elements[c]);
        put_u32(a, (uint32_t)n);
        put_u32(a, 1); /* first index */
    }
    for (int i = 0; i < n; i++) {
        put_row(w, &w->rows[i]);
    }
    for (int c = 0; c < COLUMNS; c++) {
        values[c] = w->arrays[c].data;
        lengths[c] = (int)w->arrays[c].len;
    }
    PGresult *r =
        PQexecPrepared(w->conn, "upsert", COLUMNS, values, lengths, formats, 1);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) {
        die("upsert", PQresultErrorMessage(r));
    }
    PQclear(r);
}

static void writer_open(struct writer *w, const char *conninfo, int batch)
{
    w->conn = PQconnectdb(conninfo);
    if (PQstatus(w->conn) != CONNECTION_OK) {
        die("connect", PQerrorMessage(w->conn));
    }
    PQclear(PQprepare(
        w->conn, "upsert",
        "INSERT INTO accounts (id, owner, balance_cents, is_active, "
        "updated_at) SELECT * FROM unnest($1::bigint[], $2::text[], "
        "$3::bigint[], $4::boolean[], $5::timestamptz[]) "
        "ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, "
        "balance_cents = excluded.balance_cents, "
        "is_active = excluded.is_active, updated_at = excluded.updated_at",
        0, NULL));
    w->rows = malloc((size_t)batch * sizeof(*w->rows));
    for (int c = 0; c < COLUMNS; c++) {
        w->arrays[c].data = malloc(64 + (size_t)batch * 16);
    }
}

static void write_share(struct writer w, const char *conninfo, long events,
                        int batch)
{
    writer_open(&w, conninfo, batch);
    for (long done = 0; done < events; done += batch) {
        long left = events - done;
        write_batch(&w, next_batch(&w, left < batch ? (int)left : batch));
    }
    PQfinish(w.conn);
    _exit(0);
}

static int write_all(char **argv)
{
    int connections = atoi(argv[1]), batch = atoi(argv[3]);
    long events = atol(argv[2]);
    struct writer w = {.n_keys = atol(argv[4]), .connections = connections};
    if (argv[5][0] == 'z') {
        w.cumulative = zipf_new(w.n_keys);
    }
    double from = now();
    for (int i = 0; i < connections; i++) {
        w.number = i;
        w.random = 88172645463325252u + (uint64_t)i;
        if (fork() == 0) {
            write_share(w, argv[0], events / connections, batch);
        }
    }
    bool ok = true;
    for (int i = 0, status; i < connections; i++) {
        wait(&status);
        ok = ok && status == 0;
    }
    printf("%.3f %.3f\n", now() - from, cpu_of(RUSAGE_CHILDREN));
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "consume") == 0) {
        return consume(argv + 2);
    }
    if (argc == 8 && strcmp(argv[1], "write") == 0) {
        return write_all(argv + 2);
    }
    fputs("usage: bare consume BROKERS TOPIC PARTITIONS EVENTS\n"
          "       bare write CONNINFO CONNECTIONS EVENTS BATCH KEYS u|z\n",
          stderr);
    return 64;
}
