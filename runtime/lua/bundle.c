/* See bundle.h. An image is texts (folder_put): version, entry, the files of the
 * three folders, and behind what is hashed the paths of these. */
#include "lua/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/sha256.h"
#include "lua/folder.h"
#include "model/version.h"

/* How often a folder is read in which somebody writes, and the pause. */
enum { READINGS = 50, PAUSE_USEC = 20000 };
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* ---- reading a folder ---- */

/* Where the pipeline is. */
struct bundle_place {
    char folder[PATH_MAX];
    const char *entry;
};

/* Splits [path] into folder and entry. */
static bool locate(const char *path, struct bundle_place *p, struct err *e)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    size_t len = strlen(path);

    if (stat(path, &st) != 0) {
        return err_set(e, ERR_CONFIG, "%s: no such pipeline: %s", path,
                       strerror(errno));
    }
    p->entry = "pipeline.lua";
    if (!S_ISDIR(st.st_mode)) {
        p->entry = slash ? slash + 1 : path;
        len = slash ? (size_t)(slash - path) : 0;
        len = slash == path ? 1 : len;
    }
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    snprintf(p->folder, PATH_MAX, "%.*s", len ? (int)len : 1, len ? path : ".");
    return true;
}

static bool put_scripts(const char *scripts, const char *rules,
                        struct buf *image, struct err *e)
{
    struct err why;

    if (!scripts) {
        folder_put(image, "", 0);
        folder_put(image, "", 0);
        return true;
    }
    return (folder_read(scripts, image, &why) &&
            folder_read(rules, image, &why)) ||
           err_set(e, why.class,
                   "the scripts of Tidemill cannot be used: %s: set "
                   "TIDEMILL_SCRIPTS to the folder that came with this binary",
                   why.text);
}

static bool put_image(struct buf *image, const char *path, const char *scripts,
                      struct err *e)
{
    char rules[PATH_MAX] = "";
    struct bundle_place p;

    buf_clear(image);
    if (!locate(path, &p, e)) {
        return false;
    }
    if (scripts) {
        snprintf(rules, PATH_MAX, "%s/../rules", scripts);
    }
    folder_put(image, TIDEMILL_VERSION, strlen(TIDEMILL_VERSION));
    folder_put(image, p.entry, strlen(p.entry));
    if (!folder_read(p.folder, image, e) ||
        !put_scripts(scripts, rules, image, e)) {
        return false;
    }
    folder_put(image, p.folder, strlen(p.folder));
    folder_put(image, scripts, scripts ? strlen(scripts) : 0);
    folder_put(image, rules, strlen(rules));
    return true;
}

static bool is_same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* A reading that another one confirms: an editor, or a checkout, may be writing
 * just now. */
static bool read_steady(struct buf *image, const char *path,
                        const char *scripts, struct err *e)
{
    struct buf again = {0};
    bool ok = put_image(image, path, scripts, e), is_steady = false;

    for (int i = 0; ok && !is_steady && i < READINGS; i++) {
        if (i > 0) {
            usleep(PAUSE_USEC);
        }
        ok = put_image(&again, path, scripts, e);
        is_steady = ok && is_same(image, &again);
        struct buf older = *image;
        *image = again;
        again = older;
    }
    buf_close(&again);
    return is_steady ||
           (ok && err_set(e, ERR_RESOURCE,
                          "%s: its files change while they are read: try "
                          "again when nothing writes there any more",
                          path));
}

/* ---- the memfd ---- */

