/* SPDX-License-Identifier: Apache-2.0
 *
 * pairs.h - two standard normals from each 64-bit output of a stream: the inner part of
 * random_normals (random.h says how exact), for each instruction set, all with the same bits. */
#ifndef RANDOM_PAIRS_H
#define RANDOM_PAIRS_H

#include <stdint.h>

enum { RANDOM_PAIRS = 512 }; /* at most, at a time: they stay in the first cache */

/* out[2 n] <- the pairs of output[n]. */
typedef void random_pairs(int n, const uint64_t *output, float *out);

random_pairs random_pairs_portable, random_pairs_avx2, random_pairs_avx512;

/* Those of this build that this machine runs, best first; NULL past the last. */
random_pairs *random_pairs_usable(int i);

#endif
