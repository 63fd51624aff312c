#pragma once
/* The filter of dead letters as SQL: conditions, and the parameters $1 to $10
 * that they name. */
#include "postgres/operator/letters.h"

struct params *letter_params(struct operator_connection *c,
                             const struct letter_filter *f);

#define LETTER_ORDER "topic COLLATE \"C\", partition, \"offset\""
#define LETTER_MATCHES                                                         \
    "pipeline = $1 AND stream = 'main' "                                       \
    "AND ($2::text IS NULL OR topic = $2) "                                    \
    "AND ($3::bigint IS NULL OR partition = $3::bigint) "                      \
    "AND ($4::bigint IS NULL OR \"offset\" = $4::bigint) "                     \
    "AND ($5::text IS NULL OR key = convert_to($5, 'UTF8')) "                  \
    "AND ($6::text IS NULL OR class = $6) "                                    \
    "AND ($7::text IS NULL OR sqlstate = $7) "                                 \
    "AND ($8::text IS NULL OR state = $8) "                                    \
    "AND ($9::bigint IS NULL OR first_seen >= 'epoch'::timestamptz "           \
    "+ $9::bigint * interval '1 microsecond') "
/* The same, ordered and cut: for a SELECT of its own. */
#define LETTER_LIMIT " ORDER BY " LETTER_ORDER " LIMIT $10::bigint"
