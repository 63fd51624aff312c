/* See failures.h. */
#include "flow/batch/failures.h"

#include <inttypes.h>
#include <string.h>

/* What is known of the lane; NULL: it is not asked, since dead letters that are
 * tried again are neither held behind others nor counted anew. */
static const struct lane *lane_at(const struct batch *b, const struct lease *l)
{
    return b->input.stays ? NULL : l->lane;
}

static struct letter *letter_of(struct batch *b, uint32_t event)
{
    if (!b->failures.letters) {
        b->failures.letters = arena_zero(
            &b->memory.arena, b->input.events.n * sizeof(*b->failures.letters));
        b->failures.stamps = arena_zero(
            &b->memory.arena, b->input.events.n * sizeof(*b->failures.stamps));
    }
    return &b->failures.letters[event];
}

static bool is_out(uint8_t state)
{
    return state != TM_EVENT_OK && state != TM_EVENT_SKIPPED;
}

/* Do projections of this topic go wrong when a record is left out? What is
 * appended or merged does not depend on the records before. */
static bool has_order(const struct batch *b, const char *topic)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const struct program *g = b->rows[i].program;
        enum plan_kind kind = g->plan->kind;

        if (kind != KIND_APPEND && kind != KIND_MERGE &&
            plan_reads(g->plan, topic)) {
            return true;
        }
    }
    return false;
}

bool failures_hold_key(const struct batch *b, uint32_t event)
{
    const struct record *rec = &b->input.records[event];

    return b->failures.letters[event].action == ACTION_HOLD && rec->key &&
           b->generation->plan->dead_letters.holds && has_order(b, rec->topic);
}

static void stamp(struct batch *b, uint32_t event)
{
    b->failures.stamps[event] = ++b->failures.n_stamps;
}

/* What a script raised may be as long as it likes. */
static const char *short_reason(struct arena *a, const char *reason, size_t len)
{
    return len <= LETTER_REASON_BYTES
               ? arena_dup(a, reason, len)
               : arena_printf(a, "%.*s... (the first %d of %zu bytes)",
                              LETTER_REASON_BYTES, reason, LETTER_REASON_BYTES,
                              len);
}

/* At once, so that this run does not go on without the failed one. */
static void hold_behind(struct batch *b, uint32_t event)
{
    const struct record *rec = &b->input.records[event];
    const struct lease *l = &b->input.leases[rec->lane];

    for (uint32_t e = event + 1; e < l->first + l->n; e++) {
        const struct record *other = &b->input.records[e];

        if (b->input.events.states[e] == TM_EVENT_OK && other->key &&
            other->key_len == rec->key_len &&
            memcmp(other->key, rec->key, rec->key_len) == 0) {
            b->input.events.states[e] = TM_EVENT_HELD;
            stamp(b, e);
        }
    }
}

static void fail(struct batch *b, uint32_t event, const struct letter *why)
{
    struct letter *letter = letter_of(b, event);

    must(event < b->input.events.n);
    if (letter->class != ERR_NONE) {
        return;
    }
    *letter = *why;
    b->input.events.states[event] = TM_EVENT_FAILED;
    b->failures.last_failed = event;
    stamp(b, event);
    if (failures_hold_key(b, event)) {
        hold_behind(b, event);
    }
}

void failures_add(struct batch *b, uint32_t event, enum err_class class,
                  const char *reason, size_t len, int32_t by)
{
    struct letter why = {.class = class, .by = by, .action = ACTION_HOLD};

    /* Not the record is wrong: nothing is set aside, whatever a rule says. */
    if (class == ERR_CONFIG || class == ERR_FATAL) {
        why.action = ACTION_HALT;
        why.is_decided = true;
    }

    why.reason = short_reason(
        by == LETTER_BEFORE ? &b->memory.arena : &b->memory.said, reason, len);
    fail(b, event, &why);
}

