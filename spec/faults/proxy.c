/*
 * A TCP proxy that breaks things on command, for specs:
 *
 *   proxy CONTROL HOST:PORT [plain]
 *
 * It listens on a free port of 127.0.0.1 and knows where PostgreSQL's messages
 * begin and end; "plain" is for other protocols, where a message is whatever
 * was read at once. CONTROL is the unix socket that it takes commands from, one
 * a line, each answered by one line that begins with "ok" or "error":
 *
 *   port                     where it listens
 *   cut DIRECTION PLACE MESSAGE[~SUBJECT] EFFECT [N]
 *                            "cut up after Execute~commit close": see
 *                            proxy_rule.h; answers with the rule's number
 *   rule NUMBER              "armed N" or "fired BYTES FORWARDED"
 *   delay DIRECTION MS       every message from now on
 *   stall DIRECTION on|off   bytes wait unread, none is lost
 *   hole DIRECTION on|off    bytes are read and lost; what lost some is reset
 *                            by "heal"
 *   refuse on|off            new connections are reset
 *   kill close|reset         every connection, at once; how many
 *   heal                     all of this ends
 *   counters                 NAME=VALUE ...
 *
 * DIRECTION is up (to the server) or down. It ends with its parent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy_conn.h"

enum { LINE_BYTES = 1024 };
/* Places in what poll() watches; the connections are behind them. */
enum { LISTENER, CONTROL_LISTENER, CONTROL, OWN };

struct server {
    struct proxy proxy;
    int listener, control_listener;
    int control; /* the client that gives commands, or -1 */
    int port;
    char line[LINE_BYTES]; /* of its next command */
    size_t line_len;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- commands ---- */

static void answer(const struct server *s, const char *format, ...)
{
    char text[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    text[len++] = '\n';
    if (send(s->control, text, (size_t)len, MSG_NOSIGNAL) != len) {
        fprintf(stderr, "proxy: nobody hears: %s", text);
    }
}

static void do_port(struct server *s, char *rest)
{
    (void)rest;
    answer(s, "ok %d", s->port);
}

static void do_cut(struct server *s, char *rest)
{
    const char *why;
    const struct rule *rule = rules_add(&s->proxy.rules, rest, &why);
    if (rule) {
        answer(s, "ok %d", rule->id);
    } else {
        answer(s, "error %s", why);
    }
}

static void do_rule(struct server *s, char *rest)
{
    long id = strtol(rest, NULL, 10);
    if (id < 1 || id > s->proxy.rules.n) {
        answer(s, "error there is no such rule");
        return;
    }
    const struct rule *r = &s->proxy.rules.list[id - 1];
    if (r->fired_kind) {
        answer(s, "ok fired %zu %zu", r->message_bytes, r->forwarded_bytes);
    } else {
        answer(s, "ok armed %d", r->left);
    }
}

/* "DIRECTION WORD": the word; NULL (and answered): there is no direction. */
static const char *take_direction(const struct server *s, char *rest,
                                  enum direction *out)
{
    char *word = strchr(rest, ' ');
    if (word) {
        *word++ = '\0';
    }
    if (!word || !direction_parse(rest, out)) {
        answer(s, "error say up or down, and what");
        return NULL;
    }
    return word;
}

static void do_delay(struct server *s, char *rest)
{
    enum direction d;
    const char *word = take_direction(s, rest, &d);
    if (word) {
        s->proxy.delay_ms[d] = (unsigned)strtoul(word, NULL, 10);
        answer(s, "ok");
    }
}

static void do_stall(struct server *s, char *rest)
{
    enum direction d;
    const char *word = take_direction(s, rest, &d);
    if (word) {
        s->proxy.is_stalled[d] = strcmp(word, "on") == 0;
        answer(s, "ok");
    }
}

static void do_hole(struct server *s, char *rest)
{
    enum direction d;
    const char *word = take_direction(s, rest, &d);
    if (word) {
        s->proxy.is_hole[d] = strcmp(word, "on") == 0;
        answer(s, "ok");
    }
}

static void do_refuse(struct server *s, char *rest)
{
    s->proxy.refuses = strcmp(rest, "on") == 0;
    answer(s, "ok");
}

static void do_kill(struct server *s, char *rest)
{
    answer(s, "ok %d", conns_kill(&s->proxy, strcmp(rest, "reset") == 0));
}

static void do_heal(struct server *s, char *rest)
{
    (void)rest;
    conns_heal(&s->proxy);
    answer(s, "ok");
}

static int print_traffic(const struct proxy *p, enum direction d, char *out,
                         size_t cap)
{
    const struct traffic *t = &p->traffic[d];
    const char *name = d == UP ? "up" : "down";
    return snprintf(
        out, cap,
        " messages_%s=%ju bytes_%s=%ju lost_%s=%ju delayed_%s=%ju"
        " waiting_%s=%ju cut_%s_before=%ju cut_%s_middle=%ju cut_%s_after=%ju",
        name, (uintmax_t)t->messages, name, (uintmax_t)t->bytes, name,
        (uintmax_t)t->lost, name, (uintmax_t)t->delayed, name,
        (uintmax_t)conns_waiting(p, d), name, (uintmax_t)t->cuts[BEFORE], name,
        (uintmax_t)t->cuts[MIDDLE], name, (uintmax_t)t->cuts[AFTER]);
}

static void do_counters(struct server *s, char *rest)
{
    const struct proxy *p = &s->proxy;
    char traffic[2][LINE_BYTES / 3];
    (void)rest;
    print_traffic(p, UP, traffic[UP], sizeof(traffic[UP]));
    print_traffic(p, DOWN, traffic[DOWN], sizeof(traffic[DOWN]));
    answer(s,
           "ok accepted=%ju open=%d refused=%ju failed=%ju killed=%ju armed=%d"
           " effect_close=%ju effect_reset=%ju effect_half=%ju effect_hole=%ju"
           "%s%s",
           (uintmax_t)p->n_accepted, conns_count(p), (uintmax_t)p->n_refused,
           (uintmax_t)p->n_failed, (uintmax_t)p->n_killed,
           rules_armed(&p->rules), (uintmax_t)p->n_effects[EFFECT_CLOSE],
           (uintmax_t)p->n_effects[EFFECT_RESET],
           (uintmax_t)p->n_effects[EFFECT_HALF],
           (uintmax_t)p->n_effects[EFFECT_HOLE], traffic[UP], traffic[DOWN]);
}

static const struct {
    const char *name;
    void (*fn)(struct server *s, char *rest);
} commands[] = {
    {"port", do_port},         {"cut", do_cut},     {"rule", do_rule},
    {"delay", do_delay},       {"stall", do_stall}, {"hole", do_hole},
    {"refuse", do_refuse},     {"kill", do_kill},   {"heal", do_heal},
    {"counters", do_counters},
};

static void obey(struct server *s, char *line)
{
    char *rest = strchr(line, ' ');
    if (rest) {
        *rest++ = '\0';
    } else {
        rest = line + strlen(line);
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        if (strcmp(commands[i].name, line) == 0) {
            commands[i].fn(s, rest);
            return;
        }
    }
    answer(s, "error there is no such command");
}

static void lose_control(struct server *s)
{
    close(s->control);
    s->control = -1;
    s->line_len = 0;
}

static void read_commands(struct server *s)
{
    ssize_t n = recv(s->control, s->line + s->line_len,
                     sizeof(s->line) - s->line_len, 0);
    if (n <= 0) {
        lose_control(s);
        return;
    }
    s->line_len += (size_t)n;
    char *end;
    while ((end = memchr(s->line, '\n', s->line_len))) {
        size_t len = (size_t)(end - s->line) + 1;
        *end = '\0';
        obey(s, s->line);
        s->line_len -= len;
        memmove(s->line, s->line + len, s->line_len);
    }
    if (s->line_len == sizeof(s->line)) {
        lose_control(s); /* it does not speak our language */
    }
}

/* ---- start ---- */

static int listen_local(int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
        listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        die("cannot listen");
    }
    *port = ntohs(a.sin_port);
    return fd;
}

static int listen_control(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a.sun_path)) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(a.sun_path, path, strlen(path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        listen(fd, 4) != 0) {
        die(path);
    }
    return fd;
}

