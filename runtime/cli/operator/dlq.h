#pragma once
/* The words of `tidemill dlq`. */
#include "cli/verb.h"

extern const struct verb dlq_discard;
extern const struct verb dlq_export;
extern const struct verb dlq_list;
extern const struct verb dlq_retry;
extern const struct verb dlq_show;
