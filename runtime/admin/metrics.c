/* /metrics and the table that it is made from: see metrics.h. */
#include "admin/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/loop.h"
#include "base/utf8.h"

/* ---- the table ---- */

static int64_t uptime(const void *page)
{
    return (int64_t)(clock_usec() - ((const struct page *)page)->started_usec);
}

static int64_t heartbeat_age(const void *worker)
{
    return view_heartbeat_age(worker, clock_usec());
}

static int64_t lag(const void *lane)
{
    return view_lag(lane);
}

/* By the record's time in Kafka and the clock of this machine. */
static int64_t age_of(int64_t event_ms)
{
    int64_t now_ms = wall_usec() / 1000;

    return !event_ms ? -1000 : now_ms > event_ms ? now_ms - event_ms : 0;
}

static int64_t event_age(const void *lane)
{
    return age_of(((const struct page_lane *)lane)->event_ms);
}

static int64_t newest_age(const void *page)
{
    const struct page *p = page;
    int64_t newest = 0;

    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        int64_t ms = p->lanes[i].event_ms;

        newest = ms > newest ? ms : newest;
    }
    return age_of(newest);
}

#define SUM_OF_WORKERS(name, field)                                            \
    static int64_t name(const void *table)                                     \
    {                                                                          \
        const struct page_written *t = table;                                  \
        uint64_t n = 0;                                                        \
                                                                               \
        for (uint32_t i = 0; i < PAGE_WORKERS; i++) {                          \
            n += t->of[i].field;                                               \
        }                                                                      \
        return (int64_t)n;                                                     \
    }
SUM_OF_WORKERS(table_events, events)
SUM_OF_WORKERS(table_written, written)
SUM_OF_WORKERS(table_unchanged, unchanged)

static int64_t is_halted(const void *lane)
{
    return ((const struct page_lane *)lane)->state == PAGE_LANE_HALTED;
}

static const char *word_of_class(uint32_t i)
{
    uint32_t class = ERR_NONE + 1 + i;

    return class < ERR_CLASSES ? err_class_name((enum err_class) class) : NULL;
}

static const char *word_of_stage(uint32_t i)
{
    static const char *const words[] = {
        [STAGE_DECODE] = "decode", [STAGE_LUA] = "lua",
        [STAGE_LOAD] = "load",     [STAGE_WRITE] = "write",
        [STAGE_COMMIT] = "commit",
    };
    EACH(words, STAGES);
    return i < STAGES ? words[i] : NULL;
}

#define FIELD(type, field)                                                     \
    .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define WORKER(field)  OF_WORKER, FIELD(struct page_worker, field)
