#pragma once
/*
 * How librdkafka is set up. Three kinds of properties: those that exactly-once
 * rests on or that a field of the pipeline sets (a user's value is refused,
 * naming that field), defaults that the user may replace, and the rest, which
 * is handed through. Values may be secrets: no message repeats one.
 */
#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "model/plan.h"

/* For the consumer; NULL with e (ERR_CONFIG). [instance]: group.instance.id,
 * or NULL. A plan without a group is for looking without one (peek.h). */
rd_kafka_conf_t *settings_consumer(const struct plan_source *plan,
                                   const char *instance,
                                   struct err *e) MUSTCHECK;
/* What the inboxes of a worker may hold: with librdkafka's own queue what is
 * applied while a full queue waits. [version]: rd_kafka_version(). */
uint64_t settings_inbox_bytes(int version);
/* False: librdkafka does not know the property or refuses the value. */
bool settings_put(rd_kafka_conf_t *conf, const char *name, const char *value,
                  struct err *e) MUSTCHECK;
/* librdkafka's own words go to base/log, from the thread that polls; also to
 * be called with the new handle, which has the queue for it. */
void settings_on_log(const rd_kafka_t *rk, int level, const char *facility,
                     const char *text);
bool settings_log(rd_kafka_conf_t *conf, struct err *e) MUSTCHECK;
void settings_log_from(rd_kafka_t *rk);
