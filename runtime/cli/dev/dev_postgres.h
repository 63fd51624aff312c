#pragma once
/*
 * A private PostgreSQL for `dev`: made by initdb in the scratch folder,
 * reachable through a unix socket there and nowhere else, gone at the end.
 * Its durability settings are the defaults, so the speed seen is honest.
 */
#include "cli/dev/dev_scratch.h"

struct dev_postgres {
    pid_t pid;      /* of the postmaster; 0: not running */
    char url[160];  /* what DATABASE_URL becomes */
    char psql[160]; /* a line that connects */
};

/* Makes the cluster and waits until it takes connections. */
bool dev_postgres_start(struct dev_postgres *p, const struct dev_scratch *s,
                        struct err *e) MUSTCHECK;
/* A fast shutdown; kills after 10 s. */
void dev_postgres_stop(struct dev_postgres *p);
