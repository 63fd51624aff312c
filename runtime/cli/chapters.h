#pragma once
/*
 * Chapters of the reference: sections of the pages beside the sources, which
 * are in the binary, so that `tidemill help CHAPTER` says what this version does.
 */
#include <stdbool.h>

struct chapter {
    const char *name; /* what is typed */
    const char *summary;
    const char *page; /* the whole page it is in */
    const char
        *heading; /* its line there, "## In a handler"; NULL: all of it */
};

/* Up to one without a name. */
extern const struct chapter chapters[];

/* False: there is no such chapter. */
bool chapter_print(const char *name);
/* Says that [word] is neither a verb nor a chapter; returns EX_USAGE. */
int chapter_refuse(const char *word);
