#pragma once
/*
 * The connections of the proxy. Each has two flows, up and down. What a flow
 * reads is cut into messages; each goes on at once, later, in part or not at
 * all; what goes on waits in a queue of its own until the other side takes it.
 * A flow that has ended sends nothing more; a deaf one reads on and loses what
 * it reads. A connection is freed when both flows have ended and both sides
 * have said goodbye (or had five seconds for it).
 *
 * Everything is one thread; nothing blocks. All of it is local, so numbers are
 * of one machine: milliseconds of the monotonic clock.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>

#include "proxy_rule.h"

struct segment {
    struct segment *next;
    uint64_t due_ms;
    size_t len, sent;
    char data[];
};

enum ending { GOES_ON, ENDS_DRAINED, RESETS_DRAINED, HAS_ENDED };

struct flow {
    enum direction direction;
    int from, to; /* borrowed from the connection */
    struct framer framer;
    char *in; /* owned: the beginning of a message */
    size_t in_len, in_cap;
    struct segment *head, **tail; /* owned */
    size_t queued;
    enum ending ending;
    bool is_deaf;
    bool saw_eof; /* from [from]; an error counts as one */
};

struct conn {
    struct conn *next;
    int client, server; /* owned */
    bool is_connecting;
    bool has_hole; /* lost bytes and nobody was told */
    uint64_t deadline_ms;
    struct flow flows[2]; /* by direction */
};

struct traffic {
    uint64_t messages, bytes; /* that went on */
    uint64_t lost;            /* bytes that did not */
    uint64_t delayed;         /* messages */
    uint64_t cuts[3];         /* by place */
};

struct proxy {
    /* -- set at start */
    bool is_plain;
    struct sockaddr_in target;

    /* -- what it is told to do */
    struct rules rules;
    unsigned delay_ms[2];
    bool is_stalled[2], is_hole[2]; /* by direction */
    bool refuses;

    struct conn *conns; /* owned */

    /* -- what has happened */
    uint64_t n_accepted, n_refused, n_failed, n_killed;
    uint64_t n_effects[EFFECTS];
    struct traffic traffic[2]; /* by direction */
};

uint64_t now_ms(void);
/* Takes a new client, or refuses it. */
void conn_accept(struct proxy *p, int client);
int conns_count(const struct proxy *p);
/* Bytes that wait in the kernel to be read, by all flows of a direction. */
uint64_t conns_waiting(const struct proxy *p, enum direction direction);
/* Ends every connection at once; how many. */
int conns_kill(struct proxy *p, bool by_reset);
/* As if nothing had been asked for. Connections with holes are reset. */
void conns_heal(struct proxy *p);
/* Fills two entries a connection, in their order. The wait that is due at most
 * goes to [timeout_ms] if it is shorter. */
void conns_prepare(struct proxy *p, struct pollfd *fds, int *timeout_ms);
/* Does what poll() found for the first [n] connections that it was asked of,
 * then frees those that are over. */
void conns_serve(struct proxy *p, const struct pollfd *fds);
