/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16.c - a task whose parameters, data and gradients are bfloat16: 8 bits of a float's 24.
 *
 * Parameters are rounded (to the nearest, ties to even) when they start and after every step, so a step below
 * half a unit in the last place is lost, as it is where a network is kept in bfloat16. Products and sums are
 * made in float32, as the units of processors that multiply bfloat16 numbers make them. Source: the task
 * augmentations of VeLO (Metz et al. 2022). */
#include <math.h>
#include <string.h>

#include "base/declare.h"
#include "model/delegate.h"
#include "model/model.h"

static real round_to_bf16(real x) {
    float f = (float)x;
    uint32_t bits;
    if (!isfinite(f)) return x;
    memcpy(&bits, &f, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&f, &bits, sizeof f);
    return (real)f;
}

static void round_all_to_bf16(size_t n, real *x) {
    for (size_t i = 0; i < n; i++) x[i] = round_to_bf16(x[i]);
}

static void bf16_initial_params(const task *t, const real *tau, lopt_rng_stream *r, real *params) {
    task_initial_params(t->inner, tau, r, params);
    round_all_to_bf16(t->n_params, params);
}

static void bf16_after_step(const task *t, const real *tau, real *params) {
    round_all_to_bf16(t->n_params, params);
    task_after_step(t->inner, tau, params);
}

static void bf16_draw_batch(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    const task *plain = t;
    task_draw_batch(t->inner, tau, split, r, work);
    while (plain->inner) plain = plain->inner;
    if (plain->model) task_model_map_inputs(plain->model, work, round_all_to_bf16);
}

static real bf16_loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    real value = task_compute_loss(t->inner, tau, work, params, grads);
    if (grads) round_all_to_bf16(t->n_params, grads);
    return value;
}

static int bf16_create(task *t, const task_spec *spec, lopt_error *err) {
    (void)spec, (void)err;
    task_append_name(t, ", bf16");
    return 1;
}

static const task_setting bf16_settings[] = {
    {"augment.dtype", TASK_CHOICE(bf16), "float32|bfloat16", "float32", NULL,
     "precision of parameters, data and gradients"},
};

const task_kind task_wrapper_bf16 = {
    .name = "bf16",
    .settings = bf16_settings,
    .n_settings = TASK_COUNT(bf16_settings),
    .create = bf16_create,
    .initial_params = bf16_initial_params,
    .after_step = bf16_after_step,
    .draw_batch = bf16_draw_batch,
    .loss = bf16_loss,
};
