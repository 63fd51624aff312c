/* See log.h. A line is built in one buffer and leaves in one write(2), so the
 * lines of several processes on one stderr never mix. */
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/loop.h"
#include "base/stderr.h"
#include "base/utf8.h"

/* LINE_MAX_BYTES: a message and its fields hold an err text (700 bytes) twice
 * with every byte escaped. QUOTE_RING: fields of a line that may be quoted. */
enum { LINE_MAX_BYTES = 8192, QUOTE_BYTES = 3072, QUOTE_RING = 8 };

static const usec AGAIN_USEC = 600 * 1000000ULL;

static enum log_level least_level = LOG_INFO;
static char who_text[64] = "tidemill";
static uint64_t n_lost; /* lines that nobody took, and that were not told */

const char *const log_level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

void log_setup(enum log_level least, const char *who)
{
    least_level = least;
    snprintf(who_text, sizeof(who_text), "%s", who);
    stderr_never_wait();
}

/* The escaped form of one byte in out[0..4]; its length. */
static size_t escape(unsigned char c, char *out)
{
    static const char hex[] = "0123456789abcdef";
    const char *named = strchr("\nn\tt\rr\"\"\\\\", c);

    out[0] = '\\';
    if (c != '\0' && named) {
        out[1] = named[1];
        return 2;
    }
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

/* The [n] bytes of a character, those of one that is not seen escaped. */
static size_t quote_one(const char *s, size_t n, bool is_seen, char *out)
{
    size_t len = 0;

    if (is_seen && *s != '"' && *s != '\\') {
        memcpy(out, s, n);
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        len += escape((unsigned char)s[i], out + len);
    }
    return len;
}

/* Writes [s] in quotes to out[cap]; what is cut ends in "...". */
static size_t quote(const char *s, char *out, size_t cap)
{
    size_t len = 0, left = strlen(s), n;
    bool is_seen;

    out[len++] = '"';
    for (; left > 0; s += n, left -= n) {
        n = utf8_next(s, left, &is_seen);
        if (len + 22 > cap) { /* four escapes, "...", the quote and the NUL */
            memcpy(out + len, "...", 3);
            len += 3;
            break;
        }
        len += quote_one(s, n, is_seen, out + len);
    }
    out[len++] = '"';
    out[len] = '\0';
    return len;
}

const char *log_quote(const char *s)
{
    static char ring[QUOTE_RING][QUOTE_BYTES];
    static unsigned turn;
    char *out = ring[turn++ % QUOTE_RING];

    quote(s ? s : "", out, QUOTE_BYTES);
    return out;
}

static size_t put_head(char *line, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    size_t len;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    len = strftime(line, LINE_MAX_BYTES, "ts=%Y-%m-%dT%H:%M:%S", &utc);
    len +=
        (size_t)snprintf(line + len, LINE_MAX_BYTES - len,
                         ".%03ldZ level=%s who=%s msg=", now.tv_nsec / 1000000,
                         log_level_names[level], who_text);
    return len;
}

/* Appends the fields; a line break in them would forge a second line. */
static size_t put_fields(char *line, size_t len, const char *fields,
                         va_list args)
{
    size_t start = len;
    int n;

    line[len++] = ' ';
    n = vsnprintf(line + len, LINE_MAX_BYTES - len - 1, fields, args);
    if (n <= 0) {
        return start;
    }
    utf8_clean_line(line + len); /* a character may be cut, or a name be odd */
    return len + strlen(line + len);
}

static size_t put_line(char *line, enum log_level level, const char *msg)
{
    size_t len = put_head(line, level);

    return len + quote(msg, line + len, QUOTE_BYTES);
}

/* Before the first line that is taken again. */
static bool tell_lost(void)
{
    char line[LINE_MAX_BYTES];
    size_t len = put_line(line, LOG_WARN, "lines of the log were lost");

    len += (size_t)snprintf(line + len, sizeof(line) - len,
                            " lines=%" PRIu64 " why=\"nobody read stderr\"\n",
                            n_lost);
    return stderr_write(line, len);
}

void log_line(enum log_level level, const char *msg, const char *fields, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    size_t len;

    if (level < least_level) {
        return;
    }
    len = put_line(line, level, msg);
    if (fields) {
        va_start(args, fields);
        len = put_fields(line, len, fields, args);
        va_end(args);
    }
    line[len++] = '\n';
    if (n_lost > 0 && tell_lost()) {
        n_lost = 0;
    }
    if (n_lost > 0 || !stderr_write(line, len)) {
        n_lost++;
    }
}

bool log_once(struct said *s, const char *text)
{
    usec now = clock_usec();
    uint64_t what = hash_text(text);

    if (s->what == what && s->at > 0 && now - s->at < AGAIN_USEC) {
        return false;
    }
    *s = (struct said){what, now};
    return true;
}
