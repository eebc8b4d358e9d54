/* SPDX-License-Identifier: Apache-2.0
 *
 * time_features.h - features of the training step, the same for every parameter, not normalised. t is the number
 * of updates done before this one. */
#ifndef LOPT_TIME_FEATURES_H
#define LOPT_TIME_FEATURES_H

#include <stdint.h>

#define LOPT__N_TIME 11
#define LOPT__N_FRACTION 9

/* tanh(t / tau - 1), tau = 1, 3, 10, 30, ..., 100000. */
void lopt__time_features_tanh(int64_t t, float out[LOPT__N_TIME]);
/* sin(t / (tau pi)), the same tau. */
void lopt__time_features_sin(int64_t t, float out[LOPT__N_TIME]);
/* tanh(10 (t / num_steps - f)), f = 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1, 1.1. */
void lopt__time_features_fraction(int64_t t, int64_t num_steps, float out[LOPT__N_FRACTION]);

#endif
