#pragma once
/* A call of a function of boot.lua, for the files of this folder that have more
 * to say to it than vm.c: begin, push the arguments, end; one result is on top
 * of the stack then, which the caller pops. */
#include <lua.h>

#include "base/err.h"

struct vm;

lua_State *vm_begin(struct vm *v, const char *name);
/* False with e (ERR_CONFIG), and nothing is on the stack. */
bool vm_end(struct vm *v, int n_args, struct err *e) MUSTCHECK;
