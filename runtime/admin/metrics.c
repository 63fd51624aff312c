/* /metrics. One table a kind of number; a metric is one line in its table. */
#include "admin/metrics.h"

#include <inttypes.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/utf8.h"

struct metric {
    const char *name; /* behind tidemill_ */
    const char *type;
    const char *help;
    int index;      /* into the array of the page */
    double divisor; /* to the base unit; 1: a whole number */
};

static const struct metric counters[] = {
    {"events_total", "counter", "Events applied: their position is committed.",
     COUNT_EVENTS, 1},
    {"events_ignored_total", "counter",
     "Events of a type that no projection handles.", COUNT_EVENTS_IGNORED, 1},
    {"events_skipped_total", "counter",
     "Tombstones, heartbeats and transaction records.", COUNT_EVENTS_SKIPPED,
     1},
    {"batches_total", "counter", "Batches committed.", COUNT_BATCHES, 1},
    {"rows_written_total", "counter", "Rows inserted, updated or deleted.",
     COUNT_ROWS_WRITTEN, 1},
    {"rows_unchanged_total", "counter",
     "Rows not written because nothing changed.", COUNT_ROWS_UNCHANGED, 1},
    {"batch_retries_total", "counter", "Batches run again after a failure.",
     COUNT_BATCH_RETRIES, 1},
    {"commit_unknown_total", "counter",
     "Commits whose outcome had to be looked up.", COUNT_COMMIT_UNKNOWN, 1},
    {"fenced_total", "counter", "Lanes lost to another owner during a batch.",
     COUNT_FENCED, 1},
    {"rebalances_total", "counter", "Rebalances of the consumer group.",
     COUNT_REBALANCES, 1},
    {"column_faults_total", "counter",
     "Fields that were touched for the first time.", COUNT_COLUMN_FAULTS, 1},
    {"bytes_total", "counter", "Bytes of the records applied.", COUNT_BYTES, 1},
    {"starved_seconds_total", "counter",
     "Time without records although there was lag.", COUNT_STARVED_USEC, 1e6},
    {"dead_letters_total", "counter", "Records set aside since they failed.",
     COUNT_DEAD_LETTERS, 1},
    {"held_total", "counter",
     "Records set aside behind a failed one of their key.", COUNT_HELD, 1},
    {"dead_letters_applied_total", "counter",
     "Dead letters that a retry applied.", COUNT_LETTERS_DONE, 1},
    {"isolations_total", "counter",
     "Transactions that the database refused while a bad record was sought.",
     COUNT_ISOLATIONS, 1},
    {"rule_faults_total", "counter",
     "Decisions of the failure rule that could not be used.", COUNT_RULE_FAULTS,
     1},
    {"breaker_opens_total", "counter",
     "Times that the circuit breaker of the database opened.",
     COUNT_BREAKER_OPENS, 1},
    {"repeated_total", "counter",
     "Changes of rows left out since once saw that they were made before.",
     COUNT_REPEATED, 1},
    {"cache_hits_total", "counter",
     "Rows that a batch took from the row cache.", COUNT_CACHE_HITS, 1},
    {"cache_misses_total", "counter",
     "Rows of cached projections that had to be loaded.", COUNT_CACHE_MISSES,
     1},
    {"cache_stale_total", "counter",
     "Batches done again since a row had changed behind the cache.",
     COUNT_CACHE_STALE, 1},
    {"cache_evictions_total", "counter",
     "Rows that left the row cache to make room.", COUNT_CACHE_EVICTED, 1},
};

