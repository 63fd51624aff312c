/* What Debezium writes for itself, beside the changes of rows: told by shape,
 * since its topics can be given any name. See envelope.h. */
#include "decode/envelope.h"

#include <string.h>

enum { NAMES_SHOWN = 200, NAME_SHOWN = 64 };

/* All fields that a record of each kind may have, and how many must be there
 * for it to be one: the first so many. */
static const struct {
    const char *fields[8];
    uint32_t n_needed;
} kinds[] = {
    /* transaction metadata */
    {{"status", "id", "event_count", "data_collections", "ts_ms", "ts_us",
      "ts_ns"},
     4},
    /* heartbeats */
    {{"ts_ms"}, 1},
    /* changes of the schema */
    {{"source", "ddl", "tableChanges", "databaseName", "schemaName", "ts_ms",
      "ts_us", "ts_ns"},
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
    for (int i = 0; i < 8 && kinds[kind].fields[i]; i++) {
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
