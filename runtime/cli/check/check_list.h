#pragma once
/*
 * What `check --json` found, as one document: {pipeline, path, generation,
 * status, ok, findings}. What else the verb would say for people is taken in
 * meanwhile, and is told where it is all that is known (check_list_said).
 */
#include <stdbool.h>

#include "base/buf.h"

/* Texts that are NULL are null; line 0 too. */
struct check_item {
    const char *code;     /* where it comes from: see runtime/cli/README.md */
    const char *severity; /* "problem", "warning", "unknown" */
    const char *file;
    int line;
    const char *place; /* a topic, TOPIC/PARTITION/OFFSET, or a table */
    const char *what;
    const char *cure;
};

struct check_list {
    bool is_json;     /* else nothing is kept, and the verb speaks */
    struct buf items; /* owned; JSON */
    struct buf said;  /* owned; for people */
    char name[128];   /* of the pipeline; "": it was not loaded */
    char hash[65];    /* its generation */
};

void check_list_open(struct check_list *l);
void check_list_add(struct check_list *l, const struct check_item *i);
/* What was said since this was last called, a finding for each line that names a
 * file, or one for all. */
void check_list_said(struct check_list *l, const char *code,
                     const char *severity);
/* Prints the document of a check that ends with [status]. */
void check_list_print(struct check_list *l, const char *path, int status);
