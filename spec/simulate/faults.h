#pragma once
/*
 * What goes wrong, by chance, and what people do about it. How much of each
 * differs from run to run: most runs have a few kinds, so that each kind is
 * also met alone.
 */
#include "pq.h"

struct faults {
    uint32_t bad;       /* records, in a thousand */
    uint32_t statement; /* statements that fail, in ten thousand */
    uint32_t refuse;    /* connections, in a thousand */
    uint32_t people;    /* how often they come, among a thousand things */
    /* -- what the world does, each so often among a thousand things */
    uint32_t lose, shake, freeze, kill, down, alter, revoke, expire, skip, edit;
};
extern struct faults faults;

void faults_open(void);
/* No more of all that. */
void faults_end(void);

/* The statement is to fail; NULL: not by chance. */
struct pg_result *faults_of_statement(const struct statement *s);
/* A row of the ledger that the table refuses, for each value from -1 down; NULL:
 * it does not. */
enum { FAULTS_VALUES = 7 };
struct pg_result *faults_of_value(int64_t v);
/* Somebody who connects is not let in. */
bool faults_refuse(void);
/* The definition of a table changes: the number of the one there is. */
void faults_alter(void);
uint32_t faults_shape(void);
/* The right to use a table is taken away for a while. */
void faults_revoke(void);
/* Kafka drops the oldest records, in one of ten times also such as are yet to be
 * applied. */
void faults_expire(void);

/* ---- people: what is locked they leave alone ---- */

/* The halts of all lanes end; one whose records expired goes on behind them. */
void people_resume(void);
/* A lane moves over its next records. */
void people_skip(void);
/* Somebody changes a row of the pipeline's tables. */
void people_edit(void);
/* A letter is to be tried again. One that no mending helps, now and then also
 * another that failed, is discarded, and those of its key are to be tried. */
void people_see_to_one(void);
/* The same of each that is not yet to be tried again, and now and then of one
 * that is, though no mending helps it. */
void people_see_to_all(void);
/* Of each lane one letter is discarded, with all others of its key. */
void people_discard_chains(void);
/* From now on the table takes what it refused. */
void people_mend(void);
bool people_have_mended(void);
