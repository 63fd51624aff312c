#pragma once
/*
 * What a claim found: each lane's position is held against what Kafka has, and
 * the lane is read or halts. What Kafka does not tell of a lane leaves out that
 * lane alone.
 */
struct engine;

/* All lanes of the claim have their positions and are ours: ends the claim. */
void found_judge(struct engine *g);
