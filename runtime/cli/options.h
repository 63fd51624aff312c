#pragma once
/*
 * Options of a verb, by a table: --name, --name VALUE or --name=VALUE, in any
 * order with the one PATH; `--` ends them. What is wrong is said on stderr.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/verb.h"

enum option_kind {
    OPTION_FLAG,  /* out: bool * */
    OPTION_TEXT,  /* out: const char ** */
    OPTION_NUMBER /* out: uint32_t *, in [least, most] */
};

struct option_spec {
    const char *name; /* without the dashes */
    enum option_kind kind;
    void *out;
    uint32_t least, most;
};

/* False: the exit status is EX_USAGE. *path is NULL when none was given. */
bool options_parse(const struct verb *v, const struct option_spec *specs,
                   size_t n, int argc, char **argv, const char **path);
/* Says "tidemill VERB: ..." and how to get help; returns EX_USAGE. */
int options_refuse(const struct verb *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
