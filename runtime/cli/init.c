/* tidemill init: a first pipeline to start from. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/init_files.h"
#include "cli/options.h"
#include "cli/verb.h"

static const char help[] =
    "Writes a small, commented pipeline into DIR, which may exist already.\n"
    "Files that are there are never overwritten: if one of them is, nothing "
    "is\n"
    "written.\n"
    "\n"
    "  pipeline.lua                where events come from and where rows go\n"
    "  projections/balances.lua    how events become rows\n"
    "  spec/balances_spec.lua      what it must do, for `tidemill test`\n"
    "  load.lua                    what `tidemill dev` feeds it with\n"
    "  README.md                   what to do next\n"
    "\n"
    "Examples:\n"
    "  tidemill init bank && tidemill test bank && tidemill dev bank\n"
    "\n"
    "Exit status: 0 written, 64 usage, 73 a file is there or cannot be made.\n";

static void join(char *out, size_t cap, const char *folder, const char *name)
{
    snprintf(out, cap, "%s/%s", folder, name);
}

/* Makes [path] and the folders above it; those that exist are fine. */
static bool make_folders(const char *path)
{
    char part[4096];
    for (const char *s = path; *s != '\0'; s++) {
        if (s > path && (s[1] == '/' || s[1] == '\0')) {
            snprintf(part, sizeof part, "%.*s", (int)(s + 1 - path), path);
            if (mkdir(part, 0777) != 0 && errno != EEXIST) {
                return false;
            }
        }
    }
    return true;
}

static bool make_parent(const char *file)
{
    char folder[4096];
    const char *slash = strrchr(file, '/');
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - file), file);
    return make_folders(folder);
}

static bool write_file(const char *path, const char *text)
{
    /* O_EXCL: also a file that came into being a moment ago stays. */
    int fd = make_parent(path)
                 ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
                 : -1;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL) {
        return false;
    }
    bool ok = fputs(text, f) >= 0;
    return fclose(f) == 0 && ok;
}

static bool is_there(const char *folder)
{
    char path[4096];
    for (int i = 0; i < init_n_files; i++) {
        join(path, sizeof path, folder, init_files[i].name);
        if (access(path, F_OK) == 0) {
            fprintf(stderr,
                    "tidemill init: %s is there already and stays as it is; "
                    "nothing was written\n",
                    path);
            return true;
        }
    }
    return false;
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *folder;
    char path[4096];
    if (!options_parse(v, NULL, 0, argc, argv, &folder)) {
        return EX_USAGE;
    }
    if (folder == NULL || folder[0] == '\0' || strlen(folder) > 3800) {
        return options_refuse(v, "which folder? Name one to write into");
    }
    if (is_there(folder)) {
        return EX_CANTCREAT;
    }
    for (int i = 0; i < init_n_files; i++) {
        join(path, sizeof path, folder, init_files[i].name);
        if (!write_file(path, init_files[i].text)) {
            fprintf(stderr, "tidemill init: cannot write %s: %s\n", path,
                    strerror(errno));
            return EX_CANTCREAT;
        }
        printf("%s\n", path);
    }
    printf("\nNext: tidemill test %s\n      tidemill dev %s\n", folder, folder);
    return EX_OK;
}

const struct verb verb_init = {
    .name = "init",
    .usage = "DIR",
    .summary = "write a first pipeline to start from",
    .help = help,
    .run = run,
};
