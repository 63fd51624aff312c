#pragma once
/* One question to a failure rule, for vm.c: everything that may raise runs
 * protected. */
#include <lua.h>

#include "model/failure.h"

struct question {
    const struct failure *failure;
    bool by_stock; /* ask the stock rule, not the pipeline's own */
    int trace;     /* registry references to functions of boot.lua */
    int decide;
    struct decision *out; /* filled when it was answered */
    struct err *e;        /* filled when not: ERR_SCRIPT */
};

/* Status of lua_pcall: 0 when it was answered. The stack is as found. */
int decide_ask(lua_State *L, struct question *q) MUSTCHECK;