void failures_add_refused(struct batch *b, uint32_t event,
                          const struct err *why, enum failure_action action)
{
    struct letter letter = {
        .class = why->class,
        .by = LETTER_BEFORE,
        .action = action,
        .is_decided = true,
        .reason = arena_dup(&b->memory.arena, why->text, strlen(why->text))};

    memcpy(letter.sqlstate, why->sqlstate, sizeof(letter.sqlstate));
    fail(b, event, &letter);
}

/* A record that cannot be read was never one that a handler could refuse. */
static bool is_unread(struct batch *b, uint32_t event)
{
    const struct letter *letter =
        b->failures.letters ? &b->failures.letters[event] : NULL;

    return b->input.events.reasons[event] &&
           (!letter || letter->class == ERR_NONE ||
            letter->by != LETTER_BEFORE);
}

void failures_find_unread(struct batch *b)
{
    for (uint32_t e = 0; e < b->input.events.n; e++) {
        const char *why = b->input.events.reasons[e];

        if (is_unread(b, e)) {
            *letter_of(b, e) = (struct letter){.class = ERR_NONE};
            failures_add(b, e,
                         b->input.events.flags[e] & EVENT_MISFIT ? ERR_CONFIG
                                                                 : ERR_DATA,
                         why, strlen(why), LETTER_BEFORE);
        }
    }
}

/* True: an event failed. */
static bool fail_unheld(struct batch *b, const struct rows *r)
{
    bool found = false;

    for (uint32_t i = 0; r->unheld && i < r->n_pairs; i++) {
        const char *why = rows_unheld(r, r->pair_row[i]);

        if (why) {
            failures_add(b, r->pair_event[i], ERR_DATA, why, strlen(why),
                         LETTER_UNHELD);
            found = true;
        }
    }
    return found;
}

void failures_find_unheld(struct batch *b)
{
    bool found = false;

    for (uint32_t i = 0; i < b->n_rows; i++) {
        found |= fail_unheld(b, &b->rows[i]);
    }
    if (found) {
        failures_set_states(b);
    }
}

void failures_keep(struct batch *b)
{
    for (uint32_t e = 0; b->failures.letters && e < b->input.events.n; e++) {
        b->failures.letters[e].by = LETTER_BEFORE;
    }
}

void failures_reset(struct batch *b)
{
    for (uint32_t e = 0; b->failures.letters && e < b->input.events.n; e++) {
        if (b->failures.letters[e].by != LETTER_BEFORE) {
            b->failures.letters[e] = (struct letter){.by = LETTER_BEFORE};
        }
    }
    arena_reset(&b->memory.said);
    failures_set_states(b);
}

static bool is_news(const struct batch *b, const struct rows *r, uint32_t event)
{
    return b->failures.stamps[event] > r->stamp_at;
}

bool failures_outdate(const struct batch *b, const struct rows *r)
{
    if (!b->failures.letters || b->failures.n_stamps <= r->stamp_at) {
        return false;
    }
    const uint32_t *events =
        r->table_set ? r->table_set->events : r->pair_event;
    uint32_t n = r->table_set ? r->table_set->n_events : r->n_pairs;

    for (uint32_t i = 0; i < n; i++) {
        if (is_news(b, r, events[i])) {
            return true;
        }
    }
    return false;
}

static bool reopen(struct batch *b, const struct rows *r, uint32_t event)
{
    struct letter *letter = &b->failures.letters[event];

    if (letter->class == ERR_NONE || letter->by != (int32_t)r->program->index) {
        return false;
    }
    *letter = (struct letter){.by = LETTER_BEFORE};
    return true;
}

/* What a batch function does for one event may depend on any before: refused
 * is refused as long as nothing before it has changed since. */
static bool reopen_table_set(struct batch *b, const struct rows *r)
{
    uint32_t last = 0;
    bool any = false;

    for (uint32_t i = 0; i < r->table_set->n_events; i++) {
        uint32_t e = r->table_set->events[i];

        any |= last > b->failures.stamps[e] && reopen(b, r, e);
        last = b->failures.stamps[e] > last ? b->failures.stamps[e] : last;
    }
    return any;
}

