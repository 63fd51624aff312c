/* See log.h. A line is built in one buffer and leaves in one write(2), so the
 * lines of several processes on one stderr never mix. */
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log_json.h"
#include "base/loop.h"
#include "base/nearest.h"
#include "base/stderr.h"
#include "base/utf8.h"

/* LINE_MAX_BYTES: a message and its fields hold an err text (700 bytes) twice
 * with every byte escaped. QUOTE_RING: fields of a line that may be quoted. */
enum {
    LINE_MAX_BYTES = 8192,
    JSON_MAX_BYTES = 24576,
    QUOTE_BYTES = 3072,
    QUOTE_RING = 8
};

static const usec AGAIN_USEC = 600 * 1000000ULL;

enum log_format { FORMAT_LOGFMT, FORMAT_JSON };
enum { FORMATS = FORMAT_JSON + 1 };
enum log_prefix { PREFIX_AUTO, PREFIX_ALWAYS, PREFIX_NEVER };
enum { PREFIXES = PREFIX_NEVER + 1 };

static enum log_level least_level = LOG_INFO;
static enum log_format format;
static enum log_prefix prefix;
static bool is_journal;
static char who_text[64] = "tidemill", pipeline_text[128];
static uint64_t n_lost; /* lines that nobody took, and that were not told */

const char *const log_level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

static const char *const format_names[] = {
    [FORMAT_LOGFMT] = "logfmt",
    [FORMAT_JSON] = "json",
};
static const char *const prefix_names[] = {
    [PREFIX_AUTO] = "auto",
    [PREFIX_ALWAYS] = "always",
    [PREFIX_NEVER] = "never",
};

/* ---- settings ---- */

/* The number of the word that a variable has, [unset] where it has none. */
static bool read_word(const char *variable, const char *const *words, int n,
                      int unset, int *out, struct err *e)
{
    const char *text = getenv(variable), *near;
    struct buf list = {0};

    *out = unset;
    if (!text || !*text) {
        return true;
    }
    for (*out = 0; *out < n; (*out)++) {
        if (strcmp(text, words[*out]) == 0) {
            return true;
        }
    }
    buf_words(&list, words, (size_t)n);
    near = nearest_word(text, words, (size_t)n);
    err_set(e, ERR_CONFIG, "%s is '%s': it must be %s%s%s%s", variable, text,
            buf_text(&list), near ? "; did you mean '" : "", near ? near : "",
            near ? "'?" : "");
    buf_close(&list);
    return false;
}

/* As sd-daemon tells it: JOURNAL_STREAM is DEVICE:INODE of the socket, which
 * another program may have handed on with a stderr of its own. */
static bool is_read_by_journal(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
           st.st_ino == inode;
}

void log_setup(const char *who)
{
    snprintf(who_text, sizeof(who_text), "%s", who);
    stderr_never_wait();
}

void log_of_pipeline(const char *name)
{
    snprintf(pipeline_text, sizeof(pipeline_text), "%s", name);
}

bool log_is_json(void)
{
    return format == FORMAT_JSON;
}

/* ---- lines of logfmt ---- */

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

static void put_time(char out[32])
{
    struct timespec now;
    struct tm utc;
    size_t len;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    len = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + len, 32 - len, ".%03ldZ", now.tv_nsec / 1000000 % 1000);
}

