/* See scripts.h. */
#include "lua/scripts.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* [tail] below the folder of this binary. */
static bool beside_binary(char out[PATH_MAX], const char *tail)
{
    char *slash;
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);

    if (n <= 0) {
        return false;
    }
    out[n] = '\0';
    slash = strrchr(out, '/');
    if (!slash || (size_t)(slash - out) + strlen(tail) + 2 > PATH_MAX) {
        return false;
    }
    memcpy(slash + 1, tail, strlen(tail) + 1);
    return access(out, R_OK) == 0;
}

static const char *find_scripts(void)
{
    static char path[PATH_MAX];
    const char *from_user = getenv("TIDEMILL_SCRIPTS");

    if (from_user && *from_user) {
        return from_user;
    }
    /* In the build's folder, or installed below any prefix: an installed tree
     * may be moved, or packed with DESTDIR. */
    if (beside_binary(path, "scripts") ||
        beside_binary(path, "../share/tidemill/scripts")) {
        return path;
    }
    return TIDEMILL_PREFIX "/share/tidemill/scripts";
}

const char *scripts_dir(void)
{
    static const char *dir;

    /* Places of scripts in messages are told from the user's by it, also when
     * the scripts are gone. */
    if (!dir) {
        dir = find_scripts();
    }
    return dir;
}
