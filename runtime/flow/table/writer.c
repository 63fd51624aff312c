/* See writer.h. */
#include "flow/table/writer.h"

#include <string.h>

#include "flow/rows/demand.h"
#include "flow/rows/layers.h"
#include "flow/rows/order.h"
#include "flow/table/statement.h"

/* Of the parameters of one statement: the server takes a message of 1 GB, and
 * has several copies of it. */
static const uint64_t STATEMENT_BYTES = 64 << 20;

void writer_begin(struct writer *w)
{
    w->n_written = 0;
    w->has_unloaded_update = false;
    w->n_unchanged = 0;
}

typedef void (*send_fn)(struct writer *w, struct rows *r, struct pgconn *c,
                        enum program_statement what, const struct selection *s);

/* As one statement, or as several of the same kind where the rows are too large
 * for one; a row is never split. */
static void in_parts(struct writer *w, struct rows *r, struct pgconn *c,
                     enum program_statement what, const struct selection *s,
                     send_fn fn)
{
    uint64_t most = w->statement_bytes ? w->statement_bytes : STATEMENT_BYTES;
    struct selection half = *s;

    if (s->n <= 1 || statement_bytes(r, s) <= most) {
        fn(w, r, c, what, s);
        return;
    }
    half.n = s->n / 2;
    in_parts(w, r, c, what, &half, fn);
    half.rows += half.n;
    half.n = s->n - half.n;
    in_parts(w, r, c, what, &half, fn);
}

/* A word of the row's set of assigned columns. */
static uint64_t assigned(const struct rows *r, struct tm_cell **cells,
                         uint32_t row, uint32_t word)
{
    const struct plan_projection *p = r->program->plan;
    uint32_t first = word > 0 ? 64 * word : p->n_key;
    uint32_t end = 64 * (word + 1);
    uint64_t bits = 0;

    for (uint32_t i = first; i < p->n_columns && i < end; i++) {
        bits |= (uint64_t)(cells[i][row].tag != TM_MISSING) << i % 64;
    }
    return bits;
}

/*
 * An update that leaves a NOT NULL column alone (an unchanged TOAST value)
 * cannot be an upsert: its INSERT half would be refused even though the row
 * is there. It is a counted UPDATE instead.
 */
static enum program_statement statement_for(const struct rows *r,
                                            enum program_statement what,
                                            const uint64_t *mask)
{
    if (what != STATEMENT_UPSERT) {
        return what;
    }
    return demand_lacks(r, mask) ? STATEMENT_UPDATE : what;
}

static void send_masked(struct writer *w, struct rows *r, struct pgconn *c,
                        enum program_statement what, const struct selection *s)
{
    struct params *ps = statement_params(c, r, s);

    w->has_unloaded_update |= what != statement_for(r, what, s->mask);
    what = statement_for(r, what, s->mask);
    if (program_counts(r->program, what)) {
        params_int8(ps, s->n);
    }
    int answer = statement_send(r, c, what, s->mask, ps);

    if (r->n_answers++ == 0) {
        r->first_answer = answer;
    }
    w->n_written += s->n;
}

/* Statements by set of assigned columns: most batches have one or two. */
static void send_by_mask(struct writer *w, struct rows *r, struct pgconn *c,
                         enum program_statement what,
                         const struct selection *all)
{
    struct tm_cell **cells = all->cells ? all->cells : r->view.cells;
    uint32_t *rows = all->rows, left = all->n;
    uint32_t *picked = arena_alloc(r->loaded, (left + 1) * sizeof(uint32_t));
    uint32_t n = r->program->n_words;
    size_t size = n * sizeof(uint64_t);
    uint64_t *masks = arena_alloc(r->loaded, (left + 1) * size);
    uint64_t *mask = arena_alloc(r->loaded, size);

    for (uint32_t i = 0; i < left; i++) {
        for (uint32_t k = 0; k < n; k++) {
            masks[i * n + k] = assigned(r, cells, rows[i], k);
        }
    }
    while (left > 0) {
        struct selection s = {.rows = picked,
                              .mask = memcpy(mask, masks, size),
                              .cells = all->cells};
        uint32_t kept = 0;

        for (uint32_t i = 0; i < left; i++) {
            if (columns_equal(&masks[i * n], mask, n)) {
                picked[s.n++] = rows[i];
            } else {
                rows[kept] = rows[i];
                memmove(&masks[kept++ * n], &masks[i * n], size);
            }
        }
        in_parts(w, r, c, what, &s, send_masked);
        left = kept;
    }
}

