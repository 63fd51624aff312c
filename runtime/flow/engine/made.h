#pragma once
/*
 * Rows for lanes that have none, in the middle of a claim: what they are is
 * decided by beginning.h, all are made in one transaction, and the claim goes on
 * with them (claim_all). A row that the database refuses leaves out its lane.
 */
struct engine;

void made_begin(struct engine *g);
