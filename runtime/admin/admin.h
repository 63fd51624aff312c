#pragma once
/*
 * The admin port: /livez, /readyz, /metrics and /status over HTTP. It has no
 * thread: libmicrohttpd's epoll descriptor is one watcher of the supervisor's
 * loop, so an answer proves that the loop turns. With a token, all but
 * /livez and the status of /readyz need "Authorization: Bearer TOKEN".
 */
#include "admin/view.h"
#include "base/err.h"
#include "base/loop.h"

struct admin;

/* [fd] is a listening socket, owned by the admin port from now on, also on
 * failure. [view] and [token] (NULL: none) are borrowed. NULL with e. */
struct admin *admin_new(struct loop *l, int fd, const struct admin_view *view,
                        const char *token, struct err *e) MUSTCHECK;
void admin_free(struct admin *a);
