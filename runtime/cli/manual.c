/* The man page: see manual.h. */
#include "cli/manual.h"

#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "model/version.h"

/* [text] so that roff prints it as it stands. */
static void put_text(const char *text)
{
    for (const char *s = text; *s != '\0'; s++) {
        if ((s == text || s[-1] == '\n') && (*s == '.' || *s == '\'')) {
            fputs("\\&", stdout);
        }
        if (*s == '\\') {
            fputs("\\e", stdout);
        } else if (*s == '-') {
            fputs("\\-", stdout);
        } else {
            putchar(*s);
        }
    }
}

/* Lines that stay as they are: they hold lists and commands. */
static void put_lines(const char *text)
{
    puts(".nf");
    put_text(text);
    puts(".fi");
}

static void put_option(const struct option_spec *o)
{
    char name[64];
    if (o->kind == OPTION_HEADING) {
        puts(".PP");
        put_text(o->name);
        putchar('\n');
        return;
    }
    option_words(o, name);
    fputs(".TP\n\\fB", stdout);
    put_text(name);
    fputs("\\fR\n", stdout);
    put_text(o->help);
    putchar('\n');
}

static void put_verb(const struct verb *v)
{
    printf(".SS tidemill %s ", v->name);
    for (const char *s = v->usage; *s != '\0'; s++) { /* on one line */
        const char one[] = {*s == '\n' ? ' ' : *s, '\0'};
        put_text(one);
    }
    putchar('\n');
    put_lines(v->help);
    for (const struct option_spec *o = v->options; o && o->name; o++) {
        put_option(o);
    }
    if (v->notes) {
        puts(".PP");
        put_lines(v->notes);
    }
    for (int i = 0; v->words && v->words[i]; i++) {
        put_verb(v->words[i]);
    }
}

void manual_print(const char *about)
{
    puts(".TH TIDEMILL 1 \"\" \"tidemill " TIDEMILL_VERSION "\"\n"
         ".SH NAME\n"
         "tidemill \\- change events from Kafka, through Lua, into PostgreSQL\n"
         ".SH SYNOPSIS\n"
         ".B tidemill\n"
         "VERB [ARGUMENTS]\n"
         ".SH DESCRIPTION");
    put_lines(about);
    puts(".SH VERBS");
    for (int i = 0; verbs[i]; i++) {
        put_verb(verbs[i]);
    }
}
