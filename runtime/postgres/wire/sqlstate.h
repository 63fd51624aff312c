#pragma once
/* From SQLSTATE to the class of a failure (design section 10): one table.
 * The class alone decides what happens next. */
#include "base/err.h"

/* [sqlstate] may be NULL or "": a failure without one is ERR_CONNECTION. A
 * code that the table does not know is ERR_SCHEMA. */
enum err_class sqlstate_class(const char *sqlstate);
/* Whether a row of the table speaks of it. */
bool sqlstate_is_known(const char *sqlstate);
/* Of ERR_SCHEMA or ERR_CONFIG: may it also be what a single record brought? */
bool sqlstate_may_be_one(const char *sqlstate);
/* A lock did not come within lock_timeout. */
bool sqlstate_is_lock(const char *sqlstate);
/* What is special about this code, for people; NULL: nothing. Static. */
const char *sqlstate_note(const char *sqlstate);
/*
 * The class of an attempt to connect that failed. [text] is what libpq says,
 * which alone speaks when it has no SQLSTATE. Never a class that blames a
 * record or a table: none was in play.
 */
enum err_class sqlstate_refusal(const char *sqlstate, const char *text);
/* What to do about such an attempt, where libpq's words do not tell; NULL:
 * nothing to add. Static. */
const char *sqlstate_hint(const char *text);
