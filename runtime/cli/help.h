#pragma once
/* What `tidemill help` and `tidemill VERB --help` print. */
#include <stdio.h>

#include "cli/verb.h"

/* What Tidemill is, its verbs and its environment. */
void help_print_overview(FILE *to);
/* [name], and what it is in lines that begin at [column]. */
void help_print_entry(const char *name, const char *text, int column);
/* All that there is to say of [v]. */
void help_print_verb(const struct verb *v);
