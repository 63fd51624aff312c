/* See result.h. */
#include "postgres/wire/result.h"

#include <libpq-fe.h>
#include <string.h>

#include "model/type.h"

int pg_rows(const PGresult *r)
{
    return PQntuples(r);
}

const char *pg_value(const PGresult *r, int row, int column, int *len)
{
    *len = PQgetlength(r, row, column);
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

/* The first byte is signed, but for oid and xid, which count to 2^32. */
int64_t pg_int(const PGresult *r, int row, int column)
{
    const char *p = PQgetvalue(r, row, column);
    int len = PQgetlength(r, row, column);
    Oid type = PQftype(r, column);
    bool is_unsigned = type == OID_OID || type == OID_XID;
    uint64_t v = len && (signed char)p[0] < 0 && !is_unsigned ? UINT64_MAX : 0;
    for (int i = 0; i < len; i++) {
        v = v << 8 | (unsigned char)p[i];
    }
    return (int64_t)v;
}

const char *pg_str(const PGresult *r, int row, int column)
{
    return PQgetvalue(r, row, column);
}
