#pragma once
/* tidemill.dead_letter. A letter's key and value are those of its record. */
#include "sql.h"

struct pg_result *aside_put(struct tx *t, const struct call *c);
struct pg_result *aside_end(struct tx *t, const struct call *c);
struct pg_result *aside_rest(struct tx *t, const struct call *c);
struct pg_result *aside_keys(const struct tx *t, const struct call *c);
struct pg_result *aside_wanted(const struct tx *t);
struct pg_result *aside_ask(struct tx *t, const struct call *c);

/* The rows of a lane that are or were letters, in offset order. */
struct row **aside_of(uint32_t partition, uint32_t *n);
void aside_close(void);
