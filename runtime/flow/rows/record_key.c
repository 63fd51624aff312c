/* See record_key.h. */
#include "flow/rows/record_key.h"

#include <string.h>

#include "base/log.h"

enum { KEY_SHOWN = 120, VALUE_SHOWN = 60 };

static int shown_len(const struct record *rec)
{
    return (int)(rec->key_len < KEY_SHOWN ? rec->key_len : KEY_SHOWN);
}

/* StringConverter writes a key of a connector as Java prints it. */
const char *record_key_hint(const struct rows *r, uint32_t event)
{
    static const char printed[] = "Struct{";
    const struct record *rec = &r->events->records[event];

    return rec->key && rec->key_len >= sizeof(printed) - 1 &&
                   memcmp(rec->key, printed, sizeof(printed) - 1) == 0
               ? "the record key is a row that was printed as text: set "
                 "key.converter=org.apache.kafka.connect.json.JsonConverter at "
                 "the connector; records that are there already stay so"
               : NULL;
}

/* The record key, in the arena and without its schema, shortened. */
static const char *shown_key(const struct rows *r, uint32_t event)
{
    const struct record *rec = &r->events->records[event];
    const struct tm_cell *whole =
        rows_cell(r, r->program->keys[0].whole, event);

    if (whole->tag == TM_OBJECT) {
        return arena_dup(r->arena, whole->p,
                         whole->len < KEY_SHOWN ? whole->len : KEY_SHOWN);
    }
    return rec->key ? arena_dup(r->arena, rec->key, (size_t)shown_len(rec))
                    : "";
}

bool record_key_missing(const struct rows *r, uint32_t i, uint32_t event,
                        struct err *e)
{
    const struct plan_column *c = &r->program->plan->columns[i];
    const struct record *rec = &r->events->records[event];

    if (c->from == FROM_PATH || c->from == FROM_LIST) {
        return err_set(e, ERR_DATA,
                       "%s.%s: the key field %s is missing or null",
                       r->program->plan->table, c->name, c->paths[0]);
    }
    if (!rec->key) {
        return err_set(e, ERR_DATA, "%s.%s: the record has no key",
                       r->program->plan->table, c->name);
    }
    const char *hint = record_key_hint(r, event);
    return err_set(e, ERR_DATA,
                   "%s.%s: neither the record key %.*s nor the event has a "
                   "field '%s'%s%s",
                   r->program->plan->table, c->name, shown_len(rec), rec->key,
                   c->name, hint ? ": " : "", hint ? hint : "");
}

bool record_key_only_field(const struct rows *r, const struct tm_cell *object,
                           struct tm_cell *out)
{
    const struct tm_cell *tokens = NULL;
    uint32_t n = 0;

    if (!r->decoder ||
        decoder_tokens(r->decoder, r->arena, object->p, object->len, &tokens,
                       &n) < 0 ||
        n != 3 || tokens[0].len != 1) {
        return false;
    }
    *out = tokens[2];
    return true;
}

/* ---- fields of a key ---- */

struct key_members {
    uint32_t n;
    bool has_odd; /* a number such as 1.0, 1e0 or -0 */
};

/* The closing quote of the text that begins at [i]. */
static inline uint32_t text_end(const char *p, uint32_t len, uint32_t i)
{
    for (i++; i < len && p[i] != '"'; i++) {
        i += p[i] == '\\';
    }
    return i;
}

/* Of a JSON object, by its commas; keys are short. */
static struct key_members count_members(const char *p, uint32_t len)
{
    uint32_t commas = 0, depth = 0;
    bool any = false, odd = false;

    for (uint32_t i = 0; i < len; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9') {
            continue;
        }
        if (c == '"') {
            any = true;
            i = text_end(p, len, i);
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',') {
            commas += depth == 1;
        } else { /* the e of true is none of a number */
            bool is_power = (c == 'e' || c == 'E') && i > 0 &&
                            p[i - 1] >= '0' && p[i - 1] <= '9';

            odd |= c == '.' || is_power || (c == '-' && p[i + 1] == '0');
        }
    }
    return (struct key_members){any ? commas + 1 : 0, odd};
}

/* ---- what the key is not ---- */

