#pragma once
/*
 * The parameters of a statement in binary, in order: $1, $2, ... with the type
 * that each has. A connection has one set of them (pgconn_params).
 */
#include "base/buf.h"
#include "model/api.h"
#include "model/type.h"

enum { PGCONN_VARIED = -1 }; /* a series: see pgconn_add_series */

struct params {
    struct buf bytes; /* owned: of all of them, one behind the other */
    int n;
    int cap;        /* of the lists, which are owned */
    size_t *begins; /* in bytes */
    /* as libpq takes them */
    uint32_t *oids;
    int *lengths;
    int *formats;
    const char **values; /* params_seal; NULL: SQL NULL */
};

void params_init(struct params *p);
void params_close(struct params *p);
/* None are left; of the memory some is kept. */
void params_clear(struct params *p);

/* Each adds one. [text] NULL: SQL NULL. */
void params_text(struct params *p, const char *text);
void params_chars(struct params *p, const char *s, int len);
void params_int4(struct params *p, int32_t v);
void params_int8(struct params *p, int64_t v);
/* SQL NULL where it is below 0. */
void params_natural(struct params *p, int64_t v);
void params_bool(struct params *p, bool v);
/* An array; see encode.h. */
void params_array(struct params *p, const struct coltype *t,
                  const struct tm_cell *cells, const uint32_t *index,
                  uint32_t n);
/* The same of something of each item: [cell] makes it of list[i]. */
typedef struct tm_cell (*params_cell_fn)(const void *list, uint32_t i);
/* Such a function; [cell]: made of the item, at. */
#define PARAMS_CELL(type, name, cell)                                          \
    static struct tm_cell name(const void *list, uint32_t i)                   \
    {                                                                          \
        const type *at = (const type *)list + i;                               \
        return cell;                                                           \
    }
void params_each(struct params *p, enum type_kind kind, params_cell_fn cell,
                 const void *list, uint32_t n);
void params_xids(struct params *p, const uint32_t *values, uint32_t n);

static inline struct tm_cell cell_int(int64_t i)
{
    return (struct tm_cell){.i = i, .tag = TM_INT};
}
static inline struct tm_cell cell_bool(bool b)
{
    return (struct tm_cell){.i = b, .tag = TM_BOOL};
}
static inline struct tm_cell cell_bytes(const char *p, uint32_t len)
{
    return (struct tm_cell){.p = p, .len = len, .tag = p ? TM_BYTES : TM_NULL};
}
static inline struct tm_cell cell_text(const char *s)
{
    return (struct tm_cell){.p = s,
                            .len = s ? (uint32_t)strlen(s) : 0,
                            .tag = s ? TM_TEXT : TM_NULL};
}

/* Sets the values, which stay until the next is added. */
void params_seal(struct params *p);
