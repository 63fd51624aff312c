/* tidemill explain: what an error is, what Tidemill does, what to do. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "base/nearest.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/verb.h"
#include "kafka/errors.h"
#include "model/classes.h"
#include "postgres/wire/condition.h"
#include "postgres/wire/sqlstate.h"

enum { LABEL = 14, STATE_LEN = 5, WORD_BYTES = 64, MOST_NAMES = 512 };

static const char help[] =
    "Says of each CODE what it means, what Tidemill does about it and what "
    "you\n"
    "should do. A CODE is\n"
    "  a SQLSTATE                 40P01, TM001\n"
    "  its condition name         deadlock_detected\n"
    "  an error of librdkafka     _ALL_BROKERS_DOWN, -187, "
    "OFFSET_OUT_OF_RANGE\n"
    "  a class of failures        data\n"
    "as the log, /status, metrics and dead letters show them. Without a CODE "
    "it\n"
    "lists the classes: the class alone decides what Tidemill does.\n"
    "\n"
    "Examples:\n"
    "  tidemill explain             every class of failures\n"
    "  tidemill explain 23505       a unique index refused a row\n"
    "  tidemill explain -195 42P01  two codes\n"
    "\n"
    "Exit status: 0 explained, 64 usage or an unknown code.\n";

static void print_part(const char *label, const char *text)
{
    help_print_entry(label, text, LABEL);
}

static void print_class(enum err_class class, const char *note)
{
    const struct class_text *text = class_text(class);

    print_part("class", err_class_name(class));
    print_part("means", text->means);
    print_part("Tidemill", text->does);
    if (note) {
        print_part("this code", note);
    }
    print_part("you", text->person);
}

static bool explain_class(const char *word)
{
    enum err_class class;

    if (!class_find(word, &class)) {
        return false;
    }
    print_class(class, NULL);
    return true;
}

static void print_state(const char *sqlstate)
{
    const char *name = condition_name(sqlstate);

    printf("%s %s\n", sqlstate,
           name ? name : "(a code of this kind, without a name)");
    print_class(sqlstate_class(sqlstate), sqlstate_note(sqlstate));
}

static bool is_state(const char *word)
{
    return strlen(word) == STATE_LEN &&
           strspn(word, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == STATE_LEN &&
           strcspn(word, "0123456789") < STATE_LEN;
}

static void convert(char out[WORD_BYTES], const char *word, int (*one)(int))
{
    size_t n = 0;

    for (; n < WORD_BYTES - 1 && word[n]; n++) {
        out[n] = (char)one((unsigned char)word[n]);
    }
    out[n] = '\0';
}

static bool explain_state(const char *word)
{
    char state[WORD_BYTES];

    convert(state, word, toupper);
    if (!is_state(state) || !sqlstate_is_known(state)) {
        return false;
    }
    print_state(state);
    return true;
}

/* A few names belong to two codes. */
static bool explain_condition(const char *word)
{
    size_t n;
    const struct condition *list = condition_list(&n);
    bool found = false;

    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(list[i].name, word) == 0) {
            if (found) {
                putchar('\n');
            }
            print_state(list[i].sqlstate);
            found = true;
        }
    }
    return found;
}

static bool explain_kafka(const char *word)
{
    int code;

    if (!kafka_error_find(word, &code)) {
        return false;
    }
    const struct kafka_error *k = kafka_error(code);
    const struct kafka_act_text *act = kafka_act_text(k->act);
    printf("%s %d\n", kafka_error_name(code), code);
    print_part("class", err_class_name(k->class));
    print_part("means", kafka_error_text(code));
    if (k->words) {
        print_part("", k->words);
    }
    print_part("Tidemill", act->does);
    print_part("you", act->person ? act->person : class_text(k->class)->person);
    return true;
}

static const char *nearest_of_ours(const char *word)
{
    const char *names[MOST_NAMES];
    char lower[WORD_BYTES];
    size_t n_conditions, n = 0;
    const struct condition *list = condition_list(&n_conditions);

    for (enum err_class c = ERR_CONFLICT; c <= ERR_FATAL; c++) {
        names[n++] = err_class_name(c);
    }
    for (size_t i = 0; i < n_conditions && n < MOST_NAMES; i++) {
        names[n++] = list[i].name;
    }
    convert(lower, word, tolower);
    return nearest_word(lower, names, n);
}

static const char *nearest_of_kafka(const char *word)
{
    const char *names[MOST_NAMES];
    size_t n = kafka_error_names(names, MOST_NAMES);
    char upper[WORD_BYTES];

    convert(upper, word, toupper);
    return nearest_word(upper, names, n);
}

static int refuse(const struct verb *v, const char *word)
{
    char state[WORD_BYTES];
    const char *near = nearest_of_ours(word);

    convert(state, word, toupper);
    if (is_state(state)) {
        return options_refuse(
            v,
            "'%s' is no SQLSTATE of PostgreSQL: when a RAISE of yours made it "
            "up, its class is data, else schema",
            state);
    }
    if (!near) {
        near = nearest_of_kafka(word);
    }
    if (near) {
        return options_refuse(v, "unknown code '%s'; did you mean '%s'?", word,
                              near);
    }
    return options_refuse(v,
                          "unknown code '%s': neither a SQLSTATE, nor an error "
                          "of librdkafka, nor a class",
                          word);
}

static int list_classes(void)
{
    for (enum err_class c = ERR_CONFLICT; c <= ERR_FATAL; c++) {
        print_part(err_class_name(c), class_text(c)->means);
    }
    puts("\n'tidemill explain CLASS' says what Tidemill does, and what you "
         "should do.");
    return EX_OK;
}

static bool explain(const char *word)
{
    return explain_class(word) || explain_state(word) ||
           explain_condition(word) || explain_kafka(word);
}

/* -195 is a code, -x an option that does not exist. */
static bool is_option(const char *word)
{
    return word[0] == '-' && !isdigit((unsigned char)word[1]);
}

static int run(const struct verb *v, int argc, char **argv)
{
    int status = EX_OK;

    if (argc == 0) {
        return list_classes();
    }
    for (int i = 0; i < argc; i++) {
        if (is_option(argv[i])) {
            return options_refuse(v, "unknown option %s", argv[i]);
        }
    }
    for (int i = 0; i < argc; i++) {
        if (i > 0) {
            putchar('\n');
        }
        if (!explain(argv[i])) {
            fflush(stdout);
            status = refuse(v, argv[i]);
        }
    }
    return status;
}

const struct verb verb_explain = {
    .name = "explain",
    .usage = "[CODE...]",
    .summary = "what an error code means, and what is done about it",
    .help = help,
    .run = run,
};
