/* See weight.h. */
#include "flow/run/weight.h"

#include "flow/run/run.h"
#include "postgres/wire/encode.h"

/* ALONE: just below the 1 GB of PostgreSQL's messages and values. */
static const uint64_t USUAL = 128 << 20;
static const uint64_t MOST = 512 << 20;
static const uint64_t ALONE = 1000000000;
static const uint64_t LOADS_ALONE = 2048ULL << 20;

/* The heaviest column of all. */
struct column {
    const struct plan_projection *plan; /* NULL: there is none */
    uint32_t at;
    uint64_t bytes;
};

static bool is_alone(const struct batch *b)
{
    return (b->input.stays ? b->input.events.n : batch_moved(b)) <= 1;
}

/* Large records are meant to be in large batches. */
static uint64_t usual(const struct batch *b)
{
    uint64_t twice = 2 * b->generation->plan->limits.bytes;

    return twice < USUAL ? USUAL : twice < MOST ? twice : MOST;
}

/* Others use the memory of this process meanwhile: a consumer that fills its
 * queues is not to be taken for rows. */
uint64_t weight_of_loads(const struct batch *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        n += b->input.leases[i].n;
    }
    return n > 1 ? 2 * usual(b) : LOADS_ALONE;
}

static uint64_t of_layers(const struct rows *r, uint32_t column)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < r->n_layers; i++) {
        bytes += encode_bytes(&r->program->plan->columns[column].type,
                              &r->layers[i].cells[column], NULL, 1);
    }
    return bytes;
}

/* Rows that the writer may write: those that a handler touched, and of an append
 * all. No other row need have cells. */
static uint32_t *pick(const struct rows *r, uint32_t *n)
{
    bool is_append = r->program->plan->kind == KIND_APPEND;
    uint32_t *rows =
        arena_alloc(r->loaded, (r->view.n_rows + 1) * sizeof(*rows));

    *n = 0;
    for (uint32_t i = r->first_row; i < r->view.n_rows; i++) {
        if (is_append || (r->view.flags[i] & TM_ROW_TOUCHED)) {
            rows[(*n)++] = i;
        }
    }
    return rows;
}

static uint64_t of_rows(const struct rows *r, struct column *heaviest)
{
    const struct plan_projection *p = r->program->plan;
    uint32_t n;
    const uint32_t *rows = pick(r, &n);
    uint64_t total = 0;

    for (uint32_t i = 0; i < p->n_columns; i++) {
        uint64_t bytes =
            encode_bytes(&p->columns[i].type, r->view.cells[i], rows, n) +
            of_layers(r, i);

        total += bytes;
        if (bytes > heaviest->bytes) {
            *heaviest = (struct column){p, i, bytes};
        }
    }
    return total;
}

static bool refuse(const struct batch *b, struct err *e,
                   const struct column *heaviest, uint64_t rows,
                   uint64_t letters, uint64_t most)
{
    if (letters > rows && is_alone(b)) {
        return err_set(e, ERR_DATA,
                       "its row of tidemill.dead_letter has %llu bytes, and "
                       "PostgreSQL takes %llu at most: `tidemill lane skip` "
                       "goes past the record, which is lost then",
                       (unsigned long long)letters, (unsigned long long)most);
    }
    if (letters > rows) {
        return err_set(e, ERR_DATA,
                       "the dead letters to be written have %llu bytes; a "
                       "transaction takes %llu at most",
                       (unsigned long long)letters, (unsigned long long)most);
    }
    return err_set(e, ERR_DATA,
                   "the rows have %llu bytes to be sent, %llu of them in "
                   "%s.%s; a transaction takes %llu at most",
                   (unsigned long long)rows,
                   (unsigned long long)heaviest->bytes, heaviest->plan->table,
                   heaviest->plan->columns[heaviest->at].name,
                   (unsigned long long)most);
}

bool weight_keys_fit(const struct batch *b, struct err *e)
{
    uint64_t most = is_alone(b) ? ALONE : usual(b);
    struct column heaviest = {0};
    uint64_t total = 0;

    for (uint32_t i = 0; i < b->n_rows; i++) {
        const struct rows *r = &b->rows[i];
        const struct plan_projection *p = r->program->plan;

        for (uint32_t k = 0; program_loads(r->program) && k < p->n_key; k++) {
            uint64_t bytes = encode_bytes(&p->columns[k].type,
                                          r->view.cells[k] + r->first_row, NULL,
                                          r->view.n_rows - r->first_row);

            total += bytes;
            if (bytes > heaviest.bytes) {
                heaviest = (struct column){p, k, bytes};
            }
        }
    }
    return total <= most || refuse(b, e, &heaviest, total, 0, most);
}

bool weight_fits(const struct batch *b, uint64_t letters, struct err *e)
{
    uint64_t most = is_alone(b) ? ALONE : usual(b);
    struct column heaviest = {0};
    uint64_t rows = 0;

    for (uint32_t i = 0; i < b->n_rows; i++) {
        rows += of_rows(&b->rows[i], &heaviest);
    }
    return rows + letters <= most ||
           refuse(b, e, &heaviest, rows, letters, most);
}