/* "id = 7, tenant": the row's key, with what the event says of it. */
static void put_row_key(const struct rows *r, uint32_t event, struct buf *out)
{
    const struct program *g = r->program;
    struct convert_rules rules = rows_rules(r, (int32_t)event);
    struct tm_cell cell;
    struct err ignored;

    for (uint32_t i = 0; i < g->plan->n_key; i++) {
        const struct plan_column *c = &g->plan->columns[i];
        const struct tm_cell *stated = rows_cell(r, g->keys[i].stated, event);
        struct buf value = {0};

        buf_printf(out, "%s%s", i ? ", " : "", c->name);
        if (rows_is_given(stated) &&
            convert_cell(&c->type, stated, &rules, r->arena, &cell, &ignored) &&
            rows_is_given(&cell)) {
            convert_text(&c->type, &cell, &value);
            buf_printf(out, " = %.*s", VALUE_SHOWN, buf_text(&value));
        }
        buf_close(&value);
    }
}

/* What there is to do, the nearest first. */
static void put_hint(const struct rows *r, uint32_t i, uint32_t event,
                     struct buf *out)
{
    const struct plan_projection *p = r->program->plan;
    const char *name = p->columns[i].name;
    const struct tm_cell *whole =
        rows_cell(r, r->program->keys[0].whole, event);
    bool is_debezium = rows_rules(r, (int32_t)event).format == FORMAT_DEBEZIUM;

    if (whole->tag == TM_OBJECT &&
        count_members(whole->p, whole->len).n > p->n_key) {
        buf_puts(out, "name every field of the record key in `key`, or ");
    }
    if (is_debezium) {
        buf_puts(out, "set message.key.columns=SCHEMA.TABLE:");
        for (uint32_t k = 0; k < p->n_key; k++) {
            buf_printf(out, "%s%s", k ? "," : "", p->columns[k].name);
        }
        buf_puts(out, " at the connector, or ");
    } else if (p->columns[i].from != FROM_KEY) {
        buf_printf(out, "let the producer write keys of %s, or ", name);
    }
    if (p->kind == KIND_MIRROR) {
        buf_printf(out, "let the newest version win: newer = '%s",
                   is_debezium ? "lsn', lsn = { 'bigint', from = 'source.lsn' }"
                               : "version'");
        return;
    }
    buf_printf(out, "give the key with from = 'data.%s'%s", name,
               p->kind == KIND_MAP ? " and name the later row with newer"
                                   : ", whose rows are locked then");
    if (!is_debezium && p->columns[i].from != FROM_KEY) {
        buf_puts(out, ", or, if the record key is meant, with from = 'key'");
    }
}

static bool key_differs(const struct rows *r, uint32_t i, uint32_t event,
                        struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    const char *printed = record_key_hint(r, event);
    struct buf row = {0}, hint = {0};

    put_row_key(r, event, &row);
    if (printed) {
        buf_puts(&hint, printed);
    } else {
        put_hint(r, i, event, &hint);
    }
    err_set(e, ERR_CONFIG,
            "%s.%s: the record key %s is not the row's key (%.200s): lanes "
            "would share rows; %s",
            p->table, p->columns[i].name, shown_key(r, event), buf_text(&row),
            buf_text(&hint));
    buf_close(&row);
    buf_close(&hint);
    return false;
}

/* Is the uuid written in letters of one case, which is not the declared one? */
static bool is_other_case(const struct coltype *t, const struct tm_cell *key,
                          const struct convert_rules *rules, struct arena *a)
{
    struct coltype other = *t;

    other.in_capitals = !t->in_capitals;
    return t->kind == TYPE_UUID && convert_is_plain(&other, key, false) &&
           convert_is_printed(&other, key, rules, a, false);
}

static void put_one_way(const struct rows *r, uint32_t i,
                        const struct convert_rules *rules, bool is_other,
                        struct buf *out)
{
    const struct plan_column *c = &r->program->plan->columns[i];
    bool is_unsaid =
        c->type.kind == TYPE_BYTEA && rules->binary == BINARY_UNSAID;

    if (is_other) {
        buf_printf(out,
                   "; if every key has %s letters, say %s = { 'uuid', letters "
                   "= '%s'%s } in `key`",
                   c->type.in_capitals ? "small" : "capital", c->name,
                   c->type.in_capitals ? "lower" : "upper",
                   c->from == FROM_KEY ? ", from = 'key'" : "");
        return;
    }
    buf_printf(out, "; let the producer write it in one way, or %s",
               is_unsaid ? "say binary = 'base64' or 'hex' in kafka{}"
               : r->program->plan->kind == KIND_FOLD
                   ? "give the row's key with from = 'data.…'"
                   : "declare the column as text");
}

