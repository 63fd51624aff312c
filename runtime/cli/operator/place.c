/* See place.h. */
#include "cli/operator/place.h"

#include <stdio.h>
#include <string.h>

#include "cli/options.h"

/* The number behind the slash at [p], up to the next one or the end; where it
 * ends, or NULL. */
static const char *parse_part(const char *p, int64_t *out)
{
    char digits[24];
    size_t len = strcspn(p + 1, "/");
    if (len >= sizeof(digits)) {
        return NULL;
    }
    snprintf(digits, sizeof(digits), "%.*s", (int)len, p + 1);
    return options_offset(digits, out) ? p + 1 + len : NULL;
}

bool place_parse(const char *text, struct place *out)
{
    size_t len = strcspn(text, "/");
    *out = (struct place){.partition = -1, .offset = -1};
    if (len == 0 || len >= sizeof(out->topic)) {
        return false;
    }
    memcpy(out->topic, text, len);
    const char *p = text + len;
    if (*p != '\0') {
        p = parse_part(p, &out->partition);
    }
    if (p && *p != '\0') {
        p = parse_part(p, &out->offset);
    }
    return p != NULL && *p == '\0';
}
