/* The end of a run with --until-end: see ending.h. */
#include "supervise/ending.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/view.h"
#include "base/buf.h"
#include "base/stderr.h"
#include "base/utf8.h"
#include "supervise/totals.h"

enum ending ending_of(const struct page *p)
{
    if (!page_has_all(p)) {
        return ENDING_NOT_YET;
    }
    enum ending ending = ENDING_REACHED;
    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        if (p->lanes[i].reached) {
            continue;
        }
        if (p->lanes[i].state != PAGE_LANE_HALTED) {
            return ENDING_NOT_YET;
        }
        ending = ENDING_HALTED;
    }
    return ending;
}

void ending_describe(const struct page *p, char *out, size_t size)
{
    uint32_t n = 0;
    const struct page_lane *first = NULL;

    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        const struct page_lane *lane = &p->lanes[i];
        if (!lane->reached && lane->state != PAGE_LANE_HALTED) {
            first = first ? first : lane;
            n++;
        }
    }
    if (!first) {
        snprintf(out, size, "%s", totals_waiting_for(p));
        return;
    }
    char message[sizeof(first->message)], topic[sizeof(first->topic)];
    view_copy(message, sizeof(message), first->message);
    view_copy(topic, sizeof(topic), first->topic);
    snprintf(out, size,
             "%u lanes have not reached their end; %s/%d is %s at %" PRId64
             " of %" PRId64 "%s%s",
             n, topic, first->partition, view_lane_state(first->state),
             first->position, first->end, message[0] ? ": " : "", message);
}

void ending_print_halted(const struct page *p)
{
    struct buf text = {0};

    buf_puts(&text, "tidemill: only halted lanes remain:\n");
    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        const struct page_lane *lane = &p->lanes[i];
        if (lane->state != PAGE_LANE_HALTED || lane->reached) {
            continue;
        }
        char topic[sizeof(lane->topic)], message[sizeof(lane->message)];
        view_copy(topic, sizeof(topic), lane->topic);
        view_copy(message, sizeof(message), lane->message);
        /* A failed record's reason begins with its place. */
        if (strncmp(message, topic, strlen(topic)) == 0) {
            buf_printf(&text, "  %s\n", message);
        } else {
            buf_printf(&text, "  %s/%d at offset %" PRId64 ": %s\n", topic,
                       lane->partition, lane->position, message);
        }
    }
    utf8_clean(buf_text(&text)); /* a message of the page may be cut */
    stderr_write(text.data, text.len);
    buf_close(&text);
}
