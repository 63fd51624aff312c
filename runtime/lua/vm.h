#pragma once
/*
 * One LuaJIT VM: the scripts of Tidemill, a sandbox, and one loaded bundle.
 * Only the .c files of this folder touch a lua_State: vm.c, load.c for the
 * plan, host.c for what scripts/tidemill calls, test.c for specs.
 * A VM belongs to one decoder: it remembers node and type numbers.
 * From C there is one call a phase of a batch, never one an event.
 */
#include "base/err.h"
#include "model/api.h"
#include "model/failure.h"
#include "model/plan.h"

struct vm;

struct bundle;

/* Of a bundle, which is borrowed and outlives it: nothing of Lua is ever loaded
 * from anywhere else. NULL with e: its scripts do not fit this binary. */
struct vm *vm_new(const struct bundle *b, struct err *e) MUSTCHECK;
void vm_free(struct vm *v);
/*
 * Runs the pipeline of the bundle in the sandbox, with env() and file() as they
 * are now, checks it, and gives the plan, which the caller owns. On failure
 * e->class is ERR_CONFIG and e->text may hold several lines, each "file:line:
 * what: what to do".
 */
const struct plan *vm_load(struct vm *v, struct err *e) MUSTCHECK;
/* The whole message of the last vm_load, which failed with [e]; e->text is its
 * beginning. Borrowed until the next load. */
const char *vm_said(const struct vm *v, const struct err *e);
/* How long the Lua code of a bundle may compute while it is loaded; 10 s unless
 * set. A single call that takes longer by far ends the process, with words and
 * EX_CONFIG. */
void vm_limit_load(struct vm *v, uint32_t limit_ms);
/* Loading writes clock_usec() there as long as it makes progress. */
void vm_shows_life(struct vm *v, uint64_t *at);
/* Computes keys that are functions: calls tm_key for each event and group. */
bool vm_keys(struct vm *v, struct tm_batch *b, struct tm_rows *rows,
             struct err *e) MUSTCHECK;
/* Runs the handlers of one projection over its pairs. On failure
 * e->class is ERR_SCRIPT and b->current the event whose handler raised. */
bool vm_fold(struct vm *v, struct tm_batch *b, struct tm_rows *rows,
             struct err *e) MUSTCHECK;
/*
 * Asks the failure rule of the pipeline, if it [is_trusted]; always fills
 * [out]. False with e (ERR_SCRIPT): the rule is not trusted, raised, did not
 * end, or gave an answer that is not allowed; [out] is the stock rule's then.
 */
bool vm_decide(struct vm *v, const struct failure *f, bool is_trusted,
               struct decision *out, struct err *e) MUSTCHECK;
/* Did the last call take more memory than scripts may have? */
bool vm_ran_out(const struct vm *v);
uint64_t vm_bytes(const struct vm *v);
/* What scripts may take of it. */
uint64_t vm_most_bytes(void);
/* Steps the collector; called while the database works. */
void vm_collect(struct vm *v);

/* Runs busted specs of a bundle inside this VM; exit status. */
int vm_test(const char *path, int argc, char **argv) MUSTCHECK;
/* Runs the examples of its projections, which says what fails; exit status. */
int vm_examples(const struct bundle *b) MUSTCHECK;
