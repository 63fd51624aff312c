#pragma once
/*
 * The connections to a port, so that slow clients cannot keep others out: a
 * connection has CLIENT_SECONDS for each request, however slowly it sends, and
 * when all places are taken, the oldest connection of the address that has the
 * most is closed. Knows only sockets: it shuts one down, and whoever serves it
 * sees an end of file.
 */
#include <netinet/in.h>
#include <stdint.h>

#include "base/loop.h"

enum { CLIENT_PLACES = 48, CLIENT_SECONDS = 15 };

struct client {
    int fd; /* borrowed */
    struct in6_addr from;
    usec since; /* connected, or served for the last time */
};

/* Those that were not shut down. */
struct clients {
    struct client list[CLIENT_PLACES];
    uint32_t n;
};

void clients_enter(struct clients *c, int fd, const struct sockaddr *from,
                   usec now);
/* A request was answered. */
void clients_served(struct clients *c, int fd, usec now);
/* Before the descriptor is closed. */
void clients_leave(struct clients *c, int fd);
/* Shuts down connections that take too long. When to look again; 0: nobody is there. */
usec clients_expire(struct clients *c, usec now);
