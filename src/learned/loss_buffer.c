/* SPDX-License-Identifier: Apache-2.0
 *
 * loss_buffer.c - the order of float operations here is part of the definition, see loss_buffer.h.
 * Each product has a statement of its own, because compilers may fuse within one. */
#include "learned/loss_buffer.h"

#include <math.h>

void lopt__loss_buffer_reset(lopt__loss_buffer *b, int64_t num_steps) {
    double longest = log10((double)num_steps);
    for (int i = 0; i < LOPT__N_LOSS_MEANS; i++) {
        double part = (double)i / (LOPT__N_LOSS_MEANS - 1);
        b->decay[i] = (float)exp(-1 / pow(10, (1 - part) + longest * part));
        b->mean[i] = 0;
        b->running_min[i] = 999999999999.0f;
    }
    b->count = 0;
}

/* Mean i, bias-corrected: divided by 1 - decay^exponent. */
static float corrected_mean(const lopt__loss_buffer *b, int i, int32_t exponent) {
    return b->mean[i] / (1.0f - powf(b->decay[i], (float)exponent));
}

/* NaN if either is, unlike fminf. */
static float min_with_nan(float a, float b) {
    return a < b || isnan(a) ? a : b;
}

/* min(loss, twice the largest mean). The exponent is that of the coming step. */
static float limit_new_loss(const lopt__loss_buffer *b, float loss) {
    float largest = loss;
    for (int i = 0; i < LOPT__N_LOSS_MEANS && b->count > 0; i++) {
        float q = corrected_mean(b, i, b->count + 1);
        if (i == 0 || q > largest || isnan(q)) largest = q;
    }
    return min_with_nan(2.0f * fabsf(largest), loss);
}

void lopt__loss_buffer_update(lopt__loss_buffer *b, float loss) {
    loss = limit_new_loss(b, loss);
    for (int i = 0; i < LOPT__N_LOSS_MEANS; i++) {
        float kept = b->mean[i] * b->decay[i];
        float added = loss * (1.0f - b->decay[i]);
        b->mean[i] = kept + added;
        b->running_min[i] = min_with_nan(b->running_min[i], corrected_mean(b, i, b->count + 1));
    }
    b->count++;
}

void lopt__loss_buffer_features(const lopt__loss_buffer *b, float out[LOPT__N_LOSS_FEATURES]) {
    for (int i = 0; i < LOPT__N_LOSS_FEATURES; i++) {
        if (b->count <= 2) {
            out[i] = 0;
            continue;
        }
        float above = corrected_mean(b, i, b->count) - b->running_min[i];
        float slower = corrected_mean(b, i + 1, b->count) - b->running_min[i];
        float x = above / (slower < 1e-8f ? 1e-8f : slower) - 1.0f;
        out[i] = x > 1 ? 1 : x < -1 ? -1 : x; /* NaN stays NaN */
    }
}
