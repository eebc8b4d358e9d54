/* SPDX-License-Identifier: Apache-2.0
 *
 * noise.h - the perturbation delta of theta, a function of (seed, particle, draw).
 *
 * delta = std * eps with eps standard normal (spec A.1.1); zero where theta is frozen. Twins run
 * under theta+delta and theta-delta. Any rank can regenerate any draw, so noise is never stored or
 * sent. */
#ifndef MT_NOISE_H
#define MT_NOISE_H

#include <stddef.h>
#include <stdint.h>

typedef struct mt_noise {
    uint64_t seed;
    float std;
    size_t n;             /* length of theta */
    const float *trained; /* [n]: 1 where theta is trained, 0 where frozen; borrowed */
} mt_noise;

void mt_noise_draw(const mt_noise *noise, int64_t particle, int64_t draw, float *delta);

#endif
