#pragma once
/*
 * The topics of the plan, as Kafka shows them and as tidemill.lane knows them.
 */
#include "flow/worker/worker.h"
#include "postgres/wire/conn.h"

struct halts;
struct waits;

struct topic_state {
    int32_t
        n_partitions; /* 0: there is no such topic; -1: Kafka did not tell */
    bool is_known;    /* tidemill.lane has lanes of it */
};

struct topics {
    struct worker *worker; /* borrowed, as the next two */
    struct halts *halts;
    struct waits *waits;
    struct topic_state *of; /* owned; as plan_source.topics */
    uint32_t n;
    bool has_gone;     /* lanes whose partition is gone */
    bool is_listed;    /* topics_known has run */
    uint32_t n_unread; /* partitions that no claim has made a lane of */
    usec unread_at;    /* since when; or when the group was joined again */
    uint32_t rejoins;  /* because of them */
};

void topics_open(struct topics *ts, struct worker *w, struct halts *h,
                 struct waits *waits);
void topics_close(struct topics *ts);
/* Asks Kafka how many partitions each topic has; until it knows all of them
 * once, people are told what is missing. */
void topics_look(struct topics *ts);
/* Lists every partition of every topic in the page, once they are known;
 * --until-end needs to know them all. */
void topics_show_all(struct topics *ts);
/* They are no more: whichever worker saw it. */
void topics_tick(struct topics *ts);
/* Its place in the plan; -1: it is none of ours. */
int64_t topics_index_of(const struct topics *ts, const char *topic);
/* Kafka has no such partition (any more): as topics_look saw it. */
bool topics_is_gone(const struct topic_state *t, int32_t partition);
/* Partitions of the lane's topic, as far as any worker knows. */
uint32_t topics_count(const struct topics *ts, const struct lane *lane);
/* There is something to be seen in position_list, time and again: lanes whose
 * partition is gone, or partitions without a lane. */
bool topics_wants_list(struct topics *ts);
/* Reads the reply of position_list: which topics are known; and shows lanes
 * whose partition is gone as halted. Nobody reads them: see LANE_GONE.
 * Joins the group again for partitions that nobody was given. */
void topics_known(struct topics *ts, const struct pg_result *lanes);
