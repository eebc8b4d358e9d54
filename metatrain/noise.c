/* SPDX-License-Identifier: Apache-2.0
 *
 * noise.c - see noise.h. */
#include "noise.h"

#include "random/random.h"

void mt_noise_draw(const mt_noise *noise, int64_t particle, int64_t draw, float *delta) {
    random_stream r;
    random_open(&r,
                (random_address){noise->seed, RANDOM_NOISE, (uint64_t)particle, (uint64_t)draw, 0});
    random_normals(&r, noise->n, delta);
    for (size_t i = 0; i < noise->n; i++)
        delta[i] *= noise->std * noise->trained[i];
}
