/*
 * From SQLSTATE to class. A row names a whole class of codes (two
 * characters) or one code (five); the longest match wins, so order is for the
 * reader only. A code that no row knows halts the lane (ERR_SCHEMA): it is
 * never blamed on a record, and never retried for ever.
 */
#include "postgres/sqlstate.h"

#include <string.h>

struct state_class {
    const char *prefix;
    enum err_class class;
};

static const struct state_class states[] = {
    /* our own, raised by tidemill.must() */
    {"TM001", ERR_FENCED},
    {"TM002", ERR_CONFLICT},

    /* another writer won */
    {"40", ERR_CONFLICT},    /* serialization, deadlock */
    {"55P03", ERR_CONFLICT}, /* lock not available in lock_timeout */
    {"55006", ERR_CONFLICT}, /* object in use */
    {"72", ERR_CONFLICT},    /* snapshot too old */
    {"26", ERR_CONFLICT},    /* prepared statement is gone: prepare again */

    /* the connection, or the server behind it, goes away */
    {"08", ERR_CONNECTION},    /* also what poolers answer in an outage */
    {"40003", ERR_CONNECTION}, /* completion unknown */
    {"57P01", ERR_CONNECTION}, /* shutdown by the administrator */
    {"57P02", ERR_CONNECTION}, /* crash of another backend */
    {"57P03", ERR_CONNECTION}, /* starting up, in recovery */
    {"57P05", ERR_CONNECTION}, /* idle session timeout */
    {"25", ERR_CONNECTION},    /* transaction state out of step; 25P03 */

    /* the server lacks something for now */
    {"53", ERR_RESOURCE}, /* disk, memory, connections, limits */
    {"57", ERR_RESOURCE},
    {"57014", ERR_RESOURCE}, /* statement_timeout, cancelled */
    {"58", ERR_RESOURCE},    /* system and I/O errors */

    /* read-only, or a standby */
    {"25006", ERR_SERVER},

    /* what a record brought */
    {"21", ERR_DATA}, /* cardinality */
    {"22", ERR_DATA}, /* out of range, bad text, division by zero */
    {"23", ERR_DATA}, /* constraints */
    {"27", ERR_DATA}, /* triggered data change */
    {"44", ERR_DATA}, /* WITH CHECK OPTION */
    {"54", ERR_DATA}, /* program limits: row or index entry too big */
    {"P0", ERR_DATA}, /* RAISE in a trigger of the user's */

    /* the pipeline and the database do not fit each other */
    {"42", ERR_SCHEMA},
    {"3F", ERR_SCHEMA},
    {"0A", ERR_SCHEMA},
    {"XX", ERR_SCHEMA}, /* corruption, internal error: no retry cures it */

    /* privileges and credentials */
    {"42501", ERR_CONFIG},
    {"28", ERR_CONFIG},
    {"3D", ERR_CONFIG},
    {"57P04", ERR_CONFIG}, /* the database was dropped */
};

enum err_class sqlstate_class(const char *sqlstate)
{
    if (!sqlstate || !sqlstate[0]) {
        return ERR_CONNECTION;
    }
    enum err_class class = ERR_SCHEMA;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        size_t n = strlen(states[i].prefix);
        if (n > longest && strncmp(sqlstate, states[i].prefix, n) == 0) {
            longest = n;
            class = states[i].class;
        }
    }
    return class;
}
