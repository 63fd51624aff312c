/* See type.h. Two tables: what each kind is to PostgreSQL, and the words that
 * name it. A word is compared in lower case with single blanks and without
 * its "(...)", so "Timestamp (3) with time zone" finds its entry too. */
#include "model/type.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What may stand in parentheses behind the word. */
enum modifier { MOD_NONE, MOD_DIGITS, MOD_SECONDS, MOD_LENGTH };

/* LIMIT_SCALE: what a decimal of 38 digits can still show in full. */
enum { LIMIT_PRECISION = 1000, LIMIT_SCALE = 38, LIMIT_LENGTH = 10485760 };

struct kind {
    const char *name;   /* as format_type() prints it, without modifier */
    const char *suffix; /* behind the modifier */
    const char *wire;
    uint32_t oid;
    uint32_t array_oid;
    enum modifier modifier;
    bool is_key;
    uint8_t bytes; /* of its binary form; 0: they vary */
};

enum { OID_TEXT = 25, OID_TEXT_ARRAY = 1009 };

static const struct kind kinds[TYPE_KINDS] = {
    [TYPE_SMALLINT] = {"smallint", "", "int2", 21, 1005, MOD_NONE, true, 2},
    [TYPE_INTEGER] = {"integer", "", "int4", 23, 1007, MOD_NONE, true, 4},
    [TYPE_BIGINT] = {"bigint", "", "int8", 20, 1016, MOD_NONE, true, 8},
    [TYPE_NUMERIC] = {"numeric", "", "numeric", 1700, 1231, MOD_DIGITS, true},
    [TYPE_REAL] = {"real", "", "float4", 700, 1021, MOD_NONE, false, 4},
    [TYPE_DOUBLE] = {"double precision", "", "float8", 701, 1022, MOD_NONE,
                     false, 8},
    [TYPE_BOOLEAN] = {"boolean", "", "bool", 16, 1000, MOD_NONE, true, 1},
    [TYPE_TEXT] = {"text", "", "text", OID_TEXT, OID_TEXT_ARRAY, MOD_NONE,
                   true},
    [TYPE_VARCHAR] = {"character varying", "", "text", OID_TEXT, OID_TEXT_ARRAY,
                      MOD_LENGTH, true},
    [TYPE_CHAR] = {"character", "", "bpchar", 1042, 1014, MOD_LENGTH, true},
    [TYPE_UUID] = {"uuid", "", "uuid", 2950, 2951, MOD_NONE, true, 16},
    [TYPE_BYTEA] = {"bytea", "", "bytea", 17, 1001, MOD_NONE, true},
    [TYPE_DATE] = {"date", "", "date", 1082, 1182, MOD_NONE, true, 4},
    [TYPE_TIME] = {"time", " without time zone", "time", 1083, 1183,
                   MOD_SECONDS, false, 8},
    [TYPE_TIMESTAMP] = {"timestamp", " without time zone", "timestamp", 1114,
                        1115, MOD_SECONDS, true, 8},
    [TYPE_TIMESTAMPTZ] = {"timestamp", " with time zone", "timestamptz", 1184,
                          1185, MOD_SECONDS, true, 8},
    [TYPE_JSON] = {"json", "", "json", 114, 199, MOD_NONE, false},
    [TYPE_JSONB] = {"jsonb", "", "jsonb", 3802, 3807, MOD_NONE, false},
    [TYPE_TEXT_ARRAY] = {"text[]", "", "text", OID_TEXT, OID_TEXT_ARRAY,
                         MOD_NONE, false},
    [TYPE_BIGINT_ARRAY] = {"bigint[]", "", "text", OID_TEXT, OID_TEXT_ARRAY,
                           MOD_NONE, false},
};

static const struct {
    const char *word;
    enum type_kind kind;
} words[] = {
    {"smallint", TYPE_SMALLINT},
    {"int2", TYPE_SMALLINT},
    {"integer", TYPE_INTEGER},
    {"int", TYPE_INTEGER},
    {"int4", TYPE_INTEGER},
    {"bigint", TYPE_BIGINT},
    {"int8", TYPE_BIGINT},
    {"numeric", TYPE_NUMERIC},
    {"decimal", TYPE_NUMERIC},
    {"dec", TYPE_NUMERIC},
    {"real", TYPE_REAL},
    {"float4", TYPE_REAL},
    {"double precision", TYPE_DOUBLE},
    {"float8", TYPE_DOUBLE},
    {"float", TYPE_DOUBLE},
    {"boolean", TYPE_BOOLEAN},
    {"bool", TYPE_BOOLEAN},
    {"text", TYPE_TEXT},
    {"varchar", TYPE_VARCHAR},
    {"character varying", TYPE_VARCHAR},
    {"char", TYPE_CHAR},
    {"character", TYPE_CHAR},
    {"uuid", TYPE_UUID},
    {"bytea", TYPE_BYTEA},
    {"date", TYPE_DATE},
    {"time", TYPE_TIME},
    {"time without time zone", TYPE_TIME},
    {"timestamp", TYPE_TIMESTAMP},
    {"timestamp without time zone", TYPE_TIMESTAMP},
    {"timestamptz", TYPE_TIMESTAMPTZ},
    {"timestamp with time zone", TYPE_TIMESTAMPTZ},
    {"json", TYPE_JSON},
    {"jsonb", TYPE_JSONB},
    {"text[]", TYPE_TEXT_ARRAY},
    {"bigint[]", TYPE_BIGINT_ARRAY},
    {"int8[]", TYPE_BIGINT_ARRAY},
};

