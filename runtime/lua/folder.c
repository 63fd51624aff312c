/* See folder.h. */
#include "lua/folder.h"

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

/* Far above any real bundle: a pipeline in a home folder must not read the
 * whole disk. */
enum {
    MOST_FILES = 1000,
    FILE_BYTES = 1 << 20,
    ALL_BYTES = 16 << 20,
    DEPTH = 8
};

struct folder {
    const char *path;    /* as the user wrote it: for messages */
    char real[PATH_MAX]; /* its real path */
    char **names;        /* owned, each too; below the folder */
    uint32_t n;
};

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_spec(const char *name)
{
    return strcmp(name, "spec") == 0 || ends_with(name, "_spec.lua");
}

static bool too_big(const struct folder *f, const char *what, struct err *e)
{
    return err_set(e, ERR_CONFIG,
                   "%s: the folder of a pipeline is read as a whole, and it "
                   "has %s: give the pipeline a folder of its own",
                   f->path, what);
}

/* Nobody can mend the pipeline when the machine is short of something. */
static bool cannot_read(const struct folder *f, const char *name, int reason,
                        struct err *e)
{
    bool is_short = reason == EMFILE || reason == ENFILE || reason == ENOMEM ||
                    reason == EIO;

    return err_set(e, is_short ? ERR_RESOURCE : ERR_CONFIG,
                   "%s/%s: cannot be read: %s", f->path, name,
                   strerror(reason));
}

static bool is_gone(int reason)
{
    return reason == ENOENT || reason == ENOTDIR;
}

static bool locate(const struct folder *f, const char *name,
                   char path[PATH_MAX], struct err *e)
{
    return snprintf(path, PATH_MAX, "%s/%s", f->real, name) < PATH_MAX ||
           cannot_read(f, name, ENAMETOOLONG, e);
}

/* ---- which files there are ---- */

static bool is_inside(const struct folder *f, const char *path)
{
    char real[PATH_MAX];
    size_t n = strlen(f->real);

    return realpath(path, real) && strncmp(real, f->real, n) == 0 &&
           (real[n] == '/' || n == 1);
}

/* The file or link [path] is in [folder], or in one below it. */
static bool is_above(const char *folder, const char *path)
{
    char real[PATH_MAX], above[PATH_MAX];
    size_t n = strlen(folder);

    snprintf(above, sizeof(above), "%.*s", (int)(strrchr(path, '/') - path),
             path);
    return !realpath(above, real) || (strncmp(real, folder, n) == 0 &&
                                      (real[n] == '/' || real[n] == '\0'));
}

/* A link to a hidden folder of the bundle, which is not read by itself: what a
 * mounted ConfigMap has in place of folders (projections -> ..data/projections).
 * Any other could lead in a circle, out of the bundle, or to what is read
 * already. */
static bool is_followed(const struct folder *f, const char *path)
{
    char real[PATH_MAX];
    size_t n = strlen(f->real);

    return is_inside(f, path) && realpath(path, real) &&
           strstr(real + (n > 1 ? n : 0), "/.") && !is_above(real, path);
}

static bool list_folder(struct folder *f, const char *below, int depth,
                        struct err *e);

static bool add_file(struct folder *f, const char *name, struct err *e)
{
    if (f->n == MOST_FILES) {
        return too_big(f, "more than 1000 Lua files", e);
    }
    f->names = mem_grow(f->names, (f->n + 1) * sizeof(*f->names));
    f->names[f->n++] = mem_dup(name);
    return true;
}

static bool list_entry(struct folder *f, const char *name, int depth,
                       struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    struct stat link;

    if (!locate(f, name, path, e)) {
        return false;
    }
    if (lstat(path, &link) != 0 || stat(path, &st) != 0) {
        return is_gone(errno) || cannot_read(f, name, errno, e);
    }
    if (S_ISDIR(st.st_mode)) {
        return (S_ISLNK(link.st_mode) && !is_followed(f, path)) ||
               list_folder(f, name, depth + 1, e);
    }
    if (!S_ISREG(st.st_mode) || !ends_with(name, ".lua")) {
        return true;
    }
    if (S_ISLNK(link.st_mode) && !is_inside(f, path)) {
        return err_set(e, ERR_CONFIG,
                       "%s/%s: is a link to a file outside the folder: only "
                       "files of the bundle are loaded",
                       f->path, name);
    }
    return add_file(f, name, e);
}

