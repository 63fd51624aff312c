/* See news.h. */
#include "kafka/news.h"

#include <string.h>

#include "base/hash.h"

static const usec REPEAT_USEC = 10 * 1000000ULL;

static bool is_repeated(struct news *n, const char *text, usec now)
{
    uint64_t hash = hash_text(text);
    struct news_text *oldest = &n->texts[0];

    for (uint32_t i = 0; i < NEWS_TEXTS; i++) {
        struct news_text *t = &n->texts[i];

        if (t->said && t->hash == hash) {
            oldest = t;
            break;
        }
        if (t->said < oldest->said) {
            oldest = t;
        }
    }
    if (oldest->said && oldest->hash == hash &&
        now < oldest->said + REPEAT_USEC) {
        return true;
    }
    *oldest = (struct news_text){.hash = hash, .said = now};
    return false;
}

bool news_add(struct news *n, const struct err *e, usec now)
{
    if (n->n_errors == NEWS_ERRORS || is_repeated(n, e->text, now)) {
        return false;
    }
    n->errors[n->n_errors++] = *e;
    return true;
}

static void take_error(struct news *n, struct err *e)
{
    *e = n->errors[0];
    n->n_errors--;
    memmove(n->errors, n->errors + 1, n->n_errors * sizeof(*n->errors));
}

/* What was taken away comes before what was offered: the offer is the newer
 * of the two, or it was taken back and nothing is found offered. */
enum source_news news_take(struct news *n, struct err *e)
{
    if (n->is_fenced) {
        n->is_fenced = false;
        *e = n->fence;
        return NEWS_FENCED;
    }
    if (n->is_revoked) {
        n->is_revoked = false;
        return NEWS_REVOKED;
    }
    if (n->is_offered) {
        n->is_offered = false;
        return NEWS_ASSIGNED;
    }
    if (n->n_errors > 0) {
        take_error(n, e);
        return NEWS_ERROR;
    }
    return NEWS_NONE;
}
