/* See embedded.h: the broker. producer.c has the producer. */
#include "kafka/embedded.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"

enum { START_MS = 10000, PIPE_FD = 3 };

struct embedded {
    pid_t pid;
};

/* ---- in the process of the broker ---- */

/* Descriptors of the parent would stay open as long as we live; Ctrl-C goes
 * to the whole terminal, but the broker ends when its parent says so. */
static void become_child(pid_t parent, int *fd)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(0);
    }
    if (*fd != PIPE_FD) {
        dup2(*fd, PIPE_FD);
        *fd = PIPE_FD;
    }
    closefrom(PIPE_FD + 1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_IGN);
}

static const char *open_cluster(const struct embedded_topic *topics,
                                uint32_t n_topics, char *text, size_t cap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;

    rd_kafka_conf_set_log_cb(conf, NULL);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, cap);
    cluster = rk ? rd_kafka_mock_cluster_new(rk, 1) : NULL;
    if (!cluster) {
        return NULL;
    }
    for (uint32_t i = 0; i < n_topics; i++) {
        rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(
            cluster, topics[i].name, topics[i].n_partitions, 1);

        if (code) {
            snprintf(text, cap, "topic %s: %s", topics[i].name,
                     rd_kafka_err2str(code));
            return NULL;
        }
    }
    return rd_kafka_mock_cluster_bootstraps(cluster);
}

/* One byte says how it went, words follow. */
static void say(int fd, char status, const char *words)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "%c%s", status, words);

    if (write(fd, text,
              (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1) <
        0) {
        _exit(1);
    }
    close(fd);
}

static _Noreturn void serve(const struct embedded_topic *topics,
                            uint32_t n_topics, int fd)
{
    char text[400] = "it cannot start";
    const char *brokers = open_cluster(topics, n_topics, text, sizeof(text));

    if (!brokers) {
        say(fd, '-', text);
        _exit(1);
    }
    say(fd, '+', brokers);
    for (;;) {
        pause();
    }
}

/* ---- in the parent ---- */

/* What the child says until it closes its end. */
static size_t hear(int fd, char *text, size_t cap)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    while (len + 1 < cap && poll(&p, 1, START_MS) > 0) {
        ssize_t n = read(fd, text + len, cap - 1 - len);

        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    text[len] = '\0';
    return len;
}

void embedded_stop(struct embedded *m)
{
    if (!m) {
        return;
    }
    kill(m->pid, SIGKILL);
    while (waitpid(m->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    free(m);
}

static struct embedded *await(pid_t pid, int fd, char *brokers, size_t cap,
                              struct err *e)
{
    struct embedded *m = mem_zero(1, sizeof(*m));
    char text[512];
    size_t len = hear(fd, text, sizeof(text));

    m->pid = pid;
    if (len > 1 && text[0] == '+' && len <= cap) {
        memcpy(brokers, text + 1, len);
        return m;
    }
    err_set(e, ERR_FATAL, "the built-in broker did not start: %s",
            len > 1 ? text + 1 : "no answer");
    embedded_stop(m);
    return NULL;
}

struct embedded *embedded_start(const struct embedded_topic *topics,
                                uint32_t n_topics, char *brokers, size_t cap,
                                struct err *e)
{
    struct embedded *m;
    pid_t parent = getpid(), pid;
    int fds[2];

    if (pipe(fds) < 0 || (pid = fork()) < 0) {
        err_set(e, ERR_FATAL, "the built-in broker did not start: %s",
                strerror(errno));
        return NULL;
    }
    if (pid == 0) {
        become_child(parent, &fds[1]);
        serve(topics, n_topics, fds[1]);
    }
    close(fds[1]);
    m = await(pid, fds[0], brokers, cap, e);
    close(fds[0]);
    return m;
}
