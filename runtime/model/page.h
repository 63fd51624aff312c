#pragma once
/*
 * The page of shared memory between the supervisor and its workers, mapped
 * before the first fork. A worker writes only its own slot and the lanes that
 * it owns; the supervisor reads all of it for the live line, /metrics and
 * /status. All counters are 64 bit and written by one process at a time, so a
 * reader sees old or new, never torn. What is more than one number, or says that
 * something else is complete, has functions here: a processor may show writes of
 * another one in any order (arm64 does), so these put it right. Nothing here steers
 * the data path: a page of rubbish cannot lose a record.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct plan;

enum {
    PAGE_WORKERS = 64,
    PAGE_LANES = 65536, /* memory is taken only for those that there are */
    PAGE_PLACES = 2 * PAGE_LANES,
    PAGE_BOUNDS = 11, /* of times */
    PAGE_POISON = 1024,
    PAGE_TABLES = 1024,
    PAGE_NAME =
        160 /* of a table, as the plan writes it; what is longer is cut */
};

/* Exit status of a worker: what it tells the supervisor last. */
enum worker_exit {
    WORKER_DONE = 0,
    WORKER_CONFIG = 78, /* EX_CONFIG: restarting cannot help */
    WORKER_FENCED = 75, /* the instance id is in use elsewhere: not restarted */
    WORKER_FAILED = 70  /* EX_SOFTWARE: restart with backoff */
};

enum page_counter {
    COUNT_EVENTS,         /* applied: their position is committed */
    COUNT_EVENTS_IGNORED, /* no projection had a handler for the type */
    COUNT_EVENTS_SKIPPED, /* tombstones, heartbeats, transaction records */
    COUNT_BATCHES,
    COUNT_ROWS_WRITTEN,
    COUNT_ROWS_UNCHANGED,
    COUNT_BATCH_RETRIES,
    COUNT_COMMIT_UNKNOWN,
    COUNT_FENCED,
    COUNT_REBALANCES,
    COUNT_COLUMN_FAULTS,
    COUNT_BYTES,        /* record bytes of applied events */
    COUNT_STARVED_USEC, /* consumer empty while there was lag */
    COUNT_DEAD_LETTERS, /* records set aside since they failed */
    COUNT_HELD,         /* records set aside after a failed one of their key */
    COUNT_LETTERS_DONE, /* dead letters applied by a retry */
    COUNT_ISOLATIONS,   /* transactions refused while a bad record was sought */
    COUNT_RULE_FAULTS,  /* the pipeline's failure rule raised, or said what it
                           may not */
    COUNT_BREAKER_OPENS,
    COUNT_REPEATED, /* changes left out by `once` */
    COUNT_CACHE_HITS,
    COUNT_CACHE_MISSES, /* rows of cached projections that were loaded */
    COUNT_CACHE_STALE,  /* batches done again since a cached row had changed */
    COUNT_CACHE_EVICTED,
    COUNTERS
};
/* Of a batch. */
enum page_stage {
    STAGE_DECODE,
    STAGE_LUA,
    STAGE_LOAD,
    STAGE_WRITE,
    STAGE_COMMIT,
    STAGES
};
enum page_gauge {
    GAUGE_POOL_SIZE,
    GAUGE_POOL_IN_USE,
    GAUGE_POOL_MAX,
    GAUGE_INBOX_BYTES,
    GAUGE_INBOX_EVENTS,
    GAUGE_PREFETCH_BYTES,
    GAUGE_BATCH_AVERAGE,
    GAUGE_BATCHES_IN_FLIGHT,
    GAUGE_LUA_BYTES,
    GAUGE_BREAKER, /* enum breaker_state: 0 closed, 1 half-open, 2 open */
    GAUGE_CACHE_BYTES,
    GAUGE_HELD_BYTES,
    GAUGES
};

/* Times that were measured. */
struct page_times {
    uint64_t usec;           /* all together */
    uint64_t n[PAGE_BOUNDS]; /* by the first bound that is not below */
};
/* usec, ascending; the last one is above all: of steps and batches, and of how
 * old events are. */
extern const uint64_t page_bounds[PAGE_BOUNDS];
extern const uint64_t page_age_bounds[PAGE_BOUNDS];

/* What the kernel says of a process; the supervisor writes it once a second. */
struct page_process {
    uint64_t cpu_usec; /* of a worker: those before it in its slot, too */
    uint64_t resident_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
    int64_t started_ms; /* Unix time; 0: there is none now */
};

/* One record; written and read by page_place_*. */
struct page_place {
    uint32_t is_set; /* the rest holds */
    int32_t partition;
    int64_t offset;
    char topic[252];
};

struct page_worker {
    int32_t pid;
    uint32_t restarts;
    uint64_t heartbeat_usec; /* CLOCK_MONOTONIC; 0: not started */
    uint32_t is_ready;       /* lanes assigned and database reached */
    uint32_t in_handler;     /* 1 while Lua runs */
    uint32_t in_rule;        /* 1 while the failure rule is asked */
    uint64_t counters[COUNTERS];
    struct page_times stages[STAGES];
    struct page_times batches; /* from the lease of its records to its COMMIT */
    struct page_times event_ages; /* from the record's time to its COMMIT */
    int64_t committed_ms;         /* Unix time of the last batch; 0: none yet */
    struct page_process process;
    uint64_t gauges[GAUGES];
    uint64_t errors[ERR_CLASSES];
    char waiting_for[256]; /* why it is not ready, for people; or "" */
    /* The record whose handler ran when the worker crashed, or was asked. */
    struct page_place at;
};

