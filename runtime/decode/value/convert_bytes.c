/* Into uuid and bytea. See convert.h.
 *
 * "deadbeef" is hex, and base64 too. Which of them a text is, is never guessed:
 * a schema or kafka{} says it, or the lane halts. Hex with \x in front can be
 * nothing else. */
#include <string.h>

#include "decode/json/base64.h"
#include "decode/value/convert_part.h"

/* Longer ones are not shown in both readings. */
enum { SHOWN_BYTES = 16 };

static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As nearly every uuid is written: 8-4-4-4-12 digits. False: not so. */
static bool read_hyphened_uuid(const char *p, unsigned char out[16])
{
    static const uint8_t at[16] = {0,  2,  4,  6,  9,  11, 14, 16,
                                   19, 21, 24, 26, 28, 30, 32, 34};
    /* One above its value; 0: no digit. */
    static const uint8_t digits[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
        ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
        ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
        ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};
    bool is_good = p[8] == '-' && p[13] == '-' && p[18] == '-' && p[23] == '-';

    for (int i = 0; i < 16; i++) {
        unsigned high = digits[(unsigned char)p[at[i]]];
        unsigned low = digits[(unsigned char)p[at[i] + 1]];

        is_good &= high && low;
        out[i] = (unsigned char)((high - 1) << 4 | (low - 1));
    }
    return is_good;
}

/* The usual forms: 32 digits, hyphens after any four, braces around. */
static bool read_uuid(const char *p, size_t len, unsigned char out[16])
{
    int n = 0;

    if (len == 36 && read_hyphened_uuid(p, out)) {
        return true;
    }
    memset(out, 0, 16);
    if (len >= 2 && p[0] == '{' && p[len - 1] == '}') {
        p++;
        len -= 2;
    }
    for (size_t i = 0; i < len; i++) {
        int digit = hex_digit(p[i]);

        if (p[i] == '-' && n > 0 && n % 4 == 0 && p[i - 1] != '-' && n < 32) {
            continue;
        }
        if (digit < 0 || n == 32) {
            return false;
        }
        out[n / 2] = (unsigned char)(out[n / 2] << 4 | digit);
        n++;
    }
    return n == 32;
}

bool convert_uuid(const struct conversion *c, const struct tm_cell *in,
                  struct tm_cell *out)
{
    unsigned char *bytes;

    if (in->tag != TM_TEXT) {
        return convert_is_not(c, in);
    }
    bytes = arena_alloc(c->a, 16);
    if (!read_uuid(in->p, in->len, bytes)) {
        return convert_is_not(c, in);
    }
    *out =
        (struct tm_cell){.p = (const char *)bytes, .len = 16, .tag = TM_UUID};
    return true;
}

static int64_t read_hex(const char *p, size_t len, char *out)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        int high = hex_digit(p[i]);
        int low = hex_digit(p[i + 1]);

        if (high < 0 || low < 0) {
            return -1;
        }
        *out++ = (char)(high << 4 | low);
    }
    return len % 2 == 0 ? (int64_t)(len / 2) : -1;
}

/* All digits, and of one case where Debezium wrote them: base64 of a few bytes
 * may look the same. */
static bool could_be_hex(const struct conversion *c, const struct tm_cell *in)
{
    bool has_upper = false, has_lower = false;

    for (uint32_t i = 0; i < in->len; i++) {
        if (hex_digit(in->p[i]) < 0) {
            return false;
        }
        has_upper |= in->p[i] >= 'A' && in->p[i] <= 'F';
        has_lower |= in->p[i] >= 'a';
    }
    return in->len > 0 && in->len % 2 == 0 &&
           !(c->rules->format == FORMAT_DEBEZIUM && has_upper && has_lower);
}

/* In how many characters of [in] the digits begin, or one of these. */
enum { HEX_IS_BASE64 = -1, HEX_UNSAID = -2 };
static int hex_begins(const struct conversion *c, const struct tm_cell *in)
{
    if (in->len >= 2 && in->p[0] == '\\' && in->p[1] == 'x') {
        return 2;
    }
    if (in->hint == TM_HINT_BASE64 || c->rules->binary == BINARY_BASE64) {
        return HEX_IS_BASE64;
    }
    return c->rules->binary == BINARY_HEX ? 0
           : could_be_hex(c, in)          ? HEX_UNSAID
                                          : HEX_IS_BASE64;
}

/* What it would be as either, as far as it can be. */
static bool fail_unsaid(const struct conversion *c, const struct tm_cell *in,
                        const char *bytes, int64_t n)
{
    bool is_debezium = c->rules->format == FORMAT_DEBEZIUM;
    const struct tm_cell read = {
        .p = bytes, .len = (uint32_t)(n > 0 ? n : 0), .tag = TM_BYTES};
    struct buf text = {0};

    if (n >= 0 && n <= SHOWN_BYTES) {
        buf_printf(&text, " (\\x%.*s as hex, ", (int)in->len, in->p);
        convert_text(c->t, &read, &text);
        buf_puts(&text, " as base64)");
    }
    convert_fail(c, in, "could be base64 or hex%s: %s", buf_text(&text),
                 c->rules->is_literal ? "write hex, with \\x in front"
                 : is_debezium
                     ? "state binary = 'bytes', 'base64' or 'hex' in kafka{}, "
                       "as the connector's binary.handling.mode says"
                     : "state binary = 'base64' or 'hex' in kafka{}, or write "
                       "hex with \\x in front");
    buf_close(&text);
    c->e->class = ERR_CONFIG;
    return false;
}

bool convert_bytea(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out)
{
    char *bytes;
    int64_t n;
    int hex;

    if (in->tag != TM_TEXT) {
        return convert_is_not(c, in);
    }
    hex = hex_begins(c, in);
    bytes = arena_alloc(c->a, in->len);
    n = hex >= 0 ? read_hex(in->p + hex, in->len - (uint32_t)hex, bytes)
                 : base64_decode(in->p, in->len, bytes);
    if (hex == HEX_UNSAID) {
        return fail_unsaid(c, in, bytes, n);
    }
    if (n < 0) {
        return convert_fail(c, in, "is not bytea: %s",
                            hex == 0 ? "it is not hex: check binary in kafka{}"
                            : c->rules->format == FORMAT_DEBEZIUM && hex < 0
                                ? "write base64, or check binary in kafka{}"
                                : "write base64 or hex with \\x in front");
    }
    *out = (struct tm_cell){.p = bytes, .len = (uint32_t)n, .tag = TM_BYTES};
    return true;
}
