/* See run_dry.h. */
#include "cli/run_dry.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/say.h"
#include "cli/pipeline.h"
#include "cli/table.h"
#include "decode/value/convert.h"
#include "flow/batch/failures.h"
#include "flow/dry/dry.h"
#include "kafka/tail.h"
#include "lua/bundle.h"
#include "postgres/operator/lane_row.h"
#include "postgres/store/position.h"

enum {
    LIMIT_SECONDS = 60,
    READ_MS = 30000,
    SHOWN_ROWS = 20,
    SHOWN_LETTERS = 20,
    CELL_WIDTH = 36
};

struct looking {
    const struct plan *plan; /* the generation's */
    struct tail *tail;
    struct dry dry;
    struct operator_connection connection;
    struct lane_rows lanes;
    uint32_t n_halted, n_unplaced; /* lanes that are left out */
};

/* ---- where to read ---- */

/* A lane without a position begins where a run would begin it; a time and the
 * group's offsets are not looked up for a look. */
static int64_t beginning(struct looking *k)
{
    switch (k->plan->source.start) {
    case START_LATEST:
        return -1;
    case START_TIMESTAMP:
    case START_GROUP:
        k->n_unplaced++;
        return -1;
    default:
        return TAIL_FIRST;
    }
}

static void place_parts(struct looking *k)
{
    for (uint32_t i = 0; i < k->tail->n_parts; i++) {
        struct tail_part *p = &k->tail->parts[i];
        const struct lane_row *row =
            lane_rows_find(&k->lanes, p->topic, p->partition);

        if (row && row->halted) {
            k->n_halted++;
        } else if (row && row->next_offset != POSITION_UNBEGUN) {
            p->from = row->next_offset;
        } else {
            p->from = beginning(k);
        }
    }
}

static void on_held(const struct pg_result *r, void *arg)
{
    struct looking *k = arg;
    int len = 0;
    const char *key = pg_value(r, 0, 2, &len);

    for (uint32_t i = 0; key && i < k->tail->n_parts; i++) {
        const struct tail_part *p = &k->tail->parts[i];

        if (p->partition == pg_int(r, 0, 1) &&
            strcmp(p->topic, pg_str(r, 0, 0)) == 0) {
            dry_hold(&k->dry, i, key, (uint32_t)len, (uint32_t)pg_int(r, 0, 3),
                     pg_int(r, 0, 4));
        }
    }
}

static bool hold_keys(struct looking *k, struct err *e)
{
    static const char sql[] =
        "SELECT topic, partition, key, count(*), min(\"offset\") "
        "FROM tidemill.dead_letter WHERE pipeline = $1 AND stream = 'main' "
        "AND key IS NOT NULL AND holds GROUP BY topic, partition, key";
    struct params *ps = operator_connection_params(&k->connection);

    params_text(ps, k->plan->name);
    return operator_connection_each(&k->connection, sql, ps, on_held, k, e);
}

/* ---- what would be ---- */

static bool is_changed(const struct rows *r, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;
    uint8_t flags = r->view.flags[row];

    if (p->kind == KIND_APPEND) {
        return true;
    }
    /* It came and went within the batch. */
    if (program_loads(r->program) &&
        !(flags & (TM_ROW_LOADED | TM_ROW_EXISTS))) {
        return false;
    }
    if (!(flags & TM_ROW_TOUCHED) || !(flags & TM_ROW_LOADED) || !r->base) {
        return (flags & TM_ROW_TOUCHED) != 0;
    }
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (!(flags & TM_ROW_EXISTS) ||
            !convert_equal(&r->base[i][row], &r->view.cells[i][row])) {
            return true;
        }
    }
    return false;
}

static const char *change_of(const struct rows *r, uint32_t row)
{
    uint8_t flags = r->view.flags[row];

    switch (r->program->plan->kind) {
    case KIND_APPEND:
        return "insert";
    case KIND_MERGE:
        return "merge";
    default:
        return !(flags & TM_ROW_EXISTS)    ? "delete"
               : flags & TM_ROW_LOADED     ? "update"
               : program_loads(r->program) ? "insert"
                                           : "write";
    }
}

static void put_cell(struct table *t, const struct coltype *type,
                     const struct tm_cell *c)
{
    struct buf text = {0};

    convert_text(type, c, &text);
    if (c->tag == TM_MISSING || c->tag == TM_NULL) {
        table_text(t, c->tag == TM_NULL ? "NULL" : NULL);
    } else {
        table_text_cut(t, buf_text(&text), CELL_WIDTH);
    }
    buf_close(&text);
}

