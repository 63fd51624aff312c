/* The list of verbs: see verbs.h. */
#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/nearest.h"
#include "base/say.h"

enum { MOST_VERBS = 32 };

const struct verb *const verbs[] = {
    &verb_run,     &verb_dev,       &verb_init,       &verb_check,   &verb_test,
    &verb_schema,  &verb_connector, &verb_lane,       &verb_dlq,     &verb_send,
    &verb_explain, &verb_help,      &verb_completion, &verb_version, NULL,
};

const char *verb_word(const struct verb *v)
{
    const char *blank = strchr(v->name, ' ');
    return blank ? blank + 1 : v->name;
}

const struct verb *verb_find(const struct verb *const *list, const char *word)
{
    for (int i = 0; list[i] != NULL; i++) {
        if (strcmp(verb_word(list[i]), word) == 0) {
            return list[i];
        }
    }
    return NULL;
}

static size_t list_names(const struct verb *const *list,
                         const char *names[MOST_VERBS])
{
    size_t n = 0;

    for (; n < MOST_VERBS && list[n]; n++) {
        names[n] = verb_word(list[n]);
    }
    return n;
}

/* "list, resume, skip or seek" */
static void complain_words(const struct verb *const *list)
{
    const char *names[MOST_VERBS];
    struct buf text = {0};

    buf_words(&text, names, list_names(list, names));
    complain("%s", buf_text(&text));
    buf_close(&text);
}

int verb_refuse(const struct verb *above, const char *word)
{
    const struct verb *const *list = above ? above->words : verbs;
    const char *names[MOST_VERBS];
    size_t n = list_names(list, names);
    if (!above) {
        complain("tidemill: unknown verb '%s'", word);
    } else {
        complain("tidemill %s: '%s' is not ", above->name, word);
        complain_words(list);
    }
    complain_near(nearest_word(word, names, n));
    complain("\nTry 'tidemill %s%s--help'.\n", above ? above->name : "",
             above ? " " : "");
    return EX_USAGE;
}

int verb_ask_word(const struct verb *v)
{
    complain("tidemill %s: which? ", v->name);
    complain_words(v->words);
    complain("\nTry 'tidemill %s --help'.\n", v->name);
    return EX_USAGE;
}
