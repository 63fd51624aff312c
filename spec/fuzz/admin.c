/*
 * The whole admin port in this process: bytes of a client go into a socket,
 * the answer is read until the port hangs up or has nothing more to say. An input is the token ("~":
 * none), a topic and a message of the shared page, and the request. Without
 * the token nothing that is secret may come out; /status must be JSON.
 */
#include "admin/admin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "decode/json/json.h"
#include "decode/json/tokens.h"
#include "input.h"
#include "oracle.h"

/* The name of the pipeline, which is in every answer that is not public. */
static const char secret[] = "sesame-pipeline";
/* Both ends are in one loop: a few turns without a byte are the end. */
enum { QUIET_TURNS = 6, ANSWER_BYTES = 1 << 20 };

struct port {
    struct loop *loop;
    struct page *page;
    struct admin_view view;
    struct sockaddr_un address;
    socklen_t address_len;
    int listening;
};

struct client {
    struct port *port;
    int fd;
    const uint8_t *request;
    size_t left;
    struct buf answer;
    size_t left_before, answered_before; /* at the last turn */
    int quiet_turns;
};

/* An abstract address that the kernel chooses: no file, no port. */
static int listen_anywhere(struct port *p)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    p->address.sun_family = AF_UNIX;
    must(bind(fd, (struct sockaddr *)&p->address, sizeof(sa_family_t)) == 0);
    must(listen(fd, 8) == 0);
    p->address_len = sizeof(p->address);
    must(getsockname(fd, (struct sockaddr *)&p->address, &p->address_len) == 0);
    return fd;
}

static void open_port(struct port *p)
{
    memset(p, 0, sizeof(*p));
    p->loop = loop_new();
    p->page = page_new(2);
    p->page->workers[0].pid = 1;
    p->view = (struct admin_view){.page = p->page,
                                  .name = secret,
                                  .generation = "0",
                                  .version = "0",
                                  .instance = "i"};
    p->listening = listen_anywhere(p);
}

static void close_port(struct port *p)
{
    page_free(p->page);
    loop_free(p->loop);
}

static void send_some(struct client *c)
{
    while (c->left > 0) {
        ssize_t n = send(c->fd, c->request, c->left, MSG_NOSIGNAL);
        if (n <= 0) {
            return;
        }
        c->request += n;
        c->left -= (size_t)n;
    }
}

static void on_io(void *arg, bool readable, bool writable)
{
    struct client *c = arg;

    if (writable) {
        send_some(c);
    }
    while (readable) {
        buf_reserve(&c->answer, 65536);
        ssize_t n = recv(c->fd, c->answer.data + c->answer.len, 65536, 0);
        if (n < 0) {
            return;
        }
        c->answer.len += (size_t)n;
        must(c->answer.len < ANSWER_BYTES);
        if (n == 0) {
            loop_stop(c->port->loop);
            return;
        }
    }
}

static void on_turn(void *arg)
{
    struct client *c = arg;
    bool is_quiet =
        c->left == c->left_before && c->answer.len == c->answered_before;

    c->quiet_turns = is_quiet ? c->quiet_turns + 1 : 0;
    c->left_before = c->left;
    c->answered_before = c->answer.len;
    if (c->quiet_turns == QUIET_TURNS) {
        loop_stop(c->port->loop);
    }
}

/* One connection, from its first byte to its end. */
static void talk(struct client *c, const char *token)
{
    struct port *p = c->port;
    struct err e;
    struct admin *a = admin_new(p->loop, p->listening, &p->view, token, &e);

    must(a);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must(connect(c->fd, (struct sockaddr *)&p->address, p->address_len) == 0);
    struct loop_io *io = loop_io_new(p->loop, c->fd, on_io, c);
    struct loop_idle *turns = loop_idle_new(p->loop, on_turn, c);
    send_some(c);
    loop_io_want(io, true, c->left > 0);
    loop_idle_set(turns, true);
    loop_run(p->loop);
    loop_idle_free(turns);
    loop_io_free(io);
    close(c->fd);
    admin_free(a);
}

static bool holds(const void *p, size_t len, const char *word)
{
    return len > 0 && memmem(p, len, word, strlen(word));
}

/* The body of an answer to GET /status alone is one JSON document. */
static void check_status(const struct buf *answer)
{
    static const char head[] = "HTTP/1.1 200";
    const char *body = memmem(answer->data, answer->len, "\r\n\r\n", 4);
    const char *json = "application/json";

    if (!body || answer->len < sizeof(head) ||
        memcmp(answer->data, head, sizeof(head) - 1) != 0 ||
        !holds(answer->data, (size_t)(body - answer->data), json)) {
        return;
    }
    body += 4;
    size_t len = answer->len - (size_t)(body - answer->data);
    if (len == 0 || memmem(body, len, "HTTP/1.1", 8)) {
        return; /* HEAD, or more than one answer */
    }
    struct json_index *x = json_index_new();
    struct arena arena;
    const struct tm_cell *cells;
    uint32_t n;
    arena_init(&arena, 0);
    must(tokens_read(x, &arena, body, len, &cells, &n));
    arena_close(&arena);
    json_index_free(x);
}

static void fill_page(struct page *p, struct input *in)
{
    char *topic = input_text(in), *message = input_text(in);
    struct page_lane *lane = page_lane(p, topic, 3);

    lane->state = (uint32_t)(strlen(message) % 5);
    strncpy(lane->message, message, sizeof(lane->message) - 1);
    strncpy(p->workers[0].waiting_for, message,
            sizeof(p->workers[0].waiting_for));
    p->workers[0].is_ready = strlen(topic) % 2;
    free(message);
    free(topic);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct port p;
    struct client c = {.port = &p};

    open_port(&p);
    char *token = input_text(&in);
    bool is_open = !token[0] || strcmp(token, "~") == 0;
    fill_page(p.page, &in);
    c.request = in.p;
    c.left = in.len;
    talk(&c, is_open ? NULL : token);
    if (!is_open && !holds(in.p, in.len, token)) {
        must(!holds(c.answer.data, c.answer.len, secret));
    }
    if (c.answer.len > 0) {
        check_status(&c.answer);
    }
    buf_close(&c.answer);
    free(token);
    close_port(&p);
    return 0;
}
