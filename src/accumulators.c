/* SPDX-License-Identifier: Apache-2.0
 *
 * accumulators.c - sizes and decays of the accumulators; kernels/ updates them. */
#include "accumulators.h"

#include <math.h>

size_t lopt__accumulator_floats(const lopt__view *v)
{
    int64_t n = lopt__view_padded(v) * (LOPT__K + 1) + v->n_outer * LOPT__K * v->pitch;
    if (v->factored)
        n += v->n_outer * LOPT__K * v->row_pitch;
    return (size_t)n;
}

lopt__accumulators lopt__accumulators_at(float *data, const lopt__view *v)
{
    lopt__accumulators a;
    a.momentum = data;
    a.rms = a.momentum + lopt__view_padded(v) * LOPT__K;
    a.lane = a.rms + lopt__view_padded(v);
    a.row = v->factored ? a.lane + v->n_outer * LOPT__K * v->pitch : NULL;
    return a;
}

static float clip_unit(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x; /* NaN stays NaN */
}

static float learned_decay(float beta, float offset)
{
    float parameter = logf(1.0f - beta) / 10.0f + offset;
    return 1.0f - expf(10.0f * parameter);
}

void lopt__decays_set(lopt__decays *out, const float beta[2 * LOPT__K + 1], const float *offset,
                      int clip_momentum)
{
    float decay[2 * LOPT__K + 1];
    for (int i = 0; i < 2 * LOPT__K + 1; i++) {
        decay[i] = offset ? learned_decay(beta[i], offset[i]) : beta[i];
        if (i >= LOPT__K || clip_momentum)
            decay[i] = clip_unit(decay[i]);
    }
    for (int k = 0; k < LOPT__K; k++) {
        out->momentum[k] = decay[k];
        out->one_minus_momentum[k] = 1.0f - decay[k];
        out->factored[k] = decay[LOPT__K + 1 + k];
        out->one_minus_factored[k] = 1.0f - decay[LOPT__K + 1 + k];
    }
    out->rms = decay[LOPT__K];
    out->one_minus_rms = 1.0f - decay[LOPT__K];
}
