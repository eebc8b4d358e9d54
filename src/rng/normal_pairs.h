/* SPDX-License-Identifier: Apache-2.0
 *
 * normal_pairs.h - two standard normals from each 64-bit output of a stream: the inner loop of
 * lopt_rng_fill_normals (accuracy: rng.h), for each instruction set, all with the same bits. */
#ifndef LOPT_RNG_NORMAL_PAIRS_H
#define LOPT_RNG_NORMAL_PAIRS_H

#include <stdint.h>

enum { LOPT_RNG_PAIRS = 512 }; /* maximum at a time, so that they stay in the L1 cache */

/* out[2 n] <- the pairs of output[n]. */
typedef void lopt_rng_pairs(int n, const uint64_t *output, float *out);

lopt_rng_pairs lopt_rng_pairs_portable, lopt_rng_pairs_avx2, lopt_rng_pairs_avx512;

/* Those that this machine supports, best first; NULL past the last. */
lopt_rng_pairs *lopt_rng_pairs_usable(int i);

#endif
