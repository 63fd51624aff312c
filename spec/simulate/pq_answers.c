/* See pq_part.h: answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "pq_part.h"

struct pg_result *answer_new(int n_columns)
{
    struct pg_result *r = mem_zero(1, sizeof(*r));

    r->n_columns = n_columns;
    r->status = PGRES_TUPLES_OK;
    return r;
}

/* Cells come row by row. */
static void add(struct pg_result *r, const void *p, int len, uint32_t type)
{
    int at = r->n_rows; /* cells so far */

    if (at == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->cells = mem_grow(r->cells, (size_t)r->cap * sizeof(*r->cells));
    }
    r->types[at % r->n_columns] = type;
    r->n_rows++;
    if (!p) {
        r->cells[at] = (struct cell){.at = -1};
        return;
    }
    if (r->n_bytes + len + 1 > r->cap_bytes) {
        r->cap_bytes = 2 * r->cap_bytes + len + 64;
        r->bytes = mem_grow(r->bytes, (size_t)r->cap_bytes);
    }
    r->cells[at] = (struct cell){.at = r->n_bytes, .len = len};
    memcpy(r->bytes + r->n_bytes, p, (size_t)len);
    r->bytes[r->n_bytes + len] = '\0';
    r->n_bytes += len + 1;
}

void answer_int8(struct pg_result *r, int64_t v)
{
    uint64_t wire = __builtin_bswap64((uint64_t)v);
    add(r, &wire, 8, 20);
}

void answer_int4(struct pg_result *r, int32_t v)
{
    uint32_t wire = __builtin_bswap32((uint32_t)v);
    add(r, &wire, 4, 23);
}

void answer_xid(struct pg_result *r, uint32_t v)
{
    uint32_t wire = __builtin_bswap32(v);
    add(r, &wire, 4, 28);
}

void answer_bool(struct pg_result *r, bool v)
{
    add(r, v ? "\1" : "\0", 1, 16);
}

void answer_text(struct pg_result *r, const char *s)
{
    add(r, s, (int)strlen(s), 25);
}

void answer_null(struct pg_result *r)
{
    add(r, NULL, 0, 25);
}

struct pg_result *answer_one_null(void)
{
    struct pg_result *r = answer_new(1);

    answer_null(r);
    return r;
}

struct pg_result *answer_error(const char *sqlstate, const char *text)
{
    struct pg_result *r = answer_new(1);

    r->status = PGRES_FATAL_ERROR;
    r->severity = "ERROR";
    snprintf(r->sqlstate, sizeof(r->sqlstate), "%s", sqlstate);
    snprintf(r->text, sizeof(r->text), "%s", text);
    return r;
}

struct pg_result *answer_stale(void)
{
    return answer_error("40001",
                        "could not serialize access due to concurrent update");
}

struct pg_result *answer_status(int status, const char *tag)
{
    struct pg_result *r = answer_new(1);

    r->status = status;
    snprintf(r->tag, sizeof(r->tag), "%s", tag);
    return r;
}

void PQclear(PGresult *r)
{
    if (r) {
        free(r->cells);
        free(r->bytes);
        free(r);
    }
}

void answers_free(struct pg_result **answers, uint32_t at, uint32_t n)
{
    for (; at < n; at++) {
        PQclear(answers[at]);
    }
    free(answers);
}

ExecStatusType PQresultStatus(const PGresult *r)
{
    return r ? (ExecStatusType)r->status : PGRES_FATAL_ERROR;
}

int PQntuples(const PGresult *r)
{
    return r->n_rows / r->n_columns;
}

static const struct cell *cell_at(const PGresult *r, int row, int column)
{
    must(row * r->n_columns + column < r->n_rows && column < r->n_columns);
    return &r->cells[row * r->n_columns + column];
}

int PQgetlength(const PGresult *r, int row, int column)
{
    return cell_at(r, row, column)->len;
}

int PQgetisnull(const PGresult *r, int row, int column)
{
    return cell_at(r, row, column)->at < 0;
}

char *PQgetvalue(const PGresult *r, int row, int column)
{
    const struct cell *c = cell_at(r, row, column);

    return c->at < 0 ? (char *)(uintptr_t) "" : r->bytes + c->at;
}

Oid PQftype(const PGresult *r, int column)
{
    return r->types[column];
}

char *PQcmdStatus(PGresult *r)
{
    return r->tag;
}

char *PQresultErrorField(const PGresult *r, int code)
{
    switch (code) {
    case PG_DIAG_SQLSTATE:
        return r->sqlstate[0] ? (char *)(uintptr_t)r->sqlstate : NULL;
    case PG_DIAG_MESSAGE_PRIMARY:
        return (char *)(uintptr_t)r->text;
    case PG_DIAG_SEVERITY_NONLOCALIZED:
        return (char *)(uintptr_t)r->severity;
    case PG_DIAG_SOURCE_FUNCTION:
        return (char *)(uintptr_t)r->from;
    default:
        return NULL;
    }
}

char *PQresultErrorMessage(const PGresult *r)
{
    return (char *)(uintptr_t)r->text;
}
