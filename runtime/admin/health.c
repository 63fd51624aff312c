/* /livez and /readyz: see health.h. */
#include "admin/health.h"

#include <inttypes.h>

#include "base/loop.h"
#include "base/utf8.h"

static bool answer(struct buf *out)
{
    if (out->len > 0) {
        return false;
    }
    buf_puts(out, "ok\n");
    return true;
}

bool health_is_live(const struct admin_view *v, struct buf *out)
{
    usec now = clock_usec();
    for (uint32_t i = 0; i < v->page->n_workers; i++) {
        const struct page_worker *w = &v->page->workers[i];
        int64_t age = view_heartbeat_age(w, now) / 1000000;
        if (w->pid != 0 && age >= v->page->heartbeat_seconds) {
            buf_printf(out, "worker %u: no heartbeat for %" PRId64 " s\n", i,
                       age);
        }
    }
    return answer(out);
}

enum { LANES_NAMED = 5 };

static bool is_blocked(const struct page_lane *l)
{
    return l->waits == WAIT_BLOCKED && l->state != PAGE_LANE_HALTED;
}

static bool is_noted(const struct page_lane *l)
{
    return l->waits == WAIT_NOTED && l->state != PAGE_LANE_HALTED;
}

static bool is_halted(const struct page_lane *l)
{
    return l->state == PAGE_LANE_HALTED;
}

/* The lanes that stand so, the first few by name. */
static void write_lanes(const struct page *p,
                        bool (*is)(const struct page_lane *l), const char *how,
                        struct buf *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        const struct page_lane *lane = &p->lanes[i];
        if (!is(lane)) {
            continue;
        }
        if (n++ < LANES_NAMED) {
            char topic[sizeof(lane->topic)], why[sizeof(lane->message)];
            view_copy(topic, sizeof(topic), lane->topic);
            view_copy(why, sizeof(why), lane->message);
            buf_printf(out, "lane %s/%d: %s%s\n", topic, lane->partition, how,
                       why);
        }
    }
    if (n > LANES_NAMED) {
        buf_printf(out, "and %u more lanes so: see /status\n", n - LANES_NAMED);
    }
}

bool health_is_ready(const struct admin_view *v, struct buf *out)
{
    for (uint32_t i = 0; i < v->page->n_workers; i++) {
        const struct page_worker *w = &v->page->workers[i];
        char why[sizeof(w->waiting_for)];
        view_copy(why, sizeof(why), w->waiting_for);
        utf8_clean(why);
        if (w->pid == 0) {
            buf_printf(out, "worker %u: not running\n", i);
        } else if (w->is_ready == 0) {
            buf_printf(out, "worker %u: %s\n", i,
                       why[0] != '\0' ? why : "starting");
        }
    }
    write_lanes(v->page, is_blocked, "", out);
    bool is_ready = answer(out);
    if (is_ready) {
        write_lanes(v->page, is_noted, "", out);
        write_lanes(v->page, is_halted, "halted: ", out);
    }
    return is_ready;
}
