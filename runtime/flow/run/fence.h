#pragma once
/*
 * A batch whose lane was claimed elsewhere, or moved, since it was claimed here
 * (TM001): nothing is written, and the lane is claimed again. A lane whose row
 * is never written, though nobody else claimed it, halts instead: something in
 * the database keeps the new position back.
 */
#include "flow/run/next.h"
#include "flow/run/run.h"

/* [failed]: the statement of the batch that said so, which tells the lane. The
 * batch is released. */
struct next fence_failed(struct batch *b, int failed);
