/* SPDX-License-Identifier: Apache-2.0
 *
 * time_features.c - embeddings of the step (Metz et al. 2018, 1810.10180; 2020, 2009.11243;
 * fraction: VeLO, 2211.09760). */
#include "kernels/time_features.h"

#include <math.h>

static const float timescale[LOPT__N_TIME] = {1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000};

void lopt__time_features_tanh(int64_t t, float out[LOPT__N_TIME]) {
    for (int i = 0; i < LOPT__N_TIME; i++) out[i] = tanhf((float)t / timescale[i] - 1.0f);
}

void lopt__time_features_sin(int64_t t, float out[LOPT__N_TIME]) {
    const float pi = 3.14159265f;
    for (int i = 0; i < LOPT__N_TIME; i++) out[i] = sinf((float)t / (timescale[i] * pi));
}

void lopt__time_features_fraction(int64_t t, int64_t num_steps, float out[LOPT__N_FRACTION]) {
    static const float mark[LOPT__N_FRACTION] = {0.03f, 0.1f, 0.2f, 0.4f, 0.6f, 0.8f, 0.9f, 1.0f, 1.1f};
    float done = (float)t / (float)num_steps;
    for (int i = 0; i < LOPT__N_FRACTION; i++) out[i] = tanhf((done - mark[i]) * 10.0f);
}
