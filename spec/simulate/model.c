/* See model.h. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aside.h"
#include "base/arena.h"
#include "base/err.h"
#include "broker.h"
#include "faults.h"

static struct {
    int64_t n, hash, last;
    uint32_t n_aside; /* letters of it */
} chains[CHAINS_MOST];

static struct {
    int64_t n, sum;
} owners[OWNERS_MOST];

struct model_counts model_counts;
static uint32_t n_left, n_letters, n_chains;

void model_open(void)
{
    memset(chains, 0, sizeof(chains));
    memset(owners, 0, sizeof(owners));
    n_left = n_letters = 0;
    n_chains = chance(500) ? CHAINS_MOST : 4 + chance_below(20);
}

/* ---- records ---- */

void model_append(void)
{
    struct facts *f = mem_zero(1, sizeof(*f));
    char key[16], value[64];

    f->chain = chance_below(n_chains);
    f->owner = chance_below(OWNERS_MOST);
    f->v = 1 + chance_below(1000);
    f->bad = chance(faults.bad) ? 1 + chance_below(2) : BAD_NOT;
    if (f->bad == BAD_VALUE) {
        f->v = -1 - (int64_t)chance_below(FAULTS_VALUES);
    }
    snprintf(key, sizeof(key), "k%u", f->chain);
    snprintf(value, sizeof(value), "{\"owner\":\"o%u\",\"v\":%lld%s}", f->owner,
             (long long)f->v,
             f->bad == BAD_SCRIPT ? ",\"bad\":\"script\"" : "");
    broker_append(f->chain % n_partitions, mem_dup(key), mem_dup(value))
        ->facts = f;
    n_left++;
}

static struct facts *facts_of(const struct broker_record *r)
{
    return r->facts;
}

void model_skipped(uint32_t partition, int64_t from, int64_t to)
{
    struct broker_record *r;

    for (; (r = broker_from(partition, from)) && r->offset < to;
         from = r->offset + 1) {
        must(facts_of(r)->fate == FATE_TO_COME);
        facts_of(r)->fate = FATE_GIVEN_UP;
        n_left--;
        model_counts.given_up++;
    }
}

void model_given_up(const struct broker_record *r)
{
    struct facts *f = facts_of(r);

    must(f->fate == FATE_ASIDE);
    f->fate = FATE_GIVEN_UP;
    chains[f->chain].n_aside--;
    n_letters--;
    model_counts.given_up++;
}

bool model_is_hopeless(const struct broker_record *r)
{
    return facts_of(r)->bad == BAD_SCRIPT;
}

/* ---- one commit ---- */

static void apply(const struct broker_record *r, uint32_t partition)
{
    struct facts *f = facts_of(r);
    long long at = r->offset;

    expect(f->fate == FATE_TO_COME || f->fate == FATE_ASIDE,
           "%u/%lld is applied twice", partition, at);
    expect(f->bad == BAD_NOT || (f->bad == BAD_VALUE && people_have_mended()),
           "%u/%lld is bad, and applied", partition, at);
    if (f->fate == FATE_ASIDE) {
        chains[f->chain].n_aside--;
        n_letters--;
        model_counts.retried++;
    } else {
        n_left--;
    }
    f->fate = FATE_APPLIED;
    model_counts.applied++;
    chains[f->chain].n++;
    chains[f->chain].hash = (chains[f->chain].hash * 31 + f->v + 7) % 1000003;
    chains[f->chain].last = r->offset;
    owners[f->owner].n++;
    owners[f->owner].sum += f->v;
}

/* The first one of its key that is set aside in the lane and holds others, as the
 * transaction leaves it; -1: none. */
static int64_t first_aside(const struct tx *t, uint32_t partition,
                           const char *key)
{
    uint32_t n;
    struct row **rows = aside_of(partition, &n);

    for (uint32_t i = 0; i < n; i++) {
        const struct version *v = db_see(t, rows[i]);

        if (v && v->letter.holds &&
            strcmp(broker_find(partition, rows[i]->offset)->key, key) == 0) {
            return rows[i]->offset;
        }
    }
    return -1;
}

/* A record is covered when the position moves over it: set aside in this very
 * transaction, or applied by it. */
static void cover(const struct tx *t, uint32_t partition,
                  const struct broker_record *r)
{
    struct row *letter = db_row(LETTERS, partition, r->offset, "");
    struct facts *f = facts_of(r);
    long long at = r->offset;
    int64_t first;

    if (!db_see(t, letter)) {
        apply(r, partition);
        first =
            chains[f->chain].n_aside ? first_aside(t, partition, r->key) : -1;
        expect(first < 0 || first > r->offset,
               "%u/%lld is applied, though %lld of its key waits", partition,
               at, (long long)first);
        return;
    }
    expect(f->fate == FATE_TO_COME && letter->holder == t &&
               letter->is_changed && !letter->now.exists,
           "%u/%lld is set aside twice", partition, at);
    f->fate = FATE_ASIDE;
    n_left--;
    n_letters++;
    chains[f->chain].n_aside++;
    model_counts.aside++;
    if (letter->mine.letter.is_failed) {
        expect(f->bad != BAD_NOT, "%u/%lld is good, and set aside as failed",
               partition, at);
    } else {
        first = first_aside(t, partition, r->key);
        expect(first >= 0 && first < r->offset,
               "%u/%lld is held behind nothing", partition, at);
    }
}

