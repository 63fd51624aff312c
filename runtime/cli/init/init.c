/* tidemill init: a first pipeline to start from. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/say.h"
#include "cli/init/init_files.h"
#include "cli/options.h"
#include "cli/typed.h"
#include "cli/verb.h"
#include "lua/scripts.h"

static const char help[] =
    "Writes a small, commented pipeline into DIR, which may exist already. "
    "Its\n"
    "name, and that of its consumer group, is the folder's.\n"
    "Files that are there are never overwritten: if one of them is, nothing "
    "is\n"
    "written.\n"
    "\n"
    "  pipeline.lua                where events come from and where rows go\n"
    "  projections/balances.lua    how events become rows\n"
    "  spec/balances_spec.lua      what it must do, for `tidemill test`\n"
    "  load.lua                    what `tidemill dev` feeds it with\n"
    "  README.md                   what to do next\n"
    "  .luarc.json, .tidemill/     the words of a pipeline, for editors\n"
    "\n"
    "Examples:\n"
    "  tidemill init bank && tidemill test bank && tidemill dev bank\n"
    "\n"
    "Exit status: 0 written, 64 usage, 73 a file is there or cannot be made.\n";

enum {
    NAME_BYTES = 61
}; /* with the end; the group's instance ids grow on it */

static void join(char *out, size_t cap, const char *folder, const char *name)
{
    snprintf(out, cap, "%s/%s", folder, name);
}

/* Makes [path] and the folders above it; those that exist are fine. */
static bool make_folders(const char *path)
{
    char part[4096];
    for (const char *s = path; *s != '\0'; s++) {
        if (*s != '/' && (s[1] == '/' || s[1] == '\0')) {
            snprintf(part, sizeof(part), "%.*s", (int)(s + 1 - path), path);
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
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - file), file);
    return make_folders(folder);
}

static bool write_file(const char *path, const char *text)
{
    /* O_EXCL: also a file that came into being a moment ago stays. */
    int fd = make_parent(path)
                 ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
                 : -1;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        return false;
    }
    bool ok = fputs(text, f) >= 0;
    return fclose(f) == 0 && ok;
}

static const char luarc_name[] = ".luarc.json";

/* Settings of the Lua language server, good on any machine: the stubs are copies
 * beside it. A name with a dot is no part of the bundle. busted's are the
 * server's. */
static const char luarc[] = "{\n"
                            "  \"runtime.version\": \"LuaJIT\",\n"
                            "  \"workspace.checkThirdParty\": false,\n"
                            "  \"workspace.library\": [\n"
                            "    \".tidemill\",\n"
                            "    \"${3rd}/busted/library\",\n"
                            "    \"${3rd}/luassert/library\"\n"
                            "  ]\n"
                            "}\n";

static const char *const stubs[] = {"meta.lua", "meta_testing.lua"};

/* What require 'tidemill.testing' gives, by the types of meta_testing.lua. */
static const char testing_stub[] = "---@meta tidemill.testing\n"
                                   "---@type tidemill.testing\n"
                                   "local testing\n"
                                   "return testing\n";

static bool read_stub(const char *name, struct buf *out)
{
    char path[PATH_MAX], part[4096];
    size_t n;

    snprintf(path, sizeof(path), "%s/tidemill/%s", scripts_dir(), name);
    FILE *f = fopen(path, "re");
    if (!f) {
        complain("tidemill init: cannot read %s: %s\n", path, strerror(errno));
        return false;
    }
    while ((n = fread(part, 1, sizeof(part), f)) > 0) {
        buf_put(out, part, n);
    }
    fclose(f);
    return true;
}

static bool is_taken(const char *folder, const char *name)
{
    char path[4096];

    join(path, sizeof(path), folder, name);
    if (access(path, F_OK) != 0) {
        return false;
    }
    complain("tidemill init: %s is there already and stays as it is; nothing "
             "was written\n",
             path);
    return true;
}

static bool is_there(const char *folder)
{
    for (int i = 0; i < init_n_files; i++) {
        if (is_taken(folder, init_files[i].name)) {
            return true;
        }
    }
    return is_taken(folder, luarc_name) || is_taken(folder, ".tidemill");
}

/* As a pipeline's name may be written: others of its characters become '-'. */
static void name_of(const char *folder, char *out, size_t cap)
{
    char real[PATH_MAX];
    const char *path = realpath(folder, real) ? real : folder;
    size_t end = strlen(path), n = 0;

    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t at = end;
    while (at > 0 && path[at - 1] != '/') {
        at--;
    }
    for (bool is_gap = false; at < end && n + 1 < cap; at++) {
        bool fits = isalnum((unsigned char)path[at]) ||
                    (path[at] != '\0' && strchr("_-.", path[at]));
        if (fits) {
            out[n++] = path[at];
        } else if (!is_gap && n > 0) {
            out[n++] = '-';
        }
        is_gap = !fits;
    }
    out[n] = '\0';
    if (n == 0 || strspn(out, "_-.") == n) {
        snprintf(out, cap, "pipeline");
    }
}

static void put_named(struct buf *out, const char *text, const char *name)
{
    const char *at;

    while ((at = strstr(text, INIT_NAME))) {
        buf_put(out, text, (size_t)(at - text));
        buf_puts(out, name);
        text = at + strlen(INIT_NAME);
    }
    buf_puts(out, text);
}

static bool make_file(const char *folder, const char *name, const char *text)
{
    char path[4096];

    join(path, sizeof(path), folder, name);
    if (!write_file(path, text)) {
        complain("tidemill init: cannot write %s: %s\n", path, strerror(errno));
        return false;
    }
    say("%s\n", path);
    return true;
}

static bool make_all(const char *folder)
{
    struct buf text = {0};
    char name[NAME_BYTES];
    bool ok = true;

    name_of(folder, name, sizeof(name));
    for (int i = 0; i < init_n_files && ok; i++) {
        buf_clear(&text);
        put_named(&text, init_files[i].text, name);
        ok = make_file(folder, init_files[i].name, buf_text(&text));
    }
    for (size_t i = 0; i < sizeof(stubs) / sizeof(*stubs) && ok; i++) {
        char file[64];

        snprintf(file, sizeof(file), ".tidemill/tidemill/%s", stubs[i]);
        buf_clear(&text);
        ok = read_stub(stubs[i], &text) &&
             make_file(folder, file, buf_text(&text));
    }
    ok = ok &&
         make_file(folder, ".tidemill/tidemill/testing.lua", testing_stub) &&
         make_file(folder, luarc_name, luarc);
    buf_close(&text);
    return ok;
}

static void print_next(const char *folder)
{
    struct buf word = {0};

    typed_word(&word, folder);
    say("\nNext: %s test %s\n      %s dev %s\n", typed_program(),
        buf_text(&word), typed_program(), buf_text(&word));
    buf_close(&word);
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *folder;
    if (!options_parse(v, NULL, argc, argv, &folder)) {
        return EX_USAGE;
    }
    if (!folder || folder[0] == '\0' || strlen(folder) > 3800) {
        return options_refuse(v, "which folder? Name one to write into");
    }
    if (is_there(folder)) {
        return EX_CANTCREAT;
    }
    if (!make_all(folder)) {
        return EX_CANTCREAT;
    }
    print_next(folder);
    return EX_OK;
}

const struct verb verb_init = {
    .name = "init",
    .usage = "DIR",
    .summary = "write a first pipeline to start from",
    .help = help,
    .run = run,
};
