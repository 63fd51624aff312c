/* From options to a running supervisor: see start.h. */
#include "cli/start.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/listen.h"
#include "base/log.h"
#include "base/say.h"
#include "model/version.h"
#include "supervise/supervisor.h"
#include "supervise/title.h"

enum { BIND_PATIENCE_MS = 10000 };

/* What supervise_run() borrows. */
struct start_prepared {
    char instance[300];
    char admin[300]; /* the address in words */
    char token[512];
    struct admin_view view;
    struct supervise_options options;
};

static bool read_token(const char *file, char *out, size_t cap, struct err *e)
{
    FILE *f = fopen(file, "re");
    if (!f) {
        return err_set(e, ERR_CONFIG, "cannot read the admin token in %s: %s",
                       file, strerror(errno));
    }
    bool has_line = fgets(out, (int)cap, f) != NULL;
    fclose(f);
    size_t len = has_line ? strcspn(out, " \t\r\n") : 0;
    if (len < 16) {
        return err_set(e, ERR_CONFIG,
                       "the admin token in %s is shorter than 16 characters: "
                       "'openssl rand -hex 32' makes a good one",
                       file);
    }
    out[len] = '\0';
    return true;
}

/* Two supervisors with one name would fence each other, hence the port: it is
 * what tells two of them on one host apart. */
static void name_instance(const struct start *o, const char *port, char *out,
                          size_t cap)
{
    char host[256] = "localhost";
    if (o->instance) {
        snprintf(out, cap, "%s", o->instance);
        return;
    }
    gethostname(host, sizeof(host) - 1);
    snprintf(out, cap, port[0] != '\0' ? "%s-%s" : "%s%s", host, port);
}

bool start_is_address(const char *admin, struct err *e)
{
    struct listen_address unused;
    return strcmp(admin, "off") == 0 || listen_parse(admin, &unused, e);
}

static bool open_port(const struct start *o, bool has_token,
                      struct listen_address *address, int *fd, struct err *e)
{
    *fd = -1;
    *address = (struct listen_address){0};
    if (strcmp(o->admin, "off") == 0) {
        return true;
    }
    return listen_parse(o->admin, address, e) &&
           listen_open(address, has_token, BIND_PATIENCE_MS, fd, e);
}

static bool read_heartbeat(struct page *p, struct err *e)
{
    const char *text = getenv("TIDEMILL_HEARTBEAT_SECONDS");
    char *end;
    long n;

    if (!text || *text == '\0') {
        return true;
    }
    n = strtol(text, &end, 10);
    if (*end != '\0' || n < 2 || n > 3600) {
        return err_set(e, ERR_CONFIG,
                       "TIDEMILL_HEARTBEAT_SECONDS is '%s': it must be a whole "
                       "number from 2 to 3600",
                       text);
    }
    p->heartbeat_seconds = (uint32_t)n;
    return true;
}

/* Kafka takes 249 characters for a member's name, and one that is cut would be
 * the same for two workers, which would fence each other. */
static bool fits_instance(const struct start *o, const char *instance,
                          struct err *e)
{
    enum { MOST = 249, DIGITS = 2 };
    size_t len = strlen(o->plan->source.group) + strlen("--") +
                 strlen(instance) + DIGITS;

    return len <= MOST ||
           err_set(e, ERR_CONFIG,
                   "the name of a worker in the consumer group, "
                   "GROUP-INSTANCE-NUMBER, has %zu characters, and Kafka takes "
                   "%d: shorten group in kafka{} (%zu) or the name that "
                   "--instance gives (%zu)",
                   len, MOST, strlen(o->plan->source.group), strlen(instance));
}

/* The supervisor has 48 clients and what a worker's log and page take; a worker
 * has some thirty files, its connections, and three a broker, however many
 * brokers there are. */
enum { LEAST_FILES = 64, ENOUGH_FILES = 512 };

/*
 * File descriptors: raises the soft limit towards the hard one, as far as a run
 * with so many connections a worker may need. ERR_CONFIG when even the hard one
 * cannot do; when it may be short, a line of the log says so.
 */
static bool raise_files(uint32_t connections, struct err *e)
{
    struct rlimit files;
    rlim_t least = LEAST_FILES + connections;
    rlim_t enough = ENOUGH_FILES + connections;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return true;
    }
    if (files.rlim_max < least) {
        return err_set(e, ERR_CONFIG,
                       "RLIMIT_NOFILE is %llu, and a run needs %llu open files "
                       "at least, %llu to be at ease: raise it by `ulimit -n`, "
                       "LimitNOFILE= of systemd or --ulimit nofile of Docker",
                       (unsigned long long)files.rlim_max,
                       (unsigned long long)least, (unsigned long long)enough);
    }
    if (files.rlim_cur < enough) {
        files.rlim_cur = files.rlim_max < enough ? files.rlim_max : enough;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur < enough) {
        log_line(LOG_WARN, "few files may be open",
                 "RLIMIT_NOFILE=%llu enough=%llu hint=\"raise it: with many "
                 "brokers, connections or admin clients it runs out\"",
                 (unsigned long long)files.rlim_cur,
                 (unsigned long long)enough);
    }
    return true;
}

static bool prepare(const struct start *o, struct start_prepared *out,
                    struct err *e)
{
    struct listen_address address;
    int fd;

    log_setup("supervisor");
    log_of_pipeline(o->plan->name);
    if (!read_heartbeat(o->page, e) ||
        !raise_files(o->plan->database.pool_max, e)) {
        return false;
    }
    if (o->token_file &&
        !read_token(o->token_file, out->token, sizeof(out->token), e)) {
        return false;
    }
    if (!open_port(o, o->token_file != NULL, &address, &fd, e)) {
        return false;
    }
    name_instance(o, address.port, out->instance, sizeof(out->instance));
    if (!fits_instance(o, out->instance, e)) {
        return false;
    }
    snprintf(out->admin, sizeof(out->admin), fd < 0 ? "off" : "%s:%s",
             address.host, address.port);
    out->view = (struct admin_view){.page = o->page,
                                    .name = o->plan->name,
                                    .generation = o->plan->hash,
                                    .version = TIDEMILL_VERSION,
                                    .instance = out->instance};
    out->options = (struct supervise_options){
        .page = o->page,
        .view = &out->view,
        .bundle = o->bundle,
        .token = o->token_file != NULL ? out->token : NULL,
        .listen_fd = fd,
        .until_end = o->until_end,
        .is_strict = o->is_strict,
        .seconds = o->seconds,
        .ready_usec = o->ready_usec,
        .is_fine = o->is_fine,
        .arg = o->arg,
    };
    return true;
}

int start_supervisor(const struct start *o)
{
    struct start_prepared p = {0};
    struct err e;
    if (!prepare(o, &p, &e)) {
        complain("tidemill: %s\n", e.text);
        return EX_CONFIG;
    }
    page_name_tables(o->page, o->plan);
    title_supervisor(o->plan->name);
    log_line(LOG_INFO, "started",
             "pipeline=%s generation=%.12s workers=%u instance=%s admin=%s",
             o->plan->name, o->plan->hash, o->workers, log_quote(p.instance),
             p.admin);
    return supervise_run(&p.options);
}
