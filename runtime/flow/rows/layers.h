#pragma once
/*
 * `newer`: what a batch keeps of a row that a later event overwrites in part.
 *
 * An event may leave columns alone (an unchanged large value). Which values
 * they end with depends on the table: the server takes an earlier event's only
 * if that one was newer than the row. So an earlier state that a later event
 * does not cover stays as a layer, written before the row itself by a statement
 * of its own, and each is taken or left by its own version.
 *
 * Layers that a later event covers are dropped: whether they are taken makes no
 * difference. So a row has at most one for each set of columns.
 */
#include "flow/rows/rows.h"

/*
 * The row held [before] and a later event gives it [given] (cells by column;
 * MISSING: left alone): keeps the former if the latter does not cover it. What
 * the row holds is the caller's to set.
 */
void layers_cover(struct rows *r, uint32_t row, const struct tm_cell *before,
                  const struct tm_cell *given);
/* The number of the row's layer at [depth], 0 is the first one; -1: none. */
int32_t layers_at(const struct rows *r, uint32_t row, uint32_t depth);
/* All layers' cells by column, as statements want them; of the attempt. */
struct tm_cell **layers_cells(const struct rows *r);
