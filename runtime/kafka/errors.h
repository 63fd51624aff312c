#pragma once
/*
 * From librdkafka's error codes to the class of a failure: one table. Other
 * than the database's, most of them are librdkafka's own to mend; what Tidemill
 * does about one is said by its row, and source_trouble.c does it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum kafka_act {
    KAFKA_TELLS,   /* people are told; librdkafka tries on */
    KAFKA_REJOINS, /* the same; librdkafka joins the group again */
    KAFKA_MENDS,   /* passes by itself, and people need not know */
    KAFKA_LOSES,   /* the next record is not there: the lane may be stale */
    KAFKA_SKIPS,   /* librdkafka may go on behind records it cannot read */
    KAFKA_MISSES,  /* the topic or partition is not there */
    KAFKA_DIES     /* the consumer as a whole is at its end */
};

struct kafka_error {
    int code; /* rd_kafka_resp_err_t */
    enum err_class class;
    enum kafka_act act;
    const char
        *words; /* what it means and what to do; NULL: its text says it */
};

/* Never NULL: what the table does not know is told, as ERR_CONNECTION. */
const struct kafka_error *kafka_error(int code);
bool kafka_error_is_known(int code);
/* For messages. */
enum err_class kafka_error_class(int code);

struct kafka_act_text {
    const char *does;   /* what Tidemill does */
    const char *person; /* what somebody should do; NULL: as for the class */
};
const struct kafka_act_text *kafka_act_text(enum kafka_act act);

/* librdkafka's name ("_TRANSPORT") and its words; of codes that are newer than
 * librdkafka 2.0, ours. */
const char *kafka_error_name(int code);
const char *kafka_error_text(int code);
/* Both, for messages: librdkafka's words, and behind them in brackets what they mean
 * where the table says it. [out] is returned. */
const char *kafka_error_said(int code, char *out, size_t size);
/* By name, in any case, with or without RD_KAFKA_RESP_ERR_, or by number. */
bool kafka_error_find(const char *word, int *code) MUSTCHECK;
/* Up to [n] names; how many. */
size_t kafka_error_names(const char **names, size_t n);
