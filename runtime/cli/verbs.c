/* The list of verbs: see verbs.h. */
#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

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

/* "list, resume, skip or seek" */
static void complain_words(const struct verb *const *list)
{
    for (int i = 0; list[i] != NULL; i++) {
        const char *gap = !list[i + 1] ? " or " : ", ";
        complain("%s%s", i == 0 ? "" : gap, verb_word(list[i]));
    }
}

int verb_refuse(const struct verb *above, const char *word)
{
    const struct verb *const *list = above ? above->words : verbs;
    const char *names[MOST_VERBS] = {0};
    size_t n = 0;
    for (; n < MOST_VERBS && list[n]; n++) {
        names[n] = verb_word(list[n]);
    }
    const char *near = nearest_word(word, names, n);
    if (!above) {
        complain("tidemill: unknown verb '%s'", word);
    } else {
        complain("tidemill %s: '%s' is not ", above->name, word);
        complain_words(list);
    }
    if (near) {
        complain("; did you mean '%s'?", near);
    }
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
