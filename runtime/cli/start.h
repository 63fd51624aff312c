#pragma once
/*
 * From options to a running supervisor: what `run` and `dev` share. The page,
 * the instance name and the admin port are made here, all before the first
 * fork.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "model/page.h"
#include "model/plan.h"

struct bundle;

struct start {
    const char *path;
    const struct bundle *bundle; /* borrowed */
    const struct plan *plan;     /* borrowed: what it says */
    uint32_t workers;
    const char *admin;         /* HOST:PORT, or "off" */
    const char *token_file;    /* NULL: no token */
    const char *instance;      /* NULL: host and admin port */
    bool until_end, is_strict; /* see supervisor.h */
    uint32_t seconds;          /* see supervisor.h */
    uint64_t *ready_usec;
    struct page *page;
    bool (*is_fine)(void *arg, struct err *e); /* see supervisor.h */
    void *arg;
};

/* Whether [admin] can be an address, or is "off". */
bool start_is_address(const char *admin, struct err *e) MUSTCHECK;
/* Runs until stopped; the exit status. */
int start_supervisor(const struct start *o) MUSTCHECK;
