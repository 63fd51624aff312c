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

#include "base/log.h"
#include "base/say.h"
#include "cli/help.h"
#include "cli/typed.h"
#include "cli/verbs.h"
#include "supervise/title.h"

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

static struct err settings; /* what is wrong with them; or ERR_NONE */

/* argv[0] is a verb, or a word of [above]. */
static int call(const struct verb *above, int argc, char **argv)
{
    const struct verb *v = verb_find(above ? above->words : verbs, argv[0]);
    if (!v) {
        return verb_refuse(above, argv[0]);
    }
    argc--;
    argv++;
    if (v->words && argc > 0 && !is_help(argv[0])) {
        return call(v, argc, argv);
    }
    if (wants_help(argc, argv)) {
        help_print_verb(v);
        return EX_OK;
    }
    if (v->words) {
        return verb_ask_word(v);
    }
    if (settings.class) { /* of the log: help is given all the same */
        complain("tidemill: %s\n", settings.text);
        return EX_CONFIG;
    }
    return v->run(v, argc, argv);
}

static int answer(int argc, char **argv)
{
    if (argc < 2) {
        help_print_overview(stderr);
        return EX_USAGE;
    }
    if (is_help(argv[1])) {
        argv[1] = "help";
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
    title_init(argc, argv);
    fill_standard_descriptors();
    typed_program_is(argc > 0 ? argv[0] : "tidemill");
    signal(SIGPIPE, SIG_IGN); /* write() says what is wrong */
    signal(SIGXFSZ, SIG_IGN);
    if (log_read_settings(&settings)) {
        settings.class = ERR_NONE;
    }
    return close_stdout(answer(argc, argv));
}
