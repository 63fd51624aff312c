#pragma once
/*
 * The version of schema tidemill in a database: a function tidemill.version()
 * whose text in the catalogue is read, never called, so no role needs a right
 * for it. A schema with tables and without the function is version 1, which had
 * no mark at first.
 *
 * Whoever changes what sql_schema() makes raises SCHEMA_VERSION, and writes what
 * brings an older schema there so that it can be run again: ADD COLUMN IF NOT
 * EXISTS, never a change of what is in a row. The function is made last, in the
 * same transaction.
 */
#include "base/buf.h"

#define SCHEMA_VERSION      1
#define SCHEMA_VERSION_TEXT SCHEMA_TEXT_OF(SCHEMA_VERSION)
#define SCHEMA_TEXT_OF(x)   SCHEMA_TEXT(x)
#define SCHEMA_TEXT(x)      #x

/* A subquery: the text of the function; NULL: there is none. */
#define SQL_SCHEMA_VERSION                                                     \
    "(SELECT f.prosrc FROM pg_proc f JOIN pg_namespace n "                     \
    "ON n.oid = f.pronamespace WHERE n.nspname = 'tidemill' "                  \
    "AND f.proname = 'version' AND f.pronargs = 0)"

enum schema_age { SCHEMA_OLDER, SCHEMA_KNOWN, SCHEMA_NEWER };
/* [source]: what SQL_SCHEMA_VERSION gave; "": no such function. A text that this
 * program would not write is a newer one's. */
enum schema_age schema_age(const char *source);
/* What is wrong with a schema that is not SCHEMA_KNOWN, and what to do; [path]
 * of the pipeline. */
void schema_put_age(struct buf *b, const char *source, const char *path);
