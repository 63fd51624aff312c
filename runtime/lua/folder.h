#pragma once
/*
 * The Lua files below a folder. Specs (spec/ and *_spec.lua), names that begin
 * with a dot and linked folders are left out, and so is a file that disappears
 * meanwhile. A file whose real path is outside the folder is refused, and so is a
 * folder with more files or bytes than any pipeline has.
 */
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends a text as it stands in an image: its length in four bytes
 * (big-endian), the bytes, and a NUL. */
void folder_put(struct buf *image, const char *text, size_t len);
/* Appends name and text of each file, sorted by name ("projections/a.lua"),
 * and an empty name. On failure, ERR_RESOURCE when the machine was short of
 * something and ERR_CONFIG else, [image] holds a part of it. */
bool folder_read(const char *folder, struct buf *image,
                 struct err *e) MUSTCHECK;
