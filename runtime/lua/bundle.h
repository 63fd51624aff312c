#pragma once
/*
 * A bundle: all Lua that a run may load, read once. These are the files below
 * the folder of a pipeline (which of them: folder.h), and Tidemill's own
 * scripts and rules. They are in a sealed memfd, which nobody can change any
 * more, mapped for reading. A process that is forked later has the same mapping:
 * what was hashed is what runs, whatever happens to the folder.
 *
 * The values of env() and file() are no part of it: each load reads them.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bundle_file {
    const char *name; /* below the folder: "projections/balances.lua" */
    const char *text; /* NUL behind it */
    size_t len;
};

struct bundle_folder {
    const char *path;          /* as it was found, for messages */
    struct bundle_file *files; /* owned; sorted by name */
    uint32_t n;
};

struct bundle {
    struct bundle_folder pipeline; /* its path: as the user wrote it */
    struct bundle_folder scripts;  /* of Tidemill; may be empty: see below */
    struct bundle_folder rules;
    const char *entry; /* name of the pipeline file */
    /* The generation: of this version of Tidemill, the entry, and names and
     * texts of all files; the same on every machine. */
    char hash[65];
    void *image; /* owned: the mapping that all texts point into */
    size_t len;
};

/*
 * Reads [path], a pipeline file or a folder with a pipeline.lua, and [scripts]
 * with the rules beside it (NULL: neither), until two readings give the same.
 * A new descriptor, or -1 with ERR_CONFIG, or with ERR_RESOURCE when the machine
 * is short of something or the files do not come to rest.
 */
int bundle_seal(const char *path, const char *scripts, struct err *e) MUSTCHECK;
/* The bundle in a descriptor of bundle_seal(), which may be closed behind it.
 * On failure nothing needs to be closed. */
bool bundle_open(struct bundle *b, int fd, struct err *e) MUSTCHECK;
/* Both. */
bool bundle_read(struct bundle *b, const char *path, const char *scripts,
                 struct err *e) MUSTCHECK;
void bundle_close(struct bundle *b);
/* NULL: there is none of that name. */
const struct bundle_file *bundle_find(const struct bundle_folder *f,
                                      const char *name);
