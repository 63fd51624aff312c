/* See dry.h. */
#include "flow/dry/dry.h"

#include <stdlib.h>
#include <string.h>

#include "flow/batch/failures.h"
#include "flow/batch/stages.h"
#include "flow/table/reader.h"
#include "flow/table/table_locks.h"
#include "flow/table/writer.h"
#include "model/deadlines.h"
#include "postgres/store/catalog.h"
#include "postgres/store/catalog_ask.h"

static const uint64_t HELD_BYTES = 1 << 30;

/* One dry_run(). */
struct course {
    struct dry *dry;
    struct loop *loop;
    struct pgconn *conn;
    struct writer writer;
    int n_begun; /* statements before those that load */
    bool ok;
    struct err error;
};

void dry_open(struct dry *d, struct generation *g, uint32_t n_lanes)
{
    const struct plan *p = g->plan;

    d->generation = g;
    d->held.most = HELD_BYTES;
    d->lanes = mem_zero(n_lanes + 1, sizeof(*d->lanes));
    d->n_lanes = n_lanes;
    for (uint32_t i = 0; i < n_lanes; i++) {
        guard_init(&d->lanes[i].guard, p->dead_letters.max_failed);
        held_keys_init(&d->lanes[i].keys, &d->held);
    }
    batch_init(&d->batch);
    batch_bind(&d->batch, g);
    batch_clear(&d->batch);
}

void dry_close(struct dry *d)
{
    batch_close(&d->batch);
    for (uint32_t i = 0; i < d->n_lanes; i++) {
        guard_close(&d->lanes[i].guard);
        held_keys_close(&d->lanes[i].keys);
    }
    free(d->lanes);
    buf_close(&d->problems);
    generation_drop(d->generation);
}

void dry_hold(struct dry *d, uint32_t lane, const char *key, uint32_t len,
              uint32_t n, int64_t first)
{
    held_keys_add(&d->lanes[lane].keys, key, len, n, first);
}

/* ---- records ---- */

static void make_leases(struct dry *d, struct record *records, uint32_t n)
{
    struct batch_input *in = &d->batch.input;

    in->leases = arena_zero(&d->batch.memory.arena,
                            (d->n_lanes + 1) * sizeof(*in->leases));
    for (uint32_t i = 0; i < n; i++) {
        struct lease *last = &in->leases[in->n_leases];
        struct lane *lane = &d->lanes[records[i].lane];

        in->bytes += records[i].key_len + records[i].value_len;
        if (in->n_leases > 0 && last[-1].lane == lane) {
            last[-1].n++;
        } else {
            lane->topic = records[i].topic;
            lane->partition = records[i].partition;
            *last = (struct lease){
                .lane = lane, .first = i, .n = 1, .start = records[i].offset};
            in->n_leases++;
        }
        records[i].lane = in->n_leases - 1;
    }
}

static bool over(struct err *e)
{
    return err_set(e, ERR_SCRIPT,
                   "the scripts make too much of these records, or take too "
                   "long: say fewer with --records");
}

static bool take_records(struct dry *d, struct record *records, uint32_t n,
                         struct err *e)
{
    struct batch *b = &d->batch;

    make_leases(d, records, n);
    b->input.records = records;
    b->input.header = source_header;
    b->memory.most_bytes = d->generation->plan->limits.bytes;
    batch_prepare(b, n);
    batch_decode(b, n);
    batch_keys(b);
    return !batch_is_over(b) || over(e);
}

/* ---- the transaction ---- */

static void on_opened(struct pgconn *c, const struct pgreply *reply, void *arg);

static void end(struct course *k, bool ok, const struct err *e)
{
    k->ok = ok;
    if (!ok) {
        k->error = *e;
    }
    loop_stop(k->loop);
}

static usec deadline(const struct course *k)
{
    return k->dry->generation->plan->database.timeouts.statement_ms * 1000ULL +
           PG_ANSWER_USEC;
}

static bool is_loaded(const struct rows *r)
{
    return program_loads(r->program) && r->view.n_rows > r->first_row;
}

/* Whoever holds a lock on a row goes first: this is only a look. */
static void begin(struct course *k)
{
    struct batch *b = &k->dry->batch;

    pgconn_add_sql(k->conn, "BEGIN");
    k->n_begun = 1 + (int)table_locks_add(b->rows, b->n_rows, k->conn);
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (is_loaded(&b->rows[i])) {
            reader_load(&b->rows[i], k->conn, false);
        }
    }
    pgconn_flush(k->conn, deadline(k), on_opened, k);
}

static void on_written(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    struct course *k = arg;
    struct batch *b = &k->dry->batch;

    (void)c;
    if (reply->ok) {
        writer_written(b->rows, b->n_rows, reply); /* for each table */
    }
    end(k, reply->ok, &reply->error);
}

