#pragma once
/*
 * The statements that one connection knows by name. A name counts as prepared
 * only once the server has said so: after a failed or skipped PREPARE it is
 * sent again with its next use.
 */
#include <libpq-fe.h>

#include "base/hash.h"
#include "postgres/conn.h"
#include "postgres/flush.h"

struct prepared {
    struct hash names;  /* the server knows them as s<number>_<version> */
    uint8_t *states;    /* owned: by number */
    uint32_t *versions; /* owned: by number */
    uint32_t cap_states;
    const char **values; /* owned: scratch for one statement's parameters */
    int *lengths;
    int *formats;
    int cap_params;
};

void prepared_init(struct prepared *p);
void prepared_close(struct prepared *p);
/* Sends the statement, prepared first when it must be, and says so in [f]. An
 * older version of it is given back: a session that lasts for months would
 * keep each.
 * False: libpq refused, the connection is broken. */
bool prepared_send(struct prepared *p, PGconn *pg, const struct pgstmt *s,
                   uint32_t version, const struct pgparam *params,
                   struct flush *f);
/* Learns from the answers of a flush. */
void prepared_learn(struct prepared *p, const struct flush *f);
