/* SPDX-License-Identifier: Apache-2.0
 *
 * accumulators.c - sizes and decays of the accumulators; the kernels update them. */
#include "kernels/accumulators.h"

#include <math.h>

size_t lopt__accumulator_floats(const lopt_optimizer *opt, const lopt__view *v) {
    (void)opt;
    int64_t n = lopt__view_padded(v) * (LOPT__K + 1) + v->n_outer * LOPT__K * v->pitch;
    if (v->factored) n += v->n_outer * LOPT__K * v->row_pitch;
    return (size_t)n;
}

lopt__accumulators lopt__accumulators_at(float *data, const lopt__view *v) {
    lopt__accumulators a;
    a.momentum = data;
    a.rms = a.momentum + lopt__view_padded(v) * LOPT__K;
    a.lane = a.rms + lopt__view_padded(v);
    a.row = v->factored ? a.lane + v->n_outer * LOPT__K * v->pitch : NULL;
    return a;
}

static float clip_to_unit(float x) {
    return x < 0 ? 0 : x > 1 ? 1 : x; /* NaN stays NaN */
}

static float apply_decay_offset(float beta, float offset) {
    float parameter = logf(1.0f - beta) / 10.0f + offset;
    return 1.0f - expf(10.0f * parameter);
}

void lopt__set_decays(lopt__decays *out, const float beta[2 * LOPT__K + 1], const float *offset, int clip_momentum) {
    float decay[2 * LOPT__K + 1];
    for (int i = 0; i < 2 * LOPT__K + 1; i++) {
        decay[i] = offset ? apply_decay_offset(beta[i], offset[i]) : beta[i];
        if (i >= LOPT__K || clip_momentum) decay[i] = clip_to_unit(decay[i]);
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

void lopt__decays_from_settings(lopt__decays *out, const lopt_optimizer *opt, int momentum, int rms, int factored,
                                int clip_momentum) {
    float beta[2 * LOPT__K + 1];
    for (int k = 0; k < LOPT__K; k++) {
        beta[k] = (float)opt->value[momentum][k];
        beta[LOPT__K + 1 + k] = (float)opt->value[factored][k];
    }
    beta[LOPT__K] = lopt__read_number(opt, rms);
    const lopt_block *offsets = lopt_block_find(opt, "momentum_decays");
    lopt__set_decays(out, beta, offsets ? opt->theta + offsets->offset : NULL, clip_momentum);
}
