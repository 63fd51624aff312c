#pragma once
/*
 * Waits that would look healthy: no error comes, and nothing moves. Each is
 * shown after some seconds (the lane's or the worker's words in the page), told
 * once, and takes readiness away when it lasts; a rebalance, a busy database
 * and a short transaction are over before.
 */
#include <stdbool.h>

#include "base/loop.h"
#include "model/page.h"
#include "postgres/store/position.h"

struct lanes;
struct plan;
struct show;
struct source;

enum { MANY_REBALANCES = 12 };

/* All borrowed. */
struct waits_needs {
    struct source *source;
    const struct lanes *lanes;
    struct show *show;
    const struct plan *plan;
    const char *instance; /* group.instance.id, or NULL */
};

/* The claim that the database was asked for, and has not answered. */
struct waits_claim {
    usec asked_at; /* 0: there is none */
    uint32_t n_lanes;
};

struct waits {
    struct waits_needs needs;
    struct waits_claim claim; /* at the last tick */
    usec look_at;
    usec apart_since; /* the group has given us nothing since; 0: it has */
    usec joined_at[MANY_REBALANCES]; /* a ring */
    uint32_t n_joined;
    usec looked_at;   /* when Kafka was asked last whether all is well, */
    bool has_leaders; /* and each lane had a leader then */
    bool has_joined;  /* it gave us lanes, or none, once */
    usec halted_at;   /* when ends of halted lanes are asked for */
    uint32_t logged;  /* kinds of waits that people were told of: bits */
    /* -- waits_others.c: lanes that no worker of the run has */
    usec unowned_since;
    usec listed_at; /* when tidemill.lane told of all lanes */
    usec ask_at;    /* when Kafka is asked who has them */
    usec ends_at;   /* and for their ends */
    bool has_logged_others;
};

/* The consumer was opened: the group is waited for from now on. */
void waits_open(struct waits *w, const struct waits_needs *n);
/* Another plan takes the place of the one that it was opened with. */
void waits_follow(struct waits *w, const struct plan *p);
/* The group took the lanes away. */
void waits_apart(struct waits *w);
/* The group gave this worker lanes, or none. */
void waits_joined(struct waits *w);
/* About once a second, however often it is called. */
void waits_tick(struct waits *w, struct waits_claim claim, usec now);

/* -- waits_others.c: lanes that no worker of this run has -- */

/* Does position_list have to tell who claimed them last? */
bool others_want_list(const struct waits *w);
/* A row of it. */
void others_listed(struct waits *w, const struct position *at);
void others_tick(struct waits *w, usec now);
