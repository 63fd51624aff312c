/* Option tables: see options.h. */
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/nearest.h"
#include "base/say.h"

enum { MOST = 32 };

struct parse {
    const struct verb *verb;
    void *request;
    char **argv;
    int argc;
    int at;
    const char **words; /* those without dashes; NULL where none was given */
    size_t n_words, most_words;
};

int options_refuse(const struct verb *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain("tidemill %s: ", v->name);
    complain_v(format, args);
    complain("\nTry 'tidemill %s --help'.\n", v->name);
    va_end(args);
    return EX_USAGE;
}

/* [o], or the first after it that can be said; NULL: none. */
static const struct option_spec *skip_headings(const struct option_spec *o)
{
    while (o && o->name && o->kind == OPTION_HEADING) {
        o++;
    }
    return o && o->name ? o : NULL;
}

static const struct option_spec *first_option(const struct verb *v)
{
    return skip_headings(v->options);
}

static const struct option_spec *next_option(const struct option_spec *o)
{
    return skip_headings(o + 1);
}

/* The field of the request that [o] sets. */
static void *field_of(const struct parse *p, const struct option_spec *o)
{
    return (char *)p->request + o->at;
}

static bool refuse_unknown(const struct parse *p, const char *name, size_t len)
{
    const char *words[MOST] = {NULL};
    char word[64];
    size_t n = 0;
    for (const struct option_spec *o = first_option(p->verb); o && n < MOST;
         o = next_option(o)) {
        words[n++] = o->name;
    }
    snprintf(word, sizeof(word), "%.*s", (int)len, name);
    const char *near = nearest_word(word, words, n);
    if (near) {
        options_refuse(p->verb, "unknown option --%s; did you mean --%s?", word,
                       near);
    } else {
        options_refuse(p->verb, "unknown option --%s", word);
    }
    return false;
}

static bool store_number(const struct parse *p, const struct option_spec *o,
                         const char *value)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || n < o->least ||
        n > o->most) {
        options_refuse(p->verb,
                       "--%s takes a whole number from %u to %u, not "
                       "'%s'",
                       o->name, o->least, o->most, value);
        return false;
    }
    *(uint32_t *)field_of(p, o) = (uint32_t)n;
    return true;
}

static bool store_offset(const struct parse *p, const struct option_spec *o,
                         const char *value)
{
    if (!options_offset(value, field_of(p, o))) {
        options_refuse(p->verb,
                       "--%s takes a whole number from 0 to %" PRId64
                       ", not '%s'",
                       o->name, INT64_MAX, value);
        return false;
    }
    return true;
}

static bool store_more(const struct parse *p, const struct option_spec *o,
                       const char *value)
{
    struct option_list *list = field_of(p, o);

    if (list->n == OPTION_LIST_MOST) {
        options_refuse(p->verb, "--%s may come %d times", o->name,
                       OPTION_LIST_MOST);
        return false;
    }
    list->at[list->n++] = value;
    return true;
}

static bool store(struct parse *p, const struct option_spec *o,
                  const char *value)
{
    if (o->kind == OPTION_FLAG) {
        *(bool *)field_of(p, o) = true;
        if (value) {
            options_refuse(p->verb, "--%s takes no value", o->name);
        }
        return !value;
    }
    if (!value && p->at + 1 < p->argc) {
        value = p->argv[++p->at];
    }
    if (!value || value[0] == '\0') {
        options_refuse(p->verb, "--%s wants a value after it", o->name);
        return false;
    }
    if (o->kind == OPTION_NUMBER) {
        return store_number(p, o, value);
    }
    if (o->kind == OPTION_OFFSET) {
        return store_offset(p, o, value);
    }
    if (o->kind == OPTION_LIST) {
        return store_more(p, o, value);
    }
    *(const char **)field_of(p, o) = value;
    return true;
}

/* [text]: after the dashes. */
static bool parse_option(struct parse *p, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    for (const struct option_spec *o = first_option(p->verb); o;
         o = next_option(o)) {
        if (strlen(o->name) == len && memcmp(o->name, text, len) == 0) {
            return store(p, o, equals ? equals + 1 : NULL);
        }
    }
    return refuse_unknown(p, text, len);
}

static bool parse_word(struct parse *p, const char *text)
{
    if (p->n_words < p->most_words) {
        p->words[p->n_words++] = text;
        return true;
    }
    if (p->most_words == 1) {
        options_refuse(p->verb, "one path is enough: '%s' and '%s' were given",
                       p->words[0], text);
    } else {
        options_refuse(p->verb, "'%s' is one word too many", text);
    }
    return false;
}

int option_words(const struct option_spec *o, char *out)
{
    return snprintf(out, 64, "--%s%s%s", o->name, o->value ? " " : "",
                    o->value ? o->value : "");
}

bool options_offset(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        return false;
    }
    *out = n;
    return true;
}

bool options_parse(const struct verb *v, void *request, int argc, char **argv,
                   const char **path)
{
    const struct option_words words = {path, 1};
    return options_parse_words(v, request, argc, argv, &words);
}

bool options_parse_words(const struct verb *v, void *request, int argc,
                         char **argv, const struct option_words *words)
{
    struct parse p = {v, request, argv, argc, 0, words->out, 0, words->most};
    bool is_ended = false;
    for (size_t i = 0; i < words->most; i++) {
        words->out[i] = NULL;
    }
    for (; p.at < argc; p.at++) {
        const char *text = argv[p.at];
        bool ok;
        if (!is_ended && strcmp(text, "--") == 0) {
            is_ended = ok = true;
        } else if (is_ended || text[0] != '-' || text[1] == '\0') {
            ok = parse_word(&p, text);
        } else if (text[1] == '-') {
            ok = parse_option(&p, text + 2);
        } else {
            options_refuse(v, "unknown option %s", text);
            ok = false;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}
