#pragma once
/*
 * What a run makes of a single record: the decoder, the keys and the rows of
 * mirrors are those of a run. Handlers, and keys that are functions, are not
 * called. For `check`.
 */
#include "inspect/recognise.h"

struct tm_trial;

/* [t] is a trial of [p]; the record is borrowed, texts go into [a]. */
struct taken taken_by(struct tm_trial *t, const struct plan *p,
                      const struct record *r, record_header_at_fn header_at,
                      struct arena *a);