/* The keys, and the versions of deletes. */
static struct tm_cell **cells_with_versions(struct rows *r)
{
    const struct plan_projection *p = r->program->plan;
    size_t size = p->n_columns * sizeof(struct tm_cell *);
    struct tm_cell **cells =
        memcpy(arena_alloc(r->loaded, size), r->view.cells, size);

    cells[p->newer] = r->deleted_at;
    return cells;
}

static void mark_written(struct rows *r, const struct selection *s)
{
    for (uint32_t i = 0; r->marks && i < s->n; i++) {
        r->marks[s->rows[i]] |= ROWS_WRITTEN;
    }
}

/* UPDATE or DELETE: rows that were loaded are counted, and compared with what was
 * read. */
static void send_known(struct writer *w, struct rows *r, struct pgconn *c,
                       enum program_statement what, const struct selection *s)
{
    bool counted = program_loads(r->program);
    struct params *ps = statement_params(c, r, s);

    if (counted && r->program->plan->exact == EXACT_ALIGNED) {
        statement_xmins(ps, r, s);
    }
    if (counted) {
        params_int8(ps, s->n);
    }
    statement_send(r, c, what, s->mask, ps);
    w->n_written += s->n;
}

static void write_fold(struct writer *w, struct rows *r, struct pgconn *c,
                       const uint32_t *order, uint32_t n)
{
    uint32_t *memory = arena_alloc(r->loaded, 2 * (n + 1) * sizeof(uint32_t));
    struct selection kept = {.rows = memory, .mask = r->program->all_values};
    struct selection made = {.rows = memory + n + 1};

    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = order[i];
        uint8_t f = r->view.flags[row];
        bool loaded = f & TM_ROW_LOADED, exists = f & TM_ROW_EXISTS;

        if (!(f & TM_ROW_TOUCHED)) {
            continue;
        }
        if (exists && (!loaded || (f & TM_ROW_CLEARED))) {
            made.rows[made.n++] = row;
        } else if (exists && rows_changed(r, row)) {
            kept.rows[kept.n++] = row;
        } else if (exists) {
            w->n_unchanged++;
        }
    }
    if (kept.n && r->program->plan->n_key < r->program->plan->n_columns) {
        mark_written(r, &kept);
        in_parts(w, r, c, STATEMENT_UPDATE, &kept, send_known);
    }
    mark_written(r, &made); /* before they are picked apart */
    send_by_mask(w, r, c, STATEMENT_INSERT, &made);
}

/* The first layer of each row, then the second of those that have one, ...: a
 * row may be in a statement only once. */
static void write_layers(struct writer *w, struct rows *r, struct pgconn *c,
                         const uint32_t *order, uint32_t n)
{
    struct selection s = {.rows = arena_alloc(r->loaded, n * sizeof(uint32_t)),
                          .cells = layers_cells(r)};
    uint32_t depth = 0;

    do {
        s.n = 0;
        for (uint32_t i = 0; i < n; i++) {
            int32_t layer = layers_at(r, order[i], depth);

            if (layer >= 0) {
                s.rows[s.n++] = (uint32_t)layer;
            }
        }
        send_by_mask(w, r, c, STATEMENT_UPSERT, &s);
        depth++;
    } while (s.n > 0);
}

static void write_overwrite(struct writer *w, struct rows *r, struct pgconn *c,
                            const uint32_t *order, uint32_t n)
{
    struct selection made = {
        .rows = arena_alloc(r->loaded, (n + 1) * sizeof(uint32_t))};

    for (uint32_t i = 0; i < n; i++) {
        uint8_t f = r->view.flags[order[i]];

        if ((f & TM_ROW_TOUCHED) && (f & TM_ROW_EXISTS)) {
            made.rows[made.n++] = order[i];
        }
    }
    if (r->n_layers) {
        write_layers(w, r, c, order, n);
    }
    send_by_mask(w, r, c,
                 r->program->plan->kind == KIND_MERGE ? STATEMENT_MERGE
                                                      : STATEMENT_UPSERT,
                 &made);
}

/* `once`: of rows that are the same the first one stays, whatever columns the
 * others have; statements are by columns, so the server would see them in
 * another order. */
static void write_append(struct writer *w, struct rows *r, struct pgconn *c)
{
    bool is_once = r->program->plan->once >= 0;
    struct selection all = {
        .rows =
            arena_alloc(r->loaded, (r->view.n_rows + 1) * sizeof(uint32_t))};

    hash_reset(&r->hash);
    r->n_answers = 0;
    for (uint32_t i = 0; i < r->view.n_rows; i++) {
        if (!is_once || rows_is_first(r, i)) {
            all.rows[all.n++] = i;
        }
    }
    r->n_repeated = r->view.n_rows - all.n;
    send_by_mask(w, r, c, STATEMENT_APPEND, &all);
}

