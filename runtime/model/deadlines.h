#pragma once
/*
 * How long things may take, and how long what failed is left alone: what several
 * places must agree on, and what somebody may want to change, each with its
 * reason. What a pipeline may set (connect_ms, lock_ms, ...) is in
 * scripts/tidemill/plan/plan.lua, what librdkafka waits for in kafka/settings.c.
 */
enum {
    /* ---- answers of PostgreSQL ---- */
    /* Beyond statement_timeout, or of small questions: the server would have
     * answered by itself, so the connection is dead. */
    PG_ANSWER_USEC = 30000000,
    /* Of a claim, beyond the waits for locks that it allows: while one lasts, no
     * other lane is claimed. */
    PG_CLAIM_USEC = 5000000,
    /* Of dead letters with their values: as many bytes as a batch. */
    PG_LETTERS_USEC = 90000000,
    /* Of a ROLLBACK: a new connection is there sooner. */
    PG_ROLLBACK_USEC = 5000000,

    /* ---- locks ---- */
    /* Where the loser comes again anyway (a claim, a record that conflicts, a note
     * of a halt): it must not hold a connection from others for long. */
    LOCK_SHORT_MS = 500,
    /* In a claim that has already waited for one row. */
    LOCK_HASTY_MS = 10,
    /* Behind another worker that makes the rows of all lanes. */
    LOCK_MAKE_MS = 5000,
    /* Of a person's verb: somebody sits before it. */
    LOCK_PEOPLE_MS = 10000,

    /* ---- back-offs; see base/backoff.h ---- */
    /* Of all that waits for the database: a fault may cost 5 s once it is over. */
    BACKOFF_FLOOR_USEC = 100000,
    BACKOFF_CAP_USEC = 4000000,
    /* Where a person must change a table first. */
    BACKOFF_SCHEMA_FLOOR_USEC = 1000000,
    BACKOFF_SCHEMA_CAP_USEC = 30000000,
    /* Of a worker that ended: also longer than a crash takes to leave its core. */
    BACKOFF_RESTART_FLOOR_USEC = 100000,
    BACKOFF_RESTART_CAP_USEC = 5000000,

    /* ---- a stop, each within the one around it ---- */
    STOP_SOURCE_USEC = 2000000, /* the goodbye to the group */
    STOP_WORKER_USEC = 4000000, /* what is in flight, and that */
    STOP_RUN_USEC = 5000000,    /* then workers are killed */

    /* ---- looks ---- */
    TICK_USEC = 100000,
    /* What people change in tidemill's tables is seen within it. */
    LOOK_EVERY_USEC = 1000000,
    /* A worker without a sign of life is given up; TIDEMILL_HEARTBEAT_SECONDS. */
    HEARTBEAT_SECONDS = 20,

    /* ---- answers of Kafka, for which the loop stands still ---- */
    /* Without it nothing goes on; well below HEARTBEAT_SECONDS, since no sign of
     * life comes meanwhile. */
    KAFKA_ANSWER_MS = 5000,
    KAFKA_SHORT_MS = 500 /* the next look asks again */
};

_Static_assert(STOP_SOURCE_USEC < STOP_WORKER_USEC &&
                   STOP_WORKER_USEC < STOP_RUN_USEC,
               "what is stopped ends before what waits for it");
