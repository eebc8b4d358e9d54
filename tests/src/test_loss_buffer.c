/* SPDX-License-Identifier: Apache-2.0
 *
 * The losses that VeLO and Celo remember: against recorded features bit by bit, against double, and
 * at the edges. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "kernels/time_features.h"
#include "learned/loss_buffer.h"
#include "store/hdf5_file.h"

enum { N_STEPS = 5, N_TENSORS = 8, N_INPUTS = 30 };

/* PyLO's controller inputs: 9 to 17 are the loss features, the same for every tensor. */
Test(loss_buffer, recorded_features_bit_by_bit) {
    lopt_error err = {0};
    float loss[N_STEPS], inputs[N_STEPS][N_TENSORS][N_INPUTS], out[LOPT__N_LOSS_FEATURES];
    mt_hdf5 *f = mt_hdf5_open("tests/golden/velo_small.h5", &err);
    cr_assert(f, "%s", err.text);
    cr_assert(mt_hdf5_read(f, "case_0/loss", MT_FLOATS, N_STEPS, loss, &err), "%s", err.text);
    cr_assert(mt_hdf5_read(f, "case_0/aux/rnn_inputs", MT_FLOATS, N_STEPS * N_TENSORS * N_INPUTS, inputs, &err), "%s",
              err.text);
    mt_hdf5_close(f);
    lopt__loss_buffer b;
    lopt__loss_buffer_reset(&b, 100);
    for (int t = 0; t < N_STEPS; t++) {
        lopt__loss_buffer_update(&b, loss[t]);
        lopt__loss_buffer_features(&b, out);
        for (int i = 0; i < LOPT__N_LOSS_FEATURES; i++)
            cr_assert(out[i] == inputs[t][0][9 + i], "step %d, feature %d: %.9g, recorded %.9g", t, i, (double)out[i],
                      (double)inputs[t][0][9 + i]);
    }
}

Test(loss_buffer, worked_numbers) {
    static const float losses[] = {1.0f, 1.5f, 1.2f, 1.4f, 1.1f};
    static const double expected[] = {0.0138367, 0.0111926, 0.0089526, 0.0071029, 0.0056018,
                                      0.0043985, 0.0034421, 0.0026870, 0.0020936};
    lopt__loss_buffer b;
    float out[LOPT__N_LOSS_FEATURES];
    lopt__loss_buffer_reset(&b, 100);
    for (int t = 0; t < 5; t++) {
        lopt__loss_buffer_update(&b, losses[t]);
        lopt__loss_buffer_features(&b, out);
        for (int i = 0; t < 2 && i < LOPT__N_LOSS_FEATURES; i++)
            cr_assert(out[i] == 0, "step %d: %g", t, (double)out[i]);
    }
    for (int i = 0; i < LOPT__N_LOSS_FEATURES; i++)
        cr_assert(fabs(out[i] - expected[i]) < 1e-5, "feature %d: %.7f, expected %.7f", i, (double)out[i], expected[i]);
}

Test(loss_buffer, half_lives_run_from_ten_steps_to_all) {
    lopt__loss_buffer b;
    lopt__loss_buffer_reset(&b, 10000);
    cr_assert(b.decay[0] == expf(-0.1f), "%.9g", (double)b.decay[0]);
    cr_assert(b.decay[9] == (float)exp(-1e-4), "%.9g", (double)b.decay[9]);
    for (int i = 1; i < LOPT__N_LOSS_MEANS; i++) cr_assert(b.decay[i] > b.decay[i - 1]);
    lopt__loss_buffer_reset(&b, 10);
    for (int i = 0; i < LOPT__N_LOSS_MEANS; i++) cr_assert(b.decay[i] == b.decay[0]);
}

/* A loss that explodes counts as twice the largest mean, so that features stay finite. */
Test(loss_buffer, infinite_losses_are_limited) {
    lopt__loss_buffer b;
    float out[LOPT__N_LOSS_FEATURES];
    lopt__loss_buffer_reset(&b, 100);
    lopt__loss_buffer_update(&b, 1);
    lopt__loss_buffer_update(&b, INFINITY);
    lopt__loss_buffer_update(&b, 1e30f);
    lopt__loss_buffer_features(&b, out);
    for (int i = 0; i < LOPT__N_LOSS_FEATURES; i++)
        cr_assert(isfinite(out[i]) && isfinite(b.mean[i]) && b.mean[i] < 10);
}

Test(loss_buffer, nan_shows) {
    lopt__loss_buffer b;
    float out[LOPT__N_LOSS_FEATURES];
    lopt__loss_buffer_reset(&b, 100);
    for (int t = 0; t < 5; t++) lopt__loss_buffer_update(&b, t == 2 ? NAN : 1);
    lopt__loss_buffer_features(&b, out);
    for (int i = 0; i < LOPT__N_LOSS_FEATURES; i++) cr_assert(isnan(out[i]), "feature %d: %g", i, (double)out[i]);
}

Test(time_features, fraction_and_sine) {
    float out[LOPT__N_TIME];
    lopt__time_features_fraction(40, 100, out);
    static const double mark[] = {0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1};
    for (int i = 0; i < LOPT__N_FRACTION; i++)
        cr_assert(fabs(out[i] - tanh((0.4 - mark[i]) * 10)) < 1e-6, "%d: %g", i, (double)out[i]);
    lopt__time_features_sin(40, out);
    cr_assert(fabs(out[0] - sin(40 / acos(-1.0))) < 1e-5 && fabs(out[3] - sin(40 / (30 * acos(-1.0)))) < 1e-6);
}
