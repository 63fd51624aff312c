/* See oracle.h. */
#include "oracle.h"

#include <string.h>

#include "base/err.h"
#include "base/utf8.h"
#include "model/decimal.h"
#include "postgres/wire/encode.h"

static const char *const TYPES[] = {
    "smallint",       "integer",   "bigint",       "numeric",
    "numeric(18,2)",  "real",      "numeric(5)",   "double precision",
    "boolean",        "text",      "varchar(8)",   "varchar",
    "uuid",           "bytea",     "date",         "time",
    "time(3)",        "timestamp", "timestamp(0)", "timestamptz",
    "timestamptz(3)", "json",      "jsonb",        "text[]",
    "bigint[]",
};
enum { N_TYPES = sizeof(TYPES) / sizeof(*TYPES) };

struct coltype oracle_type(unsigned n)
{
    struct coltype t;

    must(type_parse(TYPES[n % N_TYPES], &t));
    return t;
}

static void check_decimal(const struct tm_cell *c)
{
    struct tm_dec d;

    must(dec_from_cell(c, &d));
    must(dec_fits(&d, DEC_MAX_DIGITS));
    must(d.scale >= 0 && d.scale <= DEC_MAX_SCALE);
}

/* Brackets are only counted by the walk: {] may stand for a container. */
static void check_raw(const struct tm_cell *c, char first)
{
    must(c->len >= 2 && c->p[0] == first && strchr("}]", c->p[c->len - 1]));
    must(utf8_valid(c->p, c->len) == c->len);
}

void oracle_cell(const struct tm_cell *c)
{
    switch ((enum tm_tag)c->tag) {
    case TM_MISSING:
    case TM_NULL:
    case TM_INT:
        return;
    case TM_BOOL:
        must(c->i == 0 || c->i == 1);
        return;
    case TM_DEC:
    case TM_BIGDEC:
        check_decimal(c);
        return;
    case TM_NUMBER:
        must(c->len > 0);
        /* fall through */
    case TM_TEXT:
        must(utf8_valid(c->p, c->len) == c->len);
        return;
    case TM_OBJECT:
        check_raw(c, '{');
        return;
    case TM_ARRAY:
        check_raw(c, '[');
        return;
    default:
        must(!"a tag that only columns have");
    }
}

bool oracle_is_same(const struct tm_cell *a, const struct tm_cell *b)
{
    return a->tag == b->tag && convert_equal(a, b);
}

void oracle_message(const char *text)
{
    must(text && text[0]);
    must(utf8_valid(text, strlen(text)) == strlen(text));
}

/* The length and bytes of the element at [at] of an array; -1: NULL. */
static int element(const struct buf *b, size_t *at, const char **p)
{
    uint32_t len;

    must(b->len - *at >= 4);
    memcpy(&len, b->data + *at, 4);
    len = __builtin_bswap32(len);
    *at += 4;
    if (len == UINT32_MAX) {
        *p = NULL;
        return -1;
    }
    must(b->len - *at >= len);
    *p = b->data + *at;
    *at += len;
    return (int)len;
}

/* Three elements, the middle one NULL, behind a header of 20 bytes. */
void oracle_travels(const struct coltype *t, const struct tm_cell *c,
                    struct arena *a)
{
    struct tm_cell cells[2] = {*c, {.tag = TM_NULL}}, back;
    static const uint32_t index[] = {0, 1, 0};
    struct buf out = {0};
    struct err e;
    const char *p;
    size_t at = 20;

    encode_array(&out, t, cells, index, 3);
    must(out.len >= at);
    for (int i = 0; i < 3; i++) {
        int len = element(&out, &at, &p);
        must((len < 0) == (i == 1 || c->tag <= TM_NULL));
        must(encode_read(t, p, len, a, &back, &e));
        must(len < 0 ? back.tag == TM_NULL : convert_equal(c, &back));
    }
    must(at == out.len);
    buf_close(&out);
}

static void check_column(const struct coltype *t, const struct tm_cell *c,
                         const struct convert_rules *rules, struct arena *a)
{
    struct err e = {.class = ERR_NONE};
    struct tm_cell out, again;
    struct buf text = {0};

    if (!convert_cell(t, c, rules, a, &out, &e)) {
        must(e.class == ERR_DATA || e.class == ERR_CONFIG);
        oracle_message(e.text);
        return;
    }
    must(convert_equal(&out, &out));
    convert_text(t, &out, &text);
    must(text.len == 0 || utf8_valid(text.data, text.len) == text.len);
    buf_close(&text);
    if (out.tag > TM_NULL) {
        must(convert_cell(t, &out,
                          &(struct convert_rules){.format = FORMAT_JSON}, a,
                          &again, &e));
        must(convert_equal(&out, &again));
        must(tm_cell_compare(&out, &again) == 0);
    }
    oracle_travels(t, &out, a);
}

void oracle_columns(const struct tm_cell *c, const struct convert_rules *rules,
                    struct arena *a)
{
    for (unsigned n = 0; n < N_TYPES; n++) {
        struct coltype t = oracle_type(n);

        check_column(&t, c, rules, a);
    }
}
