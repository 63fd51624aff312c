#pragma once
/* What Debezium writes for a large value that an UPDATE left alone: as text,
 * as bytes, and as the only item (or the bytes) of an array. */
#define UNAVAILABLE        "__debezium_unavailable_value"
#define UNAVAILABLE_BASE64 "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
#define UNAVAILABLE_TEXTS  "{\"" UNAVAILABLE "\"}"
#define UNAVAILABLE_NUMBERS                                                    \
    "{95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,"   \
    "98,108,101,95,118,97,108,117,101}"