enum page_lane_state {
    PAGE_LANE_FREE,
    PAGE_LANE_UNOWNED,
    PAGE_LANE_RUNNING,
    PAGE_LANE_HALTED,
    PAGE_LANE_STATES
};

/* How long a wait lasts decides what it is. */
enum page_wait {
    WAIT_NONE,
    WAIT_NOTED,   /* may be well: people can see it */
    WAIT_BLOCKED, /* the run is not ready */
    WAITS
};

struct page_lane {
    uint32_t state; /* enum page_lane_state */
    int32_t worker; /* slot that owns it; -1: none */
    int32_t partition;
    char topic[252];    /* Kafka allows 249 */
    int64_t position;   /* next offset, as committed in the database */
    int64_t high;       /* end of the partition, last seen */
    int64_t end;        /* --until-end: where to stop; -1: not yet known */
    int64_t epoch;      /* as claimed last; 0: not yet */
    int64_t event_ms;   /* time of the record below the position; 0: none yet */
    uint32_t reached;   /* position >= end, or partition EOF */
    uint32_t letters;   /* of it in tidemill.dead_letter, as last known */
    uint32_t n_running; /* records of it in the batch over which scripts run
                             now */
    uint32_t most;      /* records in its next batch, as lane->most (source.h):
                             a new worker of it must know */
    int64_t halted_since; /* Unix time, while it is halted */
    uint32_t waits;       /* enum page_wait: it is not halted, but stands */
    uint32_t is_let_go;   /* gone, and a person has seen to it */
    int64_t first;        /* -- unowned, as waits.h saw it: first offset */
    uint64_t lost_since;  /* nobody of the pipeline reads it (usec); 0: not */
    int64_t stored;       /* position in the database; -1: none */
    char owner[256];      /* who claimed it last */
    char message[400];    /* why it is halted, or stands; or "" */
};

/* A record at which a worker died: see poison_table.h. */
struct page_poison {
    struct page_place place;
    uint32_t deaths;
    char how[64]; /* the last one, for people */
};

/* Where the run found the table of a projection. */
struct page_table {
    uint64_t name;   /* hash of what the projection calls it */
    uint32_t oid;    /* 0: not yet */
    char schema[64]; /* PostgreSQL's names have 63 bytes at most */
};

/* What a worker did to a table. */
struct page_rows {
    uint64_t events; /* applied, that its projections took */
    uint64_t written;
    uint64_t unchanged;
};

/* The same of each worker. Two projections may write one table: they have one
 * of these. */
struct page_written {
    char table[PAGE_NAME]; /* as the plan writes it */
    struct page_rows of[PAGE_WORKERS];
};

struct page {
    uint32_t n_workers;
    uint32_t heartbeat_seconds; /* a worker that stands still for so long is
                                   killed */
    uint32_t lock;              /* pid of who adds a lane just now; or 0 */
    uint32_t n_lanes;           /* see page_n_lanes() */
    uint32_t all_lanes;         /* see page_has_all() */
    uint32_t until_end;
    uint64_t started_usec;
    uint32_t rule_deaths; /* workers that died while the failure rule was
                             asked: two, and it is asked no more */
    uint32_t n_poison; /* ever added: see poison_table.h for what gives way */
    struct page_poison poison[PAGE_POISON];
    struct page_table tables[PAGE_TABLES]; /* by projection */
    uint32_t written_as[PAGE_TABLES];      /* by projection: which of these */
    uint32_t n_written;
    struct page_written written[PAGE_TABLES];
    struct page_process process; /* the supervisor */
    struct page_worker workers[PAGE_WORKERS];
    uint32_t places[PAGE_PLACES]; /* by hash: number of the lane, plus one */
    struct page_lane lanes[PAGE_LANES];
};

/* Maps a zeroed page that survives fork; NULL only without memory. */
struct page *page_new(uint32_t n_workers);
void page_free(struct page *p);
/* Which tables are counted: those of the first PAGE_TABLES projections. Before
 * the first fork. */
void page_name_tables(struct page *p, const struct plan *plan);
/* What the worker in that slot did to the table of a projection; NULL: it is not
 * counted. */
struct page_rows *page_rows(struct page *p, uint32_t projection, uint32_t slot);
/* One more time; and how many there are. */
void page_time(struct page_times *t, uint64_t usec);
/* The same, of those that are much alike: *bucket is where the last one was. */
void page_time_near(struct page_times *t, const uint64_t bounds[PAGE_BOUNDS],
                    uint64_t usec, uint32_t *bucket);
uint64_t page_times_count(const struct page_times *t);
/* The lane's entry, made if new; NULL when the page is full, or for now, since a
 * process was stopped while it added one: to be asked again later. */
struct page_lane *page_lane(struct page *p, const char *topic,
                            int32_t partition);
/* lanes[0..n) are in use. */
uint32_t page_n_lanes(const struct page *p);
/* Every partition of every topic is listed. */
void page_set_all(struct page *p);
bool page_has_all(const struct page *p);
/* The process that writes is one at a time; these may be called in its signal
 * handlers. */
void page_place_clear(struct page_place *at);
void page_place_set(struct page_place *at, const char *topic, int32_t partition,
                    int64_t offset);
/* A copy that holds; false: none is set, and out->is_set says so too. */
bool page_place_get(const struct page_place *at, struct page_place *out);
/* That process is no more. */
void page_unlock(struct page *p, uint32_t pid);
