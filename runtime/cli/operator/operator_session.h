#pragma once
/* What the operator's verbs share: the pipeline and a session with its
 * database, a question before a change, errors as exit statuses. */
#include "base/err.h"
#include "cli/verb.h"
#include "postgres/operator/operator_connection.h"

struct operator_session {
    const struct plan *plan; /* owned */
    struct operator_connection connection;
    char who[128]; /* user@host */
};

/* Loads the pipeline at [path] (NULL is refused) and connects. Else the exit
 * status; why is on stderr. operator_close() in either case. */
int operator_open(struct operator_session *d, const struct verb *v,
                  const char *path) MUSTCHECK;
void operator_close(struct operator_session *d);
/* Says it; the exit status. */
int operator_fail(const struct verb *v, const struct err *e);
/* Asks for a "yes", unless --yes said so. False: EX_USAGE, and nothing may be
 * changed. */
bool operator_confirm(const struct verb *v, bool is_yes) MUSTCHECK;

/* The words of `tidemill lane` and of `tidemill dlq`. */
extern const struct verb lane_list;
extern const struct verb lane_resume;
extern const struct verb lane_seek;
extern const struct verb lane_skip;
extern const struct verb dlq_discard;
extern const struct verb dlq_export;
extern const struct verb dlq_list;
extern const struct verb dlq_retry;
extern const struct verb dlq_show;
