#pragma once
/* The page as Prometheus text (format 0.0.4): every name begins with
 * tidemill_, units are seconds and bytes, counters end in _total. */
#include "admin/view.h"
#include "base/buf.h"

void metrics_write(const struct admin_view *v, struct buf *out);
