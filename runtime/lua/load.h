#pragma once
/* From the plan as scripts/tidemill/plan/plan.lua made it, a checked table with
 * every default filled in, to struct plan. */
#include <lua.h>

#include "model/plan.h"

/*
 * The table at stack index [index]. `initial` values stay as written
 * (TM_NUMBER, TM_BOOL, TM_TEXT, TM_OBJECT, TM_ARRAY): flow converts them to
 * their columns' types. Aborts when the table is not what plan.lua
 * makes: that is a bug, not a condition.
 */
const struct plan *load_plan(lua_State *L, int index);
