#pragma once
/* What Debezium writes for a large value that an UPDATE left alone, unless its
 * unavailable.value.placeholder says otherwise: as text, as bytes, as the only
 * item (or the bytes) of an array, as the only pair of an hstore; and what
 * these arrays are as literals of PostgreSQL. */
#define UNAVAILABLE            "__debezium_unavailable_value"
#define UNAVAILABLE_BASE64     "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
#define UNAVAILABLE_HSTORE     "{\"" UNAVAILABLE "\":\"" UNAVAILABLE "\"}"
#define UNAVAILABLE_JSON_TEXTS "[\"" UNAVAILABLE "\"]"
#define UNAVAILABLE_TEXTS      "{\"" UNAVAILABLE "\"}"
#define UNAVAILABLE_DIGITS                                                     \
    "95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,"    \
    "98,108,101,95,118,97,108,117,101"
#define UNAVAILABLE_JSON_NUMBERS "[" UNAVAILABLE_DIGITS "]"
#define UNAVAILABLE_NUMBERS      "{" UNAVAILABLE_DIGITS "}"