static uint32_t inserted(const struct rows *r, const struct pgreply *reply)
{
    uint32_t n = 0;

    for (int i = 0; i < r->n_answers; i++) {
        n += (uint32_t)pg_int(reply->results[r->first_answer + i], 0, 0);
    }
    return n;
}

uint32_t writer_written(struct rows *rows, uint32_t n,
                        const struct pgreply *reply)
{
    uint32_t n_there = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct rows *r = &rows[i];
        const struct plan_projection *p = r->program->plan;

        if (p->kind == KIND_APPEND && p->once >= 0) {
            uint32_t there =
                r->view.n_rows - r->n_repeated - inserted(r, reply);

            r->n_repeated += there;
            r->n_written -= there;
            n_there += there;
        }
    }
    return n_there;
}

/* A fold knows what was there; others delete what may be there. */
static bool is_deleted(const struct rows *r, uint8_t flags)
{
    bool may_be_there =
        !program_loads(r->program) || (flags & TM_ROW_LOADED) != 0;

    return (flags & TM_ROW_TOUCHED) && (flags & TM_ROW_CLEARED) && may_be_there;
}

static void delete_rows(struct writer *w, struct rows *r, struct pgconn *c)
{
    uint64_t version[PLAN_COLUMN_WORDS] = {0};
    struct selection gone = {.n = 0};
    uint32_t n = r->view.n_rows - r->first_row;
    const uint32_t *order;

    for (uint32_t i = r->first_row; i < r->view.n_rows; i++) {
        gone.n += is_deleted(r, r->view.flags[i]);
    }
    r->n_written = gone.n;
    if (gone.n == 0) {
        return;
    }
    order = order_once(r);
    gone.rows = arena_alloc(r->loaded, gone.n * sizeof(uint32_t));
    gone.n = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (is_deleted(r, r->view.flags[order[i]])) {
            gone.rows[gone.n++] = order[i];
        }
    }
    mark_written(r, &gone);
    if (r->deleted_at) {
        columns_add(version, (uint32_t)r->program->plan->newer);
        gone.mask = version;
        gone.cells = cells_with_versions(r);
    }
    in_parts(w, r, c, STATEMENT_DELETE, &gone, send_known);
}

static void write_rows(struct writer *w, struct rows *r, struct pgconn *c)
{
    uint32_t n = r->view.n_rows - r->first_row;
    uint32_t written = w->n_written, unchanged = w->n_unchanged;

    if (r->program->plan->kind == KIND_APPEND) {
        write_append(w, r, c);
    } else if (n > 0 && r->program->plan->kind == KIND_FOLD) {
        write_fold(w, r, c, order_once(r), n);
    } else if (n > 0) {
        write_overwrite(w, r, c, order_once(r), n);
    }
    r->n_written += w->n_written - written;
    r->n_unchanged = w->n_unchanged - unchanged;
}

/* Parents before their children; among equals merges last, since their locks
 * are what others wait for. */
static uint32_t rank_of(const struct rows *r)
{
    return 2 * r->program->facts->depth +
           (r->program->plan->kind == KIND_MERGE);
}

static void empty(struct rows *r, struct pgconn *c)
{
    if (r->emptied_by >= 0 && r->events->states[r->emptied_by] == TM_EVENT_OK) {
        pgconn_add(c, program_stmt(r->program, STATEMENT_EMPTY, NULL), NULL);
    }
}

void writer_write(struct writer *w, struct rows *rows, uint32_t n,
                  struct pgconn *c)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < n; i++) {
        most = rank_of(&rows[i]) > most ? rank_of(&rows[i]) : most;
    }
    for (uint32_t rank = most + 1; rank-- > 0;) {
        for (uint32_t i = 0; i < n; i++) {
            if (rank_of(&rows[i]) == rank) {
                delete_rows(w, &rows[i], c);
            }
        }
    }
    for (uint32_t rank = 0; rank <= most; rank++) {
        for (uint32_t i = 0; i < n; i++) {
            if (rank_of(&rows[i]) == rank) {
                write_rows(w, &rows[i], c);
            }
        }
    }
    /* Last: its lock keeps every reader out until COMMIT. */
    for (uint32_t i = 0; i < n; i++) {
        empty(&rows[i], c);
    }
}
