#pragma once
/*
 * Where messages of PostgreSQL's protocol (version 3) begin and end in one
 * direction of one connection, what they are called and what they are about.
 * Nothing is checked beyond the lengths. A plain framer (for other protocols)
 * takes whatever was read at once as one message of kind FRAME_CHUNK.
 */
#include <stdbool.h>
#include <stddef.h>

enum direction { UP, DOWN }; /* to the server, to the client */

enum {
    FRAME_STARTUP = 1,   /* the first message, which has no type byte */
    FRAME_CHUNK = 2,     /* of a plain connection */
    FRAME_ANY = '*',     /* in rules only */
    SUBJECT_BYTES = 160, /* of a subject, with its NUL; longer ones are cut */
};

struct frame {
    char kind; /* the type byte, or one of the above */
    size_t len;
    bool wants_encryption; /* SSLRequest, GSSENCRequest: answered by 'N' */
};

struct statement {
    char name[64];
    char sql[SUBJECT_BYTES];
};

struct framer {
    enum direction direction;
    bool is_plain;
    bool is_started; /* the startup message is through */
    /* Up: the SQL of the Parse, Query or Bind at or before this message.
     * Down: the tag of the CommandComplete at or before it. */
    char subject[SUBJECT_BYTES];
    struct statement *statements; /* owned: the named ones, by name */
    int n_statements;
};

void framer_init(struct framer *f, enum direction direction, bool is_plain);
void framer_close(struct framer *f);
/* The first message of [data], with the subject set as of it; false: it is not
 * complete yet. */
bool framer_next(struct framer *f, const char *data, size_t len,
                 struct frame *out);
/* The kind that a name such as "Execute" or "any" means; 0: there is none. */
char frame_kind(enum direction direction, const char *name);
