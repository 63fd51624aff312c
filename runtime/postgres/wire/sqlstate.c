/*
 * From SQLSTATE to class. A row names one code (five characters) or all that
 * begin so; the longest match wins, so order is for the reader only. A code
 * that no row knows halts the lane (ERR_SCHEMA): it is never blamed on a
 * record, and never retried for ever at full speed.
 *
 * What the code of a trigger or a function raises is ERR_DATA where the same
 * code may let the next record pass: isolation finds out, and the guards halt
 * the lane when too many fail. Where it fails whoever comes, it is ERR_SCHEMA.
 */
#include "postgres/wire/sqlstate.h"

#include <string.h>

struct state_class {
    const char *prefix;
    enum err_class class;
    const char *note; /* for people; NULL: the class says it all */
};

static const char raised[] =
    "PostgreSQL itself never fails with it: a trigger or a function raised it.";
static const char unknown_commit[] =
    "If it answers a COMMIT, nobody knows yet whether it happened: the "
    "positions are asked before anything is done again.";
static const char not_ours[] =
    "Seen again and again, a pooler in transaction mode stands between: use "
    "session mode or a direct connection.";

#define ONE_IS_TRIED                                                           \
    "The batch is tried lane by lane, then in halves, until one record alone " \
    "meets it: it is set aside as data if other records of its topic were "    \
    "written meanwhile; else its lane halts in front of it."
static const char one[] = ONE_IS_TRIED;

