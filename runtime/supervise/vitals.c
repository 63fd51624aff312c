/* See vitals.h. */
#include "supervise/vitals.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"

bool vitals_stat(const char *path, uint64_t *ticks, uint64_t *start_ticks,
                 uint64_t *pages)
{
    char text[1024];
    unsigned long user, system, resident;
    unsigned long long start;
    const char *end;
    size_t n;
    FILE *f;

    f = fopen(path, "re");
    if (!f) {
        return false;
    }
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    /* The name in parentheses may hold anything. */
    end = strrchr(text, ')');
    if (!end || sscanf(end + 1,
                       " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu "
                       "%*d %*d %*d %*d %*d %*d %llu %*u %lu",
                       &user, &system, &start, &resident) != 4) {
        return false;
    }
    *ticks = user + system;
    *start_ticks = start;
    *pages = resident;
    return true;
}

static uint64_t count_files(pid_t pid)
{
    char path[64];
    uint64_t n = 0;
    DIR *d;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    d = opendir(path);
    if (!d) {
        return 0;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        n += e->d_name[0] != '.';
    }
    closedir(d);
    return n - (pid == getpid() && n > 0); /* that of the folder */
}

/* Unix time of a moment that is told in ticks since the machine's start. */
static int64_t wall_of_ticks(uint64_t ticks, int64_t per_second)
{
    struct timespec up;

    clock_gettime(CLOCK_BOOTTIME, &up);
    return wall_usec() / 1000 - (int64_t)up.tv_sec * 1000 -
           up.tv_nsec / 1000000 + (int64_t)ticks * 1000 / per_second;
}

/* But for cpu_usec, which it returns. */
static uint64_t read_process(pid_t pid, struct page_process *out)
{
    int64_t per_second = sysconf(_SC_CLK_TCK);
    uint64_t ticks, start, pages;
    struct rlimit files = {0};
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (!vitals_stat(path, &ticks, &start, &pages)) {
        return 0;
    }
    prlimit(pid, RLIMIT_NOFILE, NULL, &files);
    out->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    out->open_fds = count_files(pid);
    out->max_fds = files.rlim_cur;
    /* Once: the wall clock may be set meanwhile. */
    out->started_ms =
        out->started_ms ? out->started_ms : wall_of_ticks(start, per_second);
    return ticks * 1000000 / (uint64_t)per_second;
}

/* A counter never falls, however the kernel rounds. */
static void grow(uint64_t *count, uint64_t to)
{
    *count = to > *count ? to : *count;
}

void vitals_of_self(struct page_process *out)
{
    grow(&out->cpu_usec, read_process(getpid(), out));
}

void vitals_of_slot(const struct slot *w, struct page *p)
{
    struct page_process *out = &p->workers[w->number].process;

    if (w->state == SLOT_RUNNING) {
        grow(&out->cpu_usec, w->cpu_usec + read_process(w->pid, out));
    }
}

void vitals_read(const struct slot *slots, struct page *p)
{
    vitals_of_self(&p->process);
    for (uint32_t i = 0; i < p->n_workers; i++) {
        vitals_of_slot(&slots[i], p);
    }
}

void vitals_ended(struct slot *w, struct page *p, const struct rusage *used)
{
    w->cpu_usec +=
        (uint64_t)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000 +
        (uint64_t)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);
    grow(&p->workers[w->number].process.cpu_usec, w->cpu_usec);
}
