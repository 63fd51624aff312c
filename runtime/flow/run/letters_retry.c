/* See letters_retry.h. */
#include "flow/run/letters_retry.h"

#include "base/log.h"
#include "flow/generation/compared.h"
#include "flow/letters/letters.h"
#include "flow/rows/headers.h"
#include "flow/run/kind.h"
#include "model/deadlines.h"
#include "postgres/store/dead_letter.h"

/* One whose keys are known, also where it stands; but not where the same retry
 * would come to the same halt at once. */
static bool may_begin(const struct lane *l)
{
    return lane_is_ours(l) && l->state != LANE_LEASED && l->keys.are_known &&
           l->state != LANE_PAUSED && !l->letters.has_halted;
}

static struct lane *find_wanted(struct run *run)
{
    struct list_link *link = list_first(&run->worker->lanes.wanted);

    for (uint32_t n = run->worker->lanes.wanted.n; n > 0;
         n--, link = link->next) {
        struct lane *l = list_item(link, struct lane, letters.wanted);

        if (may_begin(l)) {
            return l;
        }
    }
    return NULL;
}

/* A batch of them is as large as any other. */
static struct dead_letter_most how_many(const struct run *run,
                                        const struct lane *lane)
{
    return (struct dead_letter_most){
        .n = lane->letters.retry_most ? lane->letters.retry_most
                                      : run->worker->now->plan->limits.size,
        .bytes = run->worker->now->plan->limits.bytes};
}

static const char *copied(struct batch *b, const struct pg_result *r, int row,
                          int column, uint32_t *len)
{
    int n = 0;
    const char *p = pg_value(r, row, column, &n);

    *len = (uint32_t)n;
    return p ? arena_dup(&b->memory.arena, p, (size_t)n) : NULL;
}

static void read_record(struct batch *b, const struct pg_result *r, int row)
{
    struct record *rec = &b->input.records[row];
    uint32_t len = 0;
    const char *json;

    *rec = (struct record){.offset = pg_int(r, row, 0),
                           .time_ms = pg_int(r, row, 4),
                           .topic = b->input.leases[0].lane->topic,
                           .partition = b->input.leases[0].lane->partition};
    rec->key = copied(b, r, row, 1, &rec->key_len);
    rec->value = copied(b, r, row, 2, &rec->value_len);
    json = copied(b, r, row, 3, &len);
    rec->message =
        headers_parse(json, len, b->generation->decoder, &b->memory.arena);
    b->input.bytes += rec->key_len + rec->value_len;
}

/* A batch of these records, which goes the way of every other. */
static void begin(struct batch *b, const struct pg_result *r)
{
    uint32_t n = (uint32_t)pg_rows(r);
    struct lease *l = &b->input.leases[0];

    b->input.records =
        arena_alloc(&b->memory.arena, (n + 1) * sizeof(*b->input.records));
    for (uint32_t i = 0; i < n; i++) {
        read_record(b, r, (int)i);
    }
    l->first = 0;
    l->n = n;
    b->input.header = headers_find;
    batch_prepare(b, n);
    b->input.stays = true;
    run_move(b, BATCH_DECODING);
}

/* Trouble with the database is told where it is met; this would come again with
 * each look. */
static void tell(struct batch *b, const struct err *e)
{
    struct run *run = b->run;
    struct err named;

    if (compared_is_unkept(b->generation, e, &named)) {
        b->generation->tables.is_known =
            false; /* what is told next may be new */
    }
    if (!database_is_away(e) && log_once(&run->letters->logged, named.text)) {
        log_line(LOG_WARN, "dead letters cannot be looked up; trying again",
                 "class=%s error=%s", err_class_name(e->class),
                 log_quote(named.text));
    }
}

static void end_wait(struct lane *lane)
{
    lane->letters.since = 0;
    lane->letters.is_logged = false;
    lane->wait.n_cancelled = 0;
}

static void on_fetched(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct batch *b = arg;
    struct run *run = b->run;
    struct lane *lane = b->input.leases[0].lane;

    b->attempt.conn = NULL; /* what it says is read before it is given back */
    if (r->ok && pg_rows(r->results[0]) > 0) {
        begin(b, r->results[0]);
    } else {
        lane_want_retry(lane, false); /* after trouble: until the next look */
        end_wait(lane);
        if (!r->ok) {
            tell(b, &r->error);
        }
        run_release(b);
    }
    database_give(&run->worker->database, &c, &b->attempt.ticket,
                  r->ok ? NULL : &r->error, "dead letters");
}

static void fetch(struct run *run, struct batch *b, struct lane *lane)
{
    batch_bind(b, run->worker->now);
    b->memory.most_bytes = run->worker->now->plan->limits.bytes;
    batch_clear(b);
    b->input.leases = arena_zero(&b->memory.arena, sizeof(*b->input.leases));
    b->input.n_leases = 1;
    b->input.leases[0] = (struct lease){.lane = lane,
                                        .epoch = lane->epoch,
                                        .start = lane->position,
                                        .halt = -1};
    b->kind = &batch_of_letters;
    b->attempt.since = worker_now(run->worker);
    run_lease(lane);
    run_move(b, BATCH_FETCHING);
    dead_letter_ask(b->attempt.conn, b->generation->plan, lane->topic,
                    lane->partition, how_many(run, lane));
    pgconn_flush(b->attempt.conn, PG_LETTERS_USEC, on_fetched, b);
}

void letters_retry_turn(struct run *run)
{
    struct lane *lane = run->batches.free.n && !run->worker->is_stopping
                            ? find_wanted(run)
                            : NULL;
    struct batch *b;

    if (!lane) {
        return;
    }
    b = batches_first(&run->batches.free);
    b->attempt.conn =
        database_take_spare(&run->worker->database, &b->attempt.ticket);
    if (b->attempt.conn) {
        fetch(run, b, lane);
    }
}

void letters_retry_committed(struct batch *b)
{
    struct lane *lane = b->input.leases[0].lane;
    uint32_t n = 0;

    for (uint32_t e = 0; e < b->input.events.n; e++) {
        n += b->input.events.states[e] == TM_EVENT_OK ||
             b->input.events.states[e] == TM_EVENT_SKIPPED;
    }
    b->run->worker->show.counts->counters[COUNT_LETTERS_DONE] += n;
    log_line(LOG_INFO, "dead letters were tried again",
             "lane=%s/%d applied=%u left=%u", lane->topic, lane->partition, n,
             b->input.events.n - n);
    lane->keys.are_known = false;
    lane->search.has_found = false;
    end_wait(lane);
    if (lane->letters.retry_most) {
        lane->letters.retry_most =
            lane->letters.retry_most < b->generation->plan->limits.size
                ? 2 * lane->letters.retry_most
                : 0;
    }
}
