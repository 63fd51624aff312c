/* See faults.h. */
#include "faults.h"

#include <stdio.h>
#include <string.h>

#include "aside.h"
#include "broker.h"
#include "model.h"
#include "sql.h"

struct faults faults;
static bool is_mended;
static uint32_t shape;
static enum table revoked; /* LANES: none */
static usec revoked_until;

/* Each kind is met in so many runs, in a thousand. */
static uint32_t likely;

static uint32_t some(uint32_t most)
{
    return chance(likely) ? 1 + chance_below(most) : 0;
}

void faults_open(void)
{
    is_mended = false;
    shape = 1;
    revoked_until = 0;
    likely = chance(300) ? 800 : 300;
    faults = (struct faults){.bad = some(30),
                             .statement = some(40),
                             .refuse = some(200),
                             .lose = some(100),
                             .shake = some(60),
                             .freeze = some(60),
                             .kill = some(20),
                             .down = some(20),
                             .alter = some(20),
                             .revoke = some(10),
                             .expire = some(30),
                             .skip = some(5),
                             .edit = chance(500) ? 1 + chance_below(200) : 0,
                             .people = chance(700) ? 30 : 1};
}

void faults_end(void)
{
    faults = (struct faults){0};
    revoked_until = 0;
    server_down(0);
}

struct pg_result *faults_of_statement(const struct statement *s)
{
    static const char *const states[] = {"40001", "40P01", "55P03",
                                         "53200", "57P01", "25006"};
    const char *state;
    struct pg_result *r;

    if (world.now < revoked_until && statement_uses(s, revoked)) {
        r = answer_error("42501", "permission denied for table");
        r->from = "aclcheck_error";
        return r;
    }
    if (chance_below(10000) >= faults.statement) {
        return NULL;
    }
    state = states[chance_below(sizeof(states) / sizeof(*states))];
    r = answer_error(state, "by chance");
    return r;
}

struct pg_result *faults_of_value(int64_t v)
{
    switch (is_mended ? 0 : v) {
    case -1:
        return answer_error("23514", "new row violates check constraint");
    case -2:
        return answer_error("22003", "value out of range");
    case -3:
        return answer_error("P0001", "a trigger says no");
    case -4:
        return answer_error("57014", "canceling statement due to timeout");
    case -5:
        return answer_error("XX000", "an internal error");
    case -6:
        return answer_error("42501", "a policy says no");
    case -7:
        return answer_error("23505", "duplicate key value");
    default:
        return NULL;
    }
}

bool faults_refuse(void)
{
    return chance(faults.refuse);
}

void faults_alter(void)
{
    trace("a table is altered");
    shape++;
}

uint32_t faults_shape(void)
{
    return shape;
}

void faults_revoke(void)
{
    revoked = CHAINS + chance_below(TABLES - CHAINS);
    revoked_until = world.now + chance_usec(1000, 5000000);
    trace("the right on %s is taken away", shown[revoked].name);
}

void faults_expire(void)
{
    uint32_t i = chance_below(n_partitions);
    const struct version *v = &db_row(LANES, i, 0, "")->now;
    int64_t to =
        v->exists && !chance(100) ? v->lane.next_offset : partitions[i].high;

    to = to > partitions[i].low
             ? partitions[i].low +
                   chance_below((uint32_t)(to - partitions[i].low + 1))
             : partitions[i].low;
    trace("lane %u: records below %lld expire", i, (long long)to);
    partitions[i].low = to;
}

/* ---- people ---- */

/* Over whatever is between. */
static void move_to(struct row *lane, int64_t to)
{
    struct tx *t = db_begin(session_of_people(), false);
    struct lane_value *v;

    db_lock(t, lane);
    v = &db_change(t, lane)->lane;
    model_skipped(lane->partition, v->next_offset, to);
    v->next_offset = to;
    v->epoch++;
    v->life = 0;
    v->is_halted = false;
    v->halted_generation[0] = '\0';
    v->is_rewound = true;
    v->has_anchor = v->has_anchor_ms = false;
    db_commit(t);
}

void people_skip(void)
{
    uint32_t i = chance_below(n_partitions);
    struct row *r = db_row(LANES, i, 0, "");
    int64_t to = r->now.lane.next_offset + 1 + chance_below(3);

    if (r->now.exists && !r->holder && to <= partitions[i].high &&
        to >= partitions[i].low) {
        trace("a person moves lane %u to %lld", i, (long long)to);
        move_to(r, to);
    }
}

/* Of chains or totals; most often one that there is. */
static struct row *some_row(void)
{
    bool is_chain = chance(700);
    struct row *r = NULL;
    char key[16];

    for (int n = 0; n < 20 && (!r || !r->now.exists); n++) {
        snprintf(key, sizeof(key), "%s%u", is_chain ? "k" : "o",
                 chance_below(is_chain ? CHAINS_MOST : OWNERS_MOST));
        r = db_row(is_chain ? CHAINS : TOTALS, 0, 0, key);
    }
    return r;
}

void people_edit(void)
{
    struct row *r = some_row();
    struct version *v;
    struct tx *t;
    bool is_gone;

    if (!r->now.exists || r->holder) {
        return;
    }
    is_gone = r->table == CHAINS && chance(500);
    trace("a person %s %s", is_gone ? "deletes" : "changes", r->key);
    t = db_begin(session_of_people(), false);
    db_lock(t, r);
    v = db_change(t, r);
    v->exists = !is_gone;
    v->row.of[0] += 1001;
    db_commit(t);
    model_edited(r);
}