enum { N_WORDS = sizeof(words) / sizeof(words[0]), WORD_BYTES = 64 };

/* Appends [p, end) in lower case, runs of blanks as one. */
static bool squeeze(char word[WORD_BYTES], const char *p, const char *end)
{
    size_t len = strlen(word);

    for (; p < end; p++) {
        bool is_blank = isspace((unsigned char)*p);

        if (is_blank && (len == 0 || word[len - 1] == ' ')) {
            continue;
        }
        if (len == WORD_BYTES - 1) {
            return false;
        }
        word[len++] = is_blank ? ' ' : (char)tolower((unsigned char)*p);
    }
    word[len] = '\0';
    return true;
}

/* One or two whole numbers between [p] and the closing parenthesis. */
static bool parse_numbers(const char *p, long numbers[2], int *n)
{
    for (*n = 0; *n < 2;) {
        char *end;

        numbers[(*n)++] = strtol(p, &end, 10);
        if (end == p) {
            return false;
        }
        p = end + strspn(end, " \t");
        if (*p == ')') {
            return true;
        }
        if (*p++ != ',') {
            return false;
        }
    }
    return false;
}

/* The word without its parentheses, and the numbers inside them. */
static bool split(const char *text, char word[WORD_BYTES], long numbers[2],
                  int *n)
{
    const char *end = text + strlen(text);
    const char *open = strchr(text, '(');
    const char *close = open ? strchr(open, ')') : NULL;
    size_t len;

    word[0] = '\0';
    *n = 0;
    if (open && (!close || !parse_numbers(open + 1, numbers, n))) {
        return false;
    }
    if (!squeeze(word, text, open ? open : end) ||
        (open && !squeeze(word, close + 1, end))) {
        return false;
    }
    len = strlen(word);
    if (len > 0 && word[len - 1] == ' ') {
        word[len - 1] = '\0';
    }
    return true;
}

static bool set_modifier(struct coltype *t, const long numbers[2], int n)
{
    long first = numbers[0];

    switch (kinds[t->kind].modifier) {
    case MOD_DIGITS:
        t->precision = (int16_t)first;
        t->scale = n == 2 ? (int16_t)numbers[1] : 0;
        return first >= 1 && first <= LIMIT_PRECISION &&
               (n == 1 || (numbers[1] >= 0 && numbers[1] <= LIMIT_SCALE));
    case MOD_SECONDS:
        t->precision = (int16_t)first;
        return n == 1 && first >= 0 && first <= 6;
    case MOD_LENGTH:
        t->length = (int32_t)first;
        return n == 1 && first >= 1 && first <= LIMIT_LENGTH;
    case MOD_NONE:
        break;
    }
    return false;
}

bool type_parse(const char *text, struct coltype *out)
{
    char word[WORD_BYTES];
    long numbers[2] = {0, 0};
    int n;

    if (!split(text, word, numbers, &n)) {
        return false;
    }
    for (size_t i = 0; i < N_WORDS; i++) {
        if (strcmp(words[i].word, word) == 0) {
            *out = (struct coltype){.kind = (uint8_t)words[i].kind};
            if (kinds[out->kind].modifier == MOD_SECONDS) {
                out->precision = 6;
            }
            out->length = out->kind == TYPE_CHAR; /* as in SQL */
            return n == 0 || set_modifier(out, numbers, n);
        }
    }
    return false;
}

void type_print(const struct coltype *t, struct buf *out)
{
    const struct kind *k = &kinds[t->kind];

    buf_puts(out, k->name);
    if (k->modifier == MOD_DIGITS && t->precision > 0) {
        buf_printf(out, "(%d,%d)", t->precision, t->scale);
    } else if (k->modifier == MOD_SECONDS && t->precision < 6) {
        buf_printf(out, "(%d)", t->precision);
    } else if (k->modifier == MOD_LENGTH && t->length > 0) {
        buf_printf(out, "(%d)", t->length);
    }
    buf_puts(out, k->suffix);
}

uint32_t type_bytes(const struct coltype *t)
{
    return kinds[t->kind].bytes;
}

uint32_t type_oid(const struct coltype *t)
{
    return kinds[t->kind].oid;
}

uint32_t type_array_oid(const struct coltype *t)
{
    return kinds[t->kind].array_oid;
}

const char *type_wire_name(const struct coltype *t)
{
    return kinds[t->kind].wire;
}

bool type_is_number(enum type_kind kind)
{
    return kind == TYPE_SMALLINT || kind == TYPE_INTEGER ||
           kind == TYPE_BIGINT || kind == TYPE_NUMERIC || kind == TYPE_REAL ||
           kind == TYPE_DOUBLE;
}

bool type_is_key(const struct coltype *t)
{
    return kinds[t->kind].is_key;
}

const char *type_words(void)
{
    return "smallint, integer, bigint, numeric, real, double precision, "
           "boolean, text, varchar, char, uuid, bytea, date, time, timestamp, "
           "timestamptz, json, jsonb, text[], bigint[]";
}
