/*
 * Words that people write: column types, addresses, options of the command
 * line, base64. The first byte says what the rest is.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/listen.h"
#include "base/err.h"
#include "base/log.h"
#include "cli/options.h"
#include "decode/json/base64.h"
#include "decode/json/path.h"
#include "input.h"
#include "model/type.h"
#include "oracle.h"

static void check_type(struct input *in)
{
    char *text = input_text(in);
    struct coltype t, back;
    struct buf printed = {0};

    if (type_parse(text, &t)) {
        type_print(&t, &printed);
        must(type_parse(buf_text(&printed), &back));
        must(t.kind == back.kind && t.length == back.length);
        must(t.precision == back.precision && t.scale == back.scale);
        must(type_oid(&t) != 0 && type_array_oid(&t) != 0);
        buf_close(&printed);
    }
    free(text);
}

static void check_address(struct input *in)
{
    char *text = input_text(in);
    struct listen_address a;
    struct err e = {.class = ERR_NONE};

    if (listen_parse(text, &a, &e)) {
        must(a.host[0] && atoi(a.port) <= 65535);
    } else {
        must(e.class == ERR_CONFIG);
    }
    free(text);
}

enum { MOST_WORDS = 12 };

static void check_options(struct input *in)
{
    struct request {
        bool flag;
        const char *text;
        uint32_t number;
    } said = {.number = 7};
    static const struct option_spec options[] = {
        FLAG_OPTION(struct request, flag, "until-end", ""),
        TEXT_OPTION(struct request, text, "admin", "HOST:PORT", ""),
        NUMBER_OPTION(struct request, number, "workers", "N", 1, 64, ""),
        END_OPTION,
    };
    static const struct verb verb = {.name = "run", .options = options};
    char *argv[MOST_WORDS];
    int argc = 0;
    const char *path = NULL;

    while (in->len > 0 && argc < MOST_WORDS) {
        argv[argc++] = input_text(in);
    }
    options_parse(&verb, &said, argc, argv, &path);
    must(said.number >= 1 && said.number <= 64);
    must(!said.text || said.text[0]);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
}

static void check_base64(struct input *in)
{
    char *out = mem_alloc(in->len / 4 * 3);
    int64_t n = base64_decode((const char *)in->p, in->len, out);

    must(n >= -1 && n <= (int64_t)(in->len / 4 * 3));
    free(out);
}

static void check_path(struct input *in)
{
    struct path t;

    path_init(&t);
    while (in->len > 0) {
        char *text = input_text(in);
        int node = path_find(&t, text);

        must(node >= -1 && node < (int)t.n_nodes);
        must(node == path_find(&t, text));
        free(text);
    }
    path_close(&t);
}

static void check_quote(struct input *in)
{
    char *text = input_text(in);
    const char *quoted = log_quote(text);

    must(quoted[0] == '"' && quoted[strlen(quoted) - 1] == '"');
    must(strcspn(quoted, "\n\r") == strlen(quoted));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct input *) = {
        check_type,   check_address, check_options,
        check_base64, check_path,    check_quote};
    struct input in = {data, size};
    uint8_t kind = input_byte(&in);

    checks[kind % (sizeof(checks) / sizeof(*checks))](&in);
    return 0;
}
