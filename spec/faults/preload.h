#pragma once
/*
 * What preload.c shares with whoever arms it: a file of this shape, mapped by
 * both. preload.lua holds the same declarations.
 */
#include <stdint.h>

enum preload_site {
    SITE_MALLOC,
    SITE_CALLOC,
    SITE_REALLOC, /* of the program: mostly by its Lua VM */
    SITE_READ,
    SITE_WRITE,
    SITE_OPEN, /* open, fopen */
    SITE_SEND, /* send, sendmsg */
    SITE_RECV, /* recv, recvmsg */
    SITE_CONNECT,
    SITES,
};

/* Whose calls count: a set of these. */
enum preload_caller { CALLER_PROGRAM = 1, CALLER_LIBPQ = 2, CALLER_KAFKA = 4 };

struct preload_state {
    int64_t left;    /* calls until one fails, 1: the next; 0: never */
    int64_t period;  /* what [left] becomes then */
    int64_t calls;   /* that were counted, ever */
    int64_t fired;   /* of them, those that failed */
    int32_t error;   /* errno of a failure */
    uint32_t caller; /* enum preload_caller */
};

struct preload_control {
    int64_t clock_offset_usec; /* added to the wall clock */
    int64_t clock_shifted;     /* readings that were */
    struct preload_state sites[SITES];
};