static bool not_plain(const struct rows *r, uint32_t i, uint32_t event,
                      const struct tm_cell *key, struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    const struct plan_column *c = &p->columns[i];
    struct convert_rules rules = rows_rules(r, (int32_t)event);
    struct buf type = {0}, plain = {0}, hint = {0};
    struct tm_cell cell;
    struct err ignored;

    type_print(&c->type, &type);
    put_one_way(r, i, &rules, is_other_case(&c->type, key, &rules, r->arena),
                &hint);
    if ((key->tag == TM_TEXT || p->n_key == 1) &&
        convert_cell(&c->type, key, &rules, r->arena, &cell, &ignored)) {
        buf_puts(&plain, " ");
        convert_key_text(&c->type, &rules, key, &cell, &plain);
    }
    err_set(e, ERR_DATA,
            "%s.%s: the record key %s is another way to write the %s%.*s: "
            "Kafka may put them into two partitions, where the order of the "
            "row's records is lost%s",
            p->table, c->name, shown_key(r, event), buf_text(&type),
            VALUE_SHOWN, buf_text(&plain), buf_text(&hint));
    buf_close(&type);
    buf_close(&plain);
    buf_close(&hint);
    return false;
}

/* ---- the proof ---- */

static bool differ_converted(const struct rows *r, uint32_t i, uint32_t event,
                             const struct tm_cell *key,
                             const struct tm_cell *stated)
{
    struct convert_rules rules = rows_rules(r, (int32_t)event);
    const struct coltype *t = &r->program->plan->columns[i].type;
    struct tm_cell a, b;
    struct err ignored;

    return !convert_cell(t, key, &rules, r->arena, &a, &ignored) ||
           !convert_cell(t, stated, &rules, r->arena, &b, &ignored) ||
           !convert_equal(&a, &b);
}

static inline bool differs(const struct rows *r, uint32_t i, uint32_t event,
                           const struct tm_cell *key,
                           const struct tm_cell *stated)
{
    if (key->tag == TM_INT && stated->tag == TM_INT) {
        return key->i != stated->i;
    }
    if (key->tag == TM_TEXT && stated->tag == TM_TEXT &&
        key->len == stated->len && memcmp(key->p, stated->p, key->len) == 0) {
        return false;
    }
    return differ_converted(r, i, event, key, stated);
}

/* What does not look plain at once may be so all the same. */
static bool is_printed(const struct rows *r, uint32_t i, uint32_t event,
                       const struct tm_cell *key, bool is_odd, struct err *e)
{
    struct convert_rules rules = rows_rules(r, (int32_t)event);

    return key->tag == TM_NULL ||
           convert_is_printed(&r->program->plan->columns[i].type, key, &rules,
                              r->arena, is_odd) ||
           not_plain(r, i, event, key, e);
}

/* One value of the key, of column [i]; MISSING: the object has no such
 * field. */
static inline bool value_fits(const struct rows *r, uint32_t i, uint32_t event,
                              const struct tm_cell *key, bool is_odd,
                              struct err *e)
{
    const struct tm_cell *stated =
        rows_cell(r, r->program->keys[i].stated, event);

    if (key->tag == TM_MISSING ||
        (rows_is_given(stated) && differs(r, i, event, key, stated))) {
        return key_differs(r, i, event, e);
    }
    return convert_is_plain(&r->program->plan->columns[i].type, key, is_odd) ||
           is_printed(r, i, event, key, is_odd, e);
}

/*
 * MongoDB's connector keys a document by {"id": its _id as JSON in a text}:
 * 7, "abc" or {"$oid": "64..."}. It is the row's key when that is the row's _id.
 */
static bool is_of_document(const struct rows *r, const struct tm_cell *object,
                           uint32_t i, uint32_t event)
{
    const struct program *g = r->program;
    const struct tm_cell *stated = rows_cell(r, g->keys[i].stated, event);
    const struct tm_cell *key = NULL, *id = NULL;
    uint32_t n = 0;

    if (strcmp(g->plan->columns[i].name, "_id") != 0 ||
        !rows_is_given(stated) ||
        rows_rules(r, (int32_t)event).format != FORMAT_DEBEZIUM ||
        !r->decoder ||
        decoder_tokens(r->decoder, r->arena, object->p, object->len, &key, &n) <
            0 ||
        n != 3 || key[2].tag != TM_TEXT || key[1].len != 2 ||
        memcmp(key[1].p, "id", 2) != 0 ||
        decoder_tokens(r->decoder, r->arena, key[2].p, key[2].len, &id, &n) <
            0) {
        return false;
    }
    if (id->tag == TM_OBJECT) {
        if (n != 3 || id[1].len != 4 || memcmp(id[1].p, "$oid", 4) != 0) {
            return false;
        }
        id += 2;
    }
    return !differs(r, i, event, id, stated);
}