/* What is appended is a row of its own, whoever comes before. */
bool failures_reopen(struct batch *b, const struct rows *r)
{
    bool is_append = r->program->plan->kind == KIND_APPEND;
    bool *is_open;
    bool any = false;

    if (r->table_set) {
        return reopen_table_set(b, r);
    }
    is_open = arena_zero(&b->memory.said, r->cap_rows + 1);
    for (uint32_t i = 0; i < r->n_pairs && !is_append; i++) {
        uint32_t e = r->pair_event[i];

        any |= is_open[r->pair_row[i]] && reopen(b, r, e);
        is_open[r->pair_row[i]] |= is_news(b, r, e);
    }
    return any;
}

/* ---- states ---- */

static void halt_lane(struct lease *l, uint32_t event, enum err_class class,
                      const char *reason)
{
    l->halt = (int32_t)event;
    l->halt_class = class;
    l->halt_reason = reason;
}

/* The first record of the key that is held, in the table or in this batch. */
static int64_t *held_since(struct batch *b, const struct record *rec,
                           const struct held **before)
{
    const struct lane *lane = lane_at(b, &b->input.leases[rec->lane]);
    int64_t number;

    *before = NULL;
    if (!rec->key) {
        return NULL;
    }
    if (lane) {
        *before = held_keys_find(&lane->keys, rec->key, rec->key_len);
    }
    number = b->held.keys.n_keys
                 ? hash_get(&b->held.keys, rec->key, rec->key_len)
                 : -1;
    return number < 0 ? NULL : &b->held.first[number];
}

static void hold_key(struct batch *b, const struct record *rec)
{
    int is_new;
    uint32_t number = hash_put(&b->held.keys, rec->key, rec->key_len, &is_new);

    if (number >= b->held.cap) {
        b->held.cap = b->held.cap ? 2 * b->held.cap : 16;
        b->held.first =
            mem_grow(b->held.first, b->held.cap * sizeof(*b->held.first));
        b->held.n = mem_grow(b->held.n, b->held.cap * sizeof(*b->held.n));
    }
    if (is_new) {
        b->held.first[number] = rec->offset;
        b->held.n[number] = 0;
    }
}

static uint8_t set_aside(struct batch *b, struct lease *l, uint32_t event,
                         const struct held *before)
{
    const struct record *rec = &b->input.records[event];
    int64_t first = rec->offset;
    uint32_t number;

    if (before) {
        hold_key(b, rec); /* counts from the table's number on */
        first = before->first;
    }
    number = (uint32_t)hash_get(&b->held.keys, rec->key, rec->key_len);
    if (!before) {
        first = b->held.first[number];
    }
    letter_of(b, event)->behind = first;
    b->held.n[number]++;
    if (!b->input.stays && (before ? before->n : 0) + b->held.n[number] >
                               b->generation->plan->dead_letters.max_held) {
        halt_lane(l, event, ERR_DATA,
                  arena_printf(&b->memory.said,
                               "more than %u records wait behind the dead "
                               "letter at offset %" PRId64 " of their key; "
                               "retry or discard it (tidemill dlq)",
                               b->generation->plan->dead_letters.max_held,
                               first));
        return TM_EVENT_CUT;
    }
    return TM_EVENT_HELD;
}

/* False: the lane halts before the event. */
static bool passes_guard(struct batch *b, struct lease *l, uint32_t event)
{
    const struct lane *lane = lane_at(b, l);
    const struct letter *letter = &b->failures.letters[event];

    /* Rows from before a truncate must not outlive it. */
    if (letter->action == ACTION_HALT || batch_is_truncate(b, event)) {
        halt_lane(l, event, letter->class, letter->reason);
        return false;
    }
    if (!lane) {
        return true;
    }
    if (failures_hold_key(b, event) && !held_keys_has_room(&lane->keys)) {
        halt_lane(l, event, ERR_RESOURCE,
                  held_keys_full(&lane->keys, &b->memory.said, letter->reason));
        return false;
    }
    if (!l->guard) {
        l->guard = guard_copy(&lane->guard, &b->memory.said);
    }
    if (guard_add(l->guard, lane->n_seen + (event - l->first))) {
        return true;
    }
    halt_lane(l, event, letter->class,
              guard_full(l->guard, &b->memory.said, letter->reason));
    return false;
}