/* Where the lane stood before; one that begins does so with the first record
 * that Kafka has. */
static int64_t start_of(const struct row *lane)
{
    int64_t from = lane->now.lane.next_offset;
    int64_t to = lane->mine.lane.next_offset;

    if (lane->now.exists && from >= 0) {
        return from;
    }
    expect(to <= partitions[lane->partition].low,
           "lane %u begins at %lld, behind its first record", lane->partition,
           (long long)to);
    return to;
}

static void moved(const struct tx *t, const struct row *lane)
{
    const struct lane_value *from = &lane->now.lane, *to = &lane->mine.lane;
    const struct broker_record *r;
    int64_t at = start_of(lane);

    if (at != from->next_offset) {
        model_skipped(lane->partition, 0, at);
    }
    expect(to->next_offset >= at, "lane %u goes back from %lld to %lld",
           lane->partition, (long long)at, (long long)to->next_offset);
    expect(!lane->now.exists || to->epoch >= from->epoch,
           "the epoch of lane %u goes back", lane->partition);
    expect(to->next_offset == at || to->epoch == from->epoch,
           "lane %u is claimed and moved at once", lane->partition);
    expect(to->next_offset <= partitions[lane->partition].high,
           "lane %u is past its end", lane->partition);
    model_counts.claims += to->epoch != from->epoch;
    for (;
         (r = broker_from(lane->partition, at)) && r->offset < to->next_offset;
         at = r->offset + 1) {
        cover(t, lane->partition, r);
    }
}

/* What is no longer set aside was applied by this transaction. In offset order,
 * since a chain goes by it. */
static void ended(const struct tx *t, uint32_t partition)
{
    uint32_t n;
    struct row **rows = aside_of(partition, &n);

    for (uint32_t i = 0; i < n; i++) {
        struct row *r = rows[i];

        if (r->holder == t && r->is_changed && r->now.exists &&
            !r->mine.exists) {
            const struct broker_record *rec = broker_find(partition, r->offset);
            int64_t first;

            apply(rec, partition);
            first = first_aside(t, partition, rec->key);
            expect(first < 0 || first > r->offset,
                   "%u/%lld is tried again, though %lld of its key waits",
                   partition, (long long)r->offset, (long long)first);
        }
    }
}

/* ---- the rows behind it ---- */

static uint32_t number_of(const struct row *r)
{
    return (uint32_t)strtoul(r->key + (r->key[0] != '\0'), NULL, 10);
}

void model_edited(const struct row *r)
{
    uint32_t number = number_of(r);

    if (r->table == TOTALS) {
        owners[number].n = r->now.row.of[0];
    } else if (r->now.exists) {
        chains[number].n = r->now.row.of[0];
    } else {
        chains[number].n = chains[number].hash = 0;
    }
}

static void look_at_row(const struct row *r)
{
    const struct row_value *v = &r->mine.row;
    uint32_t number = number_of(r);

    if (r->table == CHAINS) {
        expect(v->of[0] == chains[number].n &&
                   v->of[1] == chains[number].hash &&
                   v->of[2] == chains[number].last,
               "chain %s has n=%lld hash=%lld last=%lld in place of n=%lld "
               "hash=%lld last=%lld",
               r->key, (long long)v->of[0], (long long)v->of[1],
               (long long)v->of[2], (long long)chains[number].n,
               (long long)chains[number].hash, (long long)chains[number].last);
    } else if (r->table == TOTALS) {
        expect(v->of[0] == owners[number].n && v->of[1] == owners[number].sum,
               "total %s has n=%lld sum=%lld in place of n=%lld sum=%lld",
               r->key, (long long)v->of[0], (long long)v->of[1],
               (long long)owners[number].n, (long long)owners[number].sum);
    } else if (r->table == SUMS) {
        expect(v->of[0] == owners[number].sum,
               "sum %s is %lld in place of %lld", r->key, (long long)v->of[0],
               (long long)owners[number].sum);
    } else {
        const struct broker_record *rec = broker_find(r->partition, r->offset);

        expect(v->of[VALUES_MOST - 1] == 1,
               "%u/%lld is in the ledger %lld times", r->partition,
               (long long)r->offset, (long long)v->of[VALUES_MOST - 1]);
        expect(rec && facts_of(rec)->fate == FATE_APPLIED &&
                   facts_of(rec)->v == v->of[2],
               "%u/%lld is in the ledger, and was not applied", r->partition,
               (long long)r->offset);
    }
}

