#pragma once
/* Which dead letters a verb is about, as options say it. */
#include "base/err.h"
#include "cli/operator/place.h"
#include "cli/options.h"
#include "postgres/operator/letters.h"

enum { CHOICE_OPTIONS = 9 };

struct letter_choice {
    struct letter_filter filter;
    const char *since;
    struct place place;
};

/* For `--help`. */
#define CHOICE_HELP                                                            \
    "Which letters (all of what is said must fit):\n"                          \
    "  TOPIC[/PARTITION[/OFFSET]], or --topic, --partition, --offset\n"        \
    "  --key TEXT                     the record's key, whole\n"               \
    "  --state failed|held            could not be applied, or waits behind\n" \
    "                                 one of its key that could not\n"         \
    "  --class CLASS                  data, script, ...\n"                     \
    "  --sqlstate CODE                such as 23505\n"                         \
    "  --since AGE|TIME               first seen in the last 90s, 15m, 2h, "   \
    "3d;\n"                                                                    \
    "                                 or since 2026-01-31T12:00:00Z\n"         \
    "  --limit N                      the first N by place\n"

/* Fills [specs], which store into [c]. */
void choice_options(struct letter_choice *c,
                    struct option_spec specs[CHOICE_OPTIONS]);
/* Completes c->filter; [place] may be NULL. EX_OK, or EX_USAGE and the reason
 * is told. [c] is borrowed by its filter. */
int choice_make(struct letter_choice *c, const struct verb *v,
                const char *place) MUSTCHECK;
/* No letter is what was asked for: EX_OK when there might have been one, else
 * EX_NOINPUT, and told: the pipeline has no such topic, partition or letter. */
int choice_found_none(const struct letter_choice *c, const struct verb *v,
                      struct operator_connection *conn);
bool choice_is_empty(const struct letter_choice *c);