static const struct state_class states[] = {
    /* our own, raised by tidemill.must() */
    {"TM001", ERR_FENCED,
     "Raised by Tidemill: the lane's epoch or position is not what this worker "
     "believes."},
    {"TM002", ERR_CONFLICT,
     "Raised by Tidemill: a row changed since it was loaded, or is not written "
     "as it should be. For a record that changes only a part of a row it is "
     "data after a few times: the row is not there. It is data too for a "
     "record that meets it alone while nobody else changes the row: a trigger, "
     "a policy, a rule or the like keeps it back."},
    {"TM003", ERR_CONFLICT,
     "Raised by Tidemill: a table changed since it was compared with the "
     "pipeline. It is compared again, and the batch is done again if it "
     "fits."},

    {"TM004", ERR_SCHEMA,
     "Raised by Tidemill: tidemill.dead_letter does not keep a dead letter, or "
     "what is noted of one. Nothing is committed without it."},
    {"TM005", ERR_SCHEMA,
     "Raised by Tidemill: tidemill.lane does not keep the halt of a lane. "
     "Nothing is committed without it."},
    {"TM006", ERR_SCHEMA,
     "Raised by the SQL of `tidemill schema`: a newer tidemill made schema "
     "tidemill. Nothing was changed. Use that newer one."},

    /* another writer won */
    {"40", ERR_CONFLICT, NULL}, /* serialization, deadlock */
    {"55P03", ERR_CONFLICT, "A lock did not come within lock_timeout."},
    {"55006", ERR_CONFLICT, NULL}, /* object in use */
    {"72", ERR_CONFLICT, NULL},    /* snapshot too old */
    /* A statement is prepared anew with each connection. */
    {"26", ERR_CONFLICT, not_ours},

    /* the connection, or the server behind it, goes away */
    {"08", ERR_CONNECTION,
     "Poolers answer so too when the server behind them is away."},
    {"08007", ERR_CONNECTION, unknown_commit},
    {"40003", ERR_CONNECTION, unknown_commit},
    {"57P01", ERR_CONNECTION, NULL}, /* shutdown by the administrator */
    {"57P02", ERR_CONNECTION, NULL}, /* crash of another backend */
    {"57P03", ERR_CONNECTION, "The server starts up, shuts down or recovers."},
    {"57P05", ERR_CONNECTION, NULL}, /* idle session timeout */
    /* The session is not in the state we believe, 25P02 included: no statement
     * helps, a new session does. */
    {"0B", ERR_CONNECTION, NULL},
    {"25", ERR_CONNECTION, NULL},

    /* the server lacks something for now */
    {"53", ERR_RESOURCE, NULL}, /* disk, memory, connections, limits */
    {"57", ERR_RESOURCE, NULL},
    {"57014", ERR_RESOURCE,
     "A statement took longer than statement_timeout, or somebody "
     "cancelled it. The batch is done once more, then split: a single record "
     "that times out twice while others commit, the second time with short "
     "waits for locks, is set aside."},
    {"25P04", ERR_RESOURCE,
     "A transaction took longer than the server's transaction_timeout: give "
     "Tidemill's role a longer one, or the pipeline smaller batches."},
    {"58", ERR_RESOURCE, NULL}, /* system and I/O errors */
    /* A foreign table whose server is away; our own connection is well. */
    {"HV00N", ERR_RESOURCE, NULL},
    {"HV001", ERR_RESOURCE, NULL}, /* its memory */
    {"HV014", ERR_RESOURCE, NULL}, /* its handles */

    /* read-only, or a standby */
    {"25006", ERR_SERVER, NULL},

    /* what a record brought */
    {"10", ERR_DATA, NULL}, /* an argument of XML functions */
    {"21", ERR_DATA, NULL}, /* cardinality */
    {"22", ERR_DATA, NULL}, /* out of range, bad text, division by zero */
    {"23", ERR_DATA, NULL}, /* constraints */
    {"23503", ERR_DATA,
     "The row that it refers to may still be on its way: a single record is "
     "tried a few times more before it is set aside."},
    {"23505", ERR_DATA,
     "A unique index other than the projection's key refuses the row."},
    {"40002", ERR_DATA, NULL}, /* a constraint that is checked at COMMIT */
    {"44", ERR_DATA, NULL},    /* WITH CHECK OPTION of a view */
    {"54", ERR_DATA, NULL},    /* row or index entry too big, nested too deep */

    /* what a trigger or a function makes of a record */
    {"00", ERR_DATA, raised},
    {"01", ERR_DATA, raised},
    {"02", ERR_DATA, raised},
    {"09", ERR_DATA, NULL},
    {"20", ERR_DATA, NULL}, /* CASE without a branch for the value */
    {"27", ERR_DATA, NULL},
    {"2F005", ERR_DATA, NULL}, /* a branch without RETURN */
    {"38000", ERR_DATA, NULL}, /* exceptions of PL/Python, PL/Perl, ... */
    {"39000", ERR_DATA, NULL},
    {"39004", ERR_DATA, NULL}, /* a NULL that it does not take */
    {"P0", ERR_DATA,
     "Raised by a trigger or a function of the database's own."},

    /* the pipeline and the database do not fit each other */
    {"42", ERR_SCHEMA, NULL},
    {"42601", ERR_SCHEMA,
     "Input of some types is refused so (ltree, tsvector, "
     "jsonpath). " ONE_IS_TRIED},
    {"3F", ERR_SCHEMA, NULL},
    {"03", ERR_SCHEMA, NULL},
    {"0A", ERR_SCHEMA,
     "When a table was altered under a prepared statement ('cached plan must "
     "not change result type'), it is a conflict instead: the same batch "
     "again, on a new connection."},
    {"2B", ERR_SCHEMA, NULL},
    {"55", ERR_SCHEMA, NULL}, /* not in the state for it: no replica identity */
    {"54011", ERR_SCHEMA, one}, /* too many columns */
    {"54023", ERR_SCHEMA, one}, /* too many arguments */
    /* Every new row would be refused. */
    {"2200H", ERR_SCHEMA,
     "A sequence has reached its end: every new row is refused until it is "
     "given a wider type."},
    {"HV", ERR_SCHEMA, NULL}, /* a foreign table that does not fit */

    /* code in the database that fails whoever comes */
    {"0F", ERR_SCHEMA, NULL},
    {"0Z", ERR_SCHEMA, NULL},
    {"24", ERR_SCHEMA, NULL}, /* cursors: we have none */
    {"34", ERR_SCHEMA, NULL},
    {"2D", ERR_SCHEMA, NULL}, /* COMMIT inside of a trigger */
    {"3B", ERR_SCHEMA, NULL}, /* savepoints: we have none */
    {"2F", ERR_SCHEMA, one},  /* what a function is not allowed to do */
    {"38", ERR_SCHEMA, one},
    {"39", ERR_SCHEMA, one}, /* not a trigger function at all */

    /* damage: no retry cures it, and no record caused it */
    {"58P", ERR_SCHEMA, NULL}, /* files of the server that are not there */
    {"XX", ERR_SCHEMA,
     "An error inside of PostgreSQL, perhaps damage: the server's log says "
     "more. One that comes of DDL at the same moment passes by "
     "itself. " ONE_IS_TRIED},

    /* privileges, credentials, settings */
    {"42501", ERR_CONFIG,
     "'tidemill schema PATH' prints the grants that are needed. A row that a "
     "policy of row-level security refuses is answered so too: where one "
     "applies, and the role has its grants, the record that meets it alone is "
     "set aside as data. " ONE_IS_TRIED},
    {"42P05", ERR_CONFIG, not_ours},
    {"0L", ERR_CONFIG, NULL}, /* grants and roles */
    {"0P", ERR_CONFIG, NULL},
    {"28", ERR_CONFIG, NULL},
    {"3D", ERR_CONFIG, NULL},
    {"55P02", ERR_CONFIG, NULL}, /* a setting that a session may not change */
    {"57P04", ERR_CONFIG, NULL}, /* the database was dropped */
    {"F0", ERR_CONFIG, NULL},    /* the server's own files, pg_hba.conf */
};

static const struct state_class *find(const char *sqlstate)
{
    const struct state_class *found = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        size_t n = strlen(states[i].prefix);
        if (n > longest && strncmp(sqlstate, states[i].prefix, n) == 0) {
            longest = n;
            found = &states[i];
        }
    }
    return found;
}

enum err_class sqlstate_class(const char *sqlstate)
{
    if (!sqlstate || !sqlstate[0]) {
        return ERR_CONNECTION;
    }
    const struct state_class *s = find(sqlstate);
    return s ? s->class : ERR_SCHEMA;
}

