/* tidemill help: see help.h. */
#include "cli/help.h"

#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

#include "cli/chapters.h"
#include "cli/manual.h"
#include "cli/options.h"
#include "cli/verbs.h"

enum { WIDTH = 78 };

static const char about[] =
    "Tidemill: change events from Kafka, through projections in Lua, into\n"
    "PostgreSQL, each exactly once.\n";

static const char overview[] =
    "\n"
    "'tidemill VERB --help' explains a verb, 'tidemill help CHAPTER' prints a\n"
    "chapter of the reference, and 'tidemill help --help' lists them.\n"
    "\n"
    "From nothing to a running pipeline:\n"
    "  tidemill init bank       write a first pipeline\n"
    "  tidemill test bank       run its specs\n"
    "  tidemill dev bank        run it with everything embedded, under load\n"
    "  tidemill connector bank  the Debezium connector it needs\n"
    "  tidemill schema bank     the SQL it needs in your database\n"
    "  tidemill run bank        run it on your Kafka and your database\n"
    "\n"
    "When something waits for you:\n"
    "  tidemill lane list bank  which partitions are halted, and why\n"
    "  tidemill dlq list bank   which records were set aside, and why\n"
    "\n"
    "Environment:\n"
    "  TIDEMILL_LOG      debug, info (default), warn or error\n"
    "  TIDEMILL_LOG_FORMAT  logfmt (default) or json\n"
    "  TIDEMILL_LOG_PREFIX  a level (<3>) in front of each line: auto "
    "(default:\n"
    "                    for the journal), always or never\n"
    "  TIDEMILL_SCRIPTS  folder of Tidemill's own Lua files, when they are "
    "not\n"
    "                    beside the binary or where 'make install' puts them\n"
    "  COLUMNS           width of tables on a terminal, where it is to be "
    "another\n"
    "  NO_COLOR          no colours in the live line\n";

static const char help[] =
    "Explains a verb, or prints a chapter of the reference. Without a word it\n"
    "lists the verbs.\n";

static const char notes[] =
    "Examples:\n"
    "  tidemill help lane skip          as 'tidemill lane skip --help'\n"
    "  tidemill help projection | less\n"
    "  tidemill help --man > tidemill.1\n"
    "\n"
    "Exit status: 0 printed, 64 usage or an unknown word.\n";

struct help_request {
    bool is_man;
};

static const struct option_spec options[] = {
    FLAG_OPTION(struct help_request, is_man, "man",
                "the help of all verbs as a man page"),
    END_OPTION,
};

void help_print_entry(const char *name, const char *text, int column)
{
    int at = column;
    printf("  %-*s", column - 2, name);
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        if (at > column && at + 1 + len > WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        } else if (at > column) {
            putchar(' ');
            at++;
        }
        printf("%.*s", len, text);
        at += len;
        text += len;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_verbs(FILE *to, const struct verb *const *list)
{
    int width = 0;
    for (int i = 0; list[i] != NULL; i++) {
        int len = (int)strlen(list[i]->name);
        width = len > width ? len : width;
    }
    for (int i = 0; list[i] != NULL; i++) {
        fprintf(to, "  %-*s  %s\n", width, list[i]->name, list[i]->summary);
    }
}

static void print_options(const struct option_spec *list)
{
    char name[64];
    int width = 0;
    for (const struct option_spec *o = list; o->name; o++) {
        int len = o->kind == OPTION_HEADING ? 0 : option_words(o, name);
        width = len > width ? len : width;
    }
    if (list->kind != OPTION_HEADING) {
        puts("Options:");
    }
    for (const struct option_spec *o = list; o->name; o++) {
        if (o->kind == OPTION_HEADING) {
            printf("%s%s\n", o == list ? "" : "\n", o->name);
        } else {
            option_words(o, name);
            help_print_entry(name, o->help, width + 4);
        }
    }
}

static void print_chapters(void)
{
    int width = 0;
    for (const struct chapter *c = chapters; c->name; c++) {
        int len = (int)strlen(c->name);
        width = len > width ? len : width;
    }
    puts("Chapters:");
    for (const struct chapter *c = chapters; c->name; c++) {
        help_print_entry(c->name, c->summary, width + 4);
    }
}

void help_print_overview(FILE *to)
{
    fprintf(to, "%s\nUsage: tidemill VERB [ARGUMENTS]\n\nVerbs:\n", about);
    print_verbs(to, verbs);
    fputs(overview, to);
}

void help_print_verb(const struct verb *v)
{
    printf("Usage: tidemill %s %s\n\n", v->name, v->usage);
    if (v->words) {
        print_verbs(stdout, v->words);
        puts("");
    }
    fputs(v->help, stdout);
    if (v == &verb_help) {
        puts("");
        print_chapters();
    }
    if (v->options) {
        puts("");
        print_options(v->options);
    }
    if (v->notes) {
        printf("\n%s", v->notes);
    }
}

/* [word] of [above], or a verb; then [below], a word of it. */
static int print_named(const char *word, const char *below)
{
    const struct verb *v = verb_find(verbs, word), *above = NULL;
    if (v && v->words && below) {
        above = v;
        v = verb_find(above->words, below);
    }
    if (v) {
        help_print_verb(v);
        return EX_OK;
    }
    if (!above && chapter_print(word)) {
        return EX_OK;
    }
    return above ? verb_refuse(above, below) : chapter_refuse(word);
}

static int run(const struct verb *v, int argc, char **argv)
{
    const char *words[2];
    const struct option_words given = {words, 2};
    struct help_request q = {0};
    if (!options_parse_words(v, &q, argc, argv, &given)) {
        return EX_USAGE;
    }
    if (q.is_man) {
        manual_print(about);
        return EX_OK;
    }
    if (!words[0]) {
        help_print_overview(stdout);
        return EX_OK;
    }
    return print_named(words[0], words[1]);
}

const struct verb verb_help = {
    .name = "help",
    .usage = "[VERB [WORD] | CHAPTER] [--man]",
    .summary = "explain a verb, or print a chapter of the reference",
    .help = help,
    .options = options,
    .notes = notes,
    .run = run,
};
