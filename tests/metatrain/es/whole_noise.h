/* SPDX-License-Identifier: Apache-2.0
 *
 * whole_noise.h - the perturbation of all of theta at once, as tests compare it. */
#ifndef WHOLE_NOISE_H
#define WHOLE_NOISE_H

#include <string.h>

#include "es/noise.h"

static inline void whole_noise(const mt_noise *noise, int64_t particle, int64_t draw, float *delta /* [n] */) {
    memset(delta, 0, noise->n * sizeof *delta);
    for (mt_chunk p = mt_noise_chunk(noise, 0); p.n > 0; p = mt_noise_chunk(noise, p.begin + p.n))
        mt_draw_noise(noise, particle, draw, p, delta + p.begin);
}

#endif