static bool object_fits(const struct rows *r, const struct tm_cell *object,
                        uint32_t event, struct err *e)
{
    const struct program *g = r->program;
    const struct key_members m = count_members(object->p, object->len);
    struct tm_cell only;

    if (m.n != g->plan->n_key) {
        return key_differs(r, 0, event, e);
    }
    for (uint32_t i = 0; i < m.n; i++) {
        const struct tm_cell *key = rows_cell(r, g->keys[i].key_field, event);

        if (key->tag == TM_MISSING && m.n == 1 &&
            is_of_document(r, object, i, event)) {
            continue;
        }
        if (key->tag == TM_MISSING && m.n == 1 &&
            g->plan->columns[i].from == FROM_KEY &&
            record_key_only_field(r, object, &only)) {
            key = &only;
        }
        if (!value_fits(r, i, event, key, m.has_odd, e)) {
            return false;
        }
    }
    return true;
}

/* ---- ways to write a key ---- */

/* Where its first value begins; -1: not known, it was written with escapes. */
static int64_t value_begins(const struct record *rec,
                            const struct tm_cell *whole)
{
    int64_t at = whole->p - rec->key;

    if (at < 0 || at > rec->key_len) {
        return -1;
    }
    if (whole->tag == TM_OBJECT) {
        bool in_text = false;

        for (; at < rec->key_len && (in_text || rec->key[at] != ':'); at++) {
            in_text ^= rec->key[at] == '"';
            at += rec->key[at] == '\\';
        }
        for (at++; at < rec->key_len && rec->key[at] == ' '; at++) {
        }
    }
    return at;
}

static bool is_of_form(const struct program_form *f, const struct record *rec,
                       const struct tm_cell *whole)
{
    if (!f->p || rec->key_len < f->len || memcmp(rec->key, f->p, f->len) != 0) {
        return false;
    }
    return whole->tag == TM_OBJECT ? f->len > 0 && rec->key_len > f->len &&
                                         (rec->key[f->len] == '"') == f->is_text
                                   : whole->p == rec->key + f->len;
}

static void note_form(const struct rows *r, uint32_t event,
                      const struct tm_cell *whole)
{
    struct program_form *f = &r->program->form;
    const struct record *rec = &r->events->records[event];
    int64_t at = value_begins(rec, whole);

    if (at < 0 || at >= rec->key_len) {
        return;
    }
    if (f->p) {
        f->other = arena_printf(
            r->program->arena, "%s/%d/%lld with the key %.*s", rec->topic,
            rec->partition, (long long)rec->offset, shown_len(rec), rec->key);
        return;
    }
    f->p = arena_dup(r->program->arena, rec->key, rec->key_len);
    f->len = (uint32_t)at;
    f->is_text = rec->key[at] == '"';
}

void record_key_tell(struct program *g)
{
    if (g->form.other && !g->form.is_logged) {
        g->form.is_logged = true;
        log_line(LOG_WARN, "record keys are written in several ways",
                 "table=%s record=%s first_way=%s", log_quote(g->plan->table),
                 log_quote(g->form.other), log_quote(g->form.p));
    }
}

static bool key_fits(const struct rows *r, uint32_t event,
                     const struct tm_cell *whole, struct err *e)
{
    if (!rows_is_given(whole)) {
        return record_key_missing(r, 0, event, e);
    }
    if (whole->tag == TM_OBJECT) {
        return object_fits(r, whole, event, e);
    }
    return r->program->plan->n_key == 1
               ? value_fits(r, 0, event, whole, false, e)
               : key_differs(r, 0, event, e);
}

bool record_key_fits(const struct rows *r, uint32_t event, struct err *e)
{
    const struct program *g = r->program;
    const struct tm_cell *whole = rows_cell(r, g->keys[0].whole, event);

    if (!key_fits(r, event, whole, e)) {
        return false;
    }
    if (!g->form.other &&
        !is_of_form(&g->form, &r->events->records[event], whole)) {
        note_form(r, event, whole);
    }
    return true;
}
