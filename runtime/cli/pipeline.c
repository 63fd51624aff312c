/* Loading a pipeline for the verbs: see pipeline.h. */
#include "cli/pipeline.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "base/say.h"
#include "cli/options.h"
#include "lua/bundle.h"
#include "lua/scripts.h"
#include "lua/vm.h"
#include "postgres/sql/sql.h"
#include "postgres/store/rights.h"

int verb_status(const struct err *e)
{
    switch (e->class) {
    case ERR_CONNECTION:
    case ERR_SERVER:
        return EX_UNAVAILABLE;
    case ERR_CONFLICT:
    case ERR_RESOURCE:
        return EX_TEMPFAIL;
    case ERR_FATAL:
        return EX_SOFTWARE;
    default:
        return EX_CONFIG;
    }
}

bool pipeline_is_there(const char *path)
{
    struct stat st;
    char file[PATH_MAX];

    if (stat(path, &st) != 0) {
        return errno != ENOENT && errno != ENOTDIR;
    }
    snprintf(file, sizeof(file), "%s/pipeline.lua", path);
    return !S_ISDIR(st.st_mode) || access(file, F_OK) == 0;
}

static bool refuse(const char *path, const char *why, const struct err *e,
                   int *status)
{
    complain("tidemill: cannot load %s:\n%s\n", path, why);
    *status = verb_status(e);
    return false;
}

bool pipeline_read(const struct verb *v, const char *path, struct bundle *b,
                   int *status)
{
    struct err e;
    if (!path) {
        *status = options_refuse(v, "which pipeline? Name its folder or file");
        return false;
    }
    if (!bundle_read(b, path, scripts_dir(), &e)) {
        refuse(path, e.text, &e, status);
        *status = pipeline_is_there(path) ? *status : EX_NOINPUT;
        return false;
    }
    return true;
}

const struct plan *pipeline_with_vm(const struct bundle *b, const char *path,
                                    struct vm **vm, int *status)
{
    struct err e;
    *vm = vm_new(b, &e);
    if (!*vm) {
        complain("tidemill: %s\n", e.text);
        *status = EX_SOFTWARE;
        return NULL;
    }
    const struct plan *p = vm_load(*vm, &e);
    if (!p) {
        refuse(path, vm_said(*vm, &e), &e, status);
        vm_free(*vm);
    }
    return p;
}

const struct plan *pipeline_plan(const struct bundle *b, const char *path,
                                 int *status)
{
    struct vm *vm;
    const struct plan *p = pipeline_with_vm(b, path, &vm, status);
    if (p) {
        vm_free(vm);
    }
    return p;
}

const struct plan *pipeline_load(const struct verb *v, const char *path,
                                 int *status)
{
    struct bundle b;
    if (!pipeline_read(v, path, &b, status)) {
        return NULL;
    }
    const struct plan *p = pipeline_plan(&b, path, status);
    bundle_close(&b);
    return p;
}

static void put_grants(const struct plan *p, const char *role,
                       const char *operator, struct buf * out)
{
    if (role) {
        buf_puts(out, "\n-- All that `tidemill run` needs.\n");
        rights_grant_run(out, p, role);
    }
    if (operator) {
        buf_puts(out, "\n-- All that `tidemill lane` and `tidemill dlq` "
                      "need.\n");
        rights_grant_operator(out, operator);
    }
    if (!role && !operator) {
        buf_puts(out, "\n-- With --role NAME and --operator NAME: the rights "
                      "of the role that runs\n-- the pipeline, and of people "
                      "who use lane and dlq.\n");
    }
}

void pipeline_sql(const struct plan *p, const char *role, const char *operator,
                  struct buf * out)
{
    struct arena a;
    arena_init(&a, 0);
    buf_puts(out, sql_schema());
    for (uint32_t i = 0; i < p->n_projections; i++) {
        buf_puts(out, "\n");
        buf_puts(out, sql_table(&a, &p->projections[i]));
    }
    arena_close(&a);
    put_grants(p, role, operator, out);
}
