/* See proxy_frame.h. */
#include "proxy_frame.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SSL_REQUEST = 80877103, GSS_REQUEST = 80877104 };

struct kind {
    const char *name;
    char kind;
};

static const struct kind to_server[] = {{"Startup", FRAME_STARTUP},
                                        {"Password", 'p'},
                                        {"Query", 'Q'},
                                        {"Parse", 'P'},
                                        {"Bind", 'B'},
                                        {"Describe", 'D'},
                                        {"Execute", 'E'},
                                        {"Sync", 'S'},
                                        {"Close", 'C'},
                                        {"Flush", 'H'},
                                        {"Terminate", 'X'}};

static const struct kind to_client[] = {
    {"Authentication", 'R'},    {"ParameterStatus", 'S'},
    {"BackendKeyData", 'K'},    {"ReadyForQuery", 'Z'},
    {"ParseComplete", '1'},     {"BindComplete", '2'},
    {"CloseComplete", '3'},     {"ParameterDescription", 't'},
    {"RowDescription", 'T'},    {"NoData", 'n'},
    {"DataRow", 'D'},           {"CommandComplete", 'C'},
    {"ErrorResponse", 'E'},     {"NoticeResponse", 'N'},
    {"EmptyQueryResponse", 'I'}};

char frame_kind(enum direction direction, const char *name)
{
    const struct kind *list = direction == UP ? to_server : to_client;
    size_t n = direction == UP ? sizeof(to_server) / sizeof(*to_server)
                               : sizeof(to_client) / sizeof(*to_client);
    if (strcmp(name, "any") == 0) {
        return FRAME_ANY;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return list[i].kind;
        }
    }
    return 0;
}

void framer_init(struct framer *f, enum direction direction, bool is_plain)
{
    *f = (struct framer){.direction = direction,
                         .is_plain = is_plain,
                         .is_started = direction == DOWN};
}

void framer_close(struct framer *f)
{
    free(f->statements);
}

static uint32_t big_endian(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 |
           u[3];
}

/* Copies a text that a NUL or the message's end ends; what is behind it. */
static const char *take(const char *p, const char *end, char *out, size_t cap)
{
    size_t len = strnlen(p, (size_t)(end - p));
    snprintf(out, cap, "%.*s", (int)(len < cap ? len : cap - 1), p);
    return p + len < end ? p + len + 1 : end;
}

static struct statement *find(const struct framer *f, const char *name)
{
    for (int i = 0; i < f->n_statements; i++) {
        if (strcmp(f->statements[i].name, name) == 0) {
            return &f->statements[i];
        }
    }
    return NULL;
}

static struct statement *add(struct framer *f, const char *name)
{
    size_t n = (size_t)f->n_statements + 1;
    struct statement *list = realloc(f->statements, n * sizeof(*list));
    if (!list) {
        abort();
    }
    f->statements = list;
    f->n_statements++;
    struct statement *s = &list[n - 1];
    *s = (struct statement){0};
    snprintf(s->name, sizeof(s->name), "%s", name);
    return s;
}

/* The unnamed statement is kept like the others, under the empty name. */
static void note_parse(struct framer *f, const char *p, const char *end)
{
    char name[sizeof((struct statement *)0)->name];
    p = take(p, end, name, sizeof(name));
    struct statement *s = find(f, name);
    if (!s) {
        s = add(f, name);
    }
    take(p, end, s->sql, sizeof(s->sql));
    memcpy(f->subject, s->sql, sizeof(f->subject));
}

static void note_bind(struct framer *f, const char *p, const char *end)
{
    char portal[8], name[sizeof((struct statement *)0)->name];
    p = take(p, end, portal, sizeof(portal));
    take(p, end, name, sizeof(name));
    const struct statement *s = find(f, name);
    if (s) {
        memcpy(f->subject, s->sql, sizeof(f->subject));
    }
}

static void note_subject(struct framer *f, char kind, const char *body,
                         const char *end)
{
    if (f->direction == DOWN) {
        if (kind == 'C') {
            take(body, end, f->subject, sizeof(f->subject));
        }
    } else if (kind == 'P') {
        note_parse(f, body, end);
    } else if (kind == 'B') {
        note_bind(f, body, end);
    } else if (kind == 'Q') {
        take(body, end, f->subject, sizeof(f->subject));
    }
}

static bool next_startup(struct framer *f, const char *data, size_t len,
                         struct frame *out)
{
    if (len < 8 || len < big_endian(data)) {
        return false;
    }
    uint32_t code = big_endian(data + 4);
    *out = (struct frame){.kind = FRAME_STARTUP,
                          .len = big_endian(data),
                          .wants_encryption =
                              code == SSL_REQUEST || code == GSS_REQUEST};
    f->is_started = !out->wants_encryption;
    return true;
}

bool framer_next(struct framer *f, const char *data, size_t len,
                 struct frame *out)
{
    if (f->is_plain) {
        *out = (struct frame){.kind = FRAME_CHUNK, .len = len};
        return len > 0;
    }
    if (!f->is_started) {
        return next_startup(f, data, len, out);
    }
    if (len < 5 || len < 1 + (size_t)big_endian(data + 1)) {
        return false;
    }
    *out = (struct frame){.kind = data[0],
                          .len = 1 + (size_t)big_endian(data + 1)};
    note_subject(f, data[0], data + 5, data + out->len);
    return true;
}