/* Of a record that was applied now: its rows are what the model has. */
static void look_behind(const struct tx *t, uint32_t partition,
                        const struct broker_record *rec)
{
    const struct facts *f = facts_of(rec);
    char owner[16];
    const struct version *v =
        db_see(t, db_row(LEDGER, partition, rec->offset, ""));

    snprintf(owner, sizeof(owner), "o%u", f->owner);
    expect(v, "%u/%lld was applied, and is not in the ledger", partition,
           (long long)rec->offset);
    v = db_see(t, db_row(CHAINS, 0, 0, rec->key));
    expect(v && v->row.of[0] == chains[f->chain].n,
           "%u/%lld was applied, and its chain %s has n=%lld in place of %lld",
           partition, (long long)rec->offset, rec->key,
           v ? (long long)v->row.of[0] : -1, (long long)chains[f->chain].n);
    v = db_see(t, db_row(TOTALS, 0, 0, owner));
    expect(v && v->row.of[0] == owners[f->owner].n,
           "%u/%lld was applied, and is not in its total", partition,
           (long long)rec->offset);
    v = db_see(t, db_row(SUMS, 0, 0, owner));
    expect(v && v->row.of[0] == owners[f->owner].sum,
           "%u/%lld was applied, and is not in its sum", partition,
           (long long)rec->offset);
}

static void look_at_lane(const struct tx *t, const struct row *lane)
{
    const struct broker_record *r;
    int64_t at = start_of(lane);

    for (; (r = broker_from(lane->partition, at)) &&
           r->offset < lane->mine.lane.next_offset;
         at = r->offset + 1) {
        if (facts_of(r)->fate == FATE_APPLIED) {
            look_behind(t, lane->partition, r);
        }
    }
}

static void tell(const struct row *lane)
{
    const struct lane_value *from = &lane->now.lane, *to = &lane->mine.lane;

    if (to->epoch != from->epoch) {
        trace("  commit: lane %u at %lld claimed as %lld by %s",
              lane->partition, (long long)to->next_offset, (long long)to->epoch,
              to->owner);
    } else {
        trace("  commit: lane %u from %lld to %lld, epoch %lld%s",
              lane->partition, (long long)from->next_offset,
              (long long)to->next_offset, (long long)to->epoch,
              to->is_halted && !from->is_halted ? ", halted" : "");
    }
}

void model_commits(struct tx *t)
{
    uint32_t lanes[PARTITIONS_MOST], n_lanes = 0;

    if (t->session == session_of_people()) {
        return; /* who does it tells the model */
    }
    model_counts.commits++;
    for (struct row *r = t->rows; r; r = r->held) {
        if (r->table == LANES && r->is_changed) {
            tell(r);
            moved(t, r);
        } else if (r->table == LETTERS && r->is_changed && r->now.exists &&
                   !r->mine.exists) {
            uint32_t i = 0;

            while (i < n_lanes && lanes[i] != r->partition) {
                i++;
            }
            lanes[n_lanes] = r->partition;
            n_lanes += i == n_lanes;
        }
    }
    for (uint32_t i = 0; i < n_lanes; i++) {
        ended(t, lanes[i]);
    }
    for (struct row *r = t->rows; r; r = r->held) {
        if (r->is_changed && r->table > LETTERS && r->mine.exists) {
            look_at_row(r);
        } else if (r->is_changed && r->table == LANES) {
            look_at_lane(t, r);
        } else if (r->is_changed && r->table == LETTERS && r->mine.exists) {
            expect(facts_of(broker_find(r->partition, r->offset))->fate ==
                       FATE_ASIDE,
                   "%u/%lld is set aside, and the position does not move "
                   "over it",
                   r->partition, (long long)r->offset);
        }
    }
}

uint32_t model_left(void)
{
    return n_left;
}

void model_tell(void)
{
    trace("%u records are yet to be applied, and %u letters", n_left,
          n_letters);
    for (uint32_t i = 0; i < n_partitions; i++) {
        uint32_t n;
        struct row **rows = aside_of(i, &n);

        for (uint32_t k = 0; k < n; k++) {
            if (rows[k]->now.exists) {
                trace("letter %u/%lld: %s%s, tried %u times", i,
                      (long long)rows[k]->offset,
                      rows[k]->now.letter.is_failed ? "failed" : "held",
                      rows[k]->now.letter.is_wanted ? ", wanted" : "",
                      rows[k]->now.letter.attempts);
            }
        }
    }
}

bool model_is_done(void)
{
    uint32_t i = 0;

    while (i < n_partitions && db_row(LANES, i, 0, "")->now.exists) {
        i++;
    }
    return i == n_partitions && n_left == 0 && n_letters == 0;
}
