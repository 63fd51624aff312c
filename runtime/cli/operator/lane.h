#pragma once
/* The words of `tidemill lane`. */
#include "cli/verb.h"

extern const struct verb lane_list;
extern const struct verb lane_resume;
extern const struct verb lane_seek;
extern const struct verb lane_skip;
