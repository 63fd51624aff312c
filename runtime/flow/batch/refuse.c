/*
 * Whether a value fits a column, asked while a pipeline is loaded; see
 * model/api.h. The answer is the conversion's own, so that a pipeline which
 * passes `check` does not fail when it runs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "decode/value/convert.h"
#include "model/plan.h"

static void set_value(struct tm_cell *c, char tag, const char *value,
                      uint32_t len)
{
    c->p = value;
    c->len = len;
    switch (tag) {
    case 'b':
        c->tag = TM_BOOL;
        c->i = *value == 't';
        break;
    case 'n':
        c->tag = TM_NUMBER;
        break;
    case 't':
        c->tag = TM_TEXT;
        break;
    case 'm':
        c->tag = TM_STAMP;
        c->hint = TM_HINT_MICROS;
        c->i = strtoll(value, NULL, 10);
        break;
    default:
        c->tag = tag == 'o' ? TM_OBJECT : TM_ARRAY;
    }
}

const char *tm_refuse(const char *type, char tag, const char *value,
                      uint32_t len)
{
    static char text[400];
    struct convert_rules rules = {.format = FORMAT_JSON, .is_literal = true};
    struct tm_cell cell = {0}, out;
    struct coltype t;
    struct arena a;
    struct err e;

    must(type_parse(type, &t));
    arena_init(&a, 0);
    set_value(&cell, tag, value, len);
    bool ok = convert_cell(&t, &cell, &rules, &a, &out, &e);
    if (!ok) {
        snprintf(text, sizeof(text), "%.399s", e.text);
    }
    arena_close(&a);
    return ok ? NULL : text;
}
