/* See operator_session.h. */
#include "cli/operator/operator_session.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
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

int operator_open(struct operator_session *d, const struct verb *v,
                  const char *path)
{
    struct err e;
    int status = EX_OK;
    *d = (struct operator_session){0};
    d->plan = pipeline_load(v, path, &status);
    if (!d->plan) {
        return status;
    }
    put_who(d->who, sizeof(d->who));
    if (!operator_connection_open(&d->connection, d->plan, d->who, &e)) {
        return operator_fail(v, &e);
    }
    return EX_OK;
}

void operator_close(struct operator_session *d)
{
    operator_connection_close(&d->connection);
    if (d->plan) {
        plan_free(d->plan);
    }
}

int operator_fail(const struct verb *v, const struct err *e)
{
    complain("tidemill %s: %s\n", v->name, e->text);
    return verb_status(e);
}

bool operator_confirm(const struct verb *v, bool is_yes)
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