bool sqlstate_is_known(const char *sqlstate)
{
    return find(sqlstate) != NULL;
}

/* Code in the database, and what it runs into, may fail for what a single
 * record brought; so may a policy. */
static const char *const of_one[] = {"2F",    "38",    "39",    "42501",
                                     "42601", "54011", "54023", "XX"};

bool sqlstate_is_lock(const char *sqlstate)
{
    return strcmp(sqlstate, "55P03") == 0;
}

bool sqlstate_may_be_one(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(of_one) / sizeof(*of_one); i++) {
        if (strncmp(sqlstate, of_one[i], strlen(of_one[i])) == 0) {
            enum err_class c = sqlstate_class(sqlstate);
            return c == ERR_SCHEMA || c == ERR_CONFIG;
        }
    }
    return false;
}

const char *sqlstate_note(const char *sqlstate)
{
    const struct state_class *s = find(sqlstate);
    return s ? s->note : NULL;
}

struct text_class {
    const char *part;
    enum err_class class;
    const char *hint; /* NULL: the text says it all */
};

/* Without SQLSTATE libpq itself speaks, in English since no locale is set.
 * Anything else is a network or a server that may come back. */
static const struct text_class texts[] = {
    /* target_session_attrs found no server that it wants */
    {"session is read-only", ERR_SERVER, NULL},
    {"server is in hot standby mode", ERR_SERVER, NULL},
    /* words of the conninfo */
    {"invalid port number", ERR_CONFIG, NULL},
    {"invalid integer value", ERR_CONFIG, NULL},
    {" value: \"", ERR_CONFIG, NULL}, /* invalid sslmode value: "x" */
    {"could not match ", ERR_CONFIG, NULL},
    {"definition of service ", ERR_CONFIG, NULL},
    {"service file ", ERR_CONFIG, NULL},
    /* what one side wants and the other has not */
    {"no password supplied", ERR_CONFIG,
     "put it into the database address, a passfile or a service file"},
    {"does not support SSL", ERR_CONFIG,
     "set ssl = on in the server, or say sslmode=disable where the network may "
     "be trusted"},
    {"host name must be specified", ERR_CONFIG, NULL},
    {"channel binding", ERR_CONFIG, NULL},
    {"SSL protocol version", ERR_CONFIG, NULL},
    /* certificates and keys */
    {"Too many open files", ERR_CONNECTION,
     "RLIMIT_NOFILE of this process is used up: raise it (ulimit -n, "
     "LimitNOFILE= of systemd)"},
    {"certificate verify failed", ERR_CONFIG,
     "the server's certificate is not signed by a CA of the file sslrootcert, "
     "or has expired"},
    {"does not match host name", ERR_CONFIG,
     "connect by a name that the certificate has, or have one made for this "
     "name; sslmode=verify-ca does not look at it"},
    {"root certificate file", ERR_CONFIG,
     "sslrootcert names the file of the CA that signed the server's "
     "certificate"},
    {"requires a valid client certificate", ERR_CONFIG,
     "name its files in sslcert and sslkey"},
    {"certificate authentication failed", ERR_CONFIG,
     "the client certificate is for another role than the address names"},
    {" alert ", ERR_CONFIG,
     "the server does not accept the client certificate: see sslcert and "
     "sslkey"},
    {"private key file", ERR_CONFIG,
     "see sslkey, and sslpassword when the key has a password"},
    {"certificate", ERR_CONFIG, NULL},
    /* by pg_hba.conf */
    {"no encryption", ERR_CONFIG,
     "if the server wants TLS, say sslmode=require or better"},
};

static const struct text_class *find_text(const char *text)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strstr(text, texts[i].part)) {
            return &texts[i];
        }
    }
    return NULL;
}

static enum err_class text_class(const char *text)
{
    const struct text_class *t = find_text(text);
    return t ? t->class : ERR_CONNECTION;
}

const char *sqlstate_hint(const char *text)
{
    const struct text_class *t = find_text(text);
    return t ? t->hint : NULL;
}

/* What a server or a pooler answers without a reason that we know is rather
 * an outage than a wrong word: XX000 of a proxy, 55000 in maintenance. */
enum err_class sqlstate_refusal(const char *sqlstate, const char *text)
{
    if (!sqlstate || !sqlstate[0]) {
        return text_class(text);
    }
    const struct state_class *s = find(sqlstate);
    switch (s ? s->class : ERR_CONNECTION) {
    case ERR_DATA: /* 22023, 42704: options=-c ... of the conninfo */
    case ERR_SCHEMA:
        return strncmp(sqlstate, "22", 2) == 0 ||
                       strncmp(sqlstate, "42", 2) == 0
                   ? ERR_CONFIG
                   : ERR_CONNECTION;
    case ERR_CONFLICT:
    case ERR_FENCED:
        return ERR_CONNECTION;
    default:
        return s ? s->class : ERR_CONNECTION;
    }
}
