/* tidemill.lane: see sql.h. */
#include "sql.h"

#include <stdio.h>
#include <string.h>

#include "broker.h"

static struct row *lane_row(const struct call *c)
{
    return db_row(LANES, (uint32_t)param_int(c, 2), 0, "");
}

/* [r]: NULL: there is none. */
typedef struct pg_result *lane_fn(struct tx *t, const struct call *c,
                                  struct row *r);

/* Does it to the row, which is locked for it; NULL: it waits. */
static struct pg_result *on_lane(struct tx *t, const struct call *c,
                                 lane_fn *fn)
{
    struct row *r = lane_row(c);

    if ((db_see(t, r) || r->holder) && !db_lock(t, r)) {
        return NULL;
    }
    return fn(t, c, db_see(t, r) ? r : NULL);
}

static struct pg_result *claim(struct tx *t, const struct call *c,
                               struct row *r)
{
    struct pg_result *out = answer_new(7);
    struct lane_value *v;

    if (!r) {
        return out;
    }
    v = &db_change(t, r)->lane;
    v->epoch = (v->epoch > 0 ? v->epoch : 0) +
               (strstr(c->s->sql, "greatest(epoch, 0) + 1") != NULL);
    v->life = session_life(t->session);
    snprintf(v->owner, sizeof(v->owner), "%s", param_text(c, 3));
    if (v->halted_generation[0] &&
        strcmp(v->halted_generation, param_text(c, 5)) != 0) {
        v->is_halted = false;
        v->halted_generation[0] = '\0';
    }
    (v->has_offset ? answer_int8(out, v->next_offset) : answer_null(out));
    answer_int8(out, v->epoch);
    answer_bool(out, v->is_rewound);
    (v->has_anchor_ms ? answer_int8(out, v->anchor_ms) : answer_null(out));
    (v->has_anchor ? answer_int8(out, v->anchor_hash) : answer_null(out));
    (v->is_halted ? answer_text(out, v->halted) : answer_null(out));
    (v->is_halted ? answer_int8(out, v->halted_at) : answer_null(out));
    return out;
}

static struct pg_result *create(struct tx *t, const struct call *c)
{
    struct row *r = lane_row(c);
    struct lane_value *v;

    if (!db_lock(t, r)) {
        return NULL;
    }
    if (!db_see(t, r)) {
        struct version *made = db_change(t, r);

        made->exists = true;
        v = &made->lane;
        *v = (struct lane_value){.has_offset = true,
                                 .next_offset = param_int(c, 3),
                                 .epoch = param_int(c, 6)};
        if (c->params[7].p) {
            v->is_halted = true;
            snprintf(v->halted, sizeof(v->halted), "%s", param_text(c, 7));
        }
        if (c->params[8].p) {
            v->has_anchor_ms = true;
            v->anchor_ms = param_int(c, 8);
        }
    }
    return answer_new(1);
}

static bool is_at(const struct row *r, const struct tx *t, const struct call *c)
{
    const struct version *v = r ? db_see(t, r) : NULL;

    return v && (!c->s->by_epoch || v->lane.epoch == param_int(c, 3)) &&
           (!c->s->by_offset || v->lane.next_offset == param_int(c, 4));
}

/* Each claim and each person raises the epoch, so that a worker whose claim is the
 * last one knows epoch and position: nobody fences himself. */
static struct pg_result *held_against(const struct row *r, const struct tx *t,
                                      const struct call *c)
{
    const struct version *v = r ? db_see(t, r) : NULL;
    bool ok = is_at(r, t, c);

    expect(ok || !v || !v->lane.life ||
               v->lane.life != session_life(t->session),
           "a worker knows lane %u as %lld in epoch %lld, which it claimed "
           "itself as %lld in epoch %lld",
           r ? r->partition : 0, (long long)param_int(c, 4),
           (long long)param_int(c, 3), v ? (long long)v->lane.next_offset : -1,
           v ? (long long)v->lane.epoch : -1);
    return must_hold(c, ok, "TM001");
}

static struct pg_result *move(struct tx *t, const struct call *c, struct row *r)
{
    struct lane_value *v;

