/* See proxy_rule.h. */
#include "proxy_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const directions[] = {"up", "down", NULL};
static const char *const places[] = {"before", "middle", "after", NULL};
static const char *const effects[] = {"close", "reset", "half", "hole", NULL};

static int index_of(const char *const *names, const char *word)
{
    for (int i = 0; word && names[i]; i++) {
        if (strcmp(names[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

bool direction_parse(const char *word, enum direction *out)
{
    int i = index_of(directions, word);
    *out = i == 1 ? DOWN : UP;
    return i >= 0;
}

/* A subject may hold blanks, so it is written with '+' for each of them. */
static bool parse_message(struct rule *rule, char *word)
{
    char *subject = strchr(word, '~');
    if (subject) {
        *subject++ = '\0';
        snprintf(rule->subject, sizeof(rule->subject), "%s", subject);
        for (char *p = rule->subject; *p; p++) {
            *p = *p == '+' ? ' ' : *p;
        }
    }
    rule->kind = frame_kind(rule->direction, word);
    return rule->kind != 0;
}

static const char *parse(struct rule *rule, char *text)
{
    char *rest = NULL;
    const char *direction = strtok_r(text, " ", &rest);
    const char *place = strtok_r(NULL, " ", &rest);
    char *message = strtok_r(NULL, " ", &rest);
    const char *effect = strtok_r(NULL, " ", &rest);
    const char *nth = strtok_r(NULL, " ", &rest);
    if (!direction_parse(direction, &rule->direction)) {
        return "the direction is up or down";
    }
    if (index_of(places, place) < 0) {
        return "the place is before, middle or after";
    }
    if (!message || !parse_message(rule, message)) {
        return "there is no message of that name in that direction";
    }
    if (index_of(effects, effect) < 0) {
        return "the effect is close, reset, half or hole";
    }
    rule->place = (enum place)index_of(places, place);
    rule->effect = (enum effect)index_of(effects, effect);
    rule->left = nth ? (int)strtol(nth, NULL, 10) : 1;
    return rule->left > 0 ? NULL : "the number is 1 or more";
}

struct rule *rules_add(struct rules *r, char *text, const char **why)
{
    struct rule rule = {.id = r->n + 1};
    *why = parse(&rule, text);
    if (*why) {
        return NULL;
    }
    size_t n = (size_t)r->n + 1;
    struct rule *list = realloc(r->list, n * sizeof(*list));
    if (!list) {
        abort();
    }
    list[n - 1] = rule;
    r->list = list;
    r->n++;
    return &list[n - 1];
}

static bool is_fit(const struct rule *rule, const struct framer *f, char kind)
{
    return rule->left > 0 && rule->direction == f->direction &&
           (rule->kind == FRAME_ANY || rule->kind == kind) &&
           strncasecmp(f->subject, rule->subject, strlen(rule->subject)) == 0;
}

/* Every rule that fits counts the message, but only one can have it. */
struct rule *rules_match(struct rules *r, const struct framer *f, char kind)
{
    struct rule *fires = NULL;
    for (int i = 0; i < r->n; i++) {
        struct rule *rule = &r->list[i];
        if (!is_fit(rule, f, kind)) {
            continue;
        }
        if (rule->left > 1) {
            rule->left--;
        } else if (!fires) {
            rule->left = 0;
            fires = rule;
        }
    }
    return fires;
}

void rules_disarm(struct rules *r)
{
    for (int i = 0; i < r->n; i++) {
        r->list[i].left = 0;
    }
}

int rules_armed(const struct rules *r)
{
    int n = 0;
    for (int i = 0; i < r->n; i++) {
        n += r->list[i].left > 0;
    }
    return n;
}

size_t place_bytes(enum place place, size_t len)
{
    return place == BEFORE ? 0 : place == AFTER ? len : len / 2;
}
