/* The rows of what a batch sets aside. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "flow/batch/failures.h"
#include "flow/letters/letters.h"
#include "flow/rows/headers.h"
#include "postgres/store/dead_letter.h"

/* "folder/file.lua:12" at the beginning of a message, or NULL. */
static const char *place_in(const char *message, struct arena *a)
{
    const char *dot = strstr(message, ".lua:");
    const char *end = dot ? dot + 5 : NULL;

    while (end && isdigit((unsigned char)*end)) {
        end++;
    }
    return end && end > dot + 5 && *end == ':'
               ? arena_dup(a, message, (size_t)(end - message))
               : NULL;
}

/* A reason may quote the bytes of a record. */
static const char *storable(struct batch *b, const char *text)
{
    char *copy = arena_dup(&b->memory.loaded, text, strlen(text));

    utf8_clean(copy);
    return copy;
}

static struct dead_letter held(struct batch *b, const struct letter *letter)
{
    return (struct dead_letter){
        .is_held = true,
        .holds = true,
        .class = "held",
        .sqlstate = "",
        .message = arena_printf(&b->memory.loaded,
                                "waits behind the record at offset %" PRId64
                                ", which has the same key",
                                letter->behind),
    };
}

/* Files are named from the bundle's folder on: where that is on one machine
 * says nothing on another. */
static const char *in_bundle(const struct batch *b, const char *message)
{
    const char *folder = b->generation->plan->folder;
    size_t len = strlen(folder);

    return strncmp(message, folder, len) == 0 && message[len] == '/'
               ? message + len + 1
               : message;
}

static struct dead_letter failed(struct batch *b, const struct letter *letter,
                                 bool holds)
{
    const char *message = in_bundle(b, storable(b, letter->reason));

    return (struct dead_letter){
        .holds = holds,
        .class = err_class_name(letter->class),
        .sqlstate = letter->sqlstate,
        .message = message,
        .script = place_in(message, &b->memory.loaded),
    };
}

static struct dead_letter letter_for(struct batch *b, uint32_t event,
                                     record_header_at_fn header_at)
{
    const struct letter *letter = &b->failures.letters[event];
    struct dead_letter d = b->input.events.states[event] == TM_EVENT_HELD
                               ? held(b, letter)
                               : failed(b, letter, failures_hold_key(b, event));

    d.record = &b->input.records[event];
    d.headers = headers_print(d.record->message, header_at, &b->memory.loaded);
    return d;
}

uint64_t letters_make(struct batch *b, record_header_at_fn header_at)
{
    uint64_t bytes = 0;

    b->failures.n_put = 0;
    if (!b->failures.letters) {
        return 0;
    }
    b->failures.put = arena_alloc(&b->memory.loaded,
                                  b->input.events.n * sizeof(*b->failures.put));
    for (uint32_t e = 0; e < b->input.events.n; e++) {
        if (failures_is_letter(b, e)) {
            struct dead_letter *d = &b->failures.put[b->failures.n_put++];

            *d = letter_for(b, e, header_at);
            bytes += dead_letter_bytes(d);
        }
    }
    return bytes;
}

/* What a retry applied, or skipped, is a letter no more. What failed again
 * stops the whole chain of its key, also where the batch holds only its
 * beginning. */
void letters_end(struct batch *b)
{
    struct record *gone =
        arena_alloc(&b->memory.loaded, b->input.events.n * sizeof(*gone));
    struct record *stay =
        arena_alloc(&b->memory.loaded, b->input.events.n * sizeof(*stay));
    uint32_t n_gone = 0, n_stay = 0;

    for (uint32_t e = 0; e < b->input.events.n; e++) {
        uint8_t state = b->input.events.states[e];

        if (state == TM_EVENT_OK || state == TM_EVENT_SKIPPED) {
            gone[n_gone++] = b->input.records[e];
        } else if (state == TM_EVENT_FAILED && failures_hold_key(b, e)) {
            stay[n_stay++] = b->input.records[e];
        }
    }
    if (n_gone > 0) {
        dead_letter_end(b->attempt.conn, b->generation->plan, gone, n_gone);
    }
    if (n_stay > 0) {
        dead_letter_rest(b->attempt.conn, b->generation->plan, stay, n_stay);
    }
}

void letters_write(struct batch *b)
{
    if (b->failures.n_put > 0) {
        dead_letter_put(b->attempt.conn, b->generation->plan, b->failures.put,
                        b->failures.n_put);
    }
}
