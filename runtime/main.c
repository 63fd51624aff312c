/* tidemill VERB ...: finds the verb and runs it. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/nearest.h"
#include "cli/verb.h"

static const struct verb *const verbs[] = {
    &verb_run,  &verb_dev,    &verb_init,    &verb_check,
    &verb_test, &verb_schema, &verb_explain, &verb_version,
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const char overview[] =
    "Tidemill: change events from Kafka, through projections in Lua, into\n"
    "PostgreSQL, each exactly once.\n"
    "\n"
    "Usage: tidemill VERB [ARGUMENTS]\n"
    "\n";

static const char examples[] =
    "\n"
    "'tidemill VERB --help' explains a verb.\n"
    "\n"
    "From nothing to a running pipeline:\n"
    "  tidemill init bank       write a first pipeline\n"
    "  tidemill test bank       run its specs\n"
    "  tidemill dev bank        run it with everything embedded, under load\n"
    "  tidemill schema bank     the SQL it needs in your database\n"
    "  tidemill run bank        run it on your Kafka and your database\n"
    "\n"
    "Environment:\n"
    "  TIDEMILL_LOG      debug, info (default), warn or error\n"
    "  TIDEMILL_SCRIPTS  folder of Tidemill's own Lua files, when they are "
    "not\n"
    "                    beside the binary or where 'make install' puts them\n"
    "  NO_COLOR          no colours in the live line\n";

static void print_overview(FILE *to)
{
    fputs(overview, to);
    fputs("Verbs:\n", to);
    for (int i = 0; i < VERBS; i++) {
        fprintf(to, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    }
    fputs(examples, to);
}

void verb_print_help(const struct verb *v)
{
    printf("Usage: tidemill %s %s\n\n%s", v->name, v->usage, v->help);
}

static const struct verb *find(const char *name)
{
    for (int i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i]->name, name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}

static int refuse(const char *word)
{
    const char *names[VERBS];
    for (int i = 0; i < VERBS; i++) {
        names[i] = verbs[i]->name;
    }
    const char *near = nearest_word(word, names, VERBS);
    fprintf(stderr, "tidemill: unknown verb '%s'", word);
    if (near != NULL) {
        fprintf(stderr, "; did you mean '%s'?", near);
    }
    fputs("\nTry 'tidemill --help'.\n", stderr);
    return EX_USAGE;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i])) {
            return true;
        }
    }
    return false;
}

/* `tidemill help` and `tidemill help VERB`. */
static int help(const char *about)
{
    const struct verb *v = about == NULL ? NULL : find(about);
    if (about != NULL && v == NULL) {
        return refuse(about);
    }
    if (v != NULL) {
        verb_print_help(v);
    } else {
        print_overview(stdout);
    }
    return EX_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return EX_USAGE;
    }
    const char *word = argv[1];
    if (is_help(word) || strcmp(word, "help") == 0) {
        return help(argv[2]);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        word = "version";
    }
    const struct verb *v = find(word);
    if (v == NULL) {
        return refuse(word);
    }
    if (wants_help(argc - 2, argv + 2)) {
        return help(v->name);
    }
    return v->run(v, argc - 2, argv + 2);
}
