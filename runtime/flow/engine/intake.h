#pragma once
/*
 * What comes of the consumer: lanes that the group gives and takes, news, and
 * records for lanes; and what it is told in return.
 */
struct engine;

/* Moves a bounded number of records into inboxes, and lanes into the states that
 * follow; called every turn. */
void intake_turn(struct engine *g);
/* Tells Kafka the positions of the lanes, for lag tools: about once a second. */
void intake_tell(struct engine *g);