static void print_rows(const struct rows *r)
{
    const struct plan_projection *p = r->program->plan;
    struct table_column columns[TABLE_COLUMNS] = {{"CHANGE", false}};
    uint32_t n =
        p->n_columns < TABLE_COLUMNS ? p->n_columns : TABLE_COLUMNS - 1;
    uint32_t shown = 0, changed = 0;
    struct table t;

    for (uint32_t i = 0; i < n; i++) {
        columns[i + 1] = (struct table_column){
            p->columns[i].name, type_is_number(p->columns[i].type.kind)};
    }
    table_init(&t, columns, n + 1);
    for (uint32_t row = r->first_row; row < r->view.n_rows; row++) {
        if (!is_changed(r, row) || changed++ >= SHOWN_ROWS) {
            continue;
        }
        shown++;
        table_text(&t, change_of(r, row));
        for (uint32_t i = 0; i < n; i++) {
            put_cell(&t, &p->columns[i].type, &r->view.cells[i][row]);
        }
    }
    say("\n%s: %u row%s would be written, %u unchanged\n", p->table,
        r->n_written, plural(r->n_written), r->n_unchanged);
    if (shown > 0) {
        table_print(&t);
    }
    if (changed > shown || n < p->n_columns) {
        say("(left out: %u row%s, %u column%s)\n", changed - shown,
            plural(changed - shown), p->n_columns - n,
            plural(p->n_columns - n));
    }
    table_close(&t);
}

static void print_letter(const struct batch *b, uint32_t event)
{
    const struct record *rec = &b->input.records[event];

    say("  %s/%d/%" PRId64 ": %s\n", rec->topic, rec->partition, rec->offset,
        b->failures.letters[event].reason);
}

/* How many records would not be applied. */
static uint32_t print_letters(const struct batch *b)
{
    uint32_t n_failed = 0, n_held = 0;

    for (uint32_t e = 0; b->failures.letters && e < b->input.events.n; e++) {
        bool is_failed = failures_is_letter(b, e) &&
                         b->input.events.states[e] == TM_EVENT_FAILED;

        n_held += failures_is_letter(b, e) && !is_failed;
        if (is_failed && n_failed++ == 0) {
            say("\nset aside:\n");
        }
        if (is_failed && n_failed <= SHOWN_LETTERS) {
            print_letter(b, e);
        }
    }
    if (n_failed + n_held > 0) {
        say("%u record%s would be set aside, and %u held after a failed one "
            "of their key\n",
            n_failed, plural(n_failed), n_held);
    }
    return n_failed + n_held;
}

static uint32_t print_halts(const struct batch *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];

        if (l->halt >= 0) {
            say("%s/%d would halt before offset %" PRId64 ": %s\n",
                l->lane->topic, l->lane->partition,
                b->input.records[l->halt].offset, l->halt_reason);
            n++;
        }
    }
    return n;
}

/* Made again, or truncated; a run compares the same. */
static uint32_t print_beyond(const struct looking *k)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < k->tail->n_parts; i++) {
        const struct tail_part *p = &k->tail->parts[i];

        if (p->from > p->end) {
            say("%s/%d would halt: its position %" PRId64 " is past the end "
                "of the partition (%" PRId64 ")\n",
                p->topic, p->partition, p->from, p->end);
            n++;
        }
    }
    return n;
}

static void print_left_out(const struct looking *k)
{
    if (k->n_halted > 0) {
        say("%u halted lane%s: not read, as in a run\n", k->n_halted,
            plural(k->n_halted));
    }
    if (k->n_unplaced > 0) {
        say("%u lane%s without a position: not read, since `start` is a time "
            "or the group's offsets\n",
            k->n_unplaced, plural(k->n_unplaced));
    }
}

static int print(const struct looking *k)
{
    const struct batch *b = &k->dry.batch;
    uint32_t moved = batch_moved(b);
    uint32_t n_wrong;

    for (uint32_t i = 0; i < b->n_rows; i++) {
        print_rows(&b->rows[i]);
    }
    n_wrong = print_letters(b) + print_halts(b) + print_beyond(k);
    say("\n%u of %u record%s read would be moved over; all was rolled back, "
        "and "
        "nothing was changed%s\n",
        moved, k->tail->n, plural(k->tail->n),
        k->tail->is_cut ? " (more records follow: --records N)" : "");
    return n_wrong > 0 ? EX_DATAERR : EX_OK;
}

/* ---- the whole ---- */

