#pragma once
/*
 * What the run of a pipeline on an admin port says of its waits: the database
 * knows halts, but not what a worker waits for.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum admin_client_answer {
    ADMIN_CLIENT_NONE,   /* nobody answers there, or another pipeline */
    ADMIN_CLIENT_LOCKED, /* it wants a token */
    ADMIN_CLIENT_SAYS    /* [out] has its lines; none: all is well */
};

/* [admin]: HOST:PORT. Takes a second at most. */
enum admin_client_answer
admin_client_ask(const char *admin, const char *pipeline, struct buf *out);
