#pragma once
/*
 * What the kernel says of the supervisor and its workers, in the page: for
 * /metrics and /status. Asked once a second, and not for each reader of them.
 */
#include "supervise/slot.h"

struct rusage;

/* Of /proc/PID/stat, or of a thread's: clock ticks of CPU, the start in ticks
 * since the machine's, pages that are resident. False: it is gone. */
bool vitals_stat(const char *path, uint64_t *ticks, uint64_t *start_ticks,
                 uint64_t *pages);
/* The calling process. */
void vitals_of_self(struct page_process *out);
/* The worker in the slot, if there is one. */
void vitals_of_slot(const struct slot *w, struct page *p);
/* All of them. */
void vitals_read(const struct slot *slots, struct page *p);
/* Its process ended, having used so much in all: what the slot counts goes on
 * from there. */
void vitals_ended(struct slot *w, struct page *p, const struct rusage *used);
