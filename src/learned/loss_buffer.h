/* SPDX-License-Identifier: Apache-2.0
 *
 * loss_buffer.h - running averages of the loss, for VeLO and Celo (Metz et al. 2022, 2211.09760).
 *
 * Ten bias-corrected means q_i of the loss, with half-lives from 10 steps to num_steps, and the
 * running minimum of each. Nine features compare the distance of each mean from its minimum with that of
 * the next slower mean: clip((q_i - min_i) / max(1e-8, q_{i+1} - min_i) - 1, -1, 1),
 * all 0 for the first two losses.
 *
 *     lopt__loss_buffer_reset(&b, num_steps);
 *     each step: lopt__loss_buffer_update(&b, loss); lopt__loss_buffer_features(&b, out);
 *
 * The slowest decays are so close to 1 that float arithmetic cancels: q is uncertain by up to 0.01.
 * Therefore all operations are in float, in the order of the published code and without fused multiply-adds;
 * only decays are computed in double. A loss is clipped to twice the largest mean. After a NaN loss the features
 * stay NaN. */
#ifndef LOPT_LOSS_BUFFER_H
#define LOPT_LOSS_BUFFER_H

#include <stdint.h>

#define LOPT__N_LOSS_MEANS 10
#define LOPT__N_LOSS_FEATURES 9

/* In the state: floats and int32 only. */
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
