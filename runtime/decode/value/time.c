/* See time.h. */
#include "decode/value/time.h"

#include <string.h>

#include "model/type.h"

/* The part of a text that is not read yet. */
struct cursor {
    const char *p;
    const char *end;
};

static const char not_iso[] =
    "is not in ISO 8601 (like 2026-11-23T19:00:00.123Z)";
static const char not_date[] = "is not a date in ISO 8601 (like 2026-11-23)";
static const char not_clock[] = "is not a time in ISO 8601 (like 19:00:00)";
static const char no_such_day[] = "names a day that does not exist";
static const char no_such_time[] = "names a time that does not exist";
static const char bad_year[] = "is outside the years 0001 to 294246";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int peek(const struct cursor *c)
{
    return c->p < c->end ? *c->p : -1;
}

static bool take(struct cursor *c, char expected)
{
    if (peek(c) != expected) {
        return false;
    }
    c->p++;
    return true;
}

/* From [least] to [most] digits; the number of digits, or 0. */
static int take_digits(struct cursor *c, int least, int most, int32_t *out)
{
    int n = 0;

    for (*out = 0; n < most && c->p < c->end && is_digit(*c->p); n++) {
        *out = *out * 10 + (*c->p++ - '0');
    }
    return n >= least && !is_digit((char)peek(c)) ? n : 0;
}

static bool two_digits(struct cursor *c, int32_t *out)
{
    if (c->end - c->p < 2 || !is_digit(c->p[0]) || !is_digit(c->p[1])) {
        return false;
    }
    *out = (c->p[0] - '0') * 10 + (c->p[1] - '0');
    c->p += 2;
    return true;
}

/* Days since 1970 of a civil date; years begin in March here, so that the leap
 * day is the last one. */
static int64_t days_of(int64_t year, int32_t month, int32_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           719468;
}

static int32_t days_in(int32_t year, int32_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && is_leap);
}

static const char *take_date(struct cursor *c, struct time_parts *out)
{
    int32_t year;
    int32_t month;
    int32_t day;

    if (peek(c) == '-') {
        return bad_year;
    }
    c->p += peek(c) == '+'; /* Java marks years beyond 9999 so */
    if (!take_digits(c, 4, 9, &year) || !take(c, '-') ||
        !two_digits(c, &month) || !take(c, '-') || !two_digits(c, &day)) {
        return not_date;
    }
    if (month < 1 || month > 12 || day < 1) {
        return no_such_day;
    }
    if (year < 1 || year > 294246) {
        return bad_year;
    }
    if (day > days_in(year, month)) {
        return no_such_day;
    }
    out->days = days_of(year, month, day);
    return NULL;
}

/* Digits after the point as microseconds; the seventh digit rounds. */
static bool take_fraction(struct cursor *c, int64_t *usec)
{
    int n = 0;

    *usec = 0;
    for (; is_digit((char)peek(c)); n++, c->p++) {
        if (n < 6) {
            *usec = *usec * 10 + (*c->p - '0');
        } else if (n == 6) {
            *usec += *c->p >= '5';
        }
    }
    for (int i = n; i < 6; i++) {
        *usec *= 10;
    }
    return n > 0;
}

static const char *take_clock(struct cursor *c, struct time_parts *out)
{
    int32_t hour;
    int32_t minute;
    int32_t second = 0;
    int64_t fraction = 0;

    if (!two_digits(c, &hour) || !take(c, ':') || !two_digits(c, &minute) ||
        (take(c, ':') && !two_digits(c, &second))) {
        return not_clock;
    }
    if ((take(c, '.') || take(c, ',')) && !take_fraction(c, &fraction)) {
        return not_clock;
    }
    out->usec =
        ((int64_t)hour * 3600 + minute * 60 + second) * 1000000 + fraction;
    /* 24:00:00 and a leap second are times, as in PostgreSQL. */
    if (hour > 24 || minute > 59 || second > 60 || out->usec > TIME_DAY_USEC) {
        return no_such_time;
    }
    return NULL;
}

/* 'Z', '+01', '+0100', '+01:00', '+01:00:30', or nothing. */
static const char *take_zone(struct cursor *c, struct time_parts *out)
{
    int32_t part[3] = {0, 0, 0};
    bool is_west;

    out->zone = TIME_NO_ZONE;
    out->offset_sec = 0;
    if (c->p == c->end) {
        return NULL;
    }
    out->zone = TIME_UTC;
    if (take(c, 'Z') || take(c, 'z')) {
        return c->p == c->end ? NULL : not_iso;
    }
    is_west = peek(c) == '-';
    if (!take(c, '+') && !take(c, '-')) {
        return not_iso;
    }
    for (int i = 0; i < 3 && (i == 0 || c->p < c->end); i++) {
        if ((i > 0 && !take(c, ':') && i == 2) || !two_digits(c, &part[i])) {
            return not_iso;
        }
    }
    if (c->p != c->end || part[0] > 15 || part[1] > 59 || part[2] > 59) {
        return "has an offset that does not exist";
    }
    out->offset_sec = part[0] * 3600 + part[1] * 60 + part[2];
    out->offset_sec = is_west ? -out->offset_sec : out->offset_sec;
    out->zone = out->offset_sec ? TIME_OFFSET : TIME_UTC;
    return NULL;
}

