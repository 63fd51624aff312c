#pragma once
/*
 * Options of a verb, by its table: --name, --name VALUE or --name=VALUE, in any
 * order with the PATH; `--` ends them. What is wrong is said on stderr. Help,
 * the man page and what shells complete are made of the same table.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/verb.h"

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char * */
    OPTION_NUMBER, /* uint32_t, in [least, most] */
    OPTION_OFFSET, /* int64_t, from 0 */
    OPTION_LIST,   /* struct option_list; may come again */
    OPTION_HEADING /* none: [name] stands above those that follow, in help */
};

struct option_spec {
    enum option_kind kind;
    const char *name;  /* without the dashes */
    const char *value; /* the word for it in help, NULL for a flag */
    const char *help;  /* what it does, on as many lines as it takes */
    size_t at;         /* of the field that it sets, in the verb's request */
    uint32_t least, most;
};

enum { OPTION_LIST_MOST = 64 };
struct option_list {
    const char *at[OPTION_LIST_MOST];
    size_t n;
};

/* Where [field] of struct [request] is; a warning, when its type is another. */
#define OPTION_AT(request, field, type)                                        \
    (offsetof(request, field) + 0 * sizeof(&((request *)0)->field == (type *)0))
#define FLAG_OPTION(request, field, name, help)                                \
    {                                                                          \
        OPTION_FLAG, name, NULL, help, OPTION_AT(request, field, bool), 0, 0   \
    }
#define TEXT_OPTION(request, field, name, value, help)                         \
    {                                                                          \
        OPTION_TEXT, name, value, help,                                        \
            OPTION_AT(request, field, const char *), 0, 0                      \
    }
#define NUMBER_OPTION(request, field, name, value, least, most, help)          \
    {                                                                          \
        OPTION_NUMBER, name, value, help, OPTION_AT(request, field, uint32_t), \
            least, most                                                        \
    }
#define OFFSET_OPTION(request, field, name, value, help)                       \
    {                                                                          \
        OPTION_OFFSET, name, value, help, OPTION_AT(request, field, int64_t),  \
            0, 0                                                               \
    }
#define LIST_OPTION(request, field, name, value, help)                         \
    {                                                                          \
        OPTION_LIST, name, value, help,                                        \
            OPTION_AT(request, field, struct option_list), 0, 0                \
    }
#define HEADING_OPTION(text)                                                   \
    {                                                                          \
        OPTION_HEADING, text, NULL, NULL, 0, 0, 0                              \
    }
#define END_OPTION                                                             \
    {                                                                          \
        OPTION_FLAG, NULL, NULL, NULL, 0, 0, 0                                 \
    }

/* Sets what is said in [request], the struct of v->options (NULL: none). False:
 * the exit status is EX_USAGE. *path is NULL when none was given. */
bool options_parse(const struct verb *v, void *request, int argc, char **argv,
                   const char **path) MUSTCHECK;
/* Words without dashes, such as the path. */
struct option_words {
    const char **out; /* [most] of them; NULL where none was given */
    size_t most;
};

/* The same for verbs that take more words than a path. */
bool options_parse_words(const struct verb *v, void *request, int argc,
                         char **argv,
                         const struct option_words *words) MUSTCHECK;
/* "--admin HOST:PORT" into [out], of 64 bytes; its length. */
int option_words(const struct option_spec *o, char *out);
/* A whole number from 0; false: it is none, and *out is as it was. */
bool options_offset(const char *text, int64_t *out);
/* Says "tidemill VERB: ..." and how to get help; returns EX_USAGE. */
int options_refuse(const struct verb *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
