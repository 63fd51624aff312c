/*
 * Record keys: an object (its schema unwrapped), or else a text. What kind of
 * value a text stands for is the business of the column it goes into.
 */
#include "decode/envelope/envelope.h"

#include <string.h>

#include "base/utf8.h"
#include "decode/json/walk_node.h"

static size_t skip_blanks(const char *p, size_t len, size_t at)
{
    while (at < len &&
           (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r')) {
        at++;
    }
    return at;
}

/* Braces alone do not make JSON: {6F9619FF-...} is a key too. */
static bool looks_like_json(const char *p, size_t len)
{
    size_t first = skip_blanks(p, len, 0);
    size_t next = skip_blanks(p, len, first + 1);

    if (next >= len) {
        return false;
    }
    return (p[0] == '"' && p[len - 1] == '"') ||
           (p[first] == '{' && (p[next] == '"' || p[next] == '}'));
}

/* Java's serializers of numbers write them big-endian, a registry's a zero and
 * the four bytes of the schema's number, which is never 0, in front. */
static bool not_text(struct reader *r, const struct record *rec)
{
    static const char hint[] =
        "let the producer write keys as text or JSON (StringSerializer; at a "
        "connector key.converter=org.apache.kafka.connect.json.JsonConverter)";
    const unsigned char *p = (const unsigned char *)rec->key;
    uint64_t bits = 0;

    for (size_t i = 0; i < rec->key_len && i < sizeof(bits); i++) {
        bits = bits << 8 | p[i];
    }
    bool is_registry =
        rec->key_len > 5 && p[0] == 0 && (p[1] | p[2] | p[3] | p[4]) != 0;
    if (rec->key_len == 4 || rec->key_len == 8) {
        return reader_fail(
            r,
            "the key is %u bytes and no text: %s writes the number %lld "
            "so%s; %s",
            rec->key_len,
            rec->key_len == 4 ? "IntegerSerializer" : "LongSerializer",
            rec->key_len == 4 ? (long long)(int32_t)bits : (long long)bits,
            is_registry ? " (or it is Avro or Protobuf of a schema registry)"
                        : "",
            hint);
    }
    return reader_fail(
        r, "the key is neither JSON nor text%s: %s",
        is_registry ? ": it looks like Avro or Protobuf of a schema registry, "
                      "which is not supported"
                    : ", but bytes that are not UTF-8, or hold a zero byte",
        hint);
}

static bool read_bare(struct reader *r, const struct record *rec,
                      struct tm_cell *out)
{
    size_t good = utf8_valid(rec->key, rec->key_len);

    if (good < rec->key_len || memchr(rec->key, '\0', rec->key_len)) {
        return not_text(r, rec);
    }
    if (out) {
        *out = (struct tm_cell){
            .p = rec->key, .len = rec->key_len, .tag = TM_TEXT};
    }
    return true;
}

static bool read_json(struct reader *r, const struct record *rec)
{
    struct walk *w = &r->walk;
    struct schema *schema;
    struct tm_cell scalar;

    if (!connect_open(r, r->keys, rec->key, rec->key_len, &schema)) {
        return false;
    }
    if (walk_char(w) == '{') {
        return walk_node(w, TM_NODE_KEY, schema ? &schema->top : NULL) &&
               connect_close(r);
    }
    bool is_null = walk_char(w) == 'n';
    if (!walk_raw(w, &scalar) || !connect_close(r)) {
        return false;
    }
    struct tm_cell *out = walk_cell(w, TM_NODE_KEY);
    if (out && !is_null) {
        *out = scalar;
    }
    return true;
}

bool key_read(struct reader *r, const struct record *rec)
{
    if (!rec->key) {
        return true;
    }
    if (!looks_like_json(rec->key, rec->key_len)) {
        return read_bare(r, rec, walk_cell(&r->walk, TM_NODE_KEY));
    }
    if (read_json(r, rec)) {
        return true;
    }
    if (r->used_prefix) {
        walk_clear(&r->walk, TM_NODE_KEY);
        r->knows_prefixes = false;
        if (read_json(r, rec)) {
            return true;
        }
    }
    return reader_bad_json(r, "key");
}
