#pragma once
/*
 * A verb of the command line: what follows `tidemill`. Each has one file with
 * its help and its work; main.c finds it by name. A verb answers with an exit
 * status of sysexits.h. A verb with words (`lane`) is a list of such verbs:
 * `tidemill lane skip` has a help and a run of its own.
 */

struct option_spec;

struct verb {
    const char *name;    /* "check"; of a word of a verb: "lane skip" */
    const char *usage;   /* what follows the name */
    const char *summary; /* one line in `tidemill --help` */
    const char *help;    /* what it does, as `tidemill VERB --help` begins */
    const struct option_spec *options; /* up to one without name, or NULL */
    const char *notes; /* after the options: environment, examples, exits */
    int (*run)(const struct verb *v, int argc, char **argv); /* after name */
    const struct verb *const *words; /* up to a NULL; then run is NULL */
};

extern const struct verb verb_check;
extern const struct verb verb_completion;
extern const struct verb verb_connector;
extern const struct verb verb_dev;
extern const struct verb verb_dlq;
extern const struct verb verb_explain;
extern const struct verb verb_help;
extern const struct verb verb_init;
extern const struct verb verb_lane;
extern const struct verb verb_run;
extern const struct verb verb_schema;
extern const struct verb verb_send;
extern const struct verb verb_test;
extern const struct verb verb_version;