static const struct metric gauges[] = {
    {"pool_size", "gauge", "Open database connections.", GAUGE_POOL_SIZE, 1},
    {"pool_in_use", "gauge", "Database connections at work.", GAUGE_POOL_IN_USE,
     1},
    {"inbox_bytes", "gauge", "Bytes of records that wait for their outcome.",
     GAUGE_INBOX_BYTES, 1},
    {"inbox_events", "gauge", "Records that wait for their outcome.",
     GAUGE_INBOX_EVENTS, 1},
    {"prefetch_bytes", "gauge", "Bytes that librdkafka holds ahead.",
     GAUGE_PREFETCH_BYTES, 1},
    {"batch_size_average", "gauge", "Events a batch, moving average.",
     GAUGE_BATCH_AVERAGE, 1},
    {"batches_in_flight", "gauge", "Batches whose outcome is not yet known.",
     GAUGE_BATCHES_IN_FLIGHT, 1},
    {"lua_bytes", "gauge", "Memory of the Lua VM.", GAUGE_LUA_BYTES, 1},
    {"breaker_state", "gauge",
     "Circuit breaker of the database: 0 closed, 1 half-open, 2 open.",
     GAUGE_BREAKER, 1},
    {"cache_bytes", "gauge", "Bytes of the rows in the row cache.",
     GAUGE_CACHE_BYTES, 1},
    {"held_keys_bytes", "gauge",
     "Memory of the keys that wait behind dead letters.", GAUGE_HELD_BYTES, 1},
};

static const char *const stages[STAGES] = {
    [STAGE_DECODE] = "decode", [STAGE_LUA] = "lua",       [STAGE_LOAD] = "load",
    [STAGE_WRITE] = "write",   [STAGE_COMMIT] = "commit",
};

static void head(struct buf *out, const char *name, const char *type,
                 const char *help)
{
    buf_printf(out, "# HELP tidemill_%s %s\n# TYPE tidemill_%s %s\n", name,
               help, name, type);
}

static void head_of(struct buf *out, const struct metric *m)
{
    head(out, m->name, m->type, m->help);
}

static void number(struct buf *out, uint64_t n, double divisor)
{
    if (divisor == 1) {
        buf_printf(out, "%" PRIu64 "\n", n);
    } else {
        buf_printf(out, "%.6f\n", (double)n / divisor);
    }
}

/* [text] inside the quotes of a label value. */
static void label_text(struct buf *out, const char *text)
{
    bool is_seen;

    for (size_t n, left = strlen(text); left > 0; text += n, left -= n) {
        n = utf8_sight(text, left, &is_seen);
        buf_put(out, "\\", *text == '"' || *text == '\\');
        buf_put(out, is_seen ? text : "?", is_seen ? n : 1);
    }
}

static void write_table(const struct page *p, const struct metric *m, size_t n,
                        bool is_counter, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        head_of(out, &m[i]);
        for (uint32_t w = 0; w < p->n_workers; w++) {
            const struct page_worker *worker = &p->workers[w];
            buf_printf(out, "tidemill_%s{worker=\"%u\"} ", m[i].name, w);
            number(out,
                   is_counter ? worker->counters[m[i].index]
                              : worker->gauges[m[i].index],
                   m[i].divisor);
        }
    }
}

static void write_stages(const struct page *p, struct buf *out)
{
    head(out, "stage_seconds", "summary",
         "Time that batches spent in each stage.");
    for (uint32_t w = 0; w < p->n_workers; w++) {
        for (int s = 0; s < STAGES; s++) {
            buf_printf(out,
                       "tidemill_stage_seconds_sum{worker=\"%u\","
                       "stage=\"%s\"} ",
                       w, stages[s]);
            number(out, p->workers[w].stage_usec[s], 1e6);
            buf_printf(out,
                       "tidemill_stage_seconds_count{worker=\"%u\","
                       "stage=\"%s\"} ",
                       w, stages[s]);
            number(out, p->workers[w].stage_count[s], 1);
        }
    }
}

static void write_errors(const struct page *p, struct buf *out)
{
    head(out, "errors_total", "counter", "Failures by class.");
    for (uint32_t w = 0; w < p->n_workers; w++) {
        for (int c = ERR_NONE + 1; c < PAGE_ERRORS; c++) {
            buf_printf(out,
                       "tidemill_errors_total{worker=\"%u\",class=\"%s\"} ", w,
                       err_class_name((enum err_class)c));
            number(out, p->workers[w].errors[c], 1);
        }
    }
}

