#pragma once
/*
 * The two questions an orchestrator asks. "Alive" looks at the supervisor
 * and the heartbeats only: healthy processes must not be killed because a
 * database is down. "Ready" looks at what the workers wait for.
 */
#include <stdbool.h>

#include "admin/view.h"
#include "base/buf.h"

/* Both: one line a reason in [out] when the answer is no, "ok" otherwise. */
bool health_is_live(const struct admin_view *v, struct buf *out);
bool health_is_ready(const struct admin_view *v, struct buf *out);
