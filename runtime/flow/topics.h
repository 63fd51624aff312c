#pragma once
/*
 * The topics of the plan, as Kafka shows them and as tidemill.lane knows them.
 */
#include <stdbool.h>
#include <stdint.h>

#include "postgres/conn.h"

struct engine;

struct topic_state {
    int32_t n_partitions; /* 0: Kafka did not tell, or has no such topic */
    bool is_known;        /* tidemill.lane has lanes of it */
};

/* Asks Kafka how many partitions each topic has; until it knows all of them
 * once, people are told what is missing. */
void topics_look(struct engine *g);
/* Reads the reply of position_list: which topics are known; and shows lanes
 * whose partition is gone as halted, since nobody will ever be assigned
 * them. */
void topics_known(struct engine *g, const struct pg_result *lanes);
