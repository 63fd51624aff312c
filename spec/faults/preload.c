/*
 * Loaded into Tidemill by LD_PRELOAD in specs: makes the n-th call of a
 * function fail, and moves the wall clock. TIDEMILL_PRELOAD names the file of
 * preload.h, so that a process is armed while it runs, and the counts outlive
 * it.
 *
 * What is covered:
 * - Only processes that were forked: the workers, not their supervisor. The
 *   clock is moved in both.
 * - Only calls that the program itself makes, or libpq, or librdkafka, as the
 *   armed site says. They are told apart by the address that they return to.
 *   A library's allocations are left alone unless asked for: librdkafka and
 *   libev abort when one fails, by design. So does Tidemill's own mem_*(),
 *   which the Lua VM takes its memory from; libpq gives an error.
 * - Calls inside libc are not seen: fread() reads by itself.
 * - The clock is left alone for librdkafka, which computes absolute times for
 *   waits that the kernel ends by the clock that it has. The monotonic clock
 *   is never moved.
 */
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* glibc's own names: dlsym() itself allocates. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

struct range {
    uintptr_t from, to; /* of a module's code */
};

static struct preload_control *control; /* NULL: there is nothing to do */
static bool is_forked;
static struct range program, libpq, kafka;

/* ---- who calls ---- */

static bool is_in(const struct range *r, const void *address)
{
    return (uintptr_t)address >= r->from && (uintptr_t)address < r->to;
}

static unsigned caller_of(const void *address)
{
    return is_in(&program, address) ? CALLER_PROGRAM
           : is_in(&libpq, address) ? CALLER_LIBPQ
           : is_in(&kafka, address) ? CALLER_KAFKA
                                    : 0;
}

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct range *r = info->dlpi_name[0] == '\0'               ? &program
                      : strstr(info->dlpi_name, "/libpq.so")   ? &libpq
                      : strstr(info->dlpi_name, "/librdkafka") ? &kafka
                                                               : NULL;
    (void)size;
    (void)arg;
    for (int i = 0; r && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type == PT_LOAD && h->p_flags & PF_X) {
            r->from = info->dlpi_addr + h->p_vaddr;
            r->to = r->from + h->p_memsz;
        }
    }
    return 0;
}

/* ---- whether it fails ---- */

static bool fires(enum preload_site site, const void *address)
{
    if (!control || !is_forked) {
        return false;
    }
    struct preload_state *s = &control->sites[site];
    if (__atomic_load_n(&s->left, __ATOMIC_RELAXED) <= 0 ||
        !(s->caller & caller_of(address))) {
        return false;
    }
    __atomic_add_fetch(&s->calls, 1, __ATOMIC_RELAXED);
    if (__atomic_sub_fetch(&s->left, 1, __ATOMIC_RELAXED) != 0) {
        return false;
    }
    __atomic_store_n(&s->left, s->period, __ATOMIC_RELAXED);
    __atomic_add_fetch(&s->fired, 1, __ATOMIC_RELAXED);
    errno = s->error;
    return true;
}

static void on_fork(void)
{
    is_forked = true;
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("TIDEMILL_PRELOAD");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *p =
        mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) {
        fprintf(stderr, "preload: cannot map %s\n", path);
        _exit(70);
    }
    dl_iterate_phdr(note_module, NULL);
    pthread_atfork(NULL, NULL, on_fork);
    control = p;
}

/* ---- memory ---- */

void *malloc(size_t size)
{
    return fires(SITE_MALLOC, __builtin_return_address(0))
               ? NULL
               : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fires(SITE_CALLOC, __builtin_return_address(0))
               ? NULL
               : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fires(SITE_REALLOC, __builtin_return_address(0))
               ? NULL
               : __libc_realloc(p, size);
}

/* ---- files and sockets ---- */

/* The next definition of a function, kept once it is found. */
#define REAL(name) ((__typeof__(&name))find((void **)&real_##name, #name))

static void *find(void **kept, const char *name)
{
    if (!*kept) {
        *kept = dlsym(RTLD_NEXT, name);
    }
    return *kept;
}

static void *real_read, *real_write, *real_open, *real_fopen, *real_send,
    *real_recv, *real_sendmsg, *real_recvmsg, *real_connect,
    *real_clock_gettime, *real_gettimeofday;

ssize_t read(int fd, void *out, size_t len)
{
    return fires(SITE_READ, __builtin_return_address(0))
               ? -1
               : REAL(read)(fd, out, len);
}

ssize_t write(int fd, const void *data, size_t len)
{
    return fires(SITE_WRITE, __builtin_return_address(0))
               ? -1
               : REAL(write)(fd, data, len);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    /* Without O_CREAT nobody has passed it, and nobody reads it. */
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fires(SITE_OPEN, __builtin_return_address(0))
               ? -1
               : REAL(open)(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    return fires(SITE_OPEN, __builtin_return_address(0))
               ? NULL
               : REAL(fopen)(path, mode);
}

/* A connection that was reset is over in both directions: libpq learns of a
 * failed send only when it reads. */
static ssize_t socket_fails(int fd)
{
    int code = errno;
    if (code == EPIPE || code == ECONNRESET) {
        shutdown(fd, SHUT_RDWR);
    }
    errno = code;
    return -1;
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    return fires(SITE_SEND, __builtin_return_address(0))
               ? socket_fails(fd)
               : REAL(send)(fd, data, len, flags);
}

ssize_t recv(int fd, void *out, size_t len, int flags)
{
    return fires(SITE_RECV, __builtin_return_address(0))
               ? socket_fails(fd)
               : REAL(recv)(fd, out, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    return fires(SITE_SEND, __builtin_return_address(0))
               ? socket_fails(fd)
               : REAL(sendmsg)(fd, m, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    return fires(SITE_RECV, __builtin_return_address(0))
               ? socket_fails(fd)
               : REAL(recvmsg)(fd, m, flags);
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    return fires(SITE_CONNECT, __builtin_return_address(0))
               ? -1
               : REAL(connect)(fd, to, len);
}

/* ---- the wall clock ---- */

/* 0: as it is. */
static int64_t offset_for(const void *address)
{
    if (!control || control->clock_offset_usec == 0 || is_in(&kafka, address)) {
        return 0;
    }
    __atomic_add_fetch(&control->clock_shifted, 1, __ATOMIC_RELAXED);
    return control->clock_offset_usec;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int code = REAL(clock_gettime)(clock, out);
    if (code == 0 && clock == CLOCK_REALTIME) {
        int64_t offset = offset_for(__builtin_return_address(0));
        int64_t usec = out->tv_nsec / 1000 + offset % 1000000 + 1000000;
        out->tv_sec += offset / 1000000 + usec / 1000000 - 1;
        out->tv_nsec = usec % 1000000 * 1000 + out->tv_nsec % 1000;
    }
    return code;
}

static void shift(struct timeval *t, int64_t offset)
{
    int64_t usec = t->tv_usec + offset % 1000000 + 1000000;
    t->tv_sec += offset / 1000000 + usec / 1000000 - 1;
    t->tv_usec = usec % 1000000;
}

/* glibc declares it with void * for the zone, which nobody uses. */
int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    int code = REAL(gettimeofday)(out, zone);
    if (code == 0) {
        shift(out, offset_for(__builtin_return_address(0)));
    }
    return code;
}

time_t time(time_t *out)
{
    struct timeval t;
    REAL(gettimeofday)(&t, NULL);
    shift(&t, offset_for(__builtin_return_address(0)));
    if (out) {
        *out = t.tv_sec;
    }
    return t.tv_sec;
}
