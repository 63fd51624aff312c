#pragma once
/*
 * Why brokers do not let us in, from librdkafka's words to what a person has to
 * change. The same code stands for many causes, so the words decide. Pure.
 */
#include "base/err.h"
#include "model/plan.h"

/* NULL: it is not about security. [version]: rd_kafka_version(). Static. */
const char *refusal_hint(const char *reason, int version);
/* librdkafka 2.14 does not tell everything as an error: the part of a line of
 * its log that refusal_hint understands, or NULL. */
const char *refusal_in_log(const char *facility, const char *text);
/* ERR_CONFIG: [what] cannot start for a [reason] that librdkafka gives, which is
 * left out when it repeats the value of an option: that may be a secret. Always
 * returns false. */
bool refusal_set(struct err *e, const char *what, const char *reason,
                 const struct plan_option *options, uint32_t n);
