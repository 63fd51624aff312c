#pragma once
/* From SQLSTATE to the class of a failure (design section 10): one table.
 * The class alone decides what happens next. */
#include "base/err.h"

/* [sqlstate] may be NULL or "": a failure without one is ERR_CONNECTION. */
enum err_class sqlstate_class(const char *sqlstate);
