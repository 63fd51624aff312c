/* See proxy_conn.h. */
#include "proxy_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 65536, QUEUE_BYTES = 4 << 20, GOODBYE_MS = 5000 };

uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the queue of a flow ---- */

static void queue_push(struct flow *f, const char *data, size_t len,
                       unsigned delay_ms)
{
    struct segment *s = malloc(sizeof(*s) + len);
    if (!s) {
        abort();
    }
    *s = (struct segment){.due_ms = now_ms() + delay_ms, .len = len};
    memcpy(s->data, data, len);
    *f->tail = s;
    f->tail = &s->next;
    f->queued += len;
}

static void queue_pop(struct flow *f)
{
    struct segment *s = f->head;
    f->head = s->next;
    f->queued -= s->len;
    if (!f->head) {
        f->tail = &f->head;
    }
    free(s);
}

/* How many bytes were still to be sent. */
static uint64_t queue_clear(struct flow *f)
{
    uint64_t lost = 0;
    while (f->head) {
        lost += f->head->len - f->head->sent;
        queue_pop(f);
    }
    return lost;
}

/* ---- endings ---- */

static void end_flow(struct conn *c, struct flow *f)
{
    f->ending = HAS_ENDED;
    shutdown(f->to, SHUT_WR);
    if (c->flows[UP].ending == HAS_ENDED &&
        c->flows[DOWN].ending == HAS_ENDED) {
        c->deadline_ms = now_ms() + GOODBYE_MS;
    }
}

/* RST instead of FIN, for both sides, and the end of everything. */
static void reset_conn(struct conn *c)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    setsockopt(c->server, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    for (int d = UP; d <= DOWN; d++) {
        struct flow *f = &c->flows[d];
        queue_clear(f);
        f->ending = HAS_ENDED;
        f->is_deaf = f->saw_eof = true;
    }
}

static void drained(struct conn *c, struct flow *f)
{
    if (f->ending == ENDS_DRAINED) {
        end_flow(c, f);
    } else if (f->ending == RESETS_DRAINED) {
        reset_conn(c);
    }
}

/* The other side of [f] cannot be reached any more. */
static void break_flow(struct proxy *p, struct conn *c, struct flow *f)
{
    p->traffic[f->direction].lost += queue_clear(f);
    f->is_deaf = true;
    end_flow(c, f);
}

/* Stops a direction at once: what is under way is lost. */
static void silence(struct proxy *p, struct conn *c, struct flow *f)
{
    if (f->ending != HAS_ENDED) {
        break_flow(p, c, f);
    }
}

/* What becomes of a connection whose flow was cut: the bytes before the cut
 * are in the queue and still get through. */
static void take_effect(struct proxy *p, struct conn *c, struct flow *f,
                        enum effect effect)
{
    f->is_deaf = true;
    p->n_effects[effect]++;
    if (effect == EFFECT_HOLE) {
        c->has_hole = true;
        return;
    }
    f->ending = effect == EFFECT_RESET ? RESETS_DRAINED : ENDS_DRAINED;
    if (effect != EFFECT_HALF) {
        silence(p, c, &c->flows[f->direction == UP ? DOWN : UP]);
    }
    if (!f->head) {
        drained(c, f);
    }
}

/* ---- reading ---- */

static void forward(struct proxy *p, struct flow *f, const char *data,
                    size_t len)
{
    struct traffic *t = &p->traffic[f->direction];
    if (len > 0) {
        queue_push(f, data, len, p->delay_ms[f->direction]);
        t->bytes += len;
        t->delayed += p->delay_ms[f->direction] > 0;
    }
}

/* libpq asks for encryption first, and takes "no" for an answer. */
static void deny_encryption(struct conn *c)
{
    queue_push(&c->flows[DOWN], "N", 1, 0);
}

static void cut(struct proxy *p, struct conn *c, struct rule *rule,
                const char *data, const struct frame *m)
{
    struct flow *f = &c->flows[rule->direction];
    size_t len = place_bytes(rule->place, m->len);
    rule->fired_kind = m->kind;
    rule->message_bytes = m->len;
    rule->forwarded_bytes = len;
    p->traffic[f->direction].cuts[rule->place]++;
    p->traffic[f->direction].lost += m->len - len;
    forward(p, f, data, len);
    take_effect(p, c, f, rule->effect);
}

