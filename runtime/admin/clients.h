#pragma once
/*
 * Who is connected to a port, so that slow clients cannot keep others out: a
 * connection has so many seconds for each request, however slowly it drips,
 * and when all places are taken the address with the most connections gives
 * up its oldest. Knows sockets alone; whoever serves them sees an end of file
 * where one is to go.
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
/* Shuts down whoever takes too long. When to look again; 0: nobody is there. */
usec clients_expire(struct clients *c, usec now);