static void write_workers(const struct page *p, struct buf *out)
{
    head(out, "worker_up", "gauge", "1 while the worker's process runs.");
    for (uint32_t w = 0; w < p->n_workers; w++) {
        buf_printf(out, "tidemill_worker_up{worker=\"%u\"} %d\n", w,
                   p->workers[w].pid != 0);
    }
    head(out, "worker_ready", "gauge",
         "1 while lanes are assigned and the database answers.");
    for (uint32_t w = 0; w < p->n_workers; w++) {
        buf_printf(out, "tidemill_worker_ready{worker=\"%u\"} %d\n", w,
                   p->workers[w].is_ready != 0);
    }
    head(out, "worker_restarts_total", "counter",
         "Times that the supervisor started the worker again.");
    for (uint32_t w = 0; w < p->n_workers; w++) {
        buf_printf(out, "tidemill_worker_restarts_total{worker=\"%u\"} %u\n", w,
                   p->workers[w].restarts);
    }
}

static int64_t lane_position(const struct page_lane *l)
{
    return l->position;
}
static int64_t lane_state(const struct page_lane *l)
{
    return l->state;
}
static int64_t lane_letters(const struct page_lane *l)
{
    return l->letters;
}
static int64_t lane_waits(const struct page_lane *l)
{
    return l->waits;
}
static int64_t lane_halted(const struct page_lane *l)
{
    return l->state == LANE_HALTED;
}

static const struct {
    struct metric metric;
    int64_t (*value)(const struct page_lane *l);
} lane_metrics[] = {
    {{"lane_lag", "gauge", "Records behind the end of the partition.", 0, 1},
     view_lag},
    {{"lane_position", "gauge", "Next offset, as committed in the database.", 0,
      1},
     lane_position},
    {{"lane_state", "gauge", "1 unowned, 2 running, 3 halted.", 0, 1},
     lane_state},
    {{"lane_halted", "gauge", "1 while the lane waits for an operator.", 0, 1},
     lane_halted},
    {{"lane_waits", "gauge",
      "1 while the lane is not halted but stands, 2 when the run is not ready "
      "for it.",
      0, 1},
     lane_waits},
    {{"lane_dead_letters", "gauge",
      "Records of the lane that are set aside, held ones included.", 0, 1},
     lane_letters},
};

static void write_lane(const struct page_lane *lane, const char *name,
                       int64_t value, struct buf *out)
{
    char topic[sizeof lane->topic];
    view_copy(topic, sizeof topic, lane->topic);
    buf_printf(out, "tidemill_%s{topic=\"", name);
    label_text(out, topic);
    buf_printf(out, "\",partition=\"%d\"} %" PRId64 "\n", lane->partition,
               value);
}

static void write_lanes(const struct page *p, struct buf *out)
{
    for (size_t m = 0; m < sizeof lane_metrics / sizeof *lane_metrics; m++) {
        head_of(out, &lane_metrics[m].metric);
        for (uint32_t i = 0; i < p->n_lanes && i < PAGE_LANES; i++) {
            const struct page_lane *lane = &p->lanes[i];
            if (lane->state != LANE_FREE) {
                write_lane(lane, lane_metrics[m].metric.name,
                           lane_metrics[m].value(lane), out);
            }
        }
    }
}

static void write_build(const struct admin_view *v, struct buf *out)
{
    head(out, "build_info", "gauge", "Always 1; what runs is in the labels.");
    buf_puts(out, "tidemill_build_info{version=\"");
    label_text(out, v->version);
    buf_puts(out, "\",generation=\"");
    label_text(out, v->generation);
    buf_puts(out, "\",pipeline=\"");
    label_text(out, v->name);
    buf_puts(out, "\"} 1\n");
    head(out, "uptime_seconds", "gauge", "Time since the supervisor started.");
    buf_puts(out, "tidemill_uptime_seconds ");
    number(out, clock_usec() - v->page->started_usec, 1e6);
}

void metrics_write(const struct admin_view *v, struct buf *out)
{
    const struct page *p = v->page;
    write_build(v, out);
    write_table(p, counters, sizeof counters / sizeof *counters, true, out);
    write_table(p, gauges, sizeof gauges / sizeof *gauges, false, out);
    write_stages(p, out);
    write_errors(p, out);
    write_workers(p, out);
    write_lanes(p, out);
}
