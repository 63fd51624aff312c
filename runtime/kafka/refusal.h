#pragma once
/*
 * Why brokers do not let us in, from librdkafka's words to what a person has to
 * change. The same code stands for many causes, so the words decide. Pure.
 */
#include "base/err.h"

/* NULL: it is not about security. [version]: rd_kafka_version(). Static. */
const char *refusal_cure(const char *reason, int version);
/* ERR_CONFIG: [what] cannot start for a [reason] that librdkafka gives. Always
 * returns false. */
bool refusal_set(struct err *e, const char *what, const char *reason);
