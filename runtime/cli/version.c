/* tidemill version */
#include <stdio.h>
#include <sysexits.h>

#include "cli/options.h"
#include "cli/verb.h"
#include "model/version.h"

static int run(const struct verb *v, int argc, char **argv)
{
    const char *path;
    if (!options_parse(v, NULL, argc, argv, &path)) {
        return EX_USAGE;
    }
    if (path) {
        return options_refuse(v, "'%s' means nothing here", path);
    }
    puts("tidemill " TIDEMILL_VERSION);
    return EX_OK;
}

const struct verb verb_version = {
    .name = "version",
    .usage = "",
    .summary = "print the version",
    .help = "Prints the version of this binary.\n",
    .run = run,
};
