/* See schema_version.h. */
#include "postgres/sql/schema_version.h"

#include <stdio.h>

enum { UNMARKED = 1, NOT_OURS = 0 };

static int version_of(const char *source)
{
    int version, end = 0;

    if (!source[0]) {
        return UNMARKED;
    }
    return sscanf(source, "SELECT %9d%n", &version, &end) == 1 &&
                   source[end] == '\0' && version > 0
               ? version
               : NOT_OURS;
}

enum schema_age schema_age(const char *source)
{
    int version = version_of(source);

    return version == SCHEMA_VERSION                         ? SCHEMA_KNOWN
           : version == NOT_OURS || version > SCHEMA_VERSION ? SCHEMA_NEWER
                                                             : SCHEMA_OLDER;
}

void schema_put_age(struct buf *b, const char *source, const char *path)
{
    int version = version_of(source);

    if (version == NOT_OURS) {
        buf_printf(b, "schema tidemill is of an unknown version");
    } else {
        buf_printf(b, "schema tidemill is of version %d", version);
    }
    if (schema_age(source) == SCHEMA_NEWER) {
        buf_printf(b,
                   ", and this tidemill knows version %d: use the newer "
                   "tidemill that made it, and leave the schema as it is",
                   SCHEMA_VERSION);
    } else {
        buf_printf(b,
                   ", and this tidemill needs version %d: run `tidemill schema "
                   "%.200s --apply`, which keeps positions and dead letters",
                   SCHEMA_VERSION, path);
    }
}
