/* See clients.h. */
#include "admin/clients.h"

#include <string.h>
#include <sys/socket.h>

static const usec LIMIT = CLIENT_SECONDS * 1000000ULL;

static struct client *find(struct clients *c, int fd)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->list[i].fd == fd) {
            return &c->list[i];
        }
    }
    return NULL;
}

/* Addresses of IPv4 as those of IPv6 that stand for them. */
static struct in6_addr address_of(const struct sockaddr *from)
{
    struct in6_addr a = IN6ADDR_ANY_INIT;

    if (from && from->sa_family == AF_INET6) {
        a = ((const struct sockaddr_in6 *)from)->sin6_addr;
    } else if (from && from->sa_family == AF_INET) {
        a.s6_addr[10] = a.s6_addr[11] = 0xff;
        memcpy(&a.s6_addr[12], &((const struct sockaddr_in *)from)->sin_addr,
               4);
    }
    return a;
}

static uint32_t count_from(const struct clients *c, const struct in6_addr *a)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        n += memcmp(&c->list[i].from, a, sizeof(*a)) == 0;
    }
    return n;
}

static void remove_client(struct clients *c, struct client *gone)
{
    *gone = c->list[--c->n];
}

static void shut_down(struct clients *c, struct client *gone)
{
    shutdown(gone->fd, SHUT_RDWR);
    remove_client(c, gone);
}

/* The oldest of the address that has the most. */
static struct client *find_replaceable(struct clients *c)
{
    struct client *best = &c->list[0];
    uint32_t most = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        struct client *other = &c->list[i];
        uint32_t n = count_from(c, &other->from);

        if (n > most || (n == most && other->since < best->since)) {
            best = other;
            most = n;
        }
    }
    return best;
}

void clients_enter(struct clients *c, int fd, const struct sockaddr *from,
                   usec now)
{
    if (c->n == CLIENT_PLACES) {
        shut_down(c, find_replaceable(c));
    }
    c->list[c->n++] =
        (struct client){.fd = fd, .from = address_of(from), .since = now};
}

void clients_served(struct clients *c, int fd, usec now)
{
    struct client *known = find(c, fd);

    if (known) {
        known->since = now;
    }
}

void clients_leave(struct clients *c, int fd)
{
    struct client *known = find(c, fd);

    if (known) {
        remove_client(c, known);
    }
}

usec clients_expire(struct clients *c, usec now)
{
    usec next = 0;

    for (uint32_t i = c->n; i-- > 0;) {
        usec until = c->list[i].since + LIMIT;

        if (now >= until) {
            shut_down(c, &c->list[i]);
        } else if (next == 0 || until < next) {
            next = until;
        }
    }
    return next;
}
