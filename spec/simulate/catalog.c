/* What pg_catalog says of the tables of the pipeline: see sql.h. */
#include "sql.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "faults.h"
#include "postgres/store/catalog_ask.h"

static struct pg_result *shape(void)
{
    struct pg_result *r = answer_new(8);
    char versions[16];

    snprintf(versions, sizeof(versions), "{%u}", faults_shape());
    answer_int8(r, 1);
    answer_text(r, versions);
    for (int i = 0; i < 4; i++) {
        answer_text(r, "{1}");
    }
    answer_bool(r, true);
    answer_bool(r, true);
    return r;
}

static struct pg_result *server(void)
{
    struct pg_result *r = answer_new(N_SERVER);

    answer_int4(r, 150000);
    answer_text(r, "15.0");
    answer_bool(r, false);
    answer_bool(r, true);
    answer_bool(r, true);
    answer_text(r, "sim");
    answer_int8(r, 16);
    answer_bool(r, true);
    answer_int8(r, 21);
    answer_bool(r, true);
    answer_int8(r, 8);
    answer_null(r);
    answer_null(r);
    return r;
}

static enum table named(const struct call *c)
{
    enum table t = CHAINS;

    while (t < TABLES && strcmp(shown[t].name, param_text(c, 0)) != 0) {
        t++;
    }
    must(t < TABLES);
    return t;
}

static bool has_rows(const struct tx *tx, enum table t)
{
    const struct row *r = db_rows(t);

    while (r && !db_see(tx, r)) {
        r = r->more;
    }
    return r != NULL;
}

static struct pg_result *table(const struct tx *t, const struct call *c)
{
    struct pg_result *r = answer_new(TABLE_OTHER + 1);
    enum table which = named(c);

    answer_text(r, "r");
    answer_bool(r, true);
    answer_text(r, "public");
    for (int i = 0; i < 3; i++) {
        answer_bool(r, true);
    }
    answer_bool(r, has_rows(t, which));
    answer_int8(r, 100 + (int)which);
    for (int i = 0; i < 3; i++) {
        answer_null(r);
    }
    answer_text(r, shown[which].name);
    answer_null(r);
    return r;
}

static struct pg_result *columns(const struct call *c)
{
    struct pg_result *r = answer_new(COLUMN_BY_DOMAIN + 1);
    const struct shown *t = &shown[named(c)];

    for (int i = 0; i < t->n_columns; i++) {
        answer_text(r, t->columns[i].name);
        answer_text(r, t->columns[i].type);
        answer_bool(r, i < t->n_key);
        answer_bool(r, false);
        answer_bool(r, false);
        for (int k = 0; k < 4; k++) {
            answer_bool(r, true);
        }
        answer_null(r);
        answer_text(r, t->columns[i].type); /* below no domain, no array */
        answer_bool(r, false);
        answer_bool(r, false);
        answer_text(r, "o");
        answer_text(r, t->columns[i].type);
        answer_text(r, "");
        answer_bool(r, false);
    }
    return r;
}

static struct pg_result *indexes(const struct call *c)
{
    struct pg_result *r = answer_new(INDEX_IS_KEY + 1);

    if (shown[named(c)].n_key) {
        answer_text(r, "pkey");
        answer_bool(r, true);
        answer_bool(r, true);
    }
    return r;
}

struct pg_result *catalog_run(const struct tx *t, const struct call *c)
{
    struct pg_result *r;

    switch (c->s->kind) {
    case SQL_SHAPE:
        return shape();
    case SQL_CHECK:
        if (c->s->number != faults_shape()) {
            return must_hold(c, false, "TM003");
        }
        r = answer_new(2);
        answer_xid(r, t->xid);
        answer_null(r);
        return r;
    case SQL_SERVER:
        return server();
    case SQL_TABLE:
        return table(t, c);
    case SQL_COLUMNS:
        return columns(c);
    case SQL_INDEXES:
        return indexes(c);
    case SQL_LOUD:
        return answer_one_null();
    default:
        return answer_new(4); /* no parents, no causes */
    }
}