    if (r && db_is_stale(t, r)) {
        return answer_stale();
    }
    if (!is_at(r, t, c)) {
        return held_against(r, t, c);
    }
    v = &db_change(t, r)->lane;
    v->next_offset = param_int(c, 5);
    v->has_anchor = v->has_anchor_ms = true;
    v->anchor_ms = param_int(c, 7);
    v->anchor_hash = param_int(c, 8);
    v->is_rewound = v->is_rewound && !param_int(c, 9);
    return must_hold(c, true, "");
}

static struct pg_result *fence(struct tx *t, const struct call *c,
                               struct row *r)
{
    return r && db_is_stale(t, r) ? answer_stale() : held_against(r, t, c);
}

static struct pg_result *first_position(struct tx *t, const struct call *c,
                                        struct row *r)
{
    if (is_at(r, t, c)) {
        struct lane_value *v = &db_change(t, r)->lane;

        v->next_offset = param_int(c, 5);
        v->has_anchor_ms = false;
    }
    return answer_new(1);
}

static struct pg_result *settle(struct tx *t, const struct call *c,
                                struct row *r)
{
    if (is_at(r, t, c)) {
        struct lane_value *v = &db_change(t, r)->lane;

        v->is_rewound = v->has_anchor = v->has_anchor_ms = false;
    }
    return answer_new(1);
}

static struct pg_result *halt(struct tx *t, const struct call *c, struct row *r)
{
    struct pg_result *out;

    if (is_at(r, t, c)) {
        struct lane_value *v = &db_change(t, r)->lane;

        v->is_halted = true;
        v->halted_at = param_int(c, 6);
        snprintf(v->halted, sizeof(v->halted), "%s", param_text(c, 4));
        snprintf(v->halted_generation, sizeof(v->halted_generation), "%s",
                 c->params[5].p ? param_text(c, 5) : "");
    }
    if (c->s->kind == SQL_HALT) {
        return must_hold(c, true, "");
    }
    out = answer_new(1);
    answer_bool(out, true);
    return out;
}

static struct pg_result *epochs(const struct tx *t, const struct call *c)
{
    struct elements e = elements_of(c, 2);
    struct pg_result *out = answer_new(2);

    for (uint32_t i = 0; i < e.n; i++) {
        bool is_null;
        uint32_t partition = (uint32_t)element_int(&e, &is_null);
        const struct version *v = db_see(t, db_row(LANES, partition, 0, ""));

        if (v) {
            answer_int8(out, v->lane.epoch);
            answer_bool(out, !v->lane.owner[0] ||
                                 strcmp(v->lane.owner, param_text(c, 3)) == 0);
        } else {
            answer_null(out);
            answer_null(out);
        }
    }
    return out;
}

static struct pg_result *list(const struct tx *t)
{
    struct pg_result *out = answer_new(7);

    for (uint32_t i = 0; i < n_partitions; i++) {
        const struct version *v = db_see(t, db_row(LANES, i, 0, ""));

        if (v) {
            answer_text(out, topic_name);
            answer_int4(out, (int32_t)i);
            answer_int8(out, v->lane.next_offset);
            answer_int8(out, v->lane.epoch);
            answer_bool(out, v->lane.is_rewound);
            answer_text(out, v->lane.is_halted ? v->lane.halted : "");
            answer_text(out, v->lane.owner);
        }
    }
    return out;
}

static struct pg_result *owners(const struct tx *t, const struct call *c)
{
    struct pg_result *out = answer_new(1);

    for (uint32_t i = 0; i < n_partitions; i++) {
        if (db_see(t, db_row(LANES, i, 0, ""))) {
            answer_text(out, param_text(c, 0));
            break;
        }
    }
    return out;
}

struct pg_result *lanes_run(struct tx *t, const struct call *c)
{
    switch (c->s->kind) {
    case SQL_CLAIM:
        return on_lane(t, c, claim);
    case SQL_CREATE:
        return create(t, c);
    case SQL_FIRST:
        return on_lane(t, c, first_position);
    case SQL_MOVE:
        return on_lane(t, c, move);
    case SQL_FENCE:
        return c->s->locks ? on_lane(t, c, fence) : fence(t, c, lane_row(c));
    case SQL_SETTLE:
        return on_lane(t, c, settle);
    case SQL_HALT:
    case SQL_NOTE_HALT:
        return on_lane(t, c, halt);
    case SQL_EPOCHS:
        return epochs(t, c);
    case SQL_LIST:
        return list(t);
    case SQL_OWNERS:
        return owners(t, c);
    default:
        return answer_new(2); /* no holder, no other pipeline */
    }
}
