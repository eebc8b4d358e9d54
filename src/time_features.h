/* SPDX-License-Identifier: Apache-2.0
 *
 * time_features.h - what a learned optimizer is told of the time: the same for every parameter, never
 * normalised. t counts the updates done before this one: 0 at the first. */
#ifndef LOPT_TIME_FEATURES_H
#define LOPT_TIME_FEATURES_H

#include <stdint.h>

#define LOPT__N_TIME 11

/* tanh(t / tau - 1), tau = 1, 3, 10, 30, ..., 100000. */
void lopt__time_tanh(int64_t t, float out[LOPT__N_TIME]);

#endif
