#pragma once
/*
 * The place of one worker: the process in it, and what happens when that ends.
 * A slot is empty (pid 0), running, waiting for its restart, or given up. It is
 * given up when its worker ended with WORKER_CONFIG, since the next one would
 * end the same way, and when a worker was fenced twice within a minute. Once is
 * not enough: a broker that comes back after more than the session timeout may
 * take a member for another one of the same name.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"
#include "model/page.h"

enum slot_state { SLOT_EMPTY, SLOT_RUNNING, SLOT_WAITING, SLOT_GIVEN_UP };

struct supervisor;

struct slot {
    struct supervisor *supervisor; /* borrowed: whose slot it is */
    struct loop_timer *restart;    /* owned; set while WAITING */
    uint32_t number;
    enum slot_state state;
    pid_t pid;         /* RUNNING; 0 otherwise */
    usec started;      /* of the process that runs, or ran last */
    uint32_t n_ended;  /* in a row, each soon after its start */
    usec fenced_at;    /* last; 0: never */
    uint64_t cpu_usec; /* of all processes that ended in it */
    int exit_code;     /* GIVEN_UP: why */
    /* -- while it stands still: see watchdog.h */
    uint32_t looks;
    usec looked_at;     /* last */
    usec beat;          /* its last sign of life by itself */
    usec since;         /* that, or when it was last seen at another record */
    uint32_t moves;     /* how often that was, since its last sign of life */
    uint64_t cpu_ticks; /* of its main thread, at the first look */
    struct page_place place; /* where it was at the first look */
    bool is_stuck;           /* killed for a handler that does not return */
};

/* The process is there: the page says so. */
void slot_started(struct slot *w, struct page *p, pid_t pid, usec now);
/* Clears the page's account of the process, before it starts and after it
 * ends; the counters stay, they belong to the slot. */
void slot_clear_page(const struct slot *w, struct page *p);
/*
 * The process ended. True: start another after *after. False: the slot is given
 * up. The back-off doubles, and starts anew when the process lived for 30 s.
 */
bool slot_ended(struct slot *w, int wait_status, usec now,
                usec *after) MUSTCHECK;

/* Says that it is, and what to do. */
void slot_tell_given_up(const struct slot *w, const char *instance);

/* Of [n] slots: a signal to every process; whether one is in that state. */
void slots_signal(const struct slot *slots, uint32_t n, int signum);
bool slots_have(const struct slot *slots, uint32_t n, enum slot_state state);
