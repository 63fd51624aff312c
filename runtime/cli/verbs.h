#pragma once
/* All verbs, and how one is found by what was typed. */
#include "cli/verb.h"

/* Up to a NULL, in the order in which help lists them. */
extern const struct verb *const verbs[];

/* What is typed for [v]: "skip" for "lane skip". */
const char *verb_word(const struct verb *v);
/* NULL: [list] has no such word. */
const struct verb *verb_find(const struct verb *const *list, const char *word);
/* Says that [word] is none, with the nearest that is; returns EX_USAGE. [above]:
 * the verb whose word it would be; NULL: it would be a verb. */
int verb_refuse(const struct verb *above, const char *word);
/* Asks on stderr which word of [v] is meant; returns EX_USAGE. */
int verb_ask_word(const struct verb *v);