static void pass(struct proxy *p, struct conn *c, struct flow *f,
                 const char *data, const struct frame *m)
{
    struct rule *rule = NULL;
    if (m->wants_encryption) {
        deny_encryption(c);
        return;
    }
    rule = rules_match(&p->rules, &f->framer, m->kind);
    if (rule) {
        cut(p, c, rule, data, m);
    } else {
        p->traffic[f->direction].messages++;
        forward(p, f, data, m->len);
    }
}

/* Passes on every message that is complete. */
static void process(struct proxy *p, struct conn *c, struct flow *f)
{
    size_t at = 0;
    struct frame m;
    while (!f->is_deaf &&
           framer_next(&f->framer, f->in + at, f->in_len - at, &m)) {
        pass(p, c, f, f->in + at, &m);
        at += m.len;
    }
    if (f->is_deaf) {
        p->traffic[f->direction].lost += f->in_len - at;
        at = f->in_len;
    }
    f->in_len -= at;
    memmove(f->in, f->in + at, f->in_len);
}

static void on_eof(struct proxy *p, struct conn *c, struct flow *f)
{
    f->saw_eof = true;
    if (f->ending != GOES_ON || c->has_hole) {
        return;
    }
    forward(p, f, f->in, f->in_len);
    f->in_len = 0;
    f->is_deaf = true;
    f->ending = ENDS_DRAINED;
    if (!f->head) {
        drained(c, f);
    }
}

static void read_flow(struct proxy *p, struct conn *c, struct flow *f)
{
    if (f->in_cap - f->in_len < READ_BYTES) {
        f->in_cap = 2 * f->in_cap + READ_BYTES;
        f->in = realloc(f->in, f->in_cap);
        if (!f->in) {
            abort();
        }
    }
    ssize_t n = recv(f->from, f->in + f->in_len, f->in_cap - f->in_len, 0);
    if (n > 0) {
        f->in_len += (size_t)n;
        if (p->is_hole[f->direction] && !f->is_deaf) {
            f->is_deaf = c->has_hole = true;
        }
        process(p, c, f);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        on_eof(p, c, f);
    }
}

/* ---- writing ---- */

static void write_flow(struct proxy *p, struct conn *c, struct flow *f)
{
    uint64_t now = now_ms();
    while (f->head && f->head->due_ms <= now) {
        struct segment *s = f->head;
        ssize_t n = send(f->to, s->data + s->sent, s->len - s->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                break_flow(p, c, f);
            }
            return;
        }
        s->sent += (size_t)n;
        if (s->sent == s->len) {
            queue_pop(f);
        }
    }
    if (!f->head) {
        drained(c, f);
    }
}

/* ---- connections ---- */

static void init_flow(struct flow *f, enum direction direction, int from,
                      int to, bool is_plain)
{
    *f = (struct flow){.direction = direction, .from = from, .to = to};
    f->tail = &f->head;
    framer_init(&f->framer, direction, is_plain);
}

static void refuse(struct proxy *p, int client)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(client);
    p->n_refused++;
}