static size_t put_head(char *line, enum log_level level)
{
    char time[32];

    put_time(time);
    return (size_t)snprintf(line, LINE_MAX_BYTES,
                            "ts=%s level=%s who=%s msg=", time,
                            log_level_names[level], who_text);
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

/* ---- lines ---- */

/* The level in front of a line, as syslog counts; its length. */
static size_t put_prefix(char *line, enum log_level level)
{
    static const char numbers[] = {[LOG_DEBUG] = '7',
                                   [LOG_INFO] = '6',
                                   [LOG_WARN] = '4',
                                   [LOG_ERROR] = '3'};

    if (prefix == PREFIX_NEVER || (prefix == PREFIX_AUTO && !is_journal)) {
        return 0;
    }
    memcpy(line, "<?>", 3);
    line[1] = numbers[level];
    return 3;
}

static size_t put_json(char *line, size_t cap, enum log_level level,
                       const char *msg, const char *fields, va_list args)
{
    static const char worker[] = "worker-";
    bool is_worker = strncmp(who_text, worker, sizeof(worker) - 1) == 0;
    char time[32];
    const struct log_head head = {
        .time = time,
        .level = log_level_names[level],
        .process = who_text,
        .pipeline = pipeline_text,
        .worker = is_worker ? atoi(who_text + sizeof(worker) - 1) : -1,
        .pid = getpid(),
    };

    put_time(time);
    return log_json(line, cap, &head, msg, fields, args);
}

static bool write_line(enum log_level level, const char *msg,
                       const char *fields, va_list args)
{
    char line[JSON_MAX_BYTES];
    size_t before = put_prefix(line, level), len;

    if (format == FORMAT_JSON) {
        len = put_json(line + before, sizeof(line) - before - 1, level, msg,
                       fields, args);
    } else {
        len = put_line(line + before, level, msg);
        len = fields ? put_fields(line + before, len, fields, args) : len;
    }
    line[before + len] = '\n';
    return stderr_write(line, before + len + 1);
}

/* Of one of our own lines. */
static bool __attribute__((format(printf, 3, 4)))
write_own(enum log_level level, const char *msg, const char *fields, ...)
{
    va_list args;
    bool is_taken;

    va_start(args, fields);
    is_taken = write_line(level, msg, fields, args);
    va_end(args);
    return is_taken;
}

/* Before the first line that is taken again. */
static bool tell_lost(void)
{
    return write_own(LOG_WARN, "lines of the log were lost",
                     "lines=%" PRIu64 " why=\"nobody read stderr\"", n_lost);
}

static void write_or_count(enum log_level level, const char *msg,
                           const char *fields, va_list args)
{
    if (n_lost > 0 && tell_lost()) {
        n_lost = 0;
    }
    if (n_lost > 0 || !write_line(level, msg, fields, args)) {
        n_lost++;
    }
}

void log_line(enum log_level level, const char *msg, const char *fields, ...)
{
    va_list args;

    if (level >= least_level) {
        va_start(args, fields);
        write_or_count(level, msg, fields, args);
        va_end(args);
    }
}

/* ---- what is not of the log ---- */

static enum log_level level_of_words(const char *text)
{
    static const char warning[] = "warning:";

    return strncmp(text, warning, sizeof(warning) - 1) == 0 ? LOG_WARN
                                                            : LOG_ERROR;
}

static void complain_in_lines(const char *text)
{
    static bool is_within;
    char front[4];

    while (*text) {
        size_t n = strcspn(text, "\n");

        n += text[n] == '\n';
        if (!is_within) {
            size_t n_front = put_prefix(front, level_of_words(text));
            stderr_write(front, n_front);
        }
        stderr_write(text, n);
        is_within = text[n - 1] != '\n';
        text += n;
    }
}

void log_complain(const char *text)
{
    static char parts[JSON_MAX_BYTES / 2];
    size_t len = strlen(parts);

    if (format != FORMAT_JSON) {
        complain_in_lines(text);
        return;
    }
    snprintf(parts + len, sizeof(parts) - len, "%s", text);
    if (*text && text[strlen(text) - 1] == '\n') {
        for (len = strlen(parts); len > 0 && parts[len - 1] == '\n'; len--) {
            parts[len - 1] = '\0';
        }
        write_own(level_of_words(parts), parts + strspn(parts, "\n"), NULL);
        parts[0] = '\0';
    }
}

/* Within a string its quotes would be escaped: where it stands a second time, a
 * process was killed in the midst of the line before. */
bool log_is_line(const char *line, size_t len)
{
    size_t before = len > 3 && line[0] == '<' && line[2] == '>' ? 3 : 0;
    size_t n = sizeof(LOG_JSON_FRONT) - 1, begin = before + n;

    return len > begin && memcmp(line + before, LOG_JSON_FRONT, n) == 0 &&
           line[len - 1] == '}' &&
           !memmem(line + begin, len - begin, LOG_JSON_FRONT, n);
}

void log_foreign(const char *line, size_t len)
{
    char text[JSON_MAX_BYTES / 2];

    snprintf(text, sizeof(text), "%.*s", (int)len, line);
    write_own(LOG_ERROR, text, "of=\"a worker or a library in it\"");
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

/* ---- the start ---- */

static void __attribute__((format(printf, 2, 3)))
write_last(const char *msg, const char *fields, ...)
{
    va_list args;

    va_start(args, fields);
    write_or_count(LOG_ERROR, msg, fields, args);
    va_end(args);
}

bool log_read_settings(struct err *e)
{
    int level, form, front;

    if (!read_word("TIDEMILL_LOG", log_level_names, LOG_LEVELS, LOG_INFO,
                   &level, e) ||
        !read_word("TIDEMILL_LOG_FORMAT", format_names, FORMATS, FORMAT_LOGFMT,
                   &form, e) ||
        !read_word("TIDEMILL_LOG_PREFIX", prefix_names, PREFIXES, PREFIX_AUTO,
                   &front, e)) {
        return false;
    }
    least_level = (enum log_level)level;
    format = (enum log_format)form;
    prefix = (enum log_prefix)front;
    is_journal = is_read_by_journal();
    err_last_words = write_last;
    return true;
}