static bool list_entries(struct folder *f, DIR *dir, const char *below,
                         int depth, struct err *e)
{
    char name[PATH_MAX];
    struct dirent *entry;

    while (errno = 0, (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || is_spec(entry->d_name)) {
            continue;
        }
        if (snprintf(name, PATH_MAX, "%s%s%s", below, *below ? "/" : "",
                     entry->d_name) >= PATH_MAX) {
            return cannot_read(f, below, ENAMETOOLONG, e);
        }
        if (!list_entry(f, name, depth, e)) {
            return false;
        }
    }
    return errno == 0 || cannot_read(f, below, errno, e);
}

static bool list_folder(struct folder *f, const char *below, int depth,
                        struct err *e)
{
    char path[PATH_MAX];
    DIR *dir;
    bool ok;

    if (depth > DEPTH) {
        return too_big(f, "folders nested deeper than 8", e);
    }
    if (!locate(f, below, path, e)) {
        return false;
    }
    dir = opendir(path);
    if (!dir) {
        return (depth > 0 && is_gone(errno)) || cannot_read(f, below, errno, e);
    }
    ok = list_entries(f, dir, below, depth, e);
    closedir(dir);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- what is in them ---- */

static void set_length(char *at, size_t len)
{
    uint32_t be = __builtin_bswap32((uint32_t)len);

    memcpy(at, &be, sizeof(be));
}

void folder_put(struct buf *image, const char *text, size_t len)
{
    char length[4];

    set_length(length, len);
    buf_put(image, length, sizeof(length));
    buf_put(image, text, len);
    buf_put(image, "", 1);
}

/* Everything in the open file, at most FILE_BYTES and a bit. */
static bool read_all(int fd, struct buf *out, size_t *len)
{
    ssize_t n;

    *len = 0;
    do {
        buf_reserve(out, 65536);
        n = read(fd, out->data + out->len, 65536);
        out->len += n > 0 ? (size_t)n : 0;
        *len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && *len <= FILE_BYTES);
    return n >= 0;
}

static bool put_file(const struct folder *f, const char *name,
                     struct buf *image, struct err *e)
{
    char path[PATH_MAX];
    size_t before = image->len, at, len;
    bool ok;
    int fd, reason;

    if (!locate(f, name, path, e)) {
        return false;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return is_gone(errno) || cannot_read(f, name, errno, e);
    }
    folder_put(image, name, strlen(name));
    at = image->len;
    buf_put(image, "\0\0\0", 4);
    ok = read_all(fd, image, &len);
    reason = errno;
    close(fd);
    if (!ok) {
        image->len = before;
        return cannot_read(f, name, reason, e);
    }
    if (len > FILE_BYTES) {
        return err_set(e, ERR_CONFIG, "%s/%s: is larger than 1 MiB", f->path,
                       name);
    }
    set_length(image->data + at, len);
    buf_put(image, "", 1);
    return true;
}

static bool put_files(const struct folder *f, struct buf *image, struct err *e)
{
    size_t before = image->len;

    for (uint32_t i = 0; i < f->n; i++) {
        if (!put_file(f, f->names[i], image, e)) {
            return false;
        }
        if (image->len - before > ALL_BYTES) {
            return too_big(f, "more than 16 MiB of Lua files", e);
        }
    }
    folder_put(image, "", 0);
    return true;
}

bool folder_read(const char *path, struct buf *image, struct err *e)
{
    struct folder f = {.path = path};
    bool ok;

    if (!realpath(path, f.real)) {
        return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
    }
    ok = list_folder(&f, "", 0, e);
    if (ok && f.n) {
        qsort(f.names, f.n, sizeof(*f.names), by_name);
    }
    ok = ok && put_files(&f, image, e);
    for (uint32_t i = 0; i < f.n; i++) {
        free(f.names[i]);
    }
    free(f.names);
    return ok;
}