static bool read_records(struct looking *k, uint32_t most, struct err *e)
{
    k->tail = tail_open(&k->plan->source, e);
    if (!k->tail) {
        return false;
    }
    if (!operator_connection_open(&k->connection, k->plan, "", e) ||
        !lane_rows_load(&k->connection, NULL, -1, &k->lanes, e)) {
        return false;
    }
    place_parts(k);
    return tail_read(k->tail, most, READ_MS, e);
}

static int fail(const struct looking *k, const struct err *e)
{
    struct buf lines = k->dry.problems;

    if (k->dry.n_problems > 0) {
        complain("%s\ntidemill run: the tables do not fit, so nothing was "
                 "tried\n",
                 buf_text(&lines));
        return EX_CONFIG;
    }
    if (k->dry.refused) {
        const struct record *r = k->dry.refused;

        say("%s/%d/%" PRId64 " would be set aside, since the database refuses "
            "it: %s\nWhat comes after it was not looked at; all was rolled "
            "back, and nothing was changed\n",
            r->topic, r->partition, r->offset, e->text);
        return EX_DATAERR;
    }
    if (e->class == ERR_CONFLICT) {
        complain("tidemill run: a run or somebody else changed the same rows "
                 "meanwhile (%s): look again\n",
                 e->text);
        return verb_status(e);
    }
    complain("tidemill run: %s\n", e->text);
    return e->class == ERR_DATA || e->class == ERR_SCRIPT ? EX_DATAERR
                                                          : verb_status(e);
}

/* Scripts and the database together; a run has a limit for each batch too. The
 * server rolls back what is open when the connection ends. */
static void on_alarm(int signum)
{
    static const char words[] =
        "tidemill run: the scripts or the database take longer than a minute "
        "for these records: does each handler end? --records N takes fewer; "
        "nothing was changed\n";

    (void)signum;
    _exit(write(STDERR_FILENO, words, sizeof(words) - 1) < 0 ? EX_IOERR
                                                             : EX_TEMPFAIL);
}

static bool apply(struct looking *k, struct err *e)
{
    signal(SIGALRM, on_alarm);
    alarm(LIMIT_SECONDS);
    bool ok = dry_run(&k->dry, k->tail->records, k->tail->n, e);
    alarm(0);
    return ok;
}

/* A run that is at work may have applied records that were read, before their
 * rows were loaded. */
static bool is_overtaken(struct looking *k)
{
    struct lane_rows now = {0};
    struct err e;
    bool is = !lane_rows_load(&k->connection, NULL, -1, &now, &e);

    for (uint32_t i = 0; i < now.n && !is; i++) {
        const struct lane_row *row = &now.at[i];
        const struct lane_row *before =
            lane_rows_find(&k->lanes, row->topic, row->partition);

        is = !before || before->next_offset != row->next_offset;
    }
    lane_rows_close(&now);
    return is;
}

static int print_all(struct looking *k)
{
    bool is_old = is_overtaken(k);
    int status = print(k);

    if (is_old) {
        complain("tidemill run: a run that is at work has moved on meanwhile, "
                 "so what is shown may count records twice: look again, or "
                 "when it stands\n");
        return EX_TEMPFAIL;
    }
    return status;
}

static int look(struct looking *k, struct generation *g, uint32_t most)
{
    struct err e;
    int status;

    if (!read_records(k, most, &e)) {
        return fail(k, &e);
    }
    generation_hold(g);
    dry_open(&k->dry, g, k->tail->n_parts);
    if (!hold_keys(k, &e)) {
        status = fail(k, &e);
    } else if (k->tail->n == 0) {
        status = print_beyond(k) > 0 ? EX_DATAERR : EX_OK;
        say("no record waits%s\n",
            status == EX_OK ? ": every lane that is read is at its end" : "");
    } else {
        status = apply(k, &e) ? print_all(k) : fail(k, &e);
    }
    print_left_out(k);
    dry_close(&k->dry);
    return status;
}

int run_dry(const struct verb *v, const char *path, uint32_t most)
{
    struct looking k = {0};
    struct bundle b;
    struct vm *vm;
    struct err e;
    int status;

    log_setup("dry-run");
    if (!pipeline_read(v, path, &b, &status)) {
        return status;
    }
    k.plan = pipeline_with_vm(&b, path, &vm, &status);
    if (k.plan) {
        struct generation *g = generation_new(&b, vm, k.plan, source_header);

        status = generation_prepare(g, &e) ? look(&k, g, most) : fail(&k, &e);
        if (k.tail) {
            tail_free(k.tail);
        }
        lane_rows_close(&k.lanes);
        operator_connection_close(&k.connection);
        generation_drop(g); /* the plan goes with it */
    }
    bundle_close(&b);
    return status;
}
