/* tidemill completion: what a shell completes after `tidemill`. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/options.h"
#include "cli/verb.h"
#include "cli/verbs.h"

static const char help[] =
    "Prints the script by which SHELL (bash, zsh or fish) completes verbs and\n"
    "options. It is made of the same tables as their help.\n";

static const char notes[] =
    "Examples:\n"
    "  . <(tidemill completion bash)\n"
    "  tidemill completion zsh > \"${fpath[1]}/_tidemill\"\n"
    "  tidemill completion fish > ~/.config/fish/completions/tidemill.fish\n"
    "\n"
    "Exit status: 0 printed, 64 usage or an unknown shell.\n";

/* Calls [put] for each verb that runs: "check", "lane list". */
static void each_verb(const struct verb *const *list,
                      void (*put)(const struct verb *))
{
    for (int i = 0; list[i]; i++) {
        if (list[i]->words) {
            each_verb(list[i]->words, put);
        } else {
            put(list[i]);
        }
    }
}

/* The same for each that has words. */
static void each_above(void (*put)(const struct verb *))
{
    for (int i = 0; verbs[i]; i++) {
        if (verbs[i]->words) {
            put(verbs[i]);
        }
    }
}

/* A text between the quotes that [shell] takes. */
static void put_quoted(const char *text, const char *quote)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs(quote, stdout);
        } else {
            putchar(*text);
        }
    }
}

static void put_words(const struct verb *const *list)
{
    for (int i = 0; list[i]; i++) {
        printf("%s%s", i > 0 ? " " : "", verb_word(list[i]));
    }
}

/* ---- bash ---- */

static void bash_above(const struct verb *v)
{
    printf("    '%s ') words='", v->name);
    put_words(v->words);
    puts("' ;;");
}

static void bash_verb(const struct verb *v)
{
    printf("    '%s '*) options='--help", v->name);
    for (const struct option_spec *o = v->options; o && o->name; o++) {
        if (o->kind != OPTION_HEADING) {
            printf(" --%s", o->name);
        }
    }
    puts("' ;;");
}

static void print_bash(void)
{
    fputs("# bash completion of tidemill\n"
          "_tidemill()\n"
          "{\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} words='' options='--help'\n"
          "  local before=\"${COMP_WORDS[*]:1:COMP_CWORD-1} \"\n"
          "  case \"$before\" in\n"
          "    ' ') words='",
          stdout);
    put_words(verbs);
    puts(" --help --version' ;;");
    each_above(bash_above);
    each_verb(verbs, bash_verb);
    puts("  esac\n"
         "  if [[ $cur == -* && $before != ' ' ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
         "  elif [[ $words ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "  else\n"
         "    compopt -o filenames\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
         "  fi\n"
         "}\n"
         "complete -F _tidemill tidemill");
}

/* ---- zsh ---- */

static void zsh_words(const struct verb *const *list)
{
    for (int i = 0; list[i]; i++) {
        printf(" '%s:", verb_word(list[i]));
        put_quoted(list[i]->summary, "'\\''");
        putchar('\'');
    }
}

static void zsh_above(const struct verb *v)
{
    printf("    '%s ') list=(", v->name);
    zsh_words(v->words);
    puts(") ;;");
}

static void zsh_verb(const struct verb *v)
{
    printf("    '%s '*) options=('--help:explain it'", v->name);
    for (const struct option_spec *o = v->options; o && o->name; o++) {
        if (o->kind != OPTION_HEADING) {
            printf(" '--%s:", o->name);
            put_quoted(o->help, "'\\''");
            putchar('\'');
        }
    }
    puts(") ;;");
}

static void print_zsh(void)
{
    fputs("#compdef tidemill\n"
          "_tidemill()\n"
          "{\n"
          "  local -a list options\n"
          "  local before=\"${words[2,CURRENT-1]} \"\n"
          "  case \"$before\" in\n"
          "    ' ') list=(",
          stdout);
    zsh_words(verbs);
    puts(") ;;");
    each_above(zsh_above);
    each_verb(verbs, zsh_verb);
    puts("  esac\n"
         "  if [[ $PREFIX == -* ]]; then\n"
         "    _describe option options\n"
         "  elif (( $#list )); then\n"
         "    _describe word list\n"
         "  else\n"
         "    _files\n"
         "  fi\n"
         "}\n"
         "compdef _tidemill tidemill\n"
         "if [[ $funcstack[1] == _tidemill ]]; then _tidemill; fi");
}

/* ---- fish ---- */

static void fish_condition(const struct verb *v)
{
    int len = (int)strcspn(v->name, " ");
    printf("complete -c tidemill -n '__fish_seen_subcommand_from %.*s", len,
           v->name);
    if (v->name[len] != '\0') {
        printf("; and __fish_seen_subcommand_from %s", verb_word(v));
    }
    putchar('\'');
}

static void fish_word(const char *condition, const struct verb *v)
{
    printf("complete -c tidemill -f -n '%s' -a %s -d '", condition,
           verb_word(v));
    put_quoted(v->summary, "\\'");
    puts("'");
}

static void fish_above(const struct verb *v)
{
    char condition[160];
    for (int i = 0; v->words[i]; i++) {
        snprintf(condition, sizeof(condition),
                 "__fish_seen_subcommand_from %s; and test (count (commandline "
                 "-opc)) -eq 2",
                 v->name);
        fish_word(condition, v->words[i]);
    }
}

static void fish_verb(const struct verb *v)
{
    for (const struct option_spec *o = v->options; o && o->name; o++) {
        if (o->kind != OPTION_HEADING) {
            fish_condition(v);
            printf(" -l %s%s -d '", o->name, o->value ? " -r" : "");
            put_quoted(o->help, "\\'");
            puts("'");
        }
    }
}

static void print_fish(void)
{
    for (int i = 0; verbs[i]; i++) {
        fish_word("__fish_use_subcommand", verbs[i]);
    }
    each_above(fish_above);
    each_verb(verbs, fish_verb);
}

static const struct {
    const char *name;
    void (*print)(void);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

static int run(const struct verb *v, int argc, char **argv)
{
    const char *shell;
    if (!options_parse(v, NULL, argc, argv, &shell)) {
        return EX_USAGE;
    }
    for (size_t i = 0; shell && i < sizeof(shells) / sizeof(*shells); i++) {
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].print();
            return EX_OK;
        }
    }
    if (!shell) {
        return options_refuse(v, "which shell? bash, zsh or fish");
    }
    return options_refuse(v, "'%s' is not bash, zsh or fish", shell);
}

const struct verb verb_completion = {
    .name = "completion",
    .usage = "SHELL",
    .summary = "print what bash, zsh or fish needs to complete words",
    .help = help,
    .notes = notes,
    .run = run,
};
