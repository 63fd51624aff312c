/* See unavailable.h. */
#include "decode/json/unavailable.h"

#include <string.h>

#define TEXT   "__debezium_unavailable_value"
#define BASE64 "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
#define DIGITS                                                                 \
    "95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,"    \
    "98,108,101,95,118,97,108,117,101"
#define FORM(text)                                                             \
    {                                                                          \
        text, sizeof(text) - 1                                                 \
    }

static const struct plan_placeholder usual = {{
    [PLACEHOLDER_TEXT] = FORM(TEXT),
    [PLACEHOLDER_BASE64] = FORM(BASE64),
    [PLACEHOLDER_PAIR] = FORM("{\"" TEXT "\":\"" TEXT "\"}"),
    [PLACEHOLDER_JSON_TEXTS] = FORM("[\"" TEXT "\"]"),
    [PLACEHOLDER_JSON_NUMBERS] = FORM("[" DIGITS "]"),
    [PLACEHOLDER_TEXTS] = FORM("{\"" TEXT "\"}"),
    [PLACEHOLDER_NUMBERS] = FORM("{" DIGITS "}"),
}};

bool unavailable_is(const struct plan_placeholder *u, const struct tm_cell *c,
                    unsigned forms)
{
    const struct plan_form *form = (u ? u : &usual)->forms;

    /* No form is shorter than the text. */
    if (c->len < form[PLACEHOLDER_TEXT].len) {
        return false;
    }
    for (unsigned i = 0; forms >> i; i++) {
        if (forms >> i & 1 && c->len == form[i].len &&
            memcmp(c->p, form[i].p, c->len) == 0) {
            return true;
        }
    }
    return false;
}
