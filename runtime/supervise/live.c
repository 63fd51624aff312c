/* The live line and the progress lines: see live.h. */
#include "supervise/live.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stderr.h"
#include "supervise/totals.h"

enum { PROGRESS_EVERY = 10 /* ticks */, WIDTH_UNKNOWN = 80 };

struct live {
    const struct page *page; /* borrowed */
    bool is_terminal;
    bool has_colour;
    struct buf line; /* as last drawn, with escapes */
    struct totals last;
    usec last_at;
    uint32_t ticks;
};

struct live *live_new(const struct page *p)
{
    struct live *v = mem_zero(1, sizeof(*v));
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    v->page = p;
    v->is_terminal = isatty(STDERR_FILENO) && term &&
                     strcmp(term, "dumb") != 0 && !log_is_json();
    v->has_colour = !no_colour || no_colour[0] == '\0';
    v->last_at = clock_usec();
    return v;
}

void live_free(struct live *v)
{
    stderr_clear();
    buf_close(&v->line);
    free(v);
}

bool live_is_terminal(const struct live *v)
{
    return v->is_terminal;
}

static void redraw(struct live *v)
{
    if (v->is_terminal && v->line.len > 0) {
        stderr_draw(v->line.data, v->line.len);
    }
}

void live_print(struct live *v, const char *text, size_t len)
{
    stderr_write(text, len);
    redraw(v);
}

static uint32_t terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return WIDTH_UNKNOWN;
    }
    return size.ws_col;
}

/* 950, 12.3k, 1.20M: at most six characters. */
static const char *short_number(double n, char out[16])
{
    static const struct {
        double from, divisor;
        const char *format;
    } forms[] = {
        {99.95e9, 1e9, "%.0fG"}, {999.5e6, 1e9, "%.1fG"},
        {99.95e6, 1e6, "%.0fM"}, {999.5e3, 1e6, "%.2fM"},
        {99.95e3, 1e3, "%.0fk"}, {9999.5, 1e3, "%.1fk"},
        {0, 1, "%.0f"},
    };
    size_t i = 0;
    while (n < forms[i].from) {
        i++;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, 16, forms[i].format, n / forms[i].divisor);
#pragma GCC diagnostic pop
    return out;
}

struct field {
    char text[64];
    const char *colour; /* an SGR number; NULL: as it is */
};

enum { FIELDS = 9 };

static int make_fields(const struct totals *t, struct pace pace,
                       const struct page *p, struct field f[FIELDS])
{
    static const char *const bold = "1", *const red = "31",
                             *const yellow = "33";
    char n[16];
    int i = 0;
    memset(f, 0, sizeof(*f) * FIELDS);
    f[i].colour = bold;
    snprintf(f[i++].text, 64, "%6s ev/s",
             short_number(pace.events_per_second, n));
    snprintf(f[i++].text, 64, "lag %s", short_number((double)t->lag, n));
    if (t->lanes_halted > 0) {
        f[i].colour = red;
        snprintf(f[i++].text, 64, "%u lanes, %u HALTED", t->lanes_running,
                 t->lanes_halted);
    } else {
        snprintf(f[i++].text, 64, "%u lanes", t->lanes_running);
    }
    if (t->workers_ready < p->n_workers) {
        f[i].colour = yellow;
        snprintf(f[i++].text, 64, "%u of %u workers ready", t->workers_ready,
                 p->n_workers);
    }
    if (t->letters > 0) {
        f[i].colour = yellow;
        snprintf(f[i++].text, 64, "%s dead letters",
                 short_number((double)t->letters, n));
    }
    snprintf(f[i++].text, 64, "batch %s", short_number(pace.batch_events, n));
    snprintf(f[i++].text, 64, "commit %.1f ms", pace.commit_ms);
    snprintf(f[i++].text, 64, "retries %s",
             short_number((double)t->counters[COUNT_BATCH_RETRIES], n));
    f[i].colour = t->errors > 0 ? red : NULL;
    snprintf(f[i++].text, 64, "errors %s", short_number((double)t->errors, n));
    return i;
}

/* Fields in order of weight, as many as fit; the last column stays free, or
 * some terminals would wrap. */
static void compose(struct live *v, const struct field *f, int n)
{
    uint32_t room = terminal_width() - 1;
    buf_clear(&v->line);
    buf_puts(&v->line, STDERR_CLEAR);
    for (int i = 0; i < n; i++) {
        uint32_t need = (uint32_t)strlen(f[i].text) + (i > 0 ? 2 : 0);
        if (need > room) {
            return;
        }
        room -= need;
        buf_puts(&v->line, i > 0 ? "  " : "");
        if (v->has_colour && f[i].colour) {
            buf_printf(&v->line, "\x1b[%sm%s\x1b[0m", f[i].colour, f[i].text);
        } else {
            buf_puts(&v->line, f[i].text);
        }
    }
}

static void draw(struct live *v, const struct totals *t, struct pace pace)
{
    struct field fields[FIELDS];
    int n = make_fields(t, pace, v->page, fields);
    compose(v, fields, n);
    redraw(v);
}

static void log_progress(const struct totals *t, struct pace pace)
{
    log_line(LOG_INFO, "progress",
             "events=%" PRIu64 " rate=%.0f lag=%" PRId64
             " batch=%.0f commit_ms=%.1f lanes=%u halted=%u retries=%" PRIu64
             " dead_letters=%" PRIu64 " errors=%" PRIu64,
             t->counters[COUNT_EVENTS], pace.events_per_second, t->lag,
             pace.batch_events, pace.commit_ms, t->lanes_running,
             t->lanes_halted, t->counters[COUNT_BATCH_RETRIES], t->letters,
             t->errors);
}

void live_tick(struct live *v, usec now)
{
    if (++v->ticks % (v->is_terminal ? 1 : PROGRESS_EVERY) != 0) {
        return;
    }
    struct totals t;
    totals_read(v->page, &t);
    struct pace pace = totals_pace(&v->last, &t, now - v->last_at);
    if (v->is_terminal) {
        draw(v, &t, pace);
    } else {
        log_progress(&t, pace);
    }
    v->last = t;
    v->last_at = now;
}

void live_summary(struct live *v, usec from, usec now)
{
    struct totals t;
    totals_read(v->page, &t);
    double seconds = (double)(now - from) / 1e6;
    log_line(LOG_INFO, "stopped",
             "events=%" PRIu64 " seconds=%.1f rate=%.0f rows=%" PRIu64
             " batches=%" PRIu64 " failed=%" PRIu64 " held=%" PRIu64
             " dead_letters=%" PRIu64,
             t.counters[COUNT_EVENTS], seconds,
             seconds > 0 ? (double)t.counters[COUNT_EVENTS] / seconds : 0,
             t.counters[COUNT_ROWS_WRITTEN], t.counters[COUNT_BATCHES],
             t.counters[COUNT_DEAD_LETTERS], t.counters[COUNT_HELD], t.letters);
}
