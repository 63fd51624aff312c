#pragma once
/*
 * What the proxy shall do to which message. A rule fires once, at the n-th
 * message that it fits, counted over all connections from when it was made;
 * what became of it can be asked for ever after.
 */
#include "proxy_frame.h"

enum place { BEFORE, MIDDLE, AFTER }; /* how much of the message goes on */

enum effect {
    EFFECT_CLOSE, /* both sides are told goodbye; what is under way the other
                   * way is lost */
    EFFECT_RESET, /* the same with RST */
    EFFECT_HALF,  /* this direction ends, the other goes on */
    EFFECT_HOLE,  /* this direction swallows the rest, and nobody is told */
    EFFECTS,
};

struct rule {
    int id;
    enum direction direction;
    enum place place;
    enum effect effect;
    char kind;
    char subject[SUBJECT_BYTES]; /* must begin so, case ignored; "": any */
    int left;                    /* matches until it fires; 0: it has fired */
    /* Of the message that it hit. */
    char fired_kind;
    size_t message_bytes, forwarded_bytes;
};

struct rules {
    struct rule *list; /* owned; by id, from 1 */
    int n;
};

/* "DIRECTION PLACE MESSAGE[~SUBJECT] EFFECT [N]" (blanks of the subject as
 * "+"): the new rule; NULL: the text
 * is not right, [*why] says what. */
struct rule *rules_add(struct rules *r, char *text, const char **why);
/* The rule that fires at this message, or NULL. */
struct rule *rules_match(struct rules *r, const struct framer *f, char kind);
void rules_disarm(struct rules *r);
int rules_armed(const struct rules *r);
/* How many bytes of a message a place lets pass. */
size_t place_bytes(enum place place, size_t len);
/* "up" and "down"; false: neither. */
bool direction_parse(const char *word, enum direction *out);
