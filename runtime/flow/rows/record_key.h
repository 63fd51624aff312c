#pragma once
/*
 * Is the record key the row key? It must be where lanes own their rows
 * (aligned folds, mirrors and maps without a version): Kafka keeps the order of
 * records by the bytes of their key alone, so records of one row with two keys
 * may be written by two lanes, the older one last.
 *
 * It is proved by each record: an object key has the key columns as its fields
 * and no others (with from = 'key' one field may have any name), a key of one
 * column may be the bare value; where the event's data has a key column too, it
 * has the same value; and the value is written the one way in which its type
 * prints it, since '1' and '01' are two keys and one bigint.
 *
 * The first two are no record's fault (ERR_CONFIG: the pipeline does not fit
 * its source, and the lane halts); another way to write a value is (ERR_DATA).
 */
#include "base/err.h"
#include "flow/rows/rows.h"

/*
 * No record can show that the keys of its topic are written in one way (to Kafka
 * {"id":1} and {"id": 1} are two), so nothing fails: record_key_tell logs it
 * once.
 */
bool record_key_fits(const struct rows *r, uint32_t event,
                     struct err *e) MUSTCHECK;
void record_key_tell(struct program *g);
/* The value of {"anything": value}, by from = 'key'; false: it has more fields
 * than one, or the value is none. */
bool record_key_only_field(const struct rows *r, const struct tm_cell *object,
                           struct tm_cell *out);
/* What there is to do about a record key that no column can be read from, however
 * the key is declared; NULL: nothing in general. */
const char *record_key_hint(const struct rows *r, uint32_t event);
/* Always false: nothing gives key column [i] a value; a failure of the
 * record. */
bool record_key_missing(const struct rows *r, uint32_t i, uint32_t event,
                        struct err *e) MUSTCHECK;
