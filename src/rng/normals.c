/* SPDX-License-Identifier: Apache-2.0
 *
 * normals.c - lopt_rng_fill_normals of rng.h by the best build of normal_pairs.c that this machine supports. */
#include "rng/normal_pairs.h"
#include "rng/rng.h"

#include <stddef.h>

lopt_rng_pairs *lopt_rng_pairs_usable(int i) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && i-- == 0)
        return lopt_rng_pairs_avx512;
    if (__builtin_cpu_supports("avx2") && i-- == 0) return lopt_rng_pairs_avx2;
#endif
    return i == 0 ? lopt_rng_pairs_portable : NULL;
}

void lopt_rng_fill_normals(lopt_rng_stream *r, size_t n, float *out) {
    lopt_rng_pairs *pairs = lopt_rng_pairs_usable(0);
    uint64_t output[LOPT_RNG_PAIRS];
    while (n >= 2) {
        size_t now = n / 2 < LOPT_RNG_PAIRS ? n / 2 : LOPT_RNG_PAIRS;
        lopt_rng_fill_u64(r, now, output);
        pairs((int)now, output, out);
        out += 2 * now;
        n -= 2 * now;
    }
    if (n) {
        float last[2];
        output[0] = lopt_rng_draw_u64(r);
        pairs(1, output, last);
        *out = last[0];
    }
}
