/* SPDX-License-Identifier: Apache-2.0
 *
 * normals.c - random_normals of random.h by the best build of pairs.c that this machine runs. */
#include "random/pairs.h"
#include "random/random.h"

#include <stddef.h>

random_pairs *random_pairs_usable(int i) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && i-- == 0)
        return random_pairs_avx512;
    if (__builtin_cpu_supports("avx2") && i-- == 0)
        return random_pairs_avx2;
#endif
    return i == 0 ? random_pairs_portable : NULL;
}

void random_normals(random_stream *r, size_t n, float *out) {
    random_pairs *pairs = random_pairs_usable(0);
    uint64_t output[RANDOM_PAIRS];
    while (n >= 2) {
        size_t now = n / 2 < RANDOM_PAIRS ? n / 2 : RANDOM_PAIRS;
        random_fill(r, now, output);
        pairs((int)now, output, out);
        out += 2 * now;
        n -= 2 * now;
    }
    if (n) {
        float last[2];
        output[0] = random_u64(r);
        pairs(1, output, last);
        *out = last[0];
    }
}
