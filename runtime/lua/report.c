/* See report.h. */
#include "lua/report.h"

#include <stdlib.h>
#include <string.h>

#include "lua/vm_call.h"

/* NULL: the field is nil. */
static char *take_text(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const char *p = lua_tostring(L, -1);
    char *text = p ? strdup(p) : NULL;
    must(text || !p);
    lua_pop(L, 1);
    return text;
}

bool vm_report(struct vm *v, const char *verb, const struct report_word *said,
               uint32_t n, struct vm_report *out, struct err *e)
{
    lua_State *L = vm_begin(v, verb);

    lua_createtable(L, 0, (int)n);
    for (uint32_t i = 0; i < n; i++) {
        lua_pushstring(L, said[i].value); /* nil where it is NULL */
        lua_setfield(L, -2, said[i].name);
    }
    if (!vm_end(v, 1, e)) {
        return false;
    }
    out->out = take_text(L, "out");
    out->err = take_text(L, "err");
    lua_pop(L, 1);
    return true;
}

void report_close(struct vm_report *r)
{
    free(r->out);
    free(r->err);
}
