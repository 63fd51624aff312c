/* See bundle.h. */
#include "lua/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/sha256.h"

/* Far above any real bundle: a pipeline in a home folder must not read the
 * whole disk. */
enum {
    BUNDLE_FILES = 1000,
    BUNDLE_FILE_BYTES = 1 << 20,
    BUNDLE_BYTES = 16 << 20,
    BUNDLE_DEPTH = 8
};

void bundle_close(struct bundle *b)
{
    for (uint32_t i = 0; i < b->n_files; i++) {
        free(b->files[i].name);
        free(b->files[i].text);
    }
    free(b->files);
    free(b->folder);
    free(b->real);
    free(b->entry);
    memset(b, 0, sizeof(*b));
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_spec(const char *name)
{
    return strcmp(name, "spec") == 0 || ends_with(name, "_spec.lua");
}

static bool too_big(const struct bundle *b, const char *what, struct err *e)
{
    return err_set(e, ERR_CONFIG,
                   "%s: the folder of a pipeline is read as a whole, and it "
                   "has %s: give the pipeline a folder of its own",
                   b->folder, what);
}

/* Everything in the open file, at most BUNDLE_FILE_BYTES. */
static bool read_all(int fd, struct buf *out)
{
    ssize_t n;

    do {
        buf_reserve(out, 65536);
        n = read(fd, out->data + out->len, 65536);
        out->len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && out->len <= BUNDLE_FILE_BYTES);
    return n >= 0;
}

static bool is_inside(const struct bundle *b, const char *real)
{
    size_t n = strlen(b->real);

    return strncmp(real, b->real, n) == 0 && (real[n] == '/' || n == 1);
}

/* Nobody can mend the pipeline when the machine is short of something: a worker
 * that is told so is started again. */
static bool cannot_read(const struct bundle *b, const char *name, int reason,
                        struct err *e)
{
    bool is_short = reason == EMFILE || reason == ENFILE || reason == ENOMEM ||
                    reason == EIO;

    return err_set(e, is_short ? ERR_RESOURCE : ERR_CONFIG,
                   "%s/%s: cannot be read: %s", b->folder, name,
                   strerror(reason));
}

static bool read_file(struct bundle *b, const char *real, const char *name,
                      struct err *e)
{
    struct buf text = {0};
    int fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool ok = fd >= 0 && read_all(fd, &text);
    int reason = errno;

    if (fd >= 0) {
        close(fd);
    }
    if (!ok) {
        buf_close(&text);
        return cannot_read(b, name, reason, e);
    }
    if (text.len > BUNDLE_FILE_BYTES) {
        buf_close(&text);
        return err_set(e, ERR_CONFIG, "%s/%s: is larger than 1 MiB", b->folder,
                       name);
    }
    b->files = mem_grow(b->files, (b->n_files + 1) * sizeof(*b->files));
    b->bytes += text.len;
    b->files[b->n_files++] = (struct bundle_file){
        .name = mem_dup(name), .len = text.len, .text = buf_text(&text)};
    return b->bytes <= BUNDLE_BYTES ||
           too_big(b, "more than 16 MiB of Lua files", e);
}

static bool read_folder(struct bundle *b, const char *below, int depth,
                        struct err *e);

static bool read_entry(struct bundle *b, const char *name, int depth,
                       struct err *e)
{
    char path[PATH_MAX], real[PATH_MAX];
    struct stat st;
    struct stat link;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", b->real, name) >=
            sizeof(path) ||
        lstat(path, &link) != 0 || stat(path, &st) != 0) {
        return true; /* gone since it was listed, or a dangling link */
    }
    if (S_ISDIR(st.st_mode)) {
        /* A link to a folder could lead in a circle or out of the bundle. */
        return S_ISLNK(link.st_mode) || read_folder(b, name, depth + 1, e);
    }
    if (!S_ISREG(st.st_mode) || !ends_with(name, ".lua")) {
        return true;
    }
    if (!realpath(path, real) || !is_inside(b, real)) {
        return err_set(e, ERR_CONFIG,
                       "%s/%s: is a link to a file outside the folder: only "
                       "files of the bundle are loaded",
                       b->folder, name);
    }
    if (b->n_files == BUNDLE_FILES) {
        return too_big(b, "more than 1000 Lua files", e);
    }
    return read_file(b, real, name, e);
}

