#pragma once
/* SHA-256 (FIPS 180-4), for naming what was loaded: one pass, no allocation.
 * Not for secrets. */
#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t total; /* bytes so far */
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_put(struct sha256 *s, const void *p, size_t len);
/* The same behind its length, so that no two rows of texts are alike; NULL is
 * another text than "". */
void sha256_put_text(struct sha256 *s, const char *p, size_t len);
/* The digest as 64 hex digits and a NUL. */
void sha256_hex(struct sha256 *s, char out[65]);
