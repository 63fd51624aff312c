/* See check_list.h. */
#include "cli/check/check_list.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/json.h"
#include "base/say.h"

void check_list_open(struct check_list *l)
{
    if (l->is_json) {
        json_open(&l->items, '[');
        say_into(&l->said);
    }
}

void check_list_add(struct check_list *l, const struct check_item *i)
{
    struct buf *b = &l->items;

    if (!l->is_json) {
        return;
    }
    json_open(b, '{');
    json_key_text(b, "code", i->code);
    json_key_text(b, "severity", i->severity);
    json_key_text(b, "file", i->file);
    if (i->line > 0) {
        json_key_int(b, "line", i->line);
    } else {
        json_key_text(b, "line", NULL);
    }
    json_key_text(b, "place", i->place);
    json_key_text(b, "what", i->what);
    json_key_text(b, "cure", i->cure);
    json_close(b, '}');
}

/* Where the place ends that a line begins with, "folder/file.lua:12: "; NULL: it
 * names none. The colon behind the file becomes its end. */
static char *split_place(char *line, int *number)
{
    char *colon = strstr(line, ".lua:"), *end;

    if (!colon || !isdigit((unsigned char)colon[5])) {
        return NULL;
    }
    *number = (int)strtol(colon + 5, &end, 10);
    if (strncmp(end, ": ", 2) != 0) {
        return NULL;
    }
    colon[4] = '\0';
    return end + 2;
}

static void add_line(struct check_list *l, const char *code,
                     const char *severity, char *line)
{
    struct check_item i = {.code = code, .severity = severity, .what = line};
    char *text = split_place(line, &i.line);

    if (text) {
        i.file = line;
        i.what = text;
    }
    check_list_add(l, &i);
}

/* A line that is indented goes on with the one before. */
static char *item_end(char *line)
{
    char *end = strchr(line, '\n');

    while (end && (end[1] == ' ' || end[1] == '\t')) {
        end = strchr(end + 1, '\n');
    }
    return end;
}

void check_list_said(struct check_list *l, const char *code,
                     const char *severity)
{
    static const char head[] = "tidemill: cannot load ";
    char *line = l->said.len > 0 ? buf_text(&l->said) : NULL, *end;

    if (line && strncmp(line, head, strlen(head)) == 0 && strchr(line, '\n')) {
        line = strchr(line, '\n') + 1;
    }
    for (; line && *line; line = end ? end + 1 : NULL) {
        end = item_end(line);
        if (end) {
            *end = '\0';
        }
        if (*line) {
            add_line(l, code, severity, line);
        }
    }
    buf_clear(&l->said);
}

void check_list_print(struct check_list *l, const char *path, int status)
{
    struct buf out = {0};

    say_into(NULL);
    json_close(&l->items, ']');
    json_open(&out, '{');
    json_key_text(&out, "pipeline", l->name[0] ? l->name : NULL);
    json_key_text(&out, "path", path);
    json_key_text(&out, "generation", l->hash[0] ? l->hash : NULL);
    json_key_int(&out, "status", status);
    json_key(&out, "ok");
    json_bool(&out, status == 0);
    json_key(&out, "findings");
    buf_puts(&out, buf_text(&l->items));
    json_close(&out, '}');
    puts(buf_text(&out));
    buf_close(&out);
    buf_close(&l->items);
    buf_close(&l->said);
}
