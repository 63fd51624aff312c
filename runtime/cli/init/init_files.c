/*
 * The texts of init_files.h: those of examples/first, in the binary. They are
 * whole files in the tongue of the user, so their comments explain more than
 * ours do.
 */
#include "cli/init/init_files.h"

/* The Makefile knows that this file is made of them. */
#define FILE_TEXT(symbol, path)                                                \
    __asm__(".section .rodata\n" #symbol ":\n"                                 \
            ".incbin \"examples/first/" path "\"\n"                            \
            ".byte 0\n"                                                        \
            ".previous\n");                                                    \
    extern const char symbol[] __attribute__((visibility("hidden")))

FILE_TEXT(init_pipeline, "pipeline.lua");
FILE_TEXT(init_projection, "projections/balances.lua");
FILE_TEXT(init_spec, "spec/balances_spec.lua");
FILE_TEXT(init_load, "load.lua");
FILE_TEXT(init_readme, "README.md");

const struct init_file init_files[] = {
    {"pipeline.lua", init_pipeline},
    {"projections/balances.lua", init_projection},
    {"spec/balances_spec.lua", init_spec},
    {"load.lua", init_load},
    {"README.md", init_readme},
};
const int init_n_files = sizeof(init_files) / sizeof(*init_files);
