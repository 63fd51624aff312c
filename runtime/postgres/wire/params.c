/* See params.h. */
#include "postgres/wire/params.h"

#include <stdlib.h>

#include "postgres/wire/encode.h"

enum { BINARY = 1, SQL_NULL = -1 };
/* What the buffer keeps from one statement to the next. */
static const size_t KEEP_BYTES = 16 << 20;

void params_close(struct params *p)
{
    buf_close(&p->bytes);
    free(p->begins);
    free(p->oids);
    free(p->lengths);
    free(p->formats);
    free(p->values);
    *p = (struct params){0};
}

/* For as many as a statement has; the widest tables have 1,600 columns. */
static void grow(struct params *p)
{
    size_t n = p->cap ? 2 * (size_t)p->cap : 16;

    p->begins = mem_grow(p->begins, n * sizeof(*p->begins));
    p->oids = mem_grow(p->oids, n * sizeof(*p->oids));
    p->lengths = mem_grow(p->lengths, n * sizeof(*p->lengths));
    p->formats = mem_grow(p->formats, n * sizeof(*p->formats));
    p->values = mem_grow(p->values, n * sizeof(*p->values));
    p->cap = (int)n;
}

void params_clear(struct params *p)
{
    if (p->bytes.cap > KEEP_BYTES) {
        buf_close(&p->bytes);
    }
    buf_clear(&p->bytes);
    p->n = 0;
}

/* Lists that are there even while there are no parameters, since they are passed
 * on. */
void params_init(struct params *p)
{
    *p = (struct params){0};
    grow(p);
}

/* Room for its first bytes: also an empty value has an address. */
static struct buf *begin(struct params *p, uint32_t oid)
{
    if (p->n == p->cap) {
        grow(p);
    }
    buf_reserve(&p->bytes, sizeof(uint64_t));
    p->begins[p->n] = p->bytes.len;
    p->oids[p->n] = oid;
    p->formats[p->n] = BINARY;
    return &p->bytes;
}

static void end(struct params *p)
{
    p->lengths[p->n] = (int)(p->bytes.len - p->begins[p->n]);
    p->n++;
}

static uint32_t oid_of(enum type_kind kind)
{
    return type_oid(&(struct coltype){.kind = (uint8_t)kind});
}

void params_chars(struct params *p, const char *s, int len)
{
    buf_put(begin(p, oid_of(TYPE_TEXT)), s, (size_t)len);
    end(p);
}

void params_text(struct params *p, const char *text)
{
    params_chars(p, text, text ? (int)strlen(text) : 0);
    if (!text) {
        p->lengths[p->n - 1] = SQL_NULL;
    }
}

void params_int4(struct params *p, int32_t v)
{
    buf_u32(begin(p, oid_of(TYPE_INTEGER)), (uint32_t)v);
    end(p);
}

void params_int8(struct params *p, int64_t v)
{
    buf_u64(begin(p, oid_of(TYPE_BIGINT)), (uint64_t)v);
    end(p);
}

void params_natural(struct params *p, int64_t v)
{
    params_int8(p, v);
    if (v < 0) {
        p->lengths[p->n - 1] = SQL_NULL;
    }
}

void params_bool(struct params *p, bool v)
{
    buf_put(begin(p, oid_of(TYPE_BOOLEAN)), v ? "\1" : "\0", 1);
    end(p);
}

void params_array(struct params *p, const struct coltype *t,
                  const struct tm_cell *cells, const uint32_t *index,
                  uint32_t n)
{
    encode_array(begin(p, type_array_oid(t)), t, cells, index, n);
    end(p);
}

void params_each(struct params *p, enum type_kind kind, params_cell_fn cell,
                 const void *list, uint32_t n)
{
    struct coltype t = {.kind = (uint8_t)kind};
    struct tm_cell *cells = mem_zero(n, sizeof(*cells));

    for (uint32_t i = 0; i < n; i++) {
        cells[i] = cell(list, i);
    }
    params_array(p, &t, cells, NULL, n);
    free(cells);
}

void params_xids(struct params *p, const uint32_t *values, uint32_t n)
{
    encode_xid_array(begin(p, OID_XID_ARRAY), values, n);
    end(p);
}

void params_seal(struct params *p)
{
    for (int i = 0; i < p->n; i++) {
        p->values[i] =
            p->lengths[i] == SQL_NULL ? NULL : p->bytes.data + p->begins[i];
    }
}
