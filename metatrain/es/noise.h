/* SPDX-License-Identifier: Apache-2.0
 *
 * noise.h - the perturbation delta of theta, a function of (seed, particle, draw).
 *
 * delta = std * eps with eps standard normal; zero where theta is frozen. Twins run
 * under theta+delta and theta-delta. Any rank can regenerate any draw, so noise is never stored or
 * sent.
 *
 * It is made chunk by chunk, so that it is used while in the first cache and frozen numbers cost
 * nothing:
 *
 *     float delta[MT_NOISE_CHUNK];
 *     for (mt_chunk p = mt_noise_chunk(&noise, 0); p.n > 0; p = mt_noise_chunk(&noise, p.begin + p.n))
 *         mt_draw_noise(&noise, particle, draw, p, delta);     of theta[p.begin .. p.begin + p.n)
 *
 * A chunk has a random stream of its own, addressed by (particle, draw, begin). */
#ifndef MT_NOISE_H
#define MT_NOISE_H

#include <stddef.h>
#include <stdint.h>

enum { MT_NOISE_CHUNK = 1024 };

typedef struct mt_noise {
    uint64_t seed;
    float std;
    size_t n;                     /* length of theta */
    const unsigned char *trained; /* [n]: 1 where theta is trained, 0 where frozen; borrowed */
} mt_noise;

/* Neighbours in theta, all trained. */
typedef struct mt_chunk {
    size_t begin, n; /* n <= MT_NOISE_CHUNK */
} mt_chunk;

/* The first chunk at or after theta[from]; of size 0 where none is left. Follow one chunk from the
 * end of the other: where a chunk ends depends on where it begins. */
mt_chunk mt_noise_chunk(const mt_noise *noise, size_t from);
size_t mt_count_noise_chunks(const mt_noise *noise); /* how many */

void mt_draw_noise(const mt_noise *noise, int64_t particle, int64_t draw, mt_chunk chunk, float *delta /* [chunk.n] */);

#endif
