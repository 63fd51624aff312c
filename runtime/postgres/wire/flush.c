/* See flush.h. */
#include "postgres/wire/flush.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "postgres/wire/dial.h"

/* One read takes some kilobytes of small rows, or some megabytes of large ones; a
 * short answer is one. */
enum { READS_A_LOOK = 16, FIRST_LOOK = 2 };
static const uint64_t KEEP_BYTES = 32 << 20;

void flush_init(struct flush *f)
{
    *f = (struct flush){.commit = -1, .failed = -1};
}

void flush_close(struct flush *f)
{
    for (int i = 0; i < f->n_results; i++) {
        PQclear(f->results[i]);
    }
    free(f->results);
    free(f->steps);
}

int flush_add(struct flush *f)
{
    if (f->n_results == f->cap_results) {
        f->cap_results = f->cap_results ? 2 * f->cap_results : 16;
        f->results =
            mem_grow(f->results, (size_t)f->cap_results * sizeof(PGresult *));
    }
    f->results[f->n_results] = NULL;
    return f->n_results++;
}

void flush_expect(struct flush *f, int statement, enum flush_does does,
                  uint32_t number)
{
    if (f->n_steps == f->cap_steps) {
        f->cap_steps = f->cap_steps ? 2 * f->cap_steps : 16;
        f->steps = mem_grow(f->steps, (size_t)f->cap_steps * sizeof(*f->steps));
    }
    f->steps[f->n_steps++] =
        (struct flush_step){statement, does, number, false};
    f->is_commit_sent |= statement == f->commit;
}

/* The server's, or our own. */
static bool is_no_memory(const struct err *e)
{
    return e->class == ERR_RESOURCE &&
           (!e->sqlstate[0] || strcmp(e->sqlstate, "53200") == 0);
}

static void note_failure(struct flush *f, int statement, const PGresult *r)
{
    if (f->has_failed) {
        return;
    }
    f->has_failed = true;
    f->failed = statement;
    dial_result(r, &f->error);
    f->is_fatal = dial_is_fatal(r);
    f->is_too_large = is_no_memory(&f->error);
    /* A read-only server stays one: the next connection may find another.
     * Without a SQLSTATE it was libpq that failed. */
    f->is_last = dial_is_stale(r) || f->error.class == ERR_SERVER ||
                 !f->error.sqlstate[0];
}

static void note_commit(struct flush *f, PGresult *r)
{
    if (strcmp(PQcmdStatus(r), "ROLLBACK") != 0) {
        return;
    }
    f->is_rolled_back = true;
    f->has_failed = true;
    f->failed = f->commit;
    err_set(&f->error, ERR_CONFLICT,
            "COMMIT answered ROLLBACK: the transaction had failed before");
}

static bool is_success(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
           status == PGRES_EMPTY_QUERY;
}

static bool is_loss(const PGconn *pg, const PGresult *r)
{
    return PQstatus(pg) == CONNECTION_BAD &&
           PQresultStatus(r) == PGRES_FATAL_ERROR &&
           !PQresultErrorField(r, PG_DIAG_SQLSTATE);
}

bool flush_take(struct flush *f, const PGconn *pg, PGresult *r)
{
    if (is_loss(pg, r)) {
        PQclear(r);
        return false;
    }
    if (f->n_done >= f->n_steps) {
        dial_result(r, &f->error);
        f->is_fatal = true;
        PQclear(r);
        return false;
    }
    struct flush_step *s = &f->steps[f->n_done];
    s->is_ok = is_success(r);
    if (s->is_ok && s->does == FLUSH_RUNS && s->statement == f->commit) {
        note_commit(f, r);
    } else if (!s->is_ok && PQresultStatus(r) != PGRES_PIPELINE_ABORTED) {
        note_failure(f, s->statement, r);
    }
    if (s->does == FLUSH_RUNS && !f->results[s->statement]) {
        f->results[s->statement] = r;
    } else {
        PQclear(r);
    }
    return true;
}

bool flush_next(struct flush *f)
{
    return f->n_done++ < f->n_steps;
}

/* libpq's buffer is as large as the largest transaction was, and stays so. */
bool flush_is_end(const struct flush *f)
{
    return f->is_last || (f->commit >= 0 && f->n_bytes > KEEP_BYTES);
}

/* libpq does not tell how much it holds of an answer that is not whole yet. */
bool flush_is_over(struct flush *f, struct err *e)
{
    uint64_t now;

    if (f->most == 0 || ++f->n_reads % READS_A_LOOK != FIRST_LOOK) {
        return false;
    }
    now = mem_resident();
    f->at_first = f->n_reads == FIRST_LOOK ? now : f->at_first;
    if (now <= f->at_first + f->most) {
        return false;
    }
    f->is_over = true;
    err_set(e, ERR_RESOURCE,
            "the rows that the database answers with take more than %llu MB of "
            "memory",
            (unsigned long long)(f->most >> 20));
    return true;
}

void flush_lost(struct flush *f, const struct err *why)
{
    f->is_too_large = is_no_memory(why);
    f->has_failed = true;
    f->failed = -1;
    f->error = *why;
}

void flush_reply(const struct flush *f, struct pgreply *out)
{
    *out = (struct pgreply){
        .ok = !f->has_failed,
        .n_results = f->n_results,
        .results = f->results,
        .failed = f->failed,
        .commit_sent = f->is_commit_sent,
        .commit_rolled_back = f->is_rolled_back,
        .is_too_large = f->is_too_large,
        .is_over = f->is_over,
        .error = f->error,
    };
}