/* Skips blanks around the text. */
static struct cursor open_text(const char *p, size_t len)
{
    while (len > 0 && *p == ' ') {
        p++;
        len--;
    }
    while (len > 0 && p[len - 1] == ' ') {
        len--;
    }
    return (struct cursor){.p = p, .end = p + len};
}

/* 1: infinity, -1: minus infinity, 0: something else. */
static int infinity_of(const struct cursor *c)
{
    static const char *const words[] = {"infinity", "Infinity", "+infinity",
                                        "-infinity", "-Infinity"};
    size_t len = (size_t)(c->end - c->p);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (len == strlen(words[i]) && memcmp(c->p, words[i], len) == 0) {
            return *c->p == '-' ? -1 : 1;
        }
    }
    return 0;
}

const char *time_read_date(const char *p, size_t len, struct time_parts *out)
{
    struct cursor c = open_text(p, len);
    const char *wrong;

    out->infinity = infinity_of(&c);
    if (out->infinity != 0) {
        return NULL;
    }
    wrong = take_date(&c, out);
    c.p += !wrong && peek(&c) == 'Z'; /* as Debezium's isostring has it */
    return wrong ? wrong : c.p == c.end ? NULL : not_date;
}

const char *time_read_clock(const char *p, size_t len, struct time_parts *out)
{
    struct cursor c = open_text(p, len);
    const char *wrong = take_clock(&c, out);

    return wrong ? wrong : take_zone(&c, out);
}

const char *time_read_stamp(const char *p, size_t len, struct time_parts *out)
{
    struct cursor c = open_text(p, len);
    const char *wrong;

    *out = (struct time_parts){.infinity = infinity_of(&c)};
    if (out->infinity != 0) {
        return NULL;
    }
    wrong = take_date(&c, out);
    if (wrong) {
        return wrong == not_date ? not_iso : wrong;
    }
    if (c.p == c.end) {
        return NULL;
    }
    if (!take(&c, 'T') && !take(&c, 't') && !take(&c, ' ')) {
        return not_iso;
    }
    wrong = take_clock(&c, out);
    if (wrong) {
        return wrong == not_clock ? not_iso : wrong;
    }
    c.p += peek(&c) == ' ' && c.p + 1 < c.end;
    return take_zone(&c, out);
}

static size_t put_padded(char *out, int64_t v, int width)
{
    char digits[20];
    int n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0 || n < width);
    for (int i = 0; i < n; i++) {
        out[i] = digits[n - 1 - i];
    }
    return (size_t)n;
}

static size_t put_word(const char *word, char *out)
{
    size_t len = strlen(word);

    memcpy(out, word, len);
    return len;
}

static size_t put_infinity(int64_t v, char *out)
{
    return v == TYPE_INFINITY         ? put_word("infinity", out)
           : v == TYPE_MINUS_INFINITY ? put_word("-infinity", out)
                                      : 0;
}

static size_t put_day(int64_t days, char *out)
{
    int64_t z = days + 719468; /* since 0000-03-01 */
    int64_t era = z / 146097 - (z % 146097 < 0);
    int64_t of_era = z - era * 146097;
    int64_t year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t m = (5 * of_year + 2) / 153; /* from March */
    size_t n = 0;

    year += era * 400 + (m >= 10);
    if (year < 0) { /* read from a table; the year 0 is 1 BC */
        out[n++] = '-';
        year = -year;
    }
    n += put_padded(out + n, year, 4);
    out[n++] = '-';
    n += put_padded(out + n, m < 10 ? m + 3 : m - 9, 2);
    out[n++] = '-';
    return n + put_padded(out + n, of_year - (153 * m + 2) / 5 + 1, 2);
}

size_t time_put_date(int64_t days, char *out)
{
    size_t n = put_infinity(days, out);

    return n ? n : put_day(days, out);
}

size_t time_put_clock(int64_t usec, char *out)
{
    int64_t sec = usec / 1000000;
    int64_t fraction = usec % 1000000;
    int width = 6;
    size_t n = put_padded(out, sec / 3600, 2);

    out[n++] = ':';
    n += put_padded(out + n, sec / 60 % 60, 2);
    out[n++] = ':';
    n += put_padded(out + n, sec % 60, 2);
    if (fraction == 0) {
        return n;
    }
    for (; fraction % 10 == 0; width--) {
        fraction /= 10;
    }
    out[n++] = '.';
    return n + put_padded(out + n, fraction, width);
}

static size_t put_moment(int64_t usec, char *out)
{
    int64_t days = usec / TIME_DAY_USEC - (usec % TIME_DAY_USEC < 0);
    size_t n = put_day(days, out);

    out[n++] = 'T';
    return n + time_put_clock(usec - days * TIME_DAY_USEC, out + n);
}

size_t time_put_stamp(int64_t usec, char *out)
{
    size_t n = put_infinity(usec, out);

    return n ? n : put_moment(usec, out);
}
