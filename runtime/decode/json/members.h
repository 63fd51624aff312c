#pragma once
/* All members of one object: where fields that have no column are found. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/api.h"

struct schema_row;
struct walk;

struct member {
    const char *name; /* the document's, or the walk's arena */
    uint32_t len;
    struct tm_cell cell;
};

struct members {
    struct member *list; /* owned; as they come, a name may come twice */
    uint32_t n;
    uint32_t cap;
};

void members_clear(struct members *m);
void members_close(struct members *m);
/* At an opening brace: walk.members becomes what is in it. [row] as for
 * walk_node(). */
bool members_read(struct walk *w, const struct schema_row *row) MUSTCHECK;
