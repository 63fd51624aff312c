/* See host.h. The functions here raise Lua errors and are called only from
 * scripts/tidemill. */
#include "lua/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/err.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include "lua/bundle.h"
#include "lua/load.h"
#include "model/plan.h"
#include "model/type.h"

/* The include paths of the compiler hold for the assembler too. vm.h includes
 * the same file, so a change of it rebuilds this one. */
__asm__(".section .rodata\n"
        "host_api_text:\n"
        ".incbin \"model/api.h\"\n"
        "host_api_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char host_api_text[] __attribute__((visibility("hidden")));
extern const char host_api_end[] __attribute__((visibility("hidden")));

/* Bytes of a secret's file; a password or URL is far shorter. */
enum { SECRET_BYTES = 65536, SECRET_MS = 5000 };

static int refuse(lua_State *L, const char *text)
{
    lua_pushnil(L);
    lua_pushstring(L, text);
    return 2;
}

static void set_string(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

/* {folder, files}: the texts by name. */
static void push_folder(lua_State *L, const struct bundle_folder *f)
{
    lua_createtable(L, 0, 5); /* {} */
    set_string(L, "folder", f->path);
    lua_createtable(L, 0, (int)f->n); /* {}, files */
    for (uint32_t i = 0; i < f->n; i++) {
        lua_pushlstring(L, f->files[i].text, f->files[i].len);
        lua_setfield(L, -2, f->files[i].name);
    }
    lua_setfield(L, -2, "files"); /* {} */
}

void host_push_bundle(lua_State *L, const struct bundle *b)
{
    push_folder(L, &b->pipeline); /* {} */
    set_string(L, "entry", b->entry);
    set_string(L, "hash", b->hash);
    push_folder(L, &b->rules);
    lua_setfield(L, -2, "rules"); /* {} */
}

/* read(path): the bundle {folder, files, entry, hash, rules}, without rules in
 * it, or nil and why not. */
static int host_read(lua_State *L)
{
    struct bundle b;
    struct err e;

    if (!bundle_read(&b, luaL_checkstring(L, 1), NULL, &e)) {
        return refuse(L, e.text);
    }
    host_push_bundle(L, &b);
    bundle_close(&b);
    return 1;
}

static void free_plan(const struct plan **p)
{
    plan_free(*p);
    *p = NULL;
}

static int host_collect_plan(lua_State *L)
{
    free_plan(lua_touserdata(L, 1));
    return 0;
}

/* plan(table): the struct plan as a pointer, and what keeps it alive. */
static int host_plan(lua_State *L)
{
    const struct plan **p;

    luaL_checktype(L, 1, LUA_TTABLE);
    p = lua_newuserdata(L, sizeof(*p)); /* owner */
    *p = load_plan(L, 1);
    lua_createtable(L, 0, 1); /* owner, meta */
    lua_pushcfunction(L, host_collect_plan);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2); /* owner */
    lua_pushlightuserdata(L, (void *)*p);
    lua_insert(L, -2); /* pointer, owner */
    return 2;
}

static const char *const KIND_NAMES[] = {
    [TYPE_SMALLINT] = "smallint",   [TYPE_INTEGER] = "integer",
    [TYPE_BIGINT] = "bigint",       [TYPE_NUMERIC] = "numeric",
    [TYPE_REAL] = "real",           [TYPE_DOUBLE] = "double",
    [TYPE_BOOLEAN] = "boolean",     [TYPE_TEXT] = "text",
    [TYPE_VARCHAR] = "varchar",     [TYPE_CHAR] = "char",
    [TYPE_UUID] = "uuid",           [TYPE_BYTEA] = "bytea",
    [TYPE_DATE] = "date",           [TYPE_TIME] = "time",
    [TYPE_TIMESTAMP] = "timestamp", [TYPE_TIMESTAMPTZ] = "timestamptz",
    [TYPE_JSON] = "json",           [TYPE_JSONB] = "jsonb",
    [TYPE_TEXT_ARRAY] = "text[]",   [TYPE_BIGINT_ARRAY] = "bigint[]",
};
EACH(KIND_NAMES, TYPE_KINDS);

/* type(text): {kind, precision, scale, is_key}, or nil when unknown. */
static int host_type(lua_State *L)
{
    struct coltype t;

    if (!type_parse(luaL_checkstring(L, 1), &t)) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 4);
    set_string(L, "kind", KIND_NAMES[t.kind]);
    lua_pushinteger(L, t.precision);
    lua_setfield(L, -2, "precision");
    lua_pushinteger(L, t.scale);
    lua_setfield(L, -2, "scale");
    lua_pushboolean(L, type_is_key(&t));
    lua_setfield(L, -2, "is_key");
    return 1;
}

