#pragma once
/*
 * Dead letters as people see and change them. The letters of one key of one
 * lane are a chain: those that failed, and those held behind them. A retry
 * takes whole chains, since a record must not be applied before an earlier one
 * of its key. No change leaves a held letter without a failed one before it or
 * a retry that was asked for: nobody would ever come back to it.
 */
#include <stdint.h>

#include "base/err.h"
#include "postgres/operator/operator_connection.h"

/* NULL and -1: any. */
struct letter_filter {
    const char *topic;
    int64_t partition;
    int64_t offset;
    const char *key; /* as text */
    const char *class;
    const char *sqlstate;
    const char *state;
    int64_t since_usec; /* first seen at or after, since 1970 */
    int64_t limit;      /* the first so many by topic, partition, offset */
};

struct letter_bytes {
    const char *p; /* NULL: SQL NULL */
    int len;
};

/* One letter; everything is borrowed for the length of the call. */
struct letter_row {
    const char *topic;
    int64_t partition, offset;
    const char *state;
    struct letter_bytes key, value;
    const char *headers; /* JSON; may be NULL */
    int64_t record_ms;   /* -1: unknown */
    const char *class;
    const char *sqlstate; /* may be NULL */
    const char *message;
    const char *cause;  /* of a held one: the message of the first of its key
                           that failed; else NULL */
    const char *script; /* may be NULL */
    const char *generation;
    int64_t attempts;
    const char *first_seen, *last_seen; /* 2026-11-24T06:04:22.123456Z */
    const char *retry_at;               /* NULL: nobody asked for a retry */
};
typedef void (*letter_fn)(const struct letter_row *l, void *arg);

/* [values]: with value and headers, which else are NULL. */
bool letters_each(struct operator_connection *c, const struct letter_filter *f,
                  bool values, letter_fn fn, void *arg,
                  struct err *e) MUSTCHECK;

/* The others of the key of the one letter that [f] names by its place. */
bool letters_beside(struct operator_connection *c,
                    const struct letter_filter *f, letter_fn fn, void *arg,
                    struct err *e) MUSTCHECK;

/* How many there are of each class, the limit left aside. */
struct letter_count {
    const char *class;
    int64_t n_failed, n_held;
};
typedef void (*letter_count_fn)(const struct letter_count *n, void *arg);
bool letters_count(struct operator_connection *c, const struct letter_filter *f,
                   letter_count_fn fn, void *arg, struct err *e) MUSTCHECK;

enum letter_scope {
    LETTERS_PICKED, /* those that the filter picks */
    LETTERS_CHAINS, /* and all others of their keys */
    LETTERS_HEADS   /* the failed ones of those that it picks */
};

/* What a change would do, as it looks now. */
struct letter_look {
    int64_t n_failed, n_held; /* that it would take */
    int64_t n_lanes;
    int64_t n_rest;    /* others of their keys, that stay */
    int64_t n_orphans; /* held ones among these that nothing would release */
    char halted[512];  /* lanes of them that are halted: "a/0, a/1" */
    char print[33];    /* fingerprint of the chains */
};

bool letters_look(struct operator_connection *c, const struct letter_filter *f,
                  enum letter_scope scope, struct letter_look *out,
                  struct err *e) MUSTCHECK;
/*
 * Deletes what [shown] counted, raises the epoch of the lanes, so that their
 * owners load the held keys anew, and asks for a retry of the rest when only
 * heads go. A row of tidemill.audit a lane. ERR_CONFLICT: the chains are not
 * any more what was shown.
 */
bool letters_discard(struct operator_connection *c,
                     const struct letter_filter *f, enum letter_scope scope,
                     const struct letter_look *shown, const char *reason,
                     struct err *e) MUSTCHECK;

/* A retry that was asked for, and what has become of it. */
struct letter_retry {
    int64_t n_failed, n_held;
    int64_t n_waiting, n_again; /* letters_retried: not yet tried; tried in
                                   vain */
    char asked_at[48];
};
/* Asks for the chains of what the filter picks. */
bool letters_retry(struct operator_connection *c, const struct letter_filter *f,
                   const char *reason, struct letter_retry *out,
                   struct err *e) MUSTCHECK;
bool letters_retried(struct operator_connection *c, struct letter_retry *retry,
                     struct err *e) MUSTCHECK;
