#pragma once
/*
 * A bundle: the Lua files below the folder of a pipeline, read once into
 * memory, so that what is hashed is what runs even while files change.
 * Specs (spec/ and *_spec.lua) and names that begin with a dot are left out.
 * A file whose real path is outside the folder is refused.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bundle_file {
    char *name; /* owned; below the folder: "projections/balances.lua" */
    char *text; /* owned; NUL behind it */
    size_t len;
};

struct bundle {
    char *folder;              /* owned; as the user wrote it: for messages */
    char *real;                /* owned; the folder's real path */
    char *entry;               /* owned; name of the pipeline file */
    struct bundle_file *files; /* owned; sorted by name */
    uint32_t n_files;
    uint64_t bytes;
    char hash[65]; /* of the sorted names and texts */
};

/* [path] is a pipeline file or a folder with a pipeline.lua. On failure
 * (ERR_CONFIG) nothing needs to be closed. */
bool bundle_read(struct bundle *b, const char *path, struct err *e) MUSTCHECK;
void bundle_close(struct bundle *b);
