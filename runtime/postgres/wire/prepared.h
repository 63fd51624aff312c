#pragma once
/*
 * The statements that one connection has prepared. What tells one from another
 * is its text and the types of its parameters, found by a hash: whoever says the
 * same uses the same, and two generations of a pipeline cannot take each other's.
 *
 * A name counts as prepared only once the server has said so: after a failed or
 * skipped PREPARE it is sent again with its next use; and it is gone only once
 * the server has said that, so that nothing stays there of which nobody knows.
 *
 * A prepared statement is some 40 times its text in the server, so of those
 * whose number is the data's affair (is_varied) only so many bytes of text
 * have names; the one that was used longest ago gives way. One gets a name
 * with its second use: of texts that never come again none is kept. Of the
 * others those leave that were not used between two sweeps (pgpool_sweep).
 */
#include <libpq-fe.h>

#include "base/err.h"
#include "postgres/wire/flush.h"
#include "postgres/wire/params.h"

enum { PREPARED_VARIED_BYTES = 512 * 1024, PREPARED_SEEN = 1024 };

struct prepared_name; /* prepared.c */

struct prepared {
    uint64_t *hashes;            /* owned: of each text, to find it by */
    struct prepared_name *names; /* owned: the same entries */
    uint32_t n_names;
    uint32_t cap_names;
    uint32_t last_number;         /* the server knows them as s<number> */
    uint64_t now;                 /* counts uses */
    uint64_t swept_at;            /* that count at the last sweep */
    uint32_t n_sweeps;            /* pgtarget's then */
    size_t varied_bytes;          /* of text, of varied ones */
    uint16_t seen[PREPARED_SEEN]; /* bits of hashes of varied ones that were
                                     used without a name */
    struct params params;         /* of the statement that is queued next */
};

/* What is to be run. */
struct prepared_use {
    const char *sql;
    struct params *params;
    uint32_t series;   /* see pgconn_add_series */
    uint32_t n_sweeps; /* pgtarget's */
};

void prepared_init(struct prepared *p);
void prepared_close(struct prepared *p);
/* Sends the statement that was added to [f] last, prepared first when it must be,
 * and says so there. An older one of its series is given back: a session that
 * lasts for months would keep each. False: libpq refused, the connection is
 * broken. */
bool prepared_send(struct prepared *p, PGconn *pg, const struct prepared_use *u,
                   struct flush *f) MUSTCHECK;
/* Learns from the answers of a flush. */
void prepared_learn(struct prepared *p, const struct flush *f);
