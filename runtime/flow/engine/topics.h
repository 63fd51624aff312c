#pragma once
/*
 * The topics of the plan, as Kafka shows them and as tidemill.lane knows them.
 */
#include <stdbool.h>
#include <stdint.h>

#include "postgres/wire/conn.h"

struct engine;
struct lane;

struct topic_state {
    int32_t
        n_partitions; /* 0: there is no such topic; -1: Kafka did not tell */
    bool is_known;    /* tidemill.lane has lanes of it */
};

/* Asks Kafka how many partitions each topic has; until it knows all of them
 * once, people are told what is missing. */
void topics_look(struct engine *g);
/* Lists every partition of every topic in the page, once they are known;
 * --until-end needs to know them all. */
void topics_show_all(struct engine *g);
/* They are no more: whichever worker saw it. */
void topics_tick(struct engine *g);
/* Kafka has no such partition (any more): as topics_look saw it. */
bool topics_is_gone(const struct topic_state *t, int32_t partition);
/* Partitions of the lane's topic, as far as any worker knows. */
uint32_t topics_count(const struct engine *g, const struct lane *lane);
/* There is something to be seen in position_list, time and again: lanes whose
 * partition is gone, or partitions without a lane. */
bool topics_wants_list(struct engine *g);
/* Reads the reply of position_list: which topics are known; and shows lanes
 * whose partition is gone as halted. Nobody reads them: see LANE_GONE.
 * Joins the group again for partitions that nobody was given. */
void topics_known(struct engine *g, const struct pg_result *lanes);
