/* /livez and /readyz: see health.h. */
#include "admin/health.h"

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
        double age = view_heartbeat_age(w, now);
        if (w->pid != 0 && age > v->page->heartbeat_seconds) {
            buf_printf(out, "worker %u: no heartbeat for %.0f s\n", i, age);
        }
    }
    return answer(out);
}

bool health_is_ready(const struct admin_view *v, struct buf *out)
{
    for (uint32_t i = 0; i < v->page->n_workers; i++) {
        const struct page_worker *w = &v->page->workers[i];
        char why[sizeof w->waiting_for];
        view_copy(why, sizeof why, w->waiting_for);
        utf8_clean(why);
        if (w->pid == 0) {
            buf_printf(out, "worker %u: not running\n", i);
        } else if (w->is_ready == 0) {
            buf_printf(out, "worker %u: %s\n", i,
                       why[0] != '\0' ? why : "starting");
        }
    }
    return answer(out);
}
