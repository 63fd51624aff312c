#pragma once
/* Which dead letters a verb is about, as options say it. */
#include "base/err.h"
#include "cli/operator/place.h"
#include "cli/options.h"
#include "postgres/operator/letters.h"

struct letter_choice {
    struct letter_filter filter;
    const char *since;
    struct place place;
};

/* The options that set the letter_choice [c] of a request; [unless_said]: how many
 * there are without --limit, in words. */
#define CHOICE_OPTIONS(request, c, unless_said)                                \
    HEADING_OPTION("Which letters (all of what is said must fit):"),           \
        TEXT_OPTION(request, c.filter.topic, "topic", "TOPIC",                 \
                    "as TOPIC[/PARTITION[/OFFSET]] after PATH says it"),       \
        OFFSET_OPTION(request, c.filter.partition, "partition", "N",           \
                      "one partition of it"),                                  \
        OFFSET_OPTION(request, c.filter.offset, "offset", "N",                 \
                      "one record of it"),                                     \
        TEXT_OPTION(request, c.filter.key, "key", "TEXT",                      \
                    "the record's key, whole"),                                \
        TEXT_OPTION(request, c.filter.state, "state", "failed|held",           \
                    "could not be applied, or waits for an earlier one of "    \
                    "its key that could not"),                                 \
        TEXT_OPTION(request, c.filter.class, "class", "CLASS",                 \
                    "data, script, ..."),                                      \
        TEXT_OPTION(request, c.filter.sqlstate, "sqlstate", "CODE",            \
                    "such as 23505"),                                          \
        TEXT_OPTION(request, c.since, "since", "AGE|TIME",                     \
                    "first seen in the last 90s, 15m, 2h, 3d; or since "       \
                    "2026-01-31T12:00:00Z"),                                   \
        OFFSET_OPTION(request, c.filter.limit, "limit", "N",                   \
                      "the first N by place" unless_said)

/* What is chosen when nothing is said. */
extern const struct letter_choice choice_of_all;
/* Completes c->filter; [place] may be NULL. EX_OK, or EX_USAGE and the reason
 * is told. [c] is borrowed by its filter. */
int choice_make(struct letter_choice *c, const struct verb *v,
                const char *place) MUSTCHECK;
/* No letter is what was asked for: EX_OK when there might have been one, else
 * EX_NOINPUT, and told: the pipeline has no such topic, partition or letter. */
int choice_found_none(const struct letter_choice *c, const struct verb *v,
                      struct operator_connection *conn);
bool choice_is_empty(const struct letter_choice *c);
