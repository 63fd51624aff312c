#pragma once
/*
 * Whose turn it is: of the hosts that a conninfo lists (host=a,b or
 * postgres://a,b/), and of the addresses that a name has. libpq tries them
 * one after the other by itself, but while it connects asynchronously it has
 * no deadline for any of them, so one that swallows packets would keep it
 * from the others for ever. So each attempt gets one address, and a deadline.
 *
 * pgtarget's host and address say where the next attempt goes. They stay with
 * the one that answered, and move on from one that failed. A name is resolved
 * anew for each attempt, and no other name is: that blocks.
 */
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "postgres/wire/target.h"

/* How many addresses [name] has; number [i] of them goes into [out] as text.
 * 0: it cannot be resolved. */
typedef uint32_t (*hosts_resolve_fn)(const char *name, uint32_t i, char *out,
                                     size_t size);

/* Words for libpq, in the arena; "": as the conninfo has it. */
struct host {
    const char *host;
    const char *hostaddr;
    const char *port;
};

/* False: it cannot be read, or is read otherwise than it was meant: what follows
 * an unencoded @ or / of a password is host, port or database to libpq. */
bool hosts_is_readable(const char *conninfo);
/* How many there are goes into [turns], for hosts_next(), also when the name
 * cannot be resolved (false). */
bool hosts_pick(const struct pgtarget *t, hosts_resolve_fn resolve,
                struct arena *a, struct pgturns *turns, struct host *out,
                struct err *e) MUSTCHECK;
/* The attempt failed. False: every host has had its turn. */
bool hosts_next(struct pgtarget *t, struct pgturns *turns);
/* The "options" of the conninfo or of PGOPTIONS, owned by the caller, or NULL.
 * False: a service file may have some, which is libpq's alone to read. */
bool hosts_options(const char *conninfo, char **out) MUSTCHECK;
/* By the system's resolver. */
uint32_t hosts_resolve(const char *name, uint32_t i, char *out, size_t size);