/* What is read next, and never will be applied, is moved over now and then: a
 * rule may halt the lane at it each time. */
static int64_t behind_hopeless(uint32_t partition, int64_t at)
{
    const struct broker_record *r = broker_from(partition, at);

    return r && model_is_hopeless(r) && chance(300) ? r->offset + 1 : at;
}

/* Whoever changes a lane raises its epoch; a row that is locked they leave. */
void people_resume(void)
{
    for (uint32_t i = 0; i < n_partitions; i++) {
        struct row *r = db_row(LANES, i, 0, "");
        int64_t to = r->now.lane.next_offset;

        if (!r->now.exists || !r->now.lane.is_halted || r->holder) {
            continue;
        }
        to = to < partitions[i].low ? partitions[i].low : to;
        to = behind_hopeless(i, to);
        trace("a person resumes lane %u at %lld", i, (long long)to);
        move_to(r, to);
    }
}

void people_mend(void)
{
    is_mended = true;
}

bool people_have_mended(void)
{
    return is_mended;
}

static const char *key_of(const struct row *letter)
{
    return broker_find(letter->partition, letter->offset)->key;
}

static bool is_chain(const struct row *r, const struct row *head)
{
    return r->now.exists && strcmp(key_of(r), key_of(head)) == 0;
}

/* It and all others of its key, with the lane; false: somebody has one. */
static bool lock_chain(struct tx *t, const struct row *head)
{
    struct row *lane = db_row(LANES, head->partition, 0, "");
    uint32_t n;
    struct row **rows = aside_of(head->partition, &n);

    if (lane->holder) {
        return false;
    }
    db_lock(t, lane);
    for (uint32_t i = 0; i < n; i++) {
        if (is_chain(rows[i], head)) {
            if (rows[i]->holder) {
                return false;
            }
            db_lock(t, rows[i]);
        }
    }
    return true;
}

static void raise_epoch(struct tx *t, uint32_t partition)
{
    struct lane_value *lane =
        &db_change(t, db_row(LANES, partition, 0, ""))->lane;

    lane->epoch++;
    lane->life = 0;
}

static void discard(struct tx *t, struct row *head)
{
    uint32_t n;
    struct row **rows = aside_of(head->partition, &n);

    trace("a person discards %u/%lld", head->partition,
          (long long)head->offset);
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i] != head && is_chain(rows[i], head)) {
            db_change(t, rows[i])->letter.is_wanted = true;
        }
    }
    db_change(t, head)->exists = false;
    raise_epoch(t, head->partition);
    model_given_up(broker_find(head->partition, head->offset));
}

static void discard_chain(struct row *head)
{
    struct tx *t = db_begin(session_of_people(), false);
    uint32_t n;
    struct row **rows = aside_of(head->partition, &n);

    if (!lock_chain(t, head)) {
        db_rollback(t);
        return;
    }
    trace("a person discards all behind %u/%lld", head->partition,
          (long long)head->offset);
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i] != head && is_chain(rows[i], head)) {
            db_change(t, rows[i])->exists = false;
            model_given_up(broker_find(rows[i]->partition, rows[i]->offset));
        }
    }
    db_change(t, head)->exists = false;
    model_given_up(broker_find(head->partition, head->offset));
    raise_epoch(t, head->partition);
    db_commit(t);
}

void people_discard_chains(void)
{
    for (uint32_t p = 0; p < n_partitions; p++) {
        uint32_t n;
        struct row **rows = aside_of(p, &n);
        uint32_t at = n ? chance_below(n) : 0;

        while (at < n && !rows[at]->now.exists) {
            at++;
        }
        if (at < n) {
            discard_chain(rows[at]);
        }
    }
}

static bool is_hopeless(const struct row *letter)
{
    return model_is_hopeless(broker_find(letter->partition, letter->offset));
}

/* Held, and a retry may halt the lane at it each time. */
static bool is_in_the_way(const struct row *letter)
{
    return is_hopeless(letter) && chance(100);
}

static void see_to(struct row *letter)
{
    struct tx *t = db_begin(session_of_people(), false);

    if (!lock_chain(t, letter)) {
        db_rollback(t);
        return;
    }
    if (letter->now.letter.is_failed
            ? is_hopeless(letter) || chance(100)
            : is_hopeless(letter) && letter->now.letter.is_wanted) {
        discard(t, letter);
    } else {
        trace("a person wants %u/%lld tried again", letter->partition,
              (long long)letter->offset);
        db_change(t, letter)->letter.is_wanted = true;
    }
    db_commit(t);
}

void people_see_to_one(void)
{
    uint32_t n;
    struct row **rows = aside_of(chance_below(n_partitions), &n);
    struct row *r = n ? rows[chance_below(n)] : NULL;

    if (r && r->now.exists) {
        see_to(r);
    }
}

void people_see_to_all(void)
{
    for (uint32_t p = 0; p < n_partitions; p++) {
        uint32_t n;
        struct row **rows = aside_of(p, &n);

        for (uint32_t i = 0; i < n; i++) {
            if (rows[i]->now.exists &&
                (!rows[i]->now.letter.is_wanted || is_in_the_way(rows[i]))) {
                see_to(rows[i]);
            }
        }
    }
}