static void write_rows(struct course *k)
{
    struct batch *b = &k->dry->batch;

    writer_begin(&k->writer);
    writer_write(&k->writer, b->rows, b->n_rows, k->conn);
    /* What would be checked at COMMIT. */
    pgconn_add_sql(k->conn, "SET CONSTRAINTS ALL IMMEDIATE");
    pgconn_add_sql(k->conn, "ROLLBACK");
    pgconn_flush(k->conn, deadline(k), on_written, k);
}

/* With all rows that a batch function asked for. */
static void on_rolled_back(struct pgconn *c, const struct pgreply *reply,
                           void *arg)
{
    struct course *k = arg;

    (void)c;
    if (!reply->ok) {
        end(k, false, &reply->error);
        return;
    }
    batch_again(&k->dry->batch);
    begin(k);
}

static bool read_loads(struct batch *b, const struct pgreply *reply, int at,
                       struct err *e)
{

    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (is_loaded(&b->rows[i]) &&
            !reader_loaded(&b->rows[i], reply->results[at++], e)) {
            return false;
        }
    }
    return true;
}

static void on_opened(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    struct course *k = arg;
    struct batch *b = &k->dry->batch;
    struct err e;

    if (!reply->ok) {
        end(k, false, &reply->error);
        return;
    }
    if (!read_loads(b, reply, k->n_begun, &e) || !batch_fold(b, &e)) {
        if (batch_is_over(b)) {
            over(&e);
        }
        end(k, false, &e);
        return;
    }
    if (b->scripts.is_short && ++b->scripts.n_shorts <= BATCH_SHORTS) {
        pgconn_add_sql(c, "ROLLBACK");
        pgconn_flush(c, deadline(k), on_rolled_back, k);
        return;
    }
    if (b->scripts.is_short) {
        err_set(&e, ERR_SCRIPT,
                "a batch function asks for more rows each time, by what it "
                "reads in those that it asked for before");
        end(k, false, &e);
        return;
    }
    batch_set_ends(b);
    write_rows(k);
}

static void on_compared(struct pgconn *c, const struct pgreply *reply,
                        void *arg)
{
    struct course *k = arg;
    struct dry *d = k->dry;

    (void)c;
    if (!reply->ok) {
        end(k, false, &reply->error);
        return;
    }
    d->n_problems = catalog_compare(reply, d->generation->plan,
                                    &d->generation->tables.facts,
                                    CATALOG_PRIMARY, &d->problems);
    if (d->n_problems > 0) {
        end(k, false, &(struct err){.class = ERR_SCHEMA});
    } else {
        begin(k);
    }
}

static void on_state(struct pgconn *c, void *arg)
{
    struct course *k = arg;

    if (pgconn_state(c) == PGCONN_IDLE) {
        catalog_ask(c, k->dry->generation->plan);
        pgconn_flush(c, PG_ANSWER_USEC, on_compared, k);
    } else {
        end(k, false, pgconn_error(c));
    }
}

static bool try(struct dry *d, struct record *records, uint32_t n,
                struct err *e)
{
    const struct plan_database *db = &d->generation->plan->database;
    struct pgtarget target = {.conninfo = db->write,
                              .application_name = "tidemill dry run",
                              .timeouts = db->timeouts,
                              .must_write = true};
    struct course k = {.dry = d};

    if (!take_records(d, records, n, e)) {
        return false;
    }
    if (d->batch.n_table_sets > 0 && !batch_try(&d->batch)) {
        return over(e);
    }
    k.loop = loop_new();
    k.conn = pgconn_open(k.loop, &target, on_state, &k);
    loop_run(k.loop);
    pgconn_free(k.conn);
    loop_free(k.loop);
    *e = k.error;
    return k.ok;
}

/* The records know their lanes again, and the batch none of them. */
static void forget(struct dry *d, struct record *records, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct lane *lane = d->batch.input.leases[records[i].lane].lane;

        records[i].lane = (uint32_t)(lane - d->lanes);
    }
    batch_clear(&d->batch);
}

/* One transaction for each half: the first record with which it fails. */
static uint32_t find_refused(struct dry *d, struct record *records, uint32_t n,
                             struct err *e)
{
    uint32_t good = 0, bad = n;

    while (bad - good > 1) {
        uint32_t middle = good + (bad - good) / 2;
        struct err why;

        if (try(d, records, middle, &why)) {
            good = middle;
        } else {
            bad = middle;
            *e = why;
        }
        forget(d, records, middle);
    }
    return bad - 1;
}

bool dry_run(struct dry *d, struct record *records, uint32_t n, struct err *e)
{
    if (try(d, records, n, e)) {
        return true;
    }
    if (e->class == ERR_DATA && e->sqlstate[0]) {
        forget(d, records, n);
        d->refused = &records[find_refused(d, records, n, e)];
    }
    return false;
}
