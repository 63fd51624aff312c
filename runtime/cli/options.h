#pragma once
/*
 * Options of a verb, by a table: --name, --name VALUE or --name=VALUE, in any
 * order with the PATH; `--` ends them. What is wrong is said on stderr.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/verb.h"

enum option_kind {
    OPTION_FLAG,   /* out: bool * */
    OPTION_TEXT,   /* out: const char ** */
    OPTION_NUMBER, /* out: uint32_t *, in [least, most] */
    OPTION_OFFSET  /* out: int64_t *, from 0 */
};

struct option_spec {
    const char *name; /* without the dashes */
    enum option_kind kind;
    void *out;
    uint32_t least, most;
};

/* False: the exit status is EX_USAGE. *path is NULL when none was given. */
bool options_parse(const struct verb *v, const struct option_spec *specs,
                   size_t n, int argc, char **argv,
                   const char **path) MUSTCHECK;
/* Words without dashes, such as the path. */
struct option_words {
    const char **out; /* [most] of them; NULL where none was given */
    size_t most;
};

/* The same for verbs that take more words than a path. */
bool options_parse_words(const struct verb *v, const struct option_spec *specs,
                         size_t n, int argc, char **argv,
                         const struct option_words *words) MUSTCHECK;
/* A whole number from 0; false: it is none, and *out is as it was. */
bool options_offset(const char *text, int64_t *out);
/* Says "tidemill VERB: ..." and how to get help; returns EX_USAGE. */
int options_refuse(const struct verb *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
