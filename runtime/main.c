/* tidemill VERB ...: finds the verb and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/say.h"
#include "cli/verb.h"

static const struct verb *const verbs[] = {
    &verb_run,  &verb_dev,     &verb_init,      &verb_check,
    &verb_test, &verb_schema,  &verb_connector, &verb_lane,
    &verb_dlq,  &verb_explain, &verb_version,   NULL,
};
enum { MOST_VERBS = 32 };

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
    "  TIDEMILL_SCRIPTS  folder of Tidemill's own Lua files, when they are "
    "not\n"
    "                    beside the binary or where 'make install' puts them\n"
    "  NO_COLOR          no colours in the live line\n";

/* What is typed for it: "skip" for "lane skip". */
static const char *word_of(const struct verb *v)
{
    const char *blank = strchr(v->name, ' ');
    return blank ? blank + 1 : v->name;
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

static void print_overview(FILE *to)
{
    fputs(overview, to);
    fputs("Verbs:\n", to);
    print_verbs(to, verbs);
    fputs(examples, to);
}

void verb_print_help(const struct verb *v)
{
    printf("Usage: tidemill %s %s\n\n", v->name, v->usage);
    if (v->words) {
        print_verbs(stdout, v->words);
        puts("");
    }
    fputs(v->help, stdout);
}

static const struct verb *find(const struct verb *const *list, const char *word)
{
    for (int i = 0; list[i] != NULL; i++) {
        if (strcmp(word_of(list[i]), word) == 0) {
            return list[i];
        }
    }
    return NULL;
}

/* "list, resume, skip or seek" */
static void print_words(FILE *to, const struct verb *const *list)
{
    for (int i = 0; list[i] != NULL; i++) {
        const char *gap = !list[i + 1] ? " or " : ", ";
        fprintf(to, "%s%s", i == 0 ? "" : gap, word_of(list[i]));
    }
}

/* [above]: the verb whose words they are; NULL: verbs themselves. */
static int refuse(const struct verb *above, const char *word)
{
    const struct verb *const *list = above ? above->words : verbs;
    const char *names[MOST_VERBS] = {0};
    size_t n = 0;
    for (; n < MOST_VERBS && list[n]; n++) {
        names[n] = word_of(list[n]);
    }
    const char *near = nearest_word(word, names, n);
    if (!above) {
        complain("tidemill: unknown verb '%s'", word);
    } else {
        complain("tidemill %s: '%s' is not ", above->name, word);
        print_words(stderr, list);
    }
    if (near) {
        complain("; did you mean '%s'?", near);
    }
    complain("\nTry 'tidemill %s%s--help'.\n", above ? above->name : "",
             above ? " " : "");
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

static int refuse_nothing(const struct verb *v)
{
    complain("tidemill %s: which? ", v->name);
    print_words(stderr, v->words);
    complain("\nTry 'tidemill %s --help'.\n", v->name);
    return EX_USAGE;
}

/* argv[0] is a verb, or a word of [above]. */
static int call(const struct verb *above, int argc, char **argv)
{
    const struct verb *v = find(above ? above->words : verbs, argv[0]);
    if (!v) {
        return refuse(above, argv[0]);
    }
    argc--;
    argv++;
    if (v->words && argc > 0 && !is_help(argv[0])) {
        return call(v, argc, argv);
    }
    if (wants_help(argc, argv)) {
        verb_print_help(v);
        return EX_OK;
    }
    return v->words != NULL ? refuse_nothing(v) : v->run(v, argc, argv);
}

/* `tidemill help`, `tidemill help VERB` and `tidemill help VERB WORD`. */
static int help(char **argv)
{
    if (!argv[0]) {
        print_overview(stdout);
        return EX_OK;
    }
    const struct verb *above = NULL, *v = find(verbs, argv[0]);
    if (v && v->words && argv[1]) {
        above = v;
        v = find(above->words, *++argv);
    }
    if (!v) {
        return refuse(above, argv[0]);
    }
    verb_print_help(v);
    return EX_OK;
}

static int answer(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return EX_USAGE;
    }
    if (is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
        return help(argv + 2);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        argv[1] = "version";
    }
    return call(NULL, argc - 1, argv + 1);
}

/* The next file or socket that is opened would get the number of a standard
 * descriptor that is closed, and what is meant for a person would go there. A
 * closed stdout is opened for reading, so that whoever prints is told. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

/* Who closes a pipe wants no more, and no words about it. */
static bool has_reader(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    return poll(&out, 1, 0) <= 0 || !(out.revents & POLLERR);
}

/* What could not be printed is a failure of a verb that had none. */
static int close_stdout(int status)
{
    bool has_failed = ferror(stdout) != 0;

    errno = 0;
    has_failed = fflush(stdout) != 0 || has_failed;
    if (!has_failed || status != EX_OK) {
        return status;
    }
    if (has_reader()) {
        complain("tidemill: cannot write all of it to stdout%s%s\n",
                 errno == 0 ? "" : ": ", errno == 0 ? "" : strerror(errno));
    }
    return EX_IOERR;
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN); /* write() says what is wrong */
    signal(SIGXFSZ, SIG_IGN);
    return close_stdout(answer(argc, argv));
}
