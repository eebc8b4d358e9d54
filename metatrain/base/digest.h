/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.h - XXH3-128 (xxhash) as 32 hex digits: finds damage, does not resist forgery.
 *
 *     mt_digest d;
 *     mt_digest_begin(&d);  mt_digest_add(&d, data, n); ...  mt_digest_end(&d, hex);
 *
 * Nothing here fails except mt_digest_file. */
#ifndef MT_DIGEST_H
#define MT_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define XXH_STATIC_LINKING_ONLY /* the state on the stack, so that nothing can fail */
#include <xxhash.h>

#include "lopt.h"

#define MT_DIGEST_HEX 33

typedef struct mt_digest {
    XXH3_state_t state;
} mt_digest;

void mt_digest_begin(mt_digest *d);
void mt_digest_add(mt_digest *d, const void *data, size_t n);
void mt_digest_end(mt_digest *d, char hex[MT_DIGEST_HEX]);

/* Digest of a file from byte `skip` on, and the size of the whole file. 0 and a sentence if it
 * cannot be read. */
int mt_digest_file(const char *path, int64_t skip, char hex[MT_DIGEST_HEX], int64_t *n_bytes, lopt_error *err);

#endif
