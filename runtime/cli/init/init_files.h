#pragma once
/* The files that `init` writes. */

/* Stands in a text where the pipeline's name belongs. */
#define INIT_NAME "first_pipeline"

struct init_file {
    const char *name; /* below the folder */
    const char *text;
};

extern const struct init_file init_files[];
extern const int init_n_files;
