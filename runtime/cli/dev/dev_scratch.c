/* The scratch folder of `dev`: see dev_scratch.h. */
#include "cli/dev/dev_scratch.h"

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervise/process.h"

static bool choose_owner(struct dev_scratch *s, struct err *e)
{
    s->uid = getuid();
    s->gid = getgid();
    if (s->uid != 0) {
        return true;
    }
    const struct passwd *user = getpwnam("postgres");
    if (!user) {
        return err_set(e, ERR_CONFIG,
                       "PostgreSQL does not run as root, and there is no user "
                       "postgres to run it: install PostgreSQL's server "
                       "package, or run tidemill dev as another user");
    }
    s->uid = user->pw_uid;
    s->gid = user->pw_gid;
    return true;
}

bool dev_scratch_make(struct dev_scratch *s, struct err *e)
{
    const char *parent = getenv("TMPDIR");
    *s = (struct dev_scratch){0};
    if (!choose_owner(s, e)) {
        return false;
    }
    if (!parent || parent[0] != '/') {
        parent = "/tmp";
    }
    int n = snprintf(s->path, sizeof(s->path), "%s/tidemill-XXXXXX", parent);
    if (n >= (int)sizeof(s->path)) {
        return err_set(e, ERR_CONFIG,
                       "TMPDIR=%s is too long for a unix socket: set TMPDIR "
                       "to a folder with a shorter name",
                       parent);
    }
    if (!mkdtemp(s->path) ||
        (getuid() == 0 && chown(s->path, s->uid, s->gid) != 0)) {
        return err_set(e, ERR_CONFIG,
                       "cannot make a folder in %s: %s: set TMPDIR to a folder "
                       "that can be written, with about 100 MB free",
                       parent, strerror(errno));
    }
    return true;
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    remove(path);
    return 0; /* go on: the rest should go too */
}

void dev_scratch_remove(const struct dev_scratch *s)
{
    if (s->path[0] == '/') {
        nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

void dev_scratch_become_owner(const struct dev_scratch *s, pid_t parent,
                              int signum)
{
    setsid();
    if (getuid() == 0 && (setgroups(0, NULL) != 0 || setgid(s->gid) != 0 ||
                          setuid(s->uid) != 0)) {
        _exit(1);
    }
    process_die_with_parent(parent, signum);
}
