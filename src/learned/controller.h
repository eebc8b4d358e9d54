/* SPDX-License-Identifier: Apache-2.0
 *
 * controller.h - the recurrent network of VeLO (Metz et al. 2022, 2211.09760) and Celo (Moudgil et
 * al. 2025, 2501.12670) that runs over the steps of a training, one row per tensor, and
 * outputs how the per-parameter networks are mixed and scaled.
 *
 *     u = ReLU(x linear_1)         x' = x linear_2 + max over rows of u
 *     LSTM on rows x'              controls = h rnn_to_controls,  step_size = h step_size
 *
 * theta also holds a layer "linear" that the published code computes and discards. It has no effect; it is
 * kept so that published weights can be imported and exported.
 *
 *     lopt__controller_layout(opt, n_inputs, size, n_controls)     in kind->layout
 *     c = lopt__controller_from_theta(opt)                         in kind->prepare
 *     lopt__lstm_reset(&c.lstm, rows, hidden, cell)                in kind->reset
 *     lopt__controller_step(&c, rows, x, hidden, cell, &out)       in kind->step
 *
 * The first inputs of every row are the same (lopt__controller_run_inputs). Celo has no others, so that one
 * row serves all tensors (lopt__schedule_step). */
#ifndef LOPT_CONTROLLER_H
#define LOPT_CONTROLLER_H

#include "kernels/time_features.h"
#include "learned/loss_buffer.h"
#include "learned/lstm.h"

#define LOPT__N_RUN_INPUTS (LOPT__N_FRACTION + LOPT__N_LOSS_FEATURES)

typedef struct lopt__controller {
    int n_inputs, size, n_controls;
    lopt__linear pooled, own; /* linear_1, linear_2 */
    lopt__lstm lstm;
    lopt__linear controls; /* absent if n_controls is 0 */
    lopt__linear step_size;
} lopt__controller;

typedef struct lopt__controller_out {
    float *controls;  /* [rows][n_controls], or NULL */
    float *step_size; /* [rows] */
    float *scratch;   /* [lopt__controller_scratch] */
} lopt__controller_out;

/* Adds blocks lstm_init_state/{hidden,cell} and rnn_params/... to theta. */
void lopt__controller_layout(lopt_optimizer *opt, int n_inputs, int size, int n_controls);
lopt__controller lopt__controller_from_theta(const lopt_optimizer *opt);
size_t lopt__controller_scratch(int size, int64_t rows);
/* x[rows][n_inputs]; hidden and cell in place. */
void lopt__controller_step(const lopt__controller *c, int64_t rows, const float *x, float *hidden, float *cell,
                           const lopt__controller_out *out);

/* The setting num_steps, else (if 0) num_steps of lopt_state_reset, else 10000. */
int64_t lopt__planned_steps(const lopt_optimizer *opt, const lopt_state *state, int hyper);

/* The inputs that all rows share: time as a fraction of num_steps, losses. */
void lopt__controller_run_inputs(const lopt__loss_buffer *losses, int64_t step, int64_t num_steps,
                                 float x[LOPT__N_RUN_INPUTS]);

/* ---- memory of a run ---- */

/* In the state: the losses, then the recurrent state. */
typedef struct lopt__run {
    lopt__loss_buffer *losses;
    float *hidden, *cell; /* [rows][size] */
} lopt__run;

size_t lopt__run_floats(int size, int64_t rows);
lopt__run lopt__run_in_memory(float *memory, int size, int64_t rows);

/* ---- Celo's schedule: one row ---- */

size_t lopt__schedule_scratch(int size);
void lopt__schedule_reset(const lopt__controller *c, float *memory, int64_t num_steps);
/* Records a loss; returns 0.1 exp(step_size) and, unless NULL, controls[n_controls]. */
float lopt__schedule_step(const lopt__controller *c, float *memory, int64_t step, int64_t num_steps, float loss,
                          float *controls, float *scratch);

#endif
