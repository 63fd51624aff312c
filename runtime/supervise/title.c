/* See title.h. The kernel shows the memory in which it laid the arguments, and when
 * those have no end any more, what stands behind: the environment. */
#include "supervise/title.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/arena.h"

enum { TITLE_MOST = 2048 };

static char *area;                 /* NULL: not known */
static size_t area_size;           /* arguments and environment */
static char words[TITLE_MOST / 2]; /* as typed */
static char **moved; /* owned: the environment, which nobody frees */

static bool take(char *text)
{
    if (text != area + area_size) {
        return false; /* not laid by the kernel */
    }
    area_size += strlen(text) + 1;
    return true;
}

/* List and texts are one block: setenv() gives up single ones. */
static void move_environment(void)
{
    size_t n = 0, bytes = 0;

    for (; environ[n]; n++) {
        bytes += strlen(environ[n]) + 1;
    }
    moved = mem_zero(1, (n + 1) * sizeof(*moved) + bytes);
    char *text = (char *)(moved + n + 1);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(environ[i]) + 1;

        take(environ[i]);
        moved[i] = memcpy(text, environ[i], len);
        text += len;
    }
    environ = moved;
}

void title_init(int argc, char **argv)
{
    size_t len = 0;

    if (argc < 1) {
        return;
    }
    area = argv[0];
    for (int i = 0; i < argc; i++) {
        take(argv[i]);
        if (len < sizeof(words)) {
            len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%s",
                                    i > 0 ? " " : "", argv[i]);
        }
        argv[i] = mem_dup(argv[i]);
    }
    move_environment();
}

/* Ends in zeroes up to the end of the area, whatever stood there. */
static void show(const char *text)
{
    if (area) {
        memset(area, 0, area_size);
        snprintf(area, area_size, "%s", text);
    }
}

void title_supervisor(const char *pipeline)
{
    char text[TITLE_MOST];

    snprintf(text, sizeof(text), "tidemill: supervisor %s: %s", pipeline,
             words);
    show(text);
}

void title_worker(unsigned slot, const char *pipeline)
{
    char text[TITLE_MOST], name[16];

    snprintf(text, sizeof(text), "tidemill: worker %u %s", slot, pipeline);
    show(text);
    snprintf(name, sizeof(name), "tidemill-w%u", slot);
    prctl(PR_SET_NAME, name);
}
