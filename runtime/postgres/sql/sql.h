#pragma once
/*
 * The SQL text of everything a projection needs. Pure: from a plan to text.
 * Identifiers come from the plan and are quoted here; values are always
 * parameters. Column lists are given as sets (model/columns.h); key columns are
 * always part of a statement. All texts are allocated in the arena. [f]: what the
 * table is (its schema, casts of its columns); NULL: it is named as the plan does.
 *
 * Counted statements raise in the server, through tidemill.must(): in a
 * pipeline an UPDATE of no row is no error, and COMMIT is already on its way.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "model/facts.h"
#include "model/plan.h"

/* $1.. = key arrays. Columns: ordinality (int8, from 1), xmin as xid when
 * aligned, then every non-key column (arrays cast to text). [is_locked]: others
 * cannot change these rows before the end; those of shared ones always are. */
const char *sql_load(struct arena *a, const struct table_facts *f,
                     const struct plan_projection *p, bool is_locked);
/* $1.. = key arrays, then value arrays of the mask, [xmins xid[] when
 * aligned], expected count int8. Raises TM002 unless all rows matched; with
 * `newer`: unless all are there. */
const char *sql_update(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask);
/* $1.. = key arrays, value arrays of the mask, expected count int8. INSERT
 * ON CONFLICT DO NOTHING; raises TM002 unless all were inserted. Of a part: a row
 * that is there is taken while none of its columns has a value. */
const char *sql_insert(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask);
/* $1.. = key arrays, value arrays of the mask. Honours `newer`. */
const char *sql_upsert(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask);
/* $1.. = key arrays [xmins, expected count when a fold: counted, TM002; the
 * versions of the deletes where they have some: only older rows go, and for a
 * NULL each one]. */
const char *sql_delete(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p);
/* Aligned folds. $1.. = key arrays, xmins xid[], expected count int8. Changes
 * nothing; raises TM002 unless all rows are there and have their xmin. */
const char *sql_verify(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p);
/* $1.. = key arrays, value arrays of the mask: combined by each merge word. */
const char *sql_merge(struct arena *a, const struct table_facts *f,
                      const struct plan_projection *p, const uint64_t *mask);
/* $1.. = value arrays of the mask (append has no key). With `once`: leaves out
 * what is there, and answers how many were inserted. */
const char *sql_append(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask);
/* No parameters: all rows go. TRUNCATE, since a DELETE of a large table would
 * not come back before statement_timeout; its lock lasts until COMMIT. */
const char *sql_empty(struct arena *a, const struct table_facts *f,
                      const struct plan_projection *p);

/* The columns that a unique index of the table must be made of: its key, or
 * what tells events of an append apart; none for other appends. */
void sql_identity(struct buf *b, const struct plan_projection *p);

/* tidemill.lane, must() and all else that Tidemill itself needs. */
const char *sql_schema(void);
/* CREATE TABLE IF NOT EXISTS for one projection; of a later part ADD COLUMN. */
const char *sql_table(struct arena *a, const struct plan_projection *p);
