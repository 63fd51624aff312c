/* Columns that are written and never read: see tm_unread() of model/api.h. */
#include <stdio.h>

#include "flow/rows/rows.h"

void tm_unread(struct tm_batch *b, const struct tm_rows *view, uint32_t column)
{
    const struct program *g = ((const struct rows *)view)->program;
    const char *name = g->plan->columns[column].name;

    snprintf(b->error, sizeof(b->error),
             "%s.%s cannot be read in a handler: its type in the table is "
             "%.100s, which may write a value in another way than the record "
             "did, so that rows would depend on how events are cut into "
             "batches: keep what you compute with in a column of its own, such "
             "as %s_given = 'text'",
             g->plan->table, name, g->facts->casts[column].type, name);
    b->error_class = ERR_CONFIG;
}
