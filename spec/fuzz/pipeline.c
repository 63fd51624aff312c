/*
 * A folder whose pipeline.lua, and projections/p.lua behind the first
 * PIECE_END, is the input, through vm_load: a plan or a message, in bounded
 * time and memory. LuaJIT is not instrumented, so a message that was not seen
 * before counts as new coverage.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "input.h"
#include "lua/bundle.h"
#include "lua/scripts.h"
#include "lua/vm.h"
#include "oracle.h"

enum { N_SEEN = 4096, MOST_BYTES = 600 << 20, LOAD_MS = 300 };

/* libFuzzer takes a change here for coverage. */
__attribute__((
    section("__libfuzzer_extra_counters"))) static uint8_t seen[N_SEEN];

static char folder[64];

static void remove_folder(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/pipeline.lua", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/projections/p.lua", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/projections", folder);
    rmdir(path);
    rmdir(folder);
}

static void make_folder(void)
{
    char path[128];

    snprintf(folder, sizeof(folder), "/dev/shm/tidemill-fuzz.XXXXXX");
    must(mkdtemp(folder));
    atexit(remove_folder);
    snprintf(path, sizeof(path), "%s/projections", folder);
    must(mkdir(path, 0700) == 0);
}

static void put_file(const char *name, const struct piece *text)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0);
    must(write(fd, text->p, text->len) == (ssize_t)text->len);
    close(fd);
}

/* The words of a message without what is quoted and without digits: its kind,
 * not its case. */
static void count_message(const char *text)
{
    uint32_t hash = 2166136261u;
    bool is_quoted = false;

    for (; *text; text++) {
        is_quoted ^= *text == '\'';
        if (!is_quoted && (*text < '0' || *text > '9')) {
            hash = (hash ^ (uint8_t)*text) * 16777619u;
        }
    }
    seen[hash % N_SEEN] = 1;
}

static void check_load(void)
{
    struct err e = {.class = ERR_NONE};
    struct bundle b;

    must(bundle_read(&b, folder, scripts_dir(), &e));
    struct vm *v = vm_new(&b, &e);
    must(v);
    vm_limit_load(v, LOAD_MS);
    const struct plan *p = vm_load(v, &e);
    if (p) {
        must(p->name && p->n_projections > 0);
        plan_free(p);
    } else {
        must(e.class == ERR_CONFIG && e.text[0]);
        count_message(e.text);
    }
    must(vm_bytes(v) < MOST_BYTES);
    vm_free(v);
    bundle_close(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct piece entry, projection;

    if (!folder[0]) {
        make_folder();
    }
    input_piece(&in, &entry);
    input_piece(&in, &projection);
    put_file("pipeline.lua", &entry);
    put_file("projections/p.lua", &projection);
    check_load();
    free(entry.p);
    free(projection.p);
    return 0;
}
