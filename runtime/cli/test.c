/* tidemill test: the busted specs of a bundle. */
#include <sysexits.h>

#include "cli/pipeline.h"
#include "cli/verb.h"
#include "lua/vm.h"

static const char help[] =
    "Runs the busted specs of the bundle at PATH (default: this folder)\n"
    "against the very code that runs in production: the same decoder, the\n"
    "same rounding, the same sandbox. No Kafka and no database are needed.\n"
    "Without further arguments every spec/**/*_spec.lua runs; arguments "
    "after\n"
    "PATH go to busted.\n"
    "\n"
    "Environment:\n"
    "  TIDEMILL_TEST_SECONDS   how long an example, or a block of a spec, may\n"
    "                          compute before it is stopped (60)\n"
    "\n"
    "Examples:\n"
    "  tidemill test bank\n"
    "  tidemill test bank --filter=withdraw\n"
    "  tidemill test bank -o TAP\n"
    "\n"
    "Exit status: 0 all passed, 1 a spec failed, 64 usage, 66 there is\n"
    "nothing to run, 69 busted is not installed, 78 the bundle was refused.\n";

static int run(const struct verb *v, int argc, char **argv)
{
    (void)v;
    const char *path = ".";
    if (argc > 0 && argv[0][0] != '-') {
        path = argv[0];
        argc--;
        argv++;
    }
    int status = vm_test(path, argc, argv);
    if (status == EX_CONFIG && !pipeline_is_there(path)) {
        return EX_NOINPUT;
    }
    return status;
}

const struct verb verb_test = {
    .name = "test",
    .usage = "[PATH] [BUSTED ARGUMENTS]",
    .summary = "run the specs of a pipeline, without Kafka or a database",
    .help = help,
    .run = run,
};