static int host_type_words(lua_State *L)
{
    lua_pushstring(L, type_words());
    return 1;
}

/* is_there(path): whether something of that name can be seen now. */
static int host_is_there(lua_State *L)
{
    lua_pushboolean(L, access(luaL_checkstring(L, 1), F_OK) == 0);
    return 1;
}

/* is_utf8(text): whether all of it is. */
static int host_is_utf8(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    lua_pushboolean(L, utf8_valid(text, len) == len);
    return 1;
}

/* nearest(word, words): the place of the nearest and its distance in letters, or
 * nil. */
static int host_nearest(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    size_t n = lua_objlen(L, 2), distance;
    const char **words = lua_newuserdata(L, (n + 1) * sizeof(*words));
    int at;

    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, (int)i + 1);
        luaL_checktype(L, -1, LUA_TSTRING);
        words[i] = lua_tostring(L, -1); /* the table keeps it */
        lua_pop(L, 1);
    }
    at = nearest_place(word, words, n, &distance);
    if (at < 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at + 1);
    lua_pushnumber(L, (double)distance / 1000);
    return 2;
}

static int host_env(lua_State *L)
{
    lua_pushstring(L, getenv(luaL_checkstring(L, 1)));
    return 1;
}

/* All that the file holds. NULL: *len bytes of it are in text; else why not. A
 * pipe is waited for, as long as a secret may take to come. */
static const char *read_secret(int fd, char text[SECRET_BYTES], size_t *len)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ssize_t n = 1;

    for (*len = 0; n > 0 && *len < SECRET_BYTES; *len += (size_t)n) {
        if (poll(&p, 1, SECRET_MS) == 0) {
            return "is a pipe into which nobody writes";
        }
        n = read(fd, text + *len, SECRET_BYTES - *len);
        if (n < 0) { /* a folder opens, and cannot be read */
            return strerror(errno);
        }
    }
    return *len == SECRET_BYTES ? "is larger than 64 KiB" : NULL;
}

/* secret(path): what the file holds without the newline at its end. */
static int host_secret(lua_State *L)
{
    char text[SECRET_BYTES];
    int fd = open(luaL_checkstring(L, 1), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    size_t len;

    if (fd < 0) {
        return refuse(L, strerror(errno));
    }
    const char *reason = read_secret(fd, text, &len);
    close(fd);
    if (reason) {
        return refuse(L, reason);
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    lua_pushlstring(L, text, len);
    return 1;
}

/* What makes names that no script can say (core.lua): random, and one for the
 * process, since what is declared with them stays declared. */
static void set_nonce(lua_State *L)
{
    static char text[33];
    unsigned char bytes[16];

    if (!text[0]) {
        must(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++) {
            snprintf(text + 2 * i, 3, "%02x", bytes[i]);
        }
    }
    set_string(L, "nonce", text);
}

int luaopen_tidemill_host(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"read", host_read},         {"plan", host_plan},
        {"type", host_type},         {"type_words", host_type_words},
        {"env", host_env},           {"secret", host_secret},
        {"is_there", host_is_there}, {"is_utf8", host_is_utf8},
        {"nearest", host_nearest},   {NULL, NULL}};

    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_pushlstring(L, host_api_text, (size_t)(host_api_end - host_api_text));
    lua_setfield(L, -2, "api");
    set_nonce(L);
    lua_pushboolean(L, IS_DEBUG);
    lua_setfield(L, -2, "is_debug");
    return 1;
}

int host_open_binary(lua_State *L)
{
    luaopen_tidemill_host(L);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "is_binary");
    return 1;
}
