#pragma once
/* The files that `init` writes. */

struct init_file {
    const char *name; /* below the folder */
    const char *text;
};

extern const struct init_file init_files[];
extern const int init_n_files;
