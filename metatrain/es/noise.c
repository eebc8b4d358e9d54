/* SPDX-License-Identifier: Apache-2.0
 *
 * noise.c - see noise.h. */
#include "es/noise.h"

#include <string.h>

#include "rng/rng.h"

mt_chunk mt_noise_chunk(const mt_noise *noise, size_t from) {
    const unsigned char *theta = noise->trained;
    const unsigned char *begin = memchr(theta + from, 1, noise->n - from);
    if (!begin) return (mt_chunk){noise->n, 0};
    size_t left = noise->n - (size_t)(begin - theta), most = left < MT_NOISE_CHUNK ? left : MT_NOISE_CHUNK;
    const unsigned char *end = memchr(begin, 0, most);
    return (mt_chunk){(size_t)(begin - theta), end ? (size_t)(end - begin) : most};
}

size_t mt_count_noise_chunks(const mt_noise *noise) {
    size_t count = 0, from = 0;
    for (mt_chunk at; (at = mt_noise_chunk(noise, from)).n > 0; from = at.begin + at.n) count++;
    return count;
}

void mt_draw_noise(const mt_noise *noise, int64_t particle, int64_t draw, mt_chunk chunk, float *delta) {
    lopt_rng_stream r;
    lopt_rng_open_stream(
        &r, (lopt_rng_address){noise->seed, LOPT_RNG_NOISE, (uint64_t)particle, (uint64_t)draw, chunk.begin});
    lopt_rng_fill_normals(&r, chunk.n, delta);
    for (size_t i = 0; i < chunk.n; i++) delta[i] *= noise->std;
}
