/* The few sums that every page of the admin port and the live line share. */
#include "admin/view.h"

#include <string.h>

int64_t view_heartbeat_age(const struct page_worker *w, uint64_t now_usec)
{
    uint64_t beat = w->heartbeat_usec;

    if (!beat) {
        return -1000000;
    }
    /* Written after [now] was read, perhaps. */
    return beat >= now_usec ? 0 : (int64_t)(now_usec - beat);
}

/* Where the records begin that are not known to be applied: a position past the
 * end is of other records than the partition has. */
static int64_t begin_of_lag(const struct page_lane *lane)
{
    bool is_read = lane->worker >= 0 || lane->state != PAGE_LANE_UNOWNED ||
                   lane->waits != WAIT_BLOCKED;

    if (lane->state == PAGE_LANE_UNOWNED &&
        lane->worker >= 0) { /* not claimed yet */
        return lane->epoch > 0 ? lane->position : lane->stored;
    }
    if (!is_read && lane->stored < 0) {
        return lane->first;
    }
    int64_t at = is_read ? lane->position : lane->stored;
    return lane->state == PAGE_LANE_HALTED && at > lane->high ? 0 : at;
}

int64_t view_lag(const struct page_lane *lane)
{
    int64_t begin = begin_of_lag(lane);
    int64_t lag = lane->high - begin;

    return lane->high < 0 || begin < 0 || lag < 0 ? 0 : lag;
}

const char *view_lane_state(uint32_t state)
{
    static const char *const names[] = {
        [PAGE_LANE_FREE] = "free",
        [PAGE_LANE_UNOWNED] = "unowned",
        [PAGE_LANE_RUNNING] = "running",
        [PAGE_LANE_HALTED] = "halted",
    };
    EACH(names, PAGE_LANE_STATES);
    return state < PAGE_LANE_STATES ? names[state] : "unknown";
}

void view_copy(char *out, size_t cap, const char *shared)
{
    memcpy(out, shared, cap - 1);
    out[cap - 1] = '\0';
}
