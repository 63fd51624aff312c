#pragma once
/* /status: everything that the page knows, as JSON for people and scripts. */
#include "admin/view.h"
#include "base/buf.h"

void status_write(const struct admin_view *v, struct buf *out);
