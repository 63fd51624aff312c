/* See strikes.h. */
#include "supervise/strikes.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/suspect.h"
#include "supervise/process.h"

/* What a worker gets to answer SIGUSR1 on a busy machine. */
enum { ANSWER_USEC = 500000 };

/* Clock ticks that the main thread used; 0 when it cannot be read. The worker's
 * other threads (librdkafka's) work on while a script is stuck. */
static uint64_t cpu_ticks(pid_t pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    const char *end;
    size_t n;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, pid);
    f = fopen(path, "re");
    if (!f) {
        return 0;
    }
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    /* The name in parentheses may hold anything; 11 fields behind it. */
    end = strrchr(text, ')');
    if (!end ||
        sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
               &user, &system) != 2) {
        return 0;
    }
    return user + system;
}

static void ask(struct slot *w, struct page *p, usec now)
{
    __atomic_store_n(&p->workers[w->number].at.is_set, 0, __ATOMIC_SEQ_CST);
    kill(w->pid, SIGUSR1);
    w->looks++;
    w->looked_at = now;
}

static bool is_same(const struct page_place *a, const struct page_place *b)
{
    return a->is_set && b->is_set && a->partition == b->partition &&
           a->offset == b->offset && strcmp(a->topic, b->topic) == 0;
}

bool strikes_look(struct slot *w, struct page *p, usec now)
{
    const struct page_place *at = &p->workers[w->number].at;
    usec limit = p->heartbeat_seconds * 1000000ULL;
    usec still = slot_still_usec(w, p, now);

    if (still < limit / 2) {
        w->looks = 0;
    } else if (w->looks == 0) {
        w->cpu_ticks = cpu_ticks(w->pid);
        ask(w, p, now);
    } else if (w->looks == 1 && still + ANSWER_USEC > limit) {
        w->place = *at;
        ask(w, p, now);
    } else if (w->looks == 2 && now - w->looked_at > ANSWER_USEC) {
        w->is_stuck =
            is_same(at, &w->place) && cpu_ticks(w->pid) > w->cpu_ticks;
        w->looks++; /* it is killed once, however long it takes to end */
        return true;
    }
    return false;
}

/* How the death came about, if it was a record's doing. */
static bool is_strike(const struct slot *w, const struct page *p,
                      int wait_status, char *how, size_t cap)
{
    int signum = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;

    if (signum == SIGKILL && w->is_stuck) {
        snprintf(how, cap, "it did not come back within %u s",
                 p->heartbeat_seconds);
        return true;
    }
    process_describe_end(wait_status, how, cap);
    return signum == SIGSEGV || signum == SIGBUS || signum == SIGILL ||
           signum == SIGABRT;
}

void strikes_death(const struct slot *w, struct page *p, int wait_status)
{
    struct page_place at = p->workers[w->number].at;
    char how[64];
    uint32_t deaths;

    if (!at.is_set || !is_strike(w, p, wait_status, how, sizeof(how))) {
        return;
    }
    at.topic[sizeof(at.topic) - 1] = '\0';
    deaths = suspect_add(p, &at, how);
    log_line(
        LOG_ERROR, "worker died while a handler ran for a record",
        "worker=%u topic=%s partition=%d offset=%" PRId64 " deaths=%u how=%s",
        w->number, at.topic, at.partition, at.offset, deaths, log_quote(how));
}