static void set_up(int fd)
{
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void conn_accept(struct proxy *p, int client)
{
    if (p->refuses) {
        refuse(p, client);
        return;
    }
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct conn *c = calloc(1, sizeof(*c));
    if (!c || server < 0) {
        abort();
    }
    set_up(client);
    set_up(server);
    *c = (struct conn){.client = client, .server = server, .next = p->conns};
    init_flow(&c->flows[UP], UP, client, server, p->is_plain);
    init_flow(&c->flows[DOWN], DOWN, server, client, p->is_plain);
    c->is_connecting =
        connect(server, (struct sockaddr *)&p->target, sizeof(p->target)) != 0;
    p->conns = c;
    p->n_accepted++;
}

static void finish_connect(struct proxy *p, struct conn *c)
{
    int why = 0;
    socklen_t len = sizeof(why);
    c->is_connecting = false;
    getsockopt(c->server, SOL_SOCKET, SO_ERROR, &why, &len);
    if (why != 0) {
        p->n_failed++;
        reset_conn(c);
    }
}

static void free_conn(struct conn *c)
{
    for (int d = UP; d <= DOWN; d++) {
        queue_clear(&c->flows[d]);
        framer_close(&c->flows[d].framer);
        free(c->flows[d].in);
    }
    close(c->client);
    close(c->server);
    free(c);
}

static bool is_over(const struct conn *c)
{
    const struct flow *up = &c->flows[UP], *down = &c->flows[DOWN];
    bool are_gone = up->saw_eof && down->saw_eof;
    if (c->has_hole && are_gone) {
        return true;
    }
    return up->ending == HAS_ENDED && down->ending == HAS_ENDED &&
           (are_gone || now_ms() >= c->deadline_ms);
}

static void free_finished(struct proxy *p)
{
    struct conn **at = &p->conns;
    while (*at) {
        struct conn *c = *at;
        if (is_over(c)) {
            *at = c->next;
            free_conn(c);
        } else {
            at = &c->next;
        }
    }
}

int conns_count(const struct proxy *p)
{
    int n = 0;
    for (const struct conn *c = p->conns; c; c = c->next) {
        n++;
    }
    return n;
}

uint64_t conns_waiting(const struct proxy *p, enum direction direction)
{
    uint64_t sum = 0;
    for (const struct conn *c = p->conns; c; c = c->next) {
        int n = 0;
        if (ioctl(c->flows[direction].from, FIONREAD, &n) == 0) {
            sum += (uint64_t)n;
        }
    }
    return sum;
}

int conns_kill(struct proxy *p, bool by_reset)
{
    int n = 0;
    for (struct conn *c = p->conns; c; c = c->next) {
        if (c->flows[UP].ending == HAS_ENDED &&
            c->flows[DOWN].ending == HAS_ENDED) {
            continue;
        }
        n++;
        if (by_reset) {
            reset_conn(c);
        } else {
            silence(p, c, &c->flows[UP]);
            silence(p, c, &c->flows[DOWN]);
        }
    }
    p->n_killed += (uint64_t)n;
    free_finished(p);
    return n;
}

void conns_heal(struct proxy *p)
{
    rules_disarm(&p->rules);
    p->refuses = false;
    for (int d = UP; d <= DOWN; d++) {
        p->delay_ms[d] = 0;
        p->is_stalled[d] = p->is_hole[d] = false;
    }
    for (struct conn *c = p->conns; c; c = c->next) {
        if (c->has_hole) {
            reset_conn(c);
        }
    }
    free_finished(p);
}

/* ---- poll ---- */

static bool wants_read(const struct proxy *p, const struct conn *c,
                       const struct flow *f)
{
    return !f->saw_eof && !c->is_connecting && !p->is_stalled[f->direction] &&
           f->queued < QUEUE_BYTES;
}

/* Also shortens the wait to when the flow's next bytes are due. */
static bool wants_write(const struct flow *f, uint64_t now, int *timeout_ms)
{
    if (!f->head || f->ending == HAS_ENDED) {
        return false;
    }
    if (f->head->due_ms > now) {
        int wait = (int)(f->head->due_ms - now);
        *timeout_ms = wait < *timeout_ms ? wait : *timeout_ms;
        return false;
    }
    return true;
}

/* An entry without a wish is taken out: poll() would tell of its hang-up again
 * and again. */
static void ask(struct pollfd *fd, int number, bool reads, bool writes)
{
    short events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
    *fd = (struct pollfd){.fd = events ? number : -1, .events = events};
}

void conns_prepare(struct proxy *p, struct pollfd *fds, int *timeout_ms)
{
    uint64_t now = now_ms();
    for (struct conn *c = p->conns; c; c = c->next) {
        const struct flow *up = &c->flows[UP], *down = &c->flows[DOWN];
        bool writes_up = !c->is_connecting && wants_write(up, now, timeout_ms);
        ask(fds++, c->client, wants_read(p, c, up),
            wants_write(down, now, timeout_ms));
        ask(fds++, c->server, wants_read(p, c, down),
            writes_up || c->is_connecting);
    }
}

static void serve(struct proxy *p, struct conn *c, short client, short server)
{
    struct flow *up = &c->flows[UP], *down = &c->flows[DOWN];
    const short in = POLLIN | POLLHUP | POLLERR;
    if (c->is_connecting) {
        if (server) {
            finish_connect(p, c);
        }
        return;
    }
    if (client & in && wants_read(p, c, up)) {
        read_flow(p, c, up);
    }
    if (server & in && wants_read(p, c, down)) {
        read_flow(p, c, down);
    }
    /* What was just read goes on in the same turn. */
    if (up->head && up->ending != HAS_ENDED) {
        write_flow(p, c, up);
    }
    if (down->head && down->ending != HAS_ENDED) {
        write_flow(p, c, down);
    }
}

void conns_serve(struct proxy *p, const struct pollfd *fds)
{
    for (struct conn *c = p->conns; c; c = c->next, fds += 2) {
        serve(p, c, fds[0].revents, fds[1].revents);
    }
    free_finished(p);
}
