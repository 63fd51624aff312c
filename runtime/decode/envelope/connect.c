/* Documents of Kafka Connect's JsonConverter: bare, or
 * {"schema":...,"payload":...}. See envelope.h and schema.h. */
#include "decode/envelope/envelope.h"

#include <string.h>

/* What every wrapped document of JsonConverter starts with. */
static const char opening[] = "{\"schema\":";

/* The payload alone, when the text before it is known from another record. */
static bool open_behind_prefix(struct reader *r, struct schemas *s,
                               const char *p, size_t len,
                               struct schema **schema)
{
    size_t from;

    if (!r->knows_prefixes || len < sizeof(opening) ||
        memcmp(p, opening, sizeof(opening) - 1) != 0 || p[len - 1] != '}') {
        return false;
    }
    *schema = schemas_find(s, p, len);
    if (!*schema) {
        return false;
    }
    from = (*schema)->prefix_len;
    r->used_prefix = true;
    return walk_open(&r->walk, p + from, len - from - 1);
}

/* At the first brace; true when the members are just schema and payload. The
 * walk stands at the payload then, and *json is the schema. */
static bool is_wrapper(struct walk *w, struct tm_cell *json)
{
    struct walk_key k;
    uint32_t payload;

    if (walk_first(w, &k) != WALK_MEMBER || !walk_key_is(&k, "schema") ||
        !walk_value(w, json) ||
        (json->tag != TM_OBJECT && json->tag != TM_NULL) ||
        walk_next(w, &k) != WALK_MEMBER || !walk_key_is(&k, "payload")) {
        return false;
    }
    payload = w->i;
    if (!walk_skip(w) || walk_next(w, &k) != WALK_END) {
        return false;
    }
    w->i = payload;
    return true;
}

/* A document with a schema that was not seen lately, or with none. */
static void unwrap(struct reader *r, struct schemas *s, struct schema **schema)
{
    struct walk *w = &r->walk;
    struct tm_cell json = {.tag = TM_MISSING};
    uint32_t first = w->i;

    if (walk_char(w) != '{' || !is_wrapper(w, &json)) {
        /* Whatever is wrong will be met again, and told, by the reading. */
        w->fault = NULL;
        w->i = first;
        w->checked = 0;
        return;
    }
    r->is_wrapped = true;
    if (json.tag == TM_OBJECT) {
        *schema = schemas_learn(s, w->p, w->at[w->i], json.p, json.len);
    }
}

bool connect_open(struct reader *r, struct schemas *s, const char *p,
                  size_t len, struct schema **schema)
{
    *schema = NULL;
    r->start = p;
    r->used_prefix = r->is_wrapped = false;
    if (open_behind_prefix(r, s, p, len, schema)) {
        return true;
    }
    r->used_prefix = false;
    *schema = NULL;
    if (!walk_open(&r->walk, p, len)) {
        return false;
    }
    unwrap(r, s, schema);
    return true;
}

bool connect_close(struct reader *r)
{
    struct walk *w = &r->walk;

    if (r->is_wrapped) {
        if (walk_char(w) != '}') {
            return walk_fail(w, "a closing brace is missing");
        }
        w->i++;
    }
    return walk_end(w);
}
