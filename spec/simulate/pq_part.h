#pragma once
/*
 * The inside of pq.h: answers (pq_answers.c), server processes (pq_server.c) and
 * connections (pq_client.c), with the messages that go from these to those.
 */
#include <libpq-fe.h>

#include "pq.h"

enum message_kind { MESSAGE_RUN, MESSAGE_PREPARE, MESSAGE_SYNC };

struct message {
    struct message *next;
    enum message_kind kind;
    char name[16]; /* of a prepared statement; "" : none */
    bool is_forget;
    struct call call;
    char *bytes; /* owned: the parameters */
};

struct prepared_there {
    char name[16];
    const struct statement *s;
};

/* A server process. It outlives its client's end for a while. */
struct session {
    struct session *next;
    uint32_t number;
    struct pg_conn *client; /* NULL: it is gone */
    struct event work;      /* the next message */
    struct event lock;      /* a wait for a lock that takes too long */
    struct event back;      /* answers come to the client */
    struct event end; /* of one that does not know that its client is gone */
    struct message *first, **last;
    bool skips; /* a statement failed: nothing up to the Sync is run */
    struct tx *tx;
    struct tx *waits_for;
    struct pg_result **answers; /* owned; of this Sync, and in between NULL */
    uint32_t n_answers, cap_answers;
    struct prepared_there *prepared; /* owned */
    uint32_t n_prepared;
    bool is_ending; /* its client is gone: it ends when it has read all */
    bool is_people;
};

struct pg_conn {
    struct proc *proc;
    struct session *session;
    struct event dialed;
    int fd;
    ConnStatusType status;
    bool is_eof;
    bool is_refused;
    struct pg_result **answers; /* owned; come in, from [at] */
    uint32_t n_answers, at;
    PGTransactionStatusType transaction, transaction_there;
    struct message *out, **last_out; /* not yet flushed */
    char text[200];
};

/* -- pq_answers.c -- */

struct pg_result *answer_status(int status, const char *tag);
/* Those from [at] on; the ones before are their reader's. */
void answers_free(struct pg_result **answers, uint32_t at, uint32_t n);

/* -- pq_server.c -- */

void messages_free(struct message *m);
struct session *session_new(struct pg_conn *client);
/* It goes on with its messages, unless it waits. */
void session_work_soon(struct session *s);
/* Its client is gone. What was sent may still be read, all of it or a part. */
void session_let_go(struct session *s, bool reads_on);
