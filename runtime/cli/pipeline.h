#pragma once
/* Loading a pipeline for the verbs, and the SQL that it wants. */
#include "base/buf.h"
#include "base/err.h"
#include "cli/verb.h"
#include "model/plan.h"

struct bundle;
struct vm;

/*
 * The bundle of the pipeline at [path] (NULL: the verb was not told), which the
 * caller closes. False: the reason is on stderr, and *status is the exit status
 * (EX_USAGE, EX_NOINPUT, EX_CONFIG, EX_TEMPFAIL).
 */
bool pipeline_read(const struct verb *v, const char *path, struct bundle *b,
                   int *status) MUSTCHECK;
/* The plan of the bundle read from [path], and the VM that loaded it, which the
 * caller frees both. NULL likewise, and there is no VM. */
const struct plan *pipeline_with_vm(const struct bundle *b, const char *path,
                                    struct vm **vm, int *status);
/* The same where the VM is not wanted. */
const struct plan *pipeline_plan(const struct bundle *b, const char *path,
                                 int *status);
/* Both, for who wants the plan alone. */
const struct plan *pipeline_load(const struct verb *v, const char *path,
                                 int *status);
/* A file is there, or a folder with a pipeline.lua. */
bool pipeline_is_there(const char *path);
/* The exit status of a verb that ends with [e]. */
int verb_status(const struct err *e);
/* Tidemill's own schema and the table of each projection; then the rights of
 * [role], which runs it, and of [operator], who uses lane and dlq. Each may be
 * NULL. */
void pipeline_sql(const struct plan *p, const char *role, const char *operator,
                  struct buf * out);
