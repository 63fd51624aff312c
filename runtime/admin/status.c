/* /status: see metrics.h. */
#include <time.h>

#include "admin/json.h"
#include "admin/metrics.h"

static void write_value(const struct metric *m, const void *entry, uint32_t i,
                        struct buf *out)
{
    int64_t n = metric_value(m, entry, i); /* of a histogram its sum */

    if (m->kind == METRIC_HISTOGRAM) {
        json_open(out, '{');
        json_key_int(out, "count",
                     (int64_t)page_times_count(metric_at(m, entry, i)));
        json_key(out, "sum");
        json_double(out, (double)n / m->unit);
        json_close(out, '}');
    } else if (m->unit == UNIT_FLAG) {
        json_bool(out, n);
    } else if (m->unit > 1) {
        json_double(out, (double)n / m->unit);
    } else if (m->word && !m->label) {
        json_text(out, m->word((uint32_t)n));
    } else {
        json_int(out, n);
    }
}

/* Into the object that is open. */
static void write_metrics(enum metric_group group, const void *entry,
                          struct buf *out)
{
    for (const struct metric *m = metrics; m->name; m++) {
        if (m->group != group) {
            continue;
        }
        json_key(out, m->name);
        if (!m->label) {
            write_value(m, entry, 0, out);
            continue;
        }
        json_open(out, '{');
        for (uint32_t i = 0; m->word(i); i++) {
            json_key(out, m->word(i));
            write_value(m, entry, i, out);
        }
        json_close(out, '}');
    }
}

static void write_object(const char *key, enum metric_group group,
                         const void *entry, struct buf *out)
{
    json_key(out, key);
    json_open(out, '{');
    write_metrics(group, entry, out);
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
    char waiting_for[sizeof(w->waiting_for)];

    view_copy(waiting_for, sizeof(waiting_for), w->waiting_for);
    json_open(out, '{');
    json_key_int(out, "worker", slot);
    json_key_int(out, "pid", w->pid);
    json_key_text(out, "waiting_for", waiting_for);
    json_key(out, "cache_hit_rate");
    json_double(out, hit_rate(w));
    write_metrics(OF_WORKER, w, out);
    write_object("counters", OF_COUNTERS, w, out);
    write_object("gauges", OF_GAUGES, w, out);
    json_close(out, '}');
}

static void write_table(const struct page_written *t, struct buf *out)
{
    char table[sizeof(t->table)];

    view_copy(table, sizeof(table), t->table);
    json_open(out, '{');
    json_key_text(out, "table", table);
    write_metrics(OF_TABLE, t, out);
    json_close(out, '}');
}

/* "" unless it is halted. */
static void write_since(const struct page_lane *lane, struct buf *out)
{
    time_t since = (time_t)lane->halted_since;
    char text[32] = "";
    struct tm tm;

    if (lane->state == PAGE_LANE_HALTED && gmtime_r(&since, &tm)) {
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    json_key_text(out, "halted_since", text);
}

static void write_lane(const struct page_lane *lane, struct buf *out)
{
    char topic[sizeof(lane->topic)], message[sizeof(lane->message)];

    view_copy(topic, sizeof(topic), lane->topic);
    view_copy(message, sizeof(message), lane->message);
    json_open(out, '{');
    json_key_text(out, "topic", topic);
    json_key_int(out, "partition", lane->partition);
    json_key_int(out, "worker", lane->worker);
    write_metrics(OF_LANE, lane, out);
    json_key_text(out, "message", message);
    write_since(lane, out);
    json_close(out, '}');
}

void status_write(const struct admin_view *v, struct buf *out)
{
    const void *entry;

    json_open(out, '{');
    json_key_text(out, "name", v->name);
    json_key_text(out, "generation", v->generation);
    json_key_text(out, "version", v->version);
    json_key_text(out, "instance", v->instance);
    write_metrics(OF_RUN, v->page, out);
    write_object("process", OF_PROCESS, &v->page->process, out);
    json_key(out, "workers");
    json_open(out, '[');
    for (uint32_t i = 0; (entry = metric_entry(v->page, OF_WORKER, i)); i++) {
        write_worker(entry, i, out);
    }
    json_close(out, ']');
    json_key(out, "tables");
    json_open(out, '[');
    for (uint32_t i = 0; (entry = metric_entry(v->page, OF_TABLE, i)); i++) {
        write_table(entry, out);
    }
    json_close(out, ']');
    json_key(out, "lanes");
    json_open(out, '[');
    for (uint32_t i = 0; (entry = metric_entry(v->page, OF_LANE, i)); i++) {
        write_lane(entry, out);
    }
    json_close(out, ']');
    json_close(out, '}');
    buf_puts(out, "\n");
}
