/* See hosts.h. */
#include "postgres/wire/hosts.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The words of a conninfo; NULL when it cannot be read. A word without "=" and
 * scheme is a database's name to libpq, not a list. */
static PQconninfoOption *parse(const char *conninfo)
{
    bool is_name =
        conninfo && !strchr(conninfo, '=') && !strstr(conninfo, "://");
    char *why = NULL;
    PQconninfoOption *options =
        conninfo ? PQconninfoParse(is_name ? "" : conninfo, &why) : NULL;
    PQfreemem(why); /* it quotes the text, password and all */
    return options;
}

static const PQconninfoOption *find_word(const PQconninfoOption *o,
                                         const char *keyword)
{
    while (o && o->keyword && strcmp(o->keyword, keyword) != 0) {
        o++;
    }
    return o && o->keyword ? o : NULL;
}

static const char *value_of(const PQconninfoOption *o)
{
    return !o ? NULL : o->val ? o->val : o->envvar ? getenv(o->envvar) : NULL;
}

/* The value of a word, or of its variable; NULL when neither is set. A service
 * file comes between the two, and is libpq's alone to read: hosts that stand
 * there are libpq's to try, all within the deadline of one. */
static const char *word_of(const PQconninfoOption *words, const char *keyword)
{
    const PQconninfoOption *o = find_word(words, keyword);
    bool has_service = value_of(find_word(words, "service")) != NULL;
    return has_service && o ? o->val : value_of(o);
}

static const char *said_of(const PQconninfoOption *words, const char *keyword)
{
    const PQconninfoOption *o = find_word(words, keyword);
    return o ? o->val : NULL;
}

/* Abstract sockets begin with @, and paths may have it. */
static bool is_host(const char *list)
{
    while (list && *list) {
        size_t len = strcspn(list, ",");
        if (*list != '/' && len > 1 && memchr(list + 1, '@', len - 1)) {
            return false;
        }
        list += len + (list[len] == ',');
    }
    return true;
}

/* What a URL has behind the @ of its user; "": nothing. */
static const char *behind_user(const char *url)
{
    const char *at = strchr(url, '@');
    return at ? at + 1 : "";
}

/* Of a URL with postgres://user:p@ss,@host/name: what libpq would take for hosts, the
 * last of them an abstract socket. Who means one writes %40. */
static bool has_at_twice(const char *url)
{
    const char *hosts = strstr(url, "://") ? behind_user(url) : "";
    const char *item = strstr(hosts, ",@");

    return hosts[0] == '@' ||
           (item && (size_t)(item - hosts) < strcspn(hosts, "/?"));
}

/* Of "host=db;port=5432;password=x", or with commas, libpq takes all for one host. */
static bool has_other_words(const PQconninfoOption *o)
{
    for (; o && o->keyword; o++) {
        const char *value = strcmp(o->keyword, "password") == 0 ? NULL : o->val;
        bool is_host =
            strcmp(o->keyword, "host") == 0 && value && *value != '/';

        if ((is_host && strpbrk(value, "=;")) ||
            (value &&
             (strcasestr(value, "password=") || strcasestr(value, "pwd=")))) {
            return true;
        }
    }
    return false;
}

/* Of a URL such as postgres://user:pa/ss@host/name the password's rest is port
 * or database; of postgres://user:p@s/s@host/name it is host and database, and an
 * error would show it as a host's name. */
static bool is_plausible(const char *conninfo, const PQconninfoOption *words)
{
    const char *ports = said_of(words, "port");
    const char *database = said_of(words, "dbname");
    bool has_lost_part =
        strstr(conninfo, "://") && database && strchr(database, '@') &&
        (!said_of(words, "user") || strchr(behind_user(conninfo), '@'));
    bool has_lost_scheme = !strstr(conninfo, "://") && !strchr(conninfo, '=') &&
                           strchr(conninfo, '@') && strpbrk(conninfo, ":/");
    return is_host(said_of(words, "host")) && !has_other_words(words) &&
           !has_lost_part && !has_lost_scheme && !has_at_twice(conninfo) &&
           (!ports || strspn(ports, "0123456789, ") == strlen(ports));
}

