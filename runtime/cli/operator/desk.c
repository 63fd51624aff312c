/* See desk.h. */
#include "cli/operator/desk.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/say.h"
#include "cli/options.h"
#include "cli/pipeline.h"

/* The user id's name and not $USER, which `su` and cron leave wrong. */
static void put_who(char *out, size_t size)
{
    char host[64] = "";
    const struct passwd *user = getpwuid(geteuid());
    gethostname(host, sizeof(host) - 1);
    if (user) {
        snprintf(out, size, "%s@%s", user->pw_name, host);
    } else {
        snprintf(out, size, "%u@%s", geteuid(), host);
    }
}

int desk_open(struct desk *d, const struct verb *v, const char *path)
{
    struct err e;
    int status = EX_OK;
    *d = (struct desk){0};
    d->plan = pipeline_load(v, path, &status);
    if (!d->plan) {
        return status;
    }
    put_who(d->who, sizeof(d->who));
    if (!console_open(&d->console, d->plan, d->who, &e)) {
        return desk_fail(v, &e);
    }
    return EX_OK;
}

void desk_close(struct desk *d)
{
    console_close(&d->console);
    if (d->plan) {
        plan_free(d->plan);
    }
}

int desk_fail(const struct verb *v, const struct err *e)
{
    complain("tidemill %s: %s\n", v->name, e->text);
    return verb_status(e);
}

bool desk_confirm(const struct verb *v, bool is_yes)
{
    char answer[16] = "";
    fflush(stdout);
    if (is_yes) {
        return true;
    }
    if (!isatty(STDIN_FILENO)) {
        options_refuse(v, "nobody is here to be asked, so nothing was done: "
                          "--yes says that it shall be");
        return false;
    }
    printf("Type yes to go on: ");
    fflush(stdout);
    if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "yes\n") == 0) {
        return true;
    }
    complain("tidemill %s: nothing was done\n", v->name);
    return false;
}

const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

int64_t desk_now_usec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
