/* /status: see status.h. */
#include "admin/status.h"

#include <time.h>

#include "admin/json.h"
#include "base/loop.h"

static const struct {
    const char *key;
    enum page_counter counter;
} counters[] = {
    {"events", COUNT_EVENTS},
    {"events_ignored", COUNT_EVENTS_IGNORED},
    {"events_skipped", COUNT_EVENTS_SKIPPED},
    {"batches", COUNT_BATCHES},
    {"rows_written", COUNT_ROWS_WRITTEN},
    {"rows_unchanged", COUNT_ROWS_UNCHANGED},
    {"batch_retries", COUNT_BATCH_RETRIES},
    {"commit_unknown", COUNT_COMMIT_UNKNOWN},
    {"fenced", COUNT_FENCED},
    {"rebalances", COUNT_REBALANCES},
    {"column_faults", COUNT_COLUMN_FAULTS},
    {"bytes", COUNT_BYTES},
    {"cache_hits", COUNT_CACHE_HITS},
    {"cache_misses", COUNT_CACHE_MISSES},
};

static void key_text(struct buf *out, const char *key, const char *text)
{
    json_key(out, key);
    json_text(out, text);
}

static void key_int(struct buf *out, const char *key, int64_t n)
{
    json_key(out, key);
    json_int(out, n);
}

static void write_counters(const struct page_worker *w, struct buf *out)
{
    json_key(out, "counters");
    json_open(out, '{');
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        key_int(out, counters[i].key,
                (int64_t)w->counters[counters[i].counter]);
    }
    json_close(out, '}');
}

/* Of the rows that a batch wanted, the part that the cache had. */
static double hit_rate(const struct page_worker *w)
{
    double hits = (double)w->counters[COUNT_CACHE_HITS];
    double all = hits + (double)w->counters[COUNT_CACHE_MISSES];

    return all > 0 ? hits / all : 0;
}

static void write_worker(const struct page_worker *w, uint32_t slot,
                         struct buf *out)
{
    char waiting_for[sizeof w->waiting_for];
    view_copy(waiting_for, sizeof waiting_for, w->waiting_for);
    double age = view_heartbeat_age(w, clock_usec());
    json_open(out, '{');
    key_int(out, "worker", slot);
    key_int(out, "pid", w->pid);
    json_key(out, "ready");
    json_bool(out, w->is_ready != 0);
    key_text(out, "waiting_for", waiting_for);
    json_key(out, "heartbeat_age_seconds");
    json_double(out, age);
    key_int(out, "restarts", w->restarts);
    json_key(out, "cache_hit_rate");
    json_double(out, hit_rate(w));
    write_counters(w, out);
    json_close(out, '}');
}

/* "" unless it is halted. */
static void write_since(const struct page_lane *lane, struct buf *out)
{
    time_t since = (time_t)lane->halted_since;
    char text[32] = "";
    struct tm tm;
    if (lane->state == LANE_HALTED && gmtime_r(&since, &tm)) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    key_text(out, "halted_since", text);
}

static void write_lane(const struct page_lane *lane, struct buf *out)
{
    char topic[sizeof lane->topic], message[sizeof lane->message];
    view_copy(topic, sizeof topic, lane->topic);
    view_copy(message, sizeof message, lane->message);
    json_open(out, '{');
    key_text(out, "topic", topic);
    key_int(out, "partition", lane->partition);
    key_text(out, "state", view_lane_state(lane));
    key_int(out, "worker", lane->worker);
    key_int(out, "position", lane->position);
    key_int(out, "high", lane->high);
    key_int(out, "lag", view_lag(lane));
    key_int(out, "epoch", lane->epoch);
    key_int(out, "dead_letters", lane->letters);
    key_text(out, "message", message);
    write_since(lane, out);
    json_close(out, '}');
}

static void write_lanes(const struct page *p, struct buf *out)
{
    json_key(out, "lanes");
    json_open(out, '[');
    for (uint32_t i = 0; i < p->n_lanes && i < PAGE_LANES; i++) {
        if (p->lanes[i].state != LANE_FREE) {
            write_lane(&p->lanes[i], out);
        }
    }
    json_close(out, ']');
}

void status_write(const struct admin_view *v, struct buf *out)
{
    const struct page *p = v->page;
    json_open(out, '{');
    key_text(out, "name", v->name);
    key_text(out, "generation", v->generation);
    key_text(out, "version", v->version);
    key_text(out, "instance", v->instance);
    json_key(out, "uptime_seconds");
    json_double(out, (double)(clock_usec() - p->started_usec) / 1e6);
    json_key(out, "workers");
    json_open(out, '[');
    for (uint32_t w = 0; w < p->n_workers; w++) {
        write_worker(&p->workers[w], w, out);
    }
    json_close(out, ']');
    write_lanes(p, out);
    json_close(out, '}');
    buf_puts(out, "\n");
}