bool hosts_is_readable(const char *conninfo)
{
    PQconninfoOption *options = parse(conninfo);
    bool is_readable = options && is_plausible(conninfo, options);
    PQconninfoFree(options);
    return is_readable;
}

bool hosts_options(const char *conninfo, char **out)
{
    PQconninfoOption *words = parse(conninfo);
    const char *said = word_of(words, "options");
    bool is_known = said || !value_of(find_word(words, "service"));
    *out = said ? mem_dup(said) : NULL;
    PQconninfoFree(words);
    return is_known;
}

static uint32_t count_items(const char *list)
{
    uint32_t n = 1;
    for (const char *p = list; p && *p; p++) {
        n += *p == ',';
    }
    return n;
}

/* Item [i] of a list, in the arena; one item is for all. */
static const char *item_of(struct arena *a, const char *list, uint32_t i)
{
    uint32_t at = count_items(list) > 1 ? i : 0;
    const char *from = list;
    while (from && at > 0) {
        from = strchr(from, ',');
        from = from ? from + 1 : NULL;
        at--;
    }
    return from ? arena_dup(a, from, strcspn(from, ",")) : "";
}

static uint32_t count_hosts(const PQconninfoOption *o)
{
    uint32_t n = count_items(word_of(o, "host"));
    uint32_t n_addresses = count_items(word_of(o, "hostaddr"));
    return n > n_addresses ? n : n_addresses;
}

uint32_t hosts_resolve(const char *name, uint32_t i, char *out, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    uint32_t n = 0;
    if (getaddrinfo(name, NULL, &hints, &list) != 0) {
        return 0;
    }
    for (struct addrinfo *p = list; p; p = p->ai_next, n++) {
        if (n == i &&
            getnameinfo(p->ai_addr, p->ai_addrlen, out, (socklen_t)size, NULL,
                        0, NI_NUMERICHOST) != 0) {
            out[0] = '\0';
        }
    }
    freeaddrinfo(list);
    return n;
}

/* A path, or an abstract socket. */
static bool is_socket(const char *host)
{
    return host[0] == '/' || host[0] == '@';
}

/* libpq is given the address, so that it does not ask for it once more: with
 * a resolver that is down, asking takes long. */
static bool pick_address(uint32_t turn, hosts_resolve_fn resolve,
                         struct arena *a, struct host *out, uint32_t *n)
{
    char text[128] = "";
    *n = 1;
    if (!out->host[0] || is_socket(out->host) || out->hostaddr[0]) {
        return true;
    }
    uint32_t found = resolve(out->host, turn, text, sizeof(text));
    *n = found ? found : 1;
    out->hostaddr = arena_dup(a, text, strlen(text));
    return found > 0;
}

bool hosts_pick(const struct pgtarget *t, hosts_resolve_fn resolve,
                struct arena *a, struct pgturns *turns, struct host *out,
                struct err *e)
{
    PQconninfoOption *o = parse(t->conninfo);
    uint32_t n = count_hosts(o), i = t->host % n;
    *out = (struct host){item_of(a, word_of(o, "host"), i),
                         item_of(a, word_of(o, "hostaddr"), i),
                         item_of(a, word_of(o, "port"), i)};
    PQconninfoFree(o);
    turns->n_hosts = n;
    return pick_address(t->address, resolve, a, out, &turns->n_addresses) ||
           err_set(e, ERR_CONNECTION,
                   "cannot connect to PostgreSQL: the name \"%s\" of its host "
                   "cannot be resolved",
                   out->host);
}

bool hosts_next(struct pgtarget *t, struct pgturns *turns)
{
    if (++t->address < turns->n_addresses) {
        return true;
    }
    t->address = 0;
    t->host++;
    return ++turns->n_tried < turns->n_hosts;
}
