#pragma once
/*
 * The least rights that a role needs: for `run` on the tables of a pipeline and
 * on schema tidemill, and for the verbs of an operator on schema tidemill
 * alone. The GRANTs that `schema` prints and what `check` and `run` look for
 * come from here, so that the two cannot differ.
 */
#include "base/buf.h"
#include "model/plan.h"

enum right {
    RIGHT_SELECT,
    RIGHT_INSERT,
    RIGHT_UPDATE, /* up to here also by column */
    RIGHT_DELETE,
    RIGHT_TRUNCATE,
    N_RIGHTS
};
extern const char *const right_words[N_RIGHTS];

/* Of a projection on its table. */
struct rights {
    bool needs[N_RIGHTS]; /* on every column that the projection declares */
    int read_column;      /* SELECT on this one alone, when needs[RIGHT_SELECT]
                              is false; -1: on none */
};
struct rights rights_of(const struct plan *plan,
                        const struct plan_projection *p);

/* GRANT statements, a line each, to [role], for `run` of the plan and for the
 * operator's verbs. */
void rights_grant_run(struct buf *b, const struct plan *plan, const char *role);
/* Of these the part of schema tidemill, and that of one table. */
void rights_grant_own(struct buf *b, const char *role);
void rights_grant_table(struct buf *b, const struct plan *plan,
                        const struct plan_projection *p, const char *role);
void rights_grant_operator(struct buf *b, const char *role);

/* What a run needs on its own tables: "SELECT, INSERT, UPDATE". */
extern const char RIGHTS_LANE[], RIGHTS_DEAD_LETTER[];