#define COUNTED(field) OF_COUNTERS, FIELD(struct page_worker, field)
#define SELF(field)    OF_PROCESS, FIELD(struct page_process, field)
#define LANE(field)    OF_LANE, FIELD(struct page_lane, field)
#define TABLE(fn)      METRIC_COUNTER, UNIT_NUMBER, OF_TABLE, .read = fn
#define COUNT(unit, n) METRIC_COUNTER, UNIT_##unit, COUNTED(counters[COUNT_##n])
#define GAUGE(unit, n)                                                         \
    METRIC_GAUGE, UNIT_##unit, OF_GAUGES,                                      \
        FIELD(struct page_worker, gauges[GAUGE_##n])

/* A metric is a line. */
/* clang-format off */
const struct metric metrics[] = {
    {"build_info", "Always 1; what runs is in the labels.", METRIC_GAUGE, UNIT_FLAG, OF_BUILD, FIELD(struct page, n_workers)},
    {"uptime_seconds", "Time since the supervisor started.", METRIC_GAUGE, UNIT_USEC, OF_RUN, .read = uptime},
    {"newest_event_age_seconds", "Age of the newest record below a position, by its time in Kafka; -1: none yet in this run.", METRIC_GAUGE, UNIT_MSEC, OF_RUN, .read = newest_age},

    {"cpu_seconds", "CPU time of the supervisor, user and system.", METRIC_COUNTER, UNIT_USEC, SELF(cpu_usec)},
    {"resident_memory_bytes", "Resident memory of the supervisor.", METRIC_GAUGE, UNIT_BYTES, SELF(resident_bytes)},
    {"open_fds", "Open file descriptors of the supervisor.", METRIC_GAUGE, UNIT_NUMBER, SELF(open_fds)},
    {"max_fds", "How many it may open.", METRIC_GAUGE, UNIT_NUMBER, SELF(max_fds)},
    {"start_time_seconds", "Unix time at which the supervisor started.", METRIC_GAUGE, UNIT_MSEC, SELF(started_ms)},

    {"up", "1 while the worker's process runs.", METRIC_GAUGE, UNIT_FLAG, WORKER(pid)},
    {"ready", "1 while lanes are assigned and the database answers.", METRIC_GAUGE, UNIT_FLAG, WORKER(is_ready)},
    {"restarts", "Times that the supervisor started the worker again.", METRIC_COUNTER, UNIT_NUMBER, WORKER(restarts)},
    {"heartbeat_age_seconds", "Time since the worker's last sign of life; -1: none yet.", METRIC_GAUGE, UNIT_USEC, OF_WORKER, .read = heartbeat_age},
    {"cpu_seconds", "CPU time of the worker, user and system, of those before it too.", METRIC_COUNTER, UNIT_USEC, WORKER(process.cpu_usec)},
    {"resident_memory_bytes", "Resident memory of the worker.", METRIC_GAUGE, UNIT_BYTES, WORKER(process.resident_bytes)},
    {"open_fds", "Open file descriptors of the worker.", METRIC_GAUGE, UNIT_NUMBER, WORKER(process.open_fds)},
    {"max_fds", "How many it may open.", METRIC_GAUGE, UNIT_NUMBER, WORKER(process.max_fds)},
    {"start_time_seconds", "Unix time at which the worker's process started; 0: there is none.", METRIC_GAUGE, UNIT_MSEC, WORKER(process.started_ms)},
    {"last_commit_time_seconds", "Unix time of the last batch that the worker committed; 0: none yet in this run.", METRIC_GAUGE, UNIT_MSEC, OF_GAUGES, FIELD(struct page_worker, committed_ms)},

    {"events", "Events applied, ignored and skipped ones too: their position is committed.", COUNT(NUMBER, EVENTS)},
    {"events_ignored", "Events of a type that no projection handles.", COUNT(NUMBER, EVENTS_IGNORED)},
    {"events_skipped", "Tombstones, heartbeats and transaction records.", COUNT(NUMBER, EVENTS_SKIPPED)},
    {"bytes", "Bytes of the records applied, keys and values.", COUNT(BYTES, BYTES)},
    {"batches", "Batches committed.", COUNT(NUMBER, BATCHES)},
    {"rows_written", "Rows inserted, updated or deleted.", COUNT(NUMBER, ROWS_WRITTEN)},
    {"rows_unchanged", "Rows not written because nothing changed.", COUNT(NUMBER, ROWS_UNCHANGED)},
    {"repeated", "Changes of rows left out since once saw that they were made before.", COUNT(NUMBER, REPEATED)},
    {"column_faults", "Fields that were touched for the first time.", COUNT(NUMBER, COLUMN_FAULTS)},
    {"batch_retries", "Batches run again after a failure.", COUNT(NUMBER, BATCH_RETRIES)},
    {"commit_unknown", "Commits whose outcome had to be looked up.", COUNT(NUMBER, COMMIT_UNKNOWN)},
    {"fenced", "Lanes lost to another owner during a batch.", COUNT(NUMBER, FENCED)},
    {"rebalances", "Rebalances of the consumer group.", COUNT(NUMBER, REBALANCES)},
    {"starved_seconds", "Time without records although there was lag.", COUNT(USEC, STARVED_USEC)},
    {"dead_letters", "Records set aside since they failed.", COUNT(NUMBER, DEAD_LETTERS)},
    {"held", "Records set aside that wait for a failed one of their key.", COUNT(NUMBER, HELD)},
    {"dead_letters_applied", "Dead letters that a retry applied.", COUNT(NUMBER, LETTERS_DONE)},
    {"isolations", "Transactions that the database refused while a bad record was sought.", COUNT(NUMBER, ISOLATIONS)},
    {"rule_faults", "Decisions of the failure rule that could not be used.", COUNT(NUMBER, RULE_FAULTS)},
    {"breaker_opens", "Times that the circuit breaker of the database opened.", COUNT(NUMBER, BREAKER_OPENS)},
    {"cache_hits", "Rows that a batch took from the row cache.", COUNT(NUMBER, CACHE_HITS)},
    {"cache_misses", "Rows of cached projections that had to be loaded.", COUNT(NUMBER, CACHE_MISSES)},
    {"cache_stale", "Batches done again since a row of the cache had changed in its table.", COUNT(NUMBER, CACHE_STALE)},
    {"cache_evictions", "Rows that left the row cache to make room.", COUNT(NUMBER, CACHE_EVICTED)},
    {"errors", "Failures by class.", METRIC_COUNTER, UNIT_NUMBER, COUNTED(errors[ERR_NONE + 1]), .label = "class", .word = word_of_class},
    {"stage_seconds", "Time of each step of a batch.", METRIC_HISTOGRAM, UNIT_USEC, COUNTED(stages[0]), .label = "stage", .word = word_of_stage, .bounds = page_bounds},
    {"batch_seconds", "Time from the lease of a batch's records to its commit, all attempts together.", METRIC_HISTOGRAM, UNIT_USEC, COUNTED(batches), .bounds = page_bounds},
    {"event_age_seconds", "Age of each event at its commit, by the record's time in Kafka.", METRIC_HISTOGRAM, UNIT_USEC, COUNTED(event_ages), .bounds = page_age_bounds},

    {"pool_size", "Open database connections.", GAUGE(NUMBER, POOL_SIZE)},
    {"pool_in_use", "Database connections at work.", GAUGE(NUMBER, POOL_IN_USE)},
    {"pool_max", "Database connections that may be open.", GAUGE(NUMBER, POOL_MAX)},
    {"inbox_bytes", "Bytes of records that wait for their outcome.", GAUGE(BYTES, INBOX_BYTES)},
    {"inbox_events", "Records that wait for their outcome.", GAUGE(NUMBER, INBOX_EVENTS)},
    {"prefetch_bytes", "Bytes that librdkafka holds ahead.", GAUGE(BYTES, PREFETCH_BYTES)},
    {"batch_size_average", "Events a batch, moving average.", GAUGE(NUMBER, BATCH_AVERAGE)},
    {"batches_in_flight", "Batches whose outcome is not yet known.", GAUGE(NUMBER, BATCHES_IN_FLIGHT)},
    {"lua_bytes", "Memory of the Lua VM.", GAUGE(BYTES, LUA_BYTES)},
    {"breaker_state", "Circuit breaker of the database: 0 closed, 1 half-open, 2 open.", GAUGE(NUMBER, BREAKER)},
    {"cache_bytes", "Bytes of the rows in the row cache.", GAUGE(BYTES, CACHE_BYTES)},
    {"held_keys_bytes", "Memory of the keys that wait for dead letters.", GAUGE(BYTES, HELD_BYTES)},

    {"events", "Events applied that a projection of the table took; the first 1,024 projections are counted.", TABLE(table_events)},
    {"rows_written", "Rows of the table inserted, updated or deleted.", TABLE(table_written)},
    {"rows_unchanged", "Rows of the table not written because nothing changed.", TABLE(table_unchanged)},

    {"lag", "Records from the position to the end of the partition.", METRIC_GAUGE, UNIT_NUMBER, OF_LANE, .read = lag},
    {"position", "Next offset, as committed in the database.", METRIC_GAUGE, UNIT_NUMBER, LANE(position)},
    {"high", "End of the partition, as last seen.", METRIC_GAUGE, UNIT_NUMBER, LANE(high)},
    {"event_time_seconds", "Unix time of the record below the position, as Kafka has it; 0: none yet in this run.", METRIC_GAUGE, UNIT_MSEC, LANE(event_ms)},
    {"event_age_seconds", "Age of that record, by the clock of this machine; -1: none yet in this run.", METRIC_GAUGE, UNIT_MSEC, OF_LANE, .read = event_age},
    {"epoch", "Grows with each claim of the lane; 0: none yet in this run.", METRIC_GAUGE, UNIT_NUMBER, LANE(epoch)},
    {"state", "1 unowned, 2 running, 3 halted.", METRIC_GAUGE, UNIT_NUMBER, LANE(state), .word = view_lane_state},
    {"halted", "1 while the lane waits for an operator.", METRIC_GAUGE, UNIT_FLAG, OF_LANE, .read = is_halted},
    {"waits", "1 while the lane is not halted but stands, 2 when the run is not ready for it.", METRIC_GAUGE, UNIT_NUMBER, LANE(waits)},
    {"dead_letters", "Records of the lane that are set aside, held ones included.", METRIC_GAUGE, UNIT_NUMBER, LANE(letters)},
    {0},
};
/* clang-format on */

const void *metric_entry(const struct page *p, enum metric_group group,
                         uint32_t i)
{
    if (group == OF_BUILD || group == OF_RUN) {
        return i == 0 ? p : NULL;
    }
    if (group == OF_PROCESS) {
        return i == 0 ? &p->process : NULL;
    }
    if (group == OF_TABLE) {
        return i < p->n_written && i < PAGE_TABLES ? &p->written[i] : NULL;
    }
    if (group == OF_LANE) {
        return i < page_n_lanes(p) ? &p->lanes[i] : NULL;
    }
    return i < p->n_workers ? &p->workers[i] : NULL;
}

const void *metric_at(const struct metric *m, const void *entry, uint32_t i)
{
    return (const char *)entry + m->offset + (size_t)i * m->size;
}

int64_t metric_value(const struct metric *m, const void *entry, uint32_t i)
{
    const void *at = metric_at(m, entry, i);
    int64_t n = m->read                       ? m->read(entry)
                : m->size == sizeof(uint32_t) ? *(const uint32_t *)at
                                              : *(const int64_t *)at;

    return m->unit == UNIT_FLAG ? n != 0 : n;
}

/* ---- as Prometheus text ---- */

struct metrics_writer {
    const struct metric *metric; /* whose series are written */
    char name[64];               /* of it */
    struct buf labels;           /* of the next line, from { on; owned */
    struct buf *out;
};

/* [text] is seen and not obeyed. */
static void add_label(struct metrics_writer *w, const char *name,
                      const char *text)
{
    bool is_seen;

    buf_puts(&w->labels, w->labels.len > 0 ? "," : "{");
    buf_puts(&w->labels, name);
    buf_puts(&w->labels, "=\"");
    for (size_t n, left = strlen(text); left > 0; text += n, left -= n) {
        n = utf8_next(text, left, &is_seen);
        buf_put(&w->labels, "\\", *text == '"' || *text == '\\');
        if (is_seen) {
            buf_put(&w->labels, text, n);
        } else {
            buf_puts(&w->labels, *text == '\n' ? "\\n" : "?");
        }
    }
    buf_puts(&w->labels, "\"");
}

/* Whose [i]th entry that is. */
static void add_owner(struct metrics_writer *w, const struct admin_view *v,
                      const void *entry, uint32_t i)
{
    const struct page_written *written = entry;
    const struct page_lane *lane = entry;
    char topic[sizeof(lane->topic)], table[sizeof(written->table)];

    if (w->metric->group == OF_BUILD) {
        add_label(w, "version", v->version);
        add_label(w, "generation", v->generation);
        add_label(w, "pipeline", v->name);
    } else if (w->metric->group == OF_LANE) {
        view_copy(topic, sizeof(topic), lane->topic);
        add_label(w, "topic", topic);
        buf_printf(&w->labels, ",partition=\"%d\"", lane->partition);
    } else if (w->metric->group == OF_TABLE) {
        view_copy(table, sizeof(table), written->table);
        add_label(w, "table", table);
    } else if (w->metric->group != OF_RUN && w->metric->group != OF_PROCESS) {
        buf_printf(&w->labels, "{worker=\"%u\"", i);
    }
}

/* [unit] of the page are 1 here. */
static void put_line(struct metrics_writer *w, const char *suffix, int64_t n,
                     int unit)
{
    buf_puts(w->out, w->name);
    buf_puts(w->out, suffix);
    buf_put(w->out, w->labels.data, w->labels.len);
    buf_put(w->out, "}", w->labels.len > 0);
    if (unit > 1) {
        buf_printf(w->out, " %.6f\n", (double)n / unit);
    } else {
        buf_printf(w->out, " %" PRId64 "\n", n);
    }
}

static void put_times(struct metrics_writer *w, const struct page_times *t)
{
    const uint64_t *bounds = w->metric->bounds;
    size_t len = w->labels.len;
    uint64_t n = 0;
    char bound[32];

    for (uint32_t i = 0; i < PAGE_BOUNDS; i++) {
        bool is_last = i == PAGE_BOUNDS - 1;

        n += t->n[i];
        snprintf(bound, sizeof(bound), "%g", (double)bounds[i] / UNIT_USEC);
        add_label(w, "le", is_last ? "+Inf" : bound);
        put_line(w, "_bucket", (int64_t)n, 1);
        w->labels.len = len;
    }
    put_line(w, "_sum", (int64_t)t->usec, UNIT_USEC);
    put_line(w, "_count", (int64_t)n, 1);
}

static void put_series(struct metrics_writer *w, const void *entry)
{
    const struct metric *m = w->metric;
    size_t len = w->labels.len;

    for (uint32_t i = 0; i == 0 || (m->label && m->word(i)); i++) {
        if (m->label) {
            add_label(w, m->label, m->word(i));
        }
        if (m->kind == METRIC_HISTOGRAM) {
            put_times(w, metric_at(m, entry, i));
        } else {
            put_line(w, "", metric_value(m, entry, i), m->unit);
        }
        w->labels.len = len;
    }
}

static void put_head(struct metrics_writer *w)
{
    static const char *const kinds[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    EACH(kinds, METRIC_KINDS);
    static const char *const prefixes[METRIC_GROUPS] = {
        [OF_PROCESS] = "process_",
        [OF_WORKER] = "tidemill_worker_",
        [OF_TABLE] = "tidemill_table_",
        [OF_LANE] = "tidemill_lane_"};
    const struct metric *m = w->metric;
    const char *prefix = prefixes[m->group];

    snprintf(w->name, sizeof(w->name), "%s%s%s", prefix ? prefix : "tidemill_",
             m->name, m->kind == METRIC_COUNTER ? "_total" : "");
    buf_printf(w->out, "# HELP %s %s\n# TYPE %s %s\n", w->name, m->help,
               w->name, kinds[m->kind]);
}

void metrics_write(const struct admin_view *v, struct buf *out)
{
    struct metrics_writer w = {.out = out};
    const void *entry;

    for (w.metric = metrics; w.metric->name; w.metric++) {
        put_head(&w);
        for (uint32_t i = 0;
             (entry = metric_entry(v->page, w.metric->group, i)); i++) {
            buf_clear(&w.labels);
            add_owner(&w, v, entry, i);
            put_series(&w, entry);
        }
    }
    buf_close(&w.labels);
}
