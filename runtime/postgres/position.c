/* Positions in tidemill.lane, see position.h. Every statement names the
 * stream: positions of a projection that is being rebuilt live beside main's
 * and must never move with them. */
#include "postgres/position.h"

#include <stdlib.h>
#include <string.h>

#include "postgres/encode.h"

enum { OID_INT4 = 23, OID_INT8 = 20, OID_TEXT = 25, OID_TEXT_ARRAY = 1009 };

#define LANE                                                                   \
    "pipeline = $1 AND stream = 'main' AND topic = $2 "                        \
    "AND partition = $3"

static struct pgparam text_param(const char *s)
{
    return (struct pgparam){s, s ? (int)strlen(s) : 0};
}

/* Big-endian into [out]. */
static struct pgparam int4_param(int32_t v, char out[4])
{
    uint32_t wire = __builtin_bswap32((uint32_t)v);
    memcpy(out, &wire, sizeof wire);
    return (struct pgparam){out, 4};
}

static struct pgparam int8_param(int64_t v, char out[8])
{
    uint64_t wire = __builtin_bswap64((uint64_t)v);
    memcpy(out, &wire, sizeof wire);
    return (struct pgparam){out, 8};
}

/* One UPDATE a lane, since one over several promises no order of locks. */
void position_claim(struct pgconn *c, const struct plan *p, const char *owner,
                    const struct position *lanes, uint32_t n)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT, OID_INT4,
                                    OID_TEXT, OID_TEXT, OID_TEXT};
    static const struct pgstmt claim = {
        "position_claim",
        "UPDATE tidemill.lane SET epoch = epoch + 1, owner = $4, "
        "group_id = $5, generation = $6, updated_at = now() WHERE " LANE
        " RETURNING next_offset, epoch",
        oids, 6};
    pgconn_add_sql(c, "BEGIN");
    for (uint32_t i = 0; i < n; i++) {
        char partition[4];
        const struct pgparam params[] = {
            text_param(p->name),
            text_param(lanes[i].topic),
            int4_param(lanes[i].partition, partition),
            text_param(owner),
            text_param(p->source.group),
            text_param(p->hash)};
        pgconn_add(c, &claim, params);
    }
    pgconn_add_sql(c, "COMMIT");
}

void position_claimed(const struct pgreply *r, struct position *lanes,
                      uint32_t n)
{
    must(r->ok && r->n_results == (int)n + 2);
    for (uint32_t i = 0; i < n; i++) {
        const struct pg_result *row = r->results[i + 1];
        lanes[i].found = pg_rows(row) == 1;
        lanes[i].next_offset = lanes[i].found ? pg_int(row, 0, 0) : 0;
        lanes[i].epoch = lanes[i].found ? pg_int(row, 0, 1) : 0;
    }
}

void position_create(struct pgconn *c, const struct plan *p, const char *topic,
                     int32_t partition, int64_t offset)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT, OID_INT4,
                                    OID_INT8, OID_TEXT, OID_TEXT};
    static const struct pgstmt create = {
        "position_create",
        "INSERT INTO tidemill.lane (pipeline, stream, topic, partition, "
        "next_offset, group_id, generation) "
        "VALUES ($1, 'main', $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        oids, 6};
    char at[4], to[8];
    const struct pgparam params[] = {
        text_param(p->name),         text_param(topic),
        int4_param(partition, at),   int8_param(offset, to),
        text_param(p->source.group), text_param(p->hash)};
    pgconn_add(c, &create, params);
}

void position_move(struct pgconn *c, const struct plan *p, const char *topic,
                   int32_t partition, int64_t epoch, int64_t from, int64_t to)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT, OID_INT4, OID_INT8,
                                    OID_INT8, OID_INT8, OID_TEXT};
    static const struct pgstmt move = {
        "position_move",
        "WITH w AS (UPDATE tidemill.lane SET next_offset = $6, "
        "generation = $7, updated_at = now() WHERE " LANE
        " AND epoch = $4 AND next_offset = $5 RETURNING 1) "
        "SELECT tidemill.must((SELECT count(*) FROM w) = 1, 'TM001')",
        oids, 7};
    char at[4], mine[8], start[8], end[8];
    const struct pgparam params[] = {
        text_param(p->name),       text_param(topic),
        int4_param(partition, at), int8_param(epoch, mine),
        int8_param(from, start),   int8_param(to, end),
        text_param(p->hash)};
    pgconn_add(c, &move, params);
}

/* Two pipelines in one Kafka group would get each other's partitions. */
void position_find_foreign(struct pgconn *c, const struct plan *p)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT, OID_TEXT_ARRAY};
    static const struct pgstmt find = {
        "position_find_foreign",
        "SELECT DISTINCT pipeline, topic FROM tidemill.lane "
        "WHERE group_id = $1 AND pipeline <> $2 AND topic = ANY ($3) "
        "ORDER BY pipeline, topic",
        oids, 3};
    const struct coltype text = {.kind = TYPE_TEXT};
    uint32_t n = p->source.n_topics;
    struct tm_cell *topics = mem_zero(n + 1, sizeof *topics);
    struct buf array = {0};
    for (uint32_t i = 0; i < n; i++) {
        const char *topic = p->source.topics[i];
        topics[i] = (struct tm_cell){
            .p = topic, .len = (uint32_t)strlen(topic), .tag = TM_TEXT};
    }
    encode_array(&array, &text, topics, NULL, n);
    const struct pgparam params[] = {text_param(p->source.group),
                                     text_param(p->name),
                                     {array.data, (int)array.len}};
    pgconn_add(c, &find, params);
    buf_close(&array);
    free(topics);
}
