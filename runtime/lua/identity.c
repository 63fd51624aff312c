/* See identity.h. */
#include "lua/identity.h"

#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/sha256.h"

/* What makes it impossible to find a value by trying: random, and one for a process
 * and those that it forks. */
static void put_salt(struct sha256 *s)
{
    static unsigned char salt[32];
    static ssize_t n;

    n = n ? n : getrandom(salt, sizeof(salt), 0);
    must(n == sizeof(salt));
    sha256_put(s, salt, sizeof(salt));
}

static void put_field(struct sha256 *s, lua_State *L, const char *name)
{
    const char *p;
    size_t len;

    lua_getfield(L, -1, name);
    p = lua_tolstring(L, -1, &len);
    sha256_put_text(s, p, len);
    lua_pop(L, 1);
}

void identity_of(lua_State *L, const char *hash, char out[65])
{
    struct sha256 s;

    sha256_init(&s);
    put_salt(&s);
    sha256_put_text(&s, hash, strlen(hash));
    lua_getfield(L, -1, "resolved");
    must(lua_istable(L, -1));
    for (size_t i = 1; i <= lua_objlen(L, -1); i++) {
        lua_rawgeti(L, -1, (int)i);
        put_field(&s, L, "name");
        put_field(&s, L, "value");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    sha256_hex(&s, out);
}