/* Where entry [child] of folder [below] is, seen from the bundle. */
static bool join(char out[PATH_MAX], const char *below, const char *child)
{
    return snprintf(out, PATH_MAX, "%s%s%s", below, *below ? "/" : "", child) <
           PATH_MAX;
}

static bool read_folder(struct bundle *b, const char *below, int depth,
                        struct err *e)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;
    bool ok = true;

    if (depth > BUNDLE_DEPTH) {
        return too_big(b, "folders nested deeper than 8", e);
    }
    snprintf(path, sizeof(path), "%s/%s", b->real, below);
    dir = opendir(path);
    if (!dir) {
        return cannot_read(b, below, errno, e);
    }
    while (ok && (entry = readdir(dir))) {
        if (entry->d_name[0] != '.' && !is_spec(entry->d_name) &&
            join(path, below, entry->d_name)) {
            ok = read_entry(b, path, depth, e);
        }
    }
    closedir(dir);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct bundle_file *)a)->name,
                  ((const struct bundle_file *)b)->name);
}

static void hash_files(struct bundle *b)
{
    struct sha256 s;

    sha256_init(&s);
    for (uint32_t i = 0; i < b->n_files; i++) {
        const struct bundle_file *f = &b->files[i];
        uint64_t len = __builtin_bswap64(f->len);

        /* Lengths between the parts: moving bytes from a text into the next
         * name must change the hash. */
        sha256_put(&s, f->name, strlen(f->name) + 1);
        sha256_put(&s, &len, sizeof(len));
        sha256_put(&s, f->text, f->len);
    }
    sha256_hex(&s, b->hash);
}

static char *prefix(const char *s, size_t len)
{
    char *p = mem_alloc(len + 1);

    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

/* Splits [path] into folder and entry. */
static bool locate(struct bundle *b, const char *path, struct err *e)
{
    char real[PATH_MAX];
    struct stat st;
    const char *slash;
    size_t len = strlen(path);

    if (stat(path, &st) != 0) {
        return err_set(e, ERR_CONFIG, "%s: no such pipeline: %s", path,
                       strerror(errno));
    }
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    if (S_ISDIR(st.st_mode)) {
        b->folder = prefix(path, len);
        b->entry = mem_dup("pipeline.lua");
    } else {
        slash = strrchr(path, '/');
        b->folder =
            !slash ? mem_dup(".")
                   : prefix(path, slash == path ? 1 : (size_t)(slash - path));
        b->entry = mem_dup(slash ? slash + 1 : path);
    }
    if (!realpath(b->folder, real)) {
        return err_set(e, ERR_CONFIG, "%s: %s", b->folder, strerror(errno));
    }
    b->real = mem_dup(real);
    return true;
}

static bool has_entry(const struct bundle *b)
{
    for (uint32_t i = 0; i < b->n_files; i++) {
        if (strcmp(b->files[i].name, b->entry) == 0) {
            return true;
        }
    }
    return false;
}

bool bundle_read(struct bundle *b, const char *path, struct err *e)
{
    memset(b, 0, sizeof(*b));
    if (!locate(b, path, e) || !read_folder(b, "", 0, e)) {
        bundle_close(b);
        return false;
    }
    if (!has_entry(b)) {
        err_set(e, ERR_CONFIG,
                "%s: has no %s: a pipeline is a .lua file, or a folder with a "
                "pipeline.lua",
                b->folder, b->entry);
        bundle_close(b);
        return false;
    }
    qsort(b->files, b->n_files, sizeof(*b->files), by_name);
    hash_files(b);
    return true;
}