static void parse_target(struct sockaddr_in *out, char *text)
{
    char *port = strrchr(text, ':');
    if (port) {
        *port++ = '\0';
    }
    *out = (struct sockaddr_in){.sin_family = AF_INET};
    if (!port || inet_pton(AF_INET, text, &out->sin_addr) != 1) {
        errno = EINVAL;
        die("the target is no ADDRESS:PORT");
    }
    out->sin_port = htons((uint16_t)strtoul(port, NULL, 10));
}

/* ---- the loop ---- */

static void accept_one(struct server *s, const struct pollfd *fds)
{
    if (fds[LISTENER].revents) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            conn_accept(&s->proxy, fd);
        }
    }
    if (fds[CONTROL_LISTENER].revents && s->control < 0) {
        s->control = accept4(s->control_listener, NULL, NULL, SOCK_CLOEXEC);
    }
}

/* The connections come last in a turn's work but for accepting, which adds to
 * their list; a command that ends some leaves poll's answers stale. */
static void turn(struct server *s)
{
    int timeout_ms = 1000;
    size_t n = OWN + 2 * (size_t)conns_count(&s->proxy);
    struct pollfd *fds = calloc(n, sizeof(*fds));
    if (!fds) {
        abort();
    }
    fds[LISTENER] = (struct pollfd){.fd = s->listener, .events = POLLIN};
    fds[CONTROL_LISTENER] = (struct pollfd){
        .fd = s->control < 0 ? s->control_listener : -1, .events = POLLIN};
    fds[CONTROL] = (struct pollfd){.fd = s->control, .events = POLLIN};
    conns_prepare(&s->proxy, fds + OWN, &timeout_ms);
    if (poll(fds, n, timeout_ms) >= 0) {
        conns_serve(&s->proxy, fds + OWN);
        if (fds[CONTROL].revents) {
            read_commands(s);
        }
        accept_one(s, fds);
    } else if (errno != EINTR) {
        die("poll");
    }
    free(fds);
}

int main(int argc, char **argv)
{
    static struct server s = {.control = -1};
    if (argc < 3) {
        fprintf(stderr, "usage: proxy CONTROL ADDRESS:PORT [plain]\n");
        return 64;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    s.proxy.is_plain = argc > 3 && strcmp(argv[3], "plain") == 0;
    parse_target(&s.proxy.target, argv[2]);
    s.listener = listen_local(&s.port);
    s.control_listener = listen_control(argv[1]);
    for (;;) {
        turn(&s);
    }
}
