/* See log.h. A line is built in one buffer and leaves in one write(2), so the
 * lines of several processes on one stderr never mix. */
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/stderr.h"

/* LINE_MAX_BYTES: a message and its fields hold an err text (700 bytes) twice
 * with every byte escaped. QUOTE_RING: fields of a line that may be quoted. */
enum { LINE_MAX_BYTES = 8192, QUOTE_BYTES = 3072, QUOTE_RING = 8 };

static enum log_level least_level = LOG_INFO;
static char who_text[64] = "tidemill";
static uint64_t n_lost; /* lines that nobody took, and that were not told */

static const char *const level_names[] = {
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

    if (c >= ' ' && c != '"' && c != '\\' && c != 0x7f) {
        out[0] = (char)c;
        return 1;
    }
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

/* Writes [s] in quotes to out[cap]; what is cut ends in "...". */
static size_t quote(const char *s, char *out, size_t cap)
{
    size_t len = 0;

    out[len++] = '"';
    for (; *s != '\0'; s++) {
        if (len + 10 > cap) { /* an escape, "...", the quote and the NUL */
            memcpy(out + len, "...", 3);
            len += 3;
            break;
        }
        len += escape((unsigned char)*s, out + len);
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
                         level_names[level], who_text);
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
    len += strlen(line + len);
    for (size_t i = start; i < len; i++) {
        if (line[i] == '\n' || line[i] == '\r') {
            line[i] = ' ';
        }
    }
    return len;
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
