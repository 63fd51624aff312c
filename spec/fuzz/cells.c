/*
 * Single values: numbers, decimals, times and texts into columns, and what
 * comes back from PostgreSQL. The first byte says what the rest is.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/utf8.h"
#include "decode/json/number.h"
#include "decode/value/time.h"
#include "input.h"
#include "model/decimal.h"
#include "oracle.h"
#include "postgres/wire/encode.h"

typedef void (*check_fn)(struct input *in, struct arena *a);

static void everywhere(const struct tm_cell *c, struct arena *a)
{
    static const struct convert_rules all[] = {
        {.format = FORMAT_JSON},
        {.format = FORMAT_OUTBOX},
        {.format = FORMAT_DEBEZIUM},
        {.format = FORMAT_DEBEZIUM,
         .decimals = DECIMALS_PRECISE,
         .times = TIMES_MICROS,
         .binary = BINARY_HEX},
        {.format = FORMAT_DEBEZIUM,
         .decimals = DECIMALS_STRING,
         .times = TIMES_NANOS,
         .binary = BINARY_BASE64},
        {.format = FORMAT_DEBEZIUM,
         .decimals = DECIMALS_DOUBLE,
         .times = TIMES_MILLIS},
        {.format = FORMAT_DEBEZIUM, .times = TIMES_ADAPTIVE},
        {.format = FORMAT_DEBEZIUM, .times = TIMES_ADAPTIVE_TIME},
        {.format = FORMAT_DEBEZIUM, .times = TIMES_ISO},
        {.format = FORMAT_DEBEZIUM, .has_schema = true},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        oracle_columns(c, &all[i], a);
    }
}

/* Texts are UTF-8 wherever they come from: the decoder and tm_put see to it. */
static void check_text(struct input *in, struct arena *a)
{
    struct tm_cell c = {
        .p = (const char *)in->p, .len = (uint32_t)in->len, .tag = TM_TEXT};

    if (utf8_valid(c.p, c.len) == c.len) {
        everywhere(&c, a);
    }
}

static void check_number(struct input *in, struct arena *a)
{
    struct tm_cell c;

    if (number_read((const char *)in->p, in->len, a, &c)) {
        oracle_cell(&c);
        everywhere(&c, a);
    }
}

static void take(struct input *in, void *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)out)[i] = input_byte(in);
    }
}

static void check_int(struct input *in, struct arena *a)
{
    struct tm_cell c = {.tag = TM_INT};

    take(in, &c.i, sizeof(c.i));
    everywhere(&c, a);
}

static void check_double(struct input *in, struct arena *a)
{
    struct tm_cell c = {.tag = TM_DOUBLE};

    take(in, &c.d, sizeof(c.d));
    everywhere(&c, a);
}

static void check_shape(const struct tm_dec *d)
{
    struct tm_dec back;
    char text[64];
    int len = tm_dec_format(d, text);

    must(dec_fits(d, DEC_MAX_DIGITS) && len > 0 && len < 64);
    must(tm_dec_parse(text, (size_t)len, &back) == 0);
    must(tm_dec_compare(d, &back) == 0);
}

/* What can be computed can be computed back. */
static void check_sums(const struct tm_dec *a, const struct tm_dec *b)
{
    struct tm_dec sum, back, out;

    must(tm_dec_compare(a, b) == -tm_dec_compare(b, a));
    if (tm_dec_add(a, b, &sum) == 0) {
        check_shape(&sum);
        if (tm_dec_sub(&sum, b, &back) == 0) {
            must(tm_dec_compare(&back, a) == 0);
        }
    }
    if (tm_dec_mul(a, b, &out) == 0) {
        check_shape(&out);
    }
    if (tm_dec_mod(a, b, &out) == 0) {
        check_shape(&out);
        must(dec_get(&out) == 0 || (dec_get(&out) < 0) == (dec_get(b) < 0));
    }
    for (int scale = -1; scale < 63; scale += 7) {
        if (tm_dec_div(a, b, scale, &out) == 0) {
            check_shape(&out);
        }
        if (tm_dec_round(a, scale, &out) == 0) {
            check_shape(&out);
        }
    }
}

static void check_decimal(struct input *in, struct arena *a)
{
    struct tm_dec x, y;
    struct piece p, q;
    struct tm_cell c;
    bool has_x = input_piece(in, &p) && p.p && !tm_dec_parse(p.p, p.len, &x);
    bool has_y = input_piece(in, &q) && q.p && !tm_dec_parse(q.p, q.len, &y);

    if (has_x) {
        check_shape(&x);
        dec_to_cell(&x, a, &c);
        oracle_cell(&c);
    }
    if (has_x && has_y) {
        check_shape(&y);
        check_sums(&x, &y);
        check_sums(&y, &x);
    }
    free(p.p);
    free(q.p);
}

/* What is read as a time prints as the same time. */
static void check_time(struct input *in, struct arena *a)
{
    const char *p = (const char *)in->p;
    struct time_parts t = {0}, back = {0};
    char text[40];

    (void)a;
    if (!time_read_date(p, in->len, &t)) {
        must(!time_read_date(text, time_put_date(t.days, text), &back));
        must(back.days == t.days);
    }
    if (!time_read_clock(p, in->len, &t)) {
        must(t.usec >= 0 && t.usec <= TIME_DAY_USEC);
        must(!time_read_clock(text, time_put_clock(t.usec, text), &back));
        must(back.usec == t.usec);
    }
    if (!time_read_stamp(p, in->len, &t)) {
        must(t.days >= TIME_MIN_DAY - 1 && t.days <= TIME_MAX_DAY + 1);
    }
}

/* A value of a result: the server's bytes, whatever they are. */
static void check_result(struct input *in, struct arena *a)
{
    struct coltype t = oracle_type(input_byte(in));
    struct tm_cell c;
    struct err e = {.class = ERR_NONE};

    if (!encode_read(&t, (const char *)in->p, (int)in->len, a, &c, &e)) {
        oracle_message(e.text);
        return;
    }
    oracle_travels(&t, &c, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const check_fn checks[] = {check_text,   check_number,  check_int,
                                      check_double, check_decimal, check_time,
                                      check_result};
    struct input in = {data, size};
    struct arena a;

    arena_init(&a, 0);
    uint8_t kind = input_byte(&in);
    checks[kind % (sizeof(checks) / sizeof(*checks))](&in, &a);
    arena_close(&a);
    return 0;
}
