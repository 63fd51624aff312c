#pragma once
/*
 * The address of the admin port and its listening socket, bound before the
 * first fork so that a busy port is found before any work starts.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct listen_address {
    char host[256]; /* without the brackets of an IPv6 address */
    char port[8];
};

/* "HOST:PORT", "[::1]:9465" or ":9465" (loopback). Port 0: any that is
 * free; listen_open() says which. */
bool listen_parse(const char *text, struct listen_address *out,
                  struct err *e) MUSTCHECK;
/*
 * A listening socket in *fd, tried again for [retry_ms] while the port is
 * busy. Unless [may_be_public], an address beyond loopback is refused.
 */
bool listen_open(struct listen_address *a, bool may_be_public, int64_t retry_ms,
                 int *fd, struct err *e) MUSTCHECK;