static bool write_all(int fd, const struct buf *image)
{
    for (size_t at = 0; at < image->len;) {
        ssize_t n = write(fd, image->data + at, image->len - at);

        if (n < 0) {
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

/* Some machines want it said that nobody executes the file (vm.memfd_noexec);
 * kernels before 6.3 do not know the word. */
static int make_memfd(void)
{
    enum { FLAGS = MFD_CLOEXEC | MFD_ALLOW_SEALING, NOEXEC_SEAL = 8 };
    int fd = memfd_create("tidemill-bundle", FLAGS | NOEXEC_SEAL);

    return fd < 0 && errno == EINVAL ? memfd_create("tidemill-bundle", FLAGS)
                                     : fd;
}

static int seal(const struct buf *image, struct err *e)
{
    int fd = make_memfd();

    if (fd >= 0 && write_all(fd, image) && fcntl(fd, F_ADD_SEALS, SEALS) == 0) {
        return fd;
    }
    err_set(e, ERR_RESOURCE,
            "the files of the pipeline cannot be kept in memory (memfd of %zu "
            "bytes): %s%s",
            image->len, strerror(errno),
            errno == EFBIG
                ? ": the limit of file sizes holds for it too: raise "
                  "it (ulimit -f, LimitFSIZE)"
                : "");
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

int bundle_seal(const char *path, const char *scripts, struct err *e)
{
    struct buf image = {0};
    int fd = read_steady(&image, path, scripts, e) ? seal(&image, e) : -1;

    buf_close(&image);
    return fd;
}

/* What is left of an image. */
struct bundle_reader {
    const char *at;
    const char *end;
    bool is_broken;
};

static const char *take(struct bundle_reader *r, size_t *len)
{
    uint32_t be;
    const char *text = r->at + sizeof(be);

    *len = 0;
    if (r->is_broken || (size_t)(r->end - r->at) <= sizeof(be)) {
        r->is_broken = true;
        return "";
    }
    memcpy(&be, r->at, sizeof(be));
    size_t n = __builtin_bswap32(be);
    if (n >= (size_t)(r->end - text) || text[n] != '\0') {
        r->is_broken = true;
        return "";
    }
    r->at = text + n + 1;
    *len = n;
    return text;
}

static void take_files(struct bundle_reader *r, struct bundle_folder *f)
{
    struct bundle_file file;
    size_t len;

    while (file.name = take(r, &len), len > 0) {
        file.text = take(r, &file.len);
        f->files = mem_grow(f->files, (f->n + 1) * sizeof(*f->files));
        f->files[f->n++] = file;
    }
}

static bool take_all(struct bundle *b)
{
    const char *image = b->image;
    struct bundle_reader r = {image, image + b->len, false};
    struct sha256 s;
    size_t len;
    bool is_ours = strcmp(take(&r, &len), TIDEMILL_VERSION) == 0;

    b->entry = take(&r, &len);
    take_files(&r, &b->pipeline);
    take_files(&r, &b->scripts);
    take_files(&r, &b->rules);
    sha256_init(&s);
    sha256_put(&s, image, (size_t)(r.at - image));
    sha256_hex(&s, b->hash);
    b->pipeline.path = take(&r, &len);
    b->scripts.path = take(&r, &len);
    b->rules.path = take(&r, &len);
    return is_ours && !r.is_broken && r.at == r.end;
}

static bool map(struct bundle *b, int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0) {
        return false;
    }
    /* Shared mappings of a sealed file are refused before Linux 6.7. */
    b->image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (b->image == MAP_FAILED) {
        b->image = NULL;
        return false;
    }
    b->len = (size_t)st.st_size;
    return true;
}

bool bundle_open(struct bundle *b, int fd, struct err *e)
{
    *b = (struct bundle){.entry = NULL};
    if (!map(b, fd) || !take_all(b)) {
        err_set(e, ERR_FATAL,
                "this is no bundle of Tidemill " TIDEMILL_VERSION);
    } else if (!bundle_find(&b->pipeline, b->entry)) {
        err_set(e, ERR_CONFIG,
                "%s: has no %s: a pipeline is a .lua file, or a folder with a "
                "pipeline.lua",
                b->pipeline.path, b->entry);
    } else {
        return true;
    }
    bundle_close(b);
    return false;
}

bool bundle_read(struct bundle *b, const char *path, const char *scripts,
                 struct err *e)
{
    int fd = bundle_seal(path, scripts, e);
    bool ok = fd >= 0 && bundle_open(b, fd, e);

    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

void bundle_close(struct bundle *b)
{
    free(b->pipeline.files);
    free(b->scripts.files);
    free(b->rules.files);
    if (b->image) {
        munmap(b->image, b->len);
    }
    *b = (struct bundle){.entry = NULL};
}

const struct bundle_file *bundle_find(const struct bundle_folder *f,
                                      const char *name)
{
    for (uint32_t i = 0; i < f->n; i++) {
        if (strcmp(f->files[i].name, name) == 0) {
            return &f->files[i];
        }
    }
    return NULL;
}
