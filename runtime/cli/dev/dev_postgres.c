/* The private PostgreSQL of `dev`: see dev_postgres.h. */
#include "cli/dev/dev_postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "supervise/process.h"

enum { START_SECONDS = 60, STOP_SECONDS = 10, NAP_USEC = 20000 };

struct paths {
    char bin[200]; /* folder of initdb and postgres */
    char data[100];
    char log[100];
};

static bool has_initdb(const char *folder)
{
    char file[256];
    snprintf(file, sizeof(file), "%s/initdb", folder);
    return access(file, X_OK) == 0;
}

/* The newest of Debian's versions; glob sorts by name, which is right from 10
 * to 99. */
static bool find_in_versions(char *out, size_t cap)
{
    glob_t found;
    bool ok = false;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0) {
        return false;
    }
    for (size_t i = found.gl_pathc; i > 0 && !ok; i--) {
        ok = has_initdb(found.gl_pathv[i - 1]);
        if (ok) {
            snprintf(out, cap, "%s", found.gl_pathv[i - 1]);
        }
    }
    globfree(&found);
    return ok;
}

static bool find_in_path(char *out, size_t cap)
{
    const char *at = getenv("PATH");
    while (at && *at != '\0') {
        size_t len = strcspn(at, ":");
        snprintf(out, cap, "%.*s", (int)len, at);
        if (len > 0 && has_initdb(out)) {
            return true;
        }
        at += len + (at[len] == ':');
    }
    return false;
}

/* In the child: [argv] as the owner of the scratch folder. */
_Noreturn static void run_as_owner(const struct dev_scratch *s,
                                   const struct paths *paths, pid_t parent,
                                   char **argv)
{
    char program[256];
    snprintf(program, sizeof(program), "%s/%s", paths->bin, argv[0]);
    /* PostgreSQL looks for its other programs beside argv[0]. */
    /* cppcheck-suppress autoVariables ; this process never returns from here */
    argv[0] = program;
    /* SIGQUIT: PostgreSQL's immediate shutdown, which also frees its shared
     * memory; SIGKILL would leave that behind. */
    dev_scratch_become_owner(s, parent, SIGQUIT);
    int log = open(paths->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log < 0 || chdir(s->path) != 0) {
        _exit(1);
    }
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(program, argv);
    _exit(127);
}

static pid_t spawn(const struct dev_scratch *s, const struct paths *paths,
                   char **argv)
{
    pid_t parent = getpid();
    pid_t pid = process_fork(-1);
    if (pid == 0) {
        run_as_owner(s, paths, parent, argv);
    }
    return pid;
}

/* The end of PostgreSQL's own log says best what went wrong. */
static bool failed(const struct paths *paths, const char *what, struct err *e)
{
    char tail[400] = "";
    FILE *f = fopen(paths->log, "re");
    if (f) {
        fseek(f, 0, SEEK_END);
        long size = ftell(f);
        fseek(f, size > 399 ? size - 399 : 0, SEEK_SET);
        size_t n = fread(tail, 1, sizeof(tail) - 1, f);
        tail[n] = '\0';
        fclose(f);
    }
    return err_set(e, ERR_FATAL, "the private PostgreSQL: %s:\n%s", what, tail);
}

static bool initdb(const struct dev_scratch *s, struct paths *paths,
                   struct err *e)
{
    /* --no-sync is for the making of the cluster only. */
    char *argv[] = {"initdb",   "-D",        paths->data,   "-U",
                    "tidemill", "-A",        "trust",       "-E",
                    "UTF8",     "--no-sync", "--no-locale", NULL};
    int status = 0;
    pid_t pid = spawn(s, paths, argv);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        return failed(paths, "initdb failed", e);
    }
    return true;
}

/* The eighth line of postmaster.pid is the server's own word for it. */
static bool is_ready(const struct paths *paths)
{
    char file[128], line[256] = "";
    snprintf(file, sizeof(file), "%s/postmaster.pid", paths->data);
    FILE *f = fopen(file, "re");
    if (!f) {
        return false;
    }
    int n = 0;
    while (n < 8 && fgets(line, sizeof(line), f)) {
        n++;
    }
    fclose(f);
    return n == 8 && strncmp(line, "ready", 5) == 0;
}

static bool wait_until_ready(struct dev_postgres *p, const struct paths *paths,
                             struct err *e)
{
    usec until = clock_usec() + START_SECONDS * 1000000ULL;
    while (!is_ready(paths)) {
        int status;
        if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
            p->pid = 0;
            return failed(paths, "it ended while starting", e);
        }
        if (clock_usec() > until) {
            return failed(paths, "it did not start within 60 s", e);
        }
        usleep(NAP_USEC);
    }
    return true;
}

static bool serve(struct dev_postgres *p, const struct dev_scratch *s,
                  struct paths *paths, struct err *e)
{
    char *argv[] = {"postgres",      "-D", paths->data, "-k",
                    (char *)s->path, "-h", "",          NULL};
    p->pid = spawn(s, paths, argv);
    if (p->pid < 0) {
        p->pid = 0;
        return err_set(e, ERR_FATAL, "cannot fork: %s", strerror(errno));
    }
    return wait_until_ready(p, paths, e);
}

bool dev_postgres_start(struct dev_postgres *p, const struct dev_scratch *s,
                        struct err *e)
{
    struct paths paths;
    *p = (struct dev_postgres){0};
    snprintf(paths.data, sizeof(paths.data), "%s/data", s->path);
    snprintf(paths.log, sizeof(paths.log), "%s/postgres.log", s->path);
    snprintf(p->url, sizeof(p->url), "postgresql://tidemill@/postgres?host=%s",
             s->path);
    snprintf(p->psql, sizeof(p->psql),
             "psql 'host=%s user=tidemill dbname=postgres'", s->path);
    if (!find_in_versions(paths.bin, sizeof(paths.bin)) &&
        !find_in_path(paths.bin, sizeof(paths.bin))) {
        return err_set(e, ERR_CONFIG,
                       "no initdb in /usr/lib/postgresql/*/bin or in PATH: "
                       "install PostgreSQL's server package (Debian: apt-get "
                       "install postgresql)");
    }
    if (!initdb(s, &paths, e)) {
        return false;
    }
    bool ok = serve(p, s, &paths, e);
    if (!ok) {
        dev_postgres_stop(p);
    }
    return ok;
}

void dev_postgres_stop(struct dev_postgres *p)
{
    if (p->pid <= 0) {
        return;
    }
    usec until = clock_usec() + STOP_SECONDS * 1000000ULL;
    kill(p->pid, SIGINT);
    while (waitpid(p->pid, NULL, WNOHANG) == 0) {
        if (clock_usec() > until) {
            kill(p->pid, SIGKILL);
        }
        usleep(NAP_USEC);
    }
    p->pid = 0;
}
