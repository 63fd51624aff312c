/* The end of a run with --until-end: see ending.h. */
#include "supervise/ending.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/view.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/say.h"
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

enum { TOPICS_TOLD = 32 };

struct topic_letters {
    const char *name; /* borrowed from the page */
    uint64_t n;
};

/* The entry of that topic, made if new; the last one is that of all others. */
static struct topic_letters *topic_of(struct topic_letters *list, uint32_t *n,
                                      const char *name)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    if (*n == TOPICS_TOLD) {
        list[*n - 1].name = "others";
        return &list[*n - 1];
    }
    list[*n].name = name;
    return &list[(*n)++];
}

/* "orders 3, users 1": letters that stand in the table now. */
static void put_topics(const struct page *p, struct buf *out)
{
    struct topic_letters list[TOPICS_TOLD] = {0};
    uint32_t n = 0;

    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        const struct page_lane *lane = &p->lanes[i];

        if (lane->letters > 0) {
            topic_of(list, &n, lane->topic)->n += lane->letters;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(out, "%s%s %" PRIu64, i > 0 ? ", " : "", list[i].name,
                   list[i].n);
    }
}

bool ending_tell_letters(const struct page *p)
{
    struct totals t;
    struct buf topics = {0};

    totals_read(p, &t);
    if (t.counters[COUNT_DEAD_LETTERS] + t.counters[COUNT_HELD] == 0) {
        return false;
    }
    put_topics(p, &topics);
    log_line(LOG_WARN, "records were set aside in this run: tidemill dlq list",
             "failed=%" PRIu64 " held=%" PRIu64 " dead_letters=%" PRIu64
             " by_topic=%s",
             t.counters[COUNT_DEAD_LETTERS], t.counters[COUNT_HELD], t.letters,
             log_quote(buf_text(&topics)));
    buf_close(&topics);
    return true;
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
    complain("%s", buf_text(&text));
    buf_close(&text);
}
