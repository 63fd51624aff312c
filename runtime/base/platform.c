/* What all of the code takes for granted of a machine. It is compiled before the
 * rest, so that another machine is told so, and not by errors in a hundred files;
 * it includes nothing that such a machine may not have. */

#ifndef __SIZEOF_INT128__
#error "Tidemill needs a compiler with __int128: decimals are computed in it"
#endif

_Static_assert(
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "Tidemill runs on little-endian machines (amd64, arm64): numbers "
    "to and from PostgreSQL are swapped byte by byte everywhere");
_Static_assert(sizeof(void *) == 8 && sizeof(long) == 8,
               "Tidemill runs on 64-bit machines (amd64, arm64): counters of "
               "the shared page, offsets and limits of memory have 64 bits");
_Static_assert(__CHAR_BIT__ == 8 && sizeof(int) == 4 && sizeof(short) == 2,
               "Tidemill needs bytes of 8 bits and an int of 32");
_Static_assert(__GCC_ATOMIC_LONG_LOCK_FREE == 2 &&
                   __GCC_ATOMIC_INT_LOCK_FREE == 2,
               "Tidemill needs numbers of 64 bits that are read and written at "
               "once: processes share the page without locks");