static uint8_t state_of(struct batch *b, struct lease *l, uint32_t event)
{
    const struct record *rec = &b->input.records[event];
    const struct letter *letter =
        b->failures.letters ? &b->failures.letters[event] : NULL;
    const struct held *before;

    if (l->halt >= 0 || (l->cut >= 0 && event >= (uint32_t)l->cut)) {
        return TM_EVENT_CUT;
    }
    /* A truncate waits for nobody: where it cannot be applied the lane halts. */
    if (!batch_is_truncate(b, event) &&
        (held_since(b, rec, &before) || before)) {
        return set_aside(b, l, event, before);
    }
    if (!letter || letter->class == ERR_NONE) {
        return TM_EVENT_OK;
    }
    if (!passes_guard(b, l, event)) {
        return TM_EVENT_CUT;
    }
    if (failures_hold_key(b, event)) {
        hold_key(b, rec);
    }
    return TM_EVENT_FAILED;
}

static bool set_states(struct batch *b, struct lease *l)
{
    bool has_changed = false;

    hash_reset(&b->held.keys);
    l->halt = -1;
    l->guard = NULL;
    for (uint32_t e = l->first; e < l->first + l->n; e++) {
        uint8_t before = b->input.events.states[e];

        if (before == TM_EVENT_SKIPPED) {
            continue;
        }
        b->input.events.states[e] = state_of(b, l, e);
        if (is_out(before) != is_out(b->input.events.states[e])) {
            letter_of(b, e);
            stamp(b, e);
            has_changed = true;
        }
    }
    return has_changed;
}

static bool has_held(const struct batch *b, const struct lease *l)
{
    const struct lane *lane = lane_at(b, l);

    return lane && lane->keys.keys.n_keys > 0;
}

bool failures_set_states(struct batch *b)
{
    bool has_changed = false;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        /* Lanes in which all is well cost nothing. */
        if (b->failures.letters || b->input.leases[i].halt >= 0 ||
            has_held(b, &b->input.leases[i])) {
            has_changed |= set_states(b, &b->input.leases[i]);
        }
    }
    return has_changed;
}

/* Has the event a state that says what becomes of it? */
static bool is_accounted(const struct batch *b, uint32_t event)
{
    switch (b->input.events.states[event]) {
    case TM_EVENT_OK:
    case TM_EVENT_SKIPPED:
        return true;
    case TM_EVENT_FAILED:
        return b->failures.letters &&
               b->failures.letters[event].class != ERR_NONE;
    case TM_EVENT_HELD:
        return b->failures.letters != NULL;
    default: /* its lane should halt before it */
        return false;
    }
}

bool failures_are_complete(const struct batch *b, struct err *e)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];
        uint32_t end = l->first + lease_moved(l);

        for (uint32_t at = l->first; at < end; at++) {
            if (!is_accounted(b, at)) {
                return err_set(e, ERR_FATAL,
                               "a fault of Tidemill: the record %s/%d/%" PRId64
                               " is neither applied nor set aside, so nothing "
                               "is committed: please report it, with the "
                               "pipeline",
                               b->input.records[at].topic,
                               b->input.records[at].partition,
                               b->input.records[at].offset);
            }
        }
    }
    return true;
}

bool failures_is_letter(const struct batch *b, uint32_t event)
{
    uint8_t state = b->input.events.states[event];

    return state == TM_EVENT_FAILED || state == TM_EVENT_HELD;
}
