/* SPDX-License-Identifier: Apache-2.0
 *
 * loss_buffer.h - what VeLO and Celo remember of the losses (Metz et al. 2022, 2211.09760).
 *
 * Ten bias-corrected means q_i of the loss, with half-lives from 10 steps to num_steps, and the
 * least value of each. Nine features say how much worse each mean is than its own least value,
 * compared with the next slower mean: clip((q_i - min_i) / max(1e-8, q_{i+1} - min_i) - 1, -1, 1),
 * all 0 for the first two losses.
 *
 *     lopt__loss_buffer_reset(&b, num_steps);
 *     each step: lopt__loss_buffer_update(&b, loss); lopt__loss_buffer_features(&b, out);
 *
 * The slowest decays are so near 1 that float cancels: q is uncertain by up to a hundredth.
 * Everything is therefore float in the order that the published code has, decays alone are taken in
 * double, and nothing is fused. A loss above twice the largest mean counts as that. A NaN loss
 * makes the features NaN for good. */
#ifndef LOPT_LOSS_BUFFER_H
#define LOPT_LOSS_BUFFER_H

#include <stdint.h>

#define LOPT__N_LOSS_MEANS 10
#define LOPT__N_LOSS_FEATURES 9

/* A part of a state: floats and int32 only. */
typedef struct lopt__loss_buffer {
    float mean[LOPT__N_LOSS_MEANS];
    float running_min[LOPT__N_LOSS_MEANS];
    float decay[LOPT__N_LOSS_MEANS];
    int32_t count; /* losses seen */
} lopt__loss_buffer;

#define LOPT__LOSS_BUFFER_FLOATS (sizeof(lopt__loss_buffer) / sizeof(float))

void lopt__loss_buffer_reset(lopt__loss_buffer *b, int64_t num_steps); /* num_steps >= 1 */
void lopt__loss_buffer_update(lopt__loss_buffer *b, float loss);
void lopt__loss_buffer_features(const lopt__loss_buffer *b, float out[LOPT__N_LOSS_FEATURES]);

#endif
