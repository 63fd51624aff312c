/* Chapters of the reference: see chapters.h. */
#include "cli/chapters.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/nearest.h"
#include "base/say.h"
#include "cli/verbs.h"

/* The Makefile knows that this file is made of them. */
#define PAGE_TEXT(symbol, path)                                                \
    __asm__(".section .rodata\n" #symbol ":\n"                                 \
            ".incbin \"" path "\"\n"                                           \
            ".byte 0\n"                                                        \
            ".previous\n");                                                    \
    extern const char symbol[] __attribute__((visibility("hidden")))

PAGE_TEXT(page_language, "scripts/README.md");
PAGE_TEXT(page_testing, "scripts/tidemill/testing/README.md");
PAGE_TEXT(page_rules, "rules/README.md");
PAGE_TEXT(page_sources, "examples/README.md");
PAGE_TEXT(page_verbs, "runtime/cli/README.md");
PAGE_TEXT(page_metrics, "runtime/admin/README.md");

const struct chapter chapters[] = {
    {"pipeline", "fields of pipeline{}", page_language, "## `pipeline`"},
    {"kafka", "fields of kafka{}", page_language, "## `kafka`"},
    {"postgres", "fields of postgres{}", page_language, "## `postgres`"},
    {"projection", "fields of projection{}, keys and columns", page_language,
     "## `projection`"},
    {"types", "types of columns, and what handlers read and assign",
     page_language, "## Types"},
    {"merge", "sums that events of many keys change", page_language,
     "## Sums of many keys: merge"},
    {"handler", "words of `row` and `event`, types and decimals", page_language,
     "## In a handler"},
    {"batch", "a function for a whole batch", page_language,
     "## A batch function"},
    {"language", "all of these, and what else there is", page_language, NULL},
    {"testing", "specs of a pipeline", page_testing, NULL},
    {"rules", "failure rules", page_rules, NULL},
    {"outbox", "from an outbox that is there already", page_sources,
     "## An outbox that is there already"},
    {"formats", "what the formats of Kafka's records become", page_sources,
     "## What each format becomes"},
    {"debezium", "how its connectors have to be set up", page_sources,
     "## The connector"},
    {"again", "records that come again, or late", page_sources,
     "## Records that come again, or late"},
    {"rights", "rights, TLS and secrets", page_verbs,
     "## Rights, TLS and secrets"},
    {"upgrading", "versions of schema tidemill", page_verbs, "## Upgrading"},
    {"limits", "what there is an end to", page_verbs, "## Limits"},
    {"trouble", "messages of the log, and what to do", page_verbs,
     "## When things go wrong"},
    {"metrics", "what /metrics counts", page_metrics, NULL},
    {0},
};

/* Up to [to], but for the marks of what `make docs` writes. */
static void print_lines(const char *from, const char *to)
{
    while (from < to) {
        const char *end = strchr(from, '\n');
        size_t len = end ? (size_t)(end + 1 - from) : strlen(from);

        if (strncmp(from, "<!--", 4) != 0) {
            fwrite(from, 1, len, stdout);
        }
        from += len;
    }
}

/* From its heading up to the next of its rank, or the end. */
static void print_section(const char *from)
{
    const char *to = strstr(from, "\n## ");

    print_lines(from, to ? to + 1 : from + strlen(from));
}

bool chapter_print(const char *name)
{
    const struct chapter *c = chapters;
    while (c->name && strcmp(c->name, name) != 0) {
        c++;
    }
    if (!c->name) {
        return false;
    }
    if (c->heading) {
        print_section(strstr(c->page, c->heading));
    } else {
        print_lines(c->page, c->page + strlen(c->page));
    }
    return true;
}

int chapter_refuse(const char *word)
{
    enum { MOST = 64 };
    const char *names[MOST];
    size_t n = 0;
    for (int i = 0; verbs[i] && n < MOST; i++) {
        names[n++] = verbs[i]->name;
    }
    for (const struct chapter *c = chapters; c->name && n < MOST; c++) {
        names[n++] = c->name;
    }
    complain("tidemill help: '%s' is neither a verb nor a chapter", word);
    complain_near(nearest_word(word, names, n));
    complain("\nTry 'tidemill help --help', which lists them.\n");
    return EX_USAGE;
}
