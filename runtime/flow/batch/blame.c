/* See blame.h. */
#include "flow/batch/blame.h"

#include <string.h>

#include "flow/batch/failures.h"

/* What a phase of Lua left to us: it died without a word to tm_fail. Its
 * current event failed; without one the first good record stands for the
 * batch. One good record less each time, or this would not end. */
bool batch_blame(struct batch *b, const struct err *e, int32_t by)
{
    int32_t at = b->input.view.current;

    if (at < 0 || b->input.events.states[at] != TM_EVENT_OK) {
        at = batch_first_good(b);
    }
    if (at >= 0) {
        failures_add(b, (uint32_t)at, e->class, e->text, strlen(e->text), by);
    }
    return at >= 0;
}

void batch_called(struct batch *b, uint32_t n)
{
    b->memory.limit.is_over |= n > 1 && vm_ran_out(b->generation->vm);
}

/* Looked at behind every call, not only where it failed: a script may have
 * caught the error. Records that failed before are met too. */
bool batch_take_unread(struct batch *b)
{
    bool found = b->failures.has_unread;

    if (found) {
        failures_find_unread(b);
    }
    b->failures.has_unread = false;
    b->scripts.must_rerun |= found;
    return found;
}

/* A handler passes on what a call said. What kafka{} leaves unsaid is not the
 * record's fault; a field of it that cannot be read is in the record, and
 * everything else is the script's word. */
enum err_class batch_class(const struct batch *b, const char *reason)
{
    if (b->input.view.error_class == ERR_CONFIG &&
        strstr(reason, b->input.view.error)) {
        return ERR_CONFIG;
    }
    return b->failures.unreadable && strstr(reason, b->failures.unreadable)
               ? ERR_DATA
               : ERR_SCRIPT;
}

void batch_classify(const struct batch *b, struct err *e)
{
    if (e->class == ERR_SCRIPT) {
        e->class = batch_class(b, e->text);
    }
}
