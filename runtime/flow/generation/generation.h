#pragma once
/*
 * A generation: one loaded version of a bundle, and all that was made of it. A
 * batch binds one when it begins and keeps it through every retry, isolation,
 * letter and look-up (batch->generation): whatever runs scripts for a batch, or
 * reads the plan for it, asks there. What concerns the worker asks worker->now.
 *
 * The plan is what the bundle says and never changes. What is learned of its
 * tables stands beside it (tables), and nothing of Lua state goes from one
 * generation to the next.
 */
#include "decode/envelope/decoder.h"
#include "flow/rows/program.h"
#include "lua/vm.h"
#include "model/facts.h"
#include "postgres/store/shape.h"

struct bundle;

/* The tables as they were compared with the plan: see compared.h. */
struct compared {
    struct plan_facts facts; /* owned */
    struct shape shape;      /* owned */
    uint32_t era;            /* grows with each other shape */
    char *causes; /* owned: what may keep back, hide or move rows, for people;
                     NULL: nothing does */
    char *own;  /* owned: the same of tidemill.lane and tidemill.dead_letter */
    bool hides; /* row-level security applies to our role */
    bool is_known; /* false: to be compared before the next batch begins */
};

struct generation {
    uint32_t number; /* from 1, in the order in which this process made them */
    uint32_t n_holders;
    const struct bundle
        *bundle;              /* borrowed, as the VM does; NULL: of a trial */
    const struct plan *plan;  /* owned; of a trial borrowed */
    struct vm *vm;            /* owned; NULL: of a trial */
    struct decoder *decoder;  /* owned; made for this VM, as the programs */
    struct arena arena;       /* of the programs */
    struct program *programs; /* owned; [n_programs] */
    uint32_t n_programs;      /* one a projection */
    struct compared tables;
};

/* Of what the VM loaded of the bundle; takes over VM and plan, and is held once.
 * Without VM and bundle it is of a trial, whose scripts are run by who calls it.
 * [header]: how headers of records are read unless a batch says otherwise. */
struct generation *generation_new(const struct bundle *bundle, struct vm *v,
                                  const struct plan *p,
                                  record_header_fn header);
/* Makes its programs, once. False: the plan asks for something that cannot be
 * (ERR_CONFIG); there are none then, and it is to be dropped. */
bool generation_prepare(struct generation *g, struct err *e) MUSTCHECK;
/* Have they the same contract (plan_contract)? */
bool generation_is_like(const struct generation *a, const struct generation *b);
void generation_hold(struct generation *g);
/* The last one frees it, and all that is its. */
void generation_drop(struct generation *g);
