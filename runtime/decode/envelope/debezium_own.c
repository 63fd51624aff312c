/* Records of Debezium that are no change of a row: what it writes for itself,
 * told by shape, since its topics can be given any name; and what a connector
 * of no table writes. See envelope.h. */
#include "decode/envelope/envelope.h"

#include <string.h>

enum { NAMES_SHOWN = 200, NAME_SHOWN = 64, MOST_FIELDS = 9 };

/* All fields that a record of each kind may have, and how many must be there
 * for it to be one: the first so many. */
static const struct {
    const char *fields[MOST_FIELDS];
    uint32_t n_needed;
} kinds[] = {
    /* transaction metadata */
    {{"status", "id", "event_count", "data_collections", "ts_ms", "ts_us",
      "ts_ns"},
     4},
    /* heartbeats */
    {{"ts_ms"}, 1},
    /* changes of the schema, also as a connector keeps them for itself (which
     * have a position); old connectors wrote no tableChanges */
    {{"source", "databaseName", "ddl", "tableChanges", "schemaName", "position",
      "ts_ms", "ts_us", "ts_ns"},
     3},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void add_name(struct buf *names, const struct walk_key *k)
{
    if (names->len < NAMES_SHOWN) {
        buf_printf(names, "%s%.*s", names->len ? ", " : "",
                   (int)(k->len < NAME_SHOWN ? k->len : NAME_SHOWN), k->p);
    }
}

/* The place of the field in the kind, or -1: it has no such field. */
static int field_of(uint32_t kind, const struct walk_key *k)
{
    for (int i = 0; i < MOST_FIELDS && kinds[kind].fields[i]; i++) {
        if (walk_key_is(k, kinds[kind].fields[i])) {
            return i;
        }
    }
    return -1;
}

bool debezium_is_own(struct walk *w, uint32_t first, struct buf *names)
{
    unsigned seen[KINDS] = {0};
    bool is_other[KINDS] = {false};
    struct walk_key k;

    w->i = first;
    enum walk_step s = walk_first(w, &k);
    for (; s == WALK_MEMBER && walk_skip(w); s = walk_next(w, &k)) {
        if (names) {
            add_name(names, &k);
        }
        for (uint32_t i = 0; i < KINDS; i++) {
            int field = field_of(i, &k);

            is_other[i] |= field < 0;
            seen[i] |= field < 0 ? 0 : 1u << field;
        }
    }
    for (uint32_t i = 0; i < KINDS; i++) {
        unsigned needed = (1u << kinds[i].n_needed) - 1;

        if (!is_other[i] && (seen[i] & needed) == needed) {
            return true;
        }
    }
    return false;
}

/* ---- no row where a row should be ---- */

static const char *name_of(const struct tm_cell *c)
{
    switch (c->tag) {
    case TM_MISSING:
        return "missing";
    case TM_NULL:
        return "null";
    case TM_TEXT:
        return "a text";
    case TM_ARRAY:
        return "an array";
    case TM_BOOL:
        return "a boolean";
    default:
        return "a number";
    }
}

/* A text that holds an object, as MongoDB's connector writes documents? */
static bool is_document(const struct tm_cell *c)
{
    uint32_t i = 0;

    if (c->tag != TM_TEXT) {
        return false;
    }
    while (i < c->len && strchr(" \t\r\n", c->p[i])) {
        i++;
    }
    return i < c->len && c->p[i] == '{';
}

/* Its documents are JSON in a text; an update may come without its document. */
static const char *hint_of(const struct tm_cell *c, const char *value,
                           size_t len)
{
    static const char mongodb[] = "\"connector\":\"mongodb\"";

    if (is_document(c)) {
        return "it holds JSON, as Debezium's connector for MongoDB writes it: "
               "let ExtractNewDocumentState flatten it at the connector, and "
               "say flattened = 'rewrite' or 'tombstone' in kafka{}, as its "
               "delete.tombstone.handling.mode does";
    }
    if (memmem(value, len, mongodb, sizeof(mongodb) - 1)) {
        return "MongoDB tells what changed, and not the document: set "
               "capture.mode=change_streams_update_full and "
               "ExtractNewDocumentState at the connector";
    }
    return "if a transform of the connector makes it so, take that out; for "
           "other JSON say format = 'json' in kafka{}";
}

static bool is_row_or_none(const struct tm_cell *c)
{
    return c->tag == TM_OBJECT || c->tag == TM_NULL || c->tag == TM_MISSING;
}

bool debezium_no_row(struct reader *r, char op, const char *field,
                     const struct tm_cell *c)
{
    return reader_misfit(
        r, arena_printf(
               r->walk.arena,
               "the value is not a Debezium envelope of a row: op is %c, and "
               "its field %s is %s, not an object: %s",
               op, field, name_of(c), hint_of(c, r->walk.p, r->walk.len)));
}

bool debezium_has_row(struct reader *r, char op, const struct tm_cell *before,
                      const struct tm_cell *after)
{
    bool is_promised = op == 'c' || op == 'r' || op == 'u';

    if (!is_row_or_none(after) || (is_promised && after->tag != TM_OBJECT)) {
        return debezium_no_row(r, op, "after", after);
    }
    return is_row_or_none(before) || debezium_no_row(r, op, "before", before);
}
