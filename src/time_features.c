/* SPDX-License-Identifier: Apache-2.0
 *
 * time_features.c - embeddings of the step (Metz et al. 2018, 1810.10180). */
#include "time_features.h"

#include <math.h>

void lopt__time_tanh(int64_t t, float out[LOPT__N_TIME])
{
    static const float timescale[LOPT__N_TIME] = {1,    3,    10,    30,    100,   300,
                                                  1000, 3000, 10000, 30000, 100000};
    for (int i = 0; i < LOPT__N_TIME; i++)
        out[i] = tanhf((float)t / timescale[i] - 1.0f);
}
