/* SPDX-License-Identifier: Apache-2.0
 *
 * controller.c - see controller.h. */
#include "learned/controller.h"

#include <math.h>

void lopt__controller_layout(lopt_optimizer *opt, int n_inputs, int size, int n_controls) {
    lopt__lstm_layout(opt, size, size);
    lopt__linear_layout(opt, "rnn_params/linear", n_inputs, size);
    lopt__linear_layout(opt, "rnn_params/linear_1", n_inputs, size);
    lopt__linear_layout(opt, "rnn_params/linear_2", n_inputs, size);
    if (n_controls) lopt__linear_layout(opt, "rnn_params/rnn_to_controls", size, n_controls);
    lopt__linear_layout(opt, "rnn_params/step_size", size, 1);
}

lopt__controller lopt__controller_from_theta(const lopt_optimizer *opt) {
    lopt__controller c = {
        .pooled = lopt__linear_from_theta(opt, "rnn_params/linear_1"),
        .own = lopt__linear_from_theta(opt, "rnn_params/linear_2"),
        .lstm = lopt__lstm_from_theta(opt),
        .step_size = lopt__linear_from_theta(opt, "rnn_params/step_size"),
    };
    if (lopt_block_find(opt, "rnn_params/rnn_to_controls/w"))
        c.controls = lopt__linear_from_theta(opt, "rnn_params/rnn_to_controls");
    c.n_inputs = c.own.in;
    c.size = c.own.out;
    c.n_controls = c.controls.out;
    return c;
}

/* Two mixed copies of the inputs, then the scratch of the LSTM. */
size_t lopt__controller_scratch(int size, int64_t rows) {
    return (size_t)rows * (size_t)(2 * size + 2 * size + 4 * size);
}

/* Maximum of column j and 0 (the ReLU); NaN if an element is NaN. */
static float largest_of_column(const float *u, int64_t rows, int size, int j) {
    float most = 0;
    for (int64_t r = 0; r < rows; r++) {
        float x = u[r * size + j];
        if (x > most || isnan(x)) most = x;
    }
    return most;
}

static void mix_over_tensors(const lopt__controller *c, int64_t rows, const float *x, float *pooled, float *mixed) {
    lopt__linear_forward(&c->pooled, rows, x, pooled);
    lopt__linear_forward(&c->own, rows, x, mixed);
    for (int j = 0; j < c->size; j++) {
        float most = largest_of_column(pooled, rows, c->size, j);
        for (int64_t r = 0; r < rows; r++) mixed[r * c->size + j] += most;
    }
}

void lopt__controller_step(const lopt__controller *c, int64_t rows, const float *x, float *hidden, float *cell,
                           const lopt__controller_out *out) {
    float *pooled = out->scratch, *mixed = pooled + rows * c->size;
    mix_over_tensors(c, rows, x, pooled, mixed);
    lopt__lstm_step(&c->lstm.gates, rows, mixed, hidden, cell, mixed + rows * c->size);
    if (c->n_controls) lopt__linear_forward(&c->controls, rows, hidden, out->controls);
    lopt__linear_forward(&c->step_size, rows, hidden, out->step_size);
}

int64_t lopt__planned_steps(const lopt_optimizer *opt, const lopt_state *state, int hyper) {
    int64_t setting = (int64_t)opt->value[hyper][0];
    if (setting > 0) return setting;
    return state->header->num_steps > 0 ? state->header->num_steps : 10000;
}

void lopt__controller_run_inputs(const lopt__loss_buffer *losses, int64_t step, int64_t num_steps,
                                 float x[LOPT__N_RUN_INPUTS]) {
    lopt__time_features_fraction(step, num_steps, x);
    lopt__loss_buffer_features(losses, x + LOPT__N_FRACTION);
}

/* ---- memory of a run ------------------------------------------------------------------------- */

size_t lopt__run_floats(int size, int64_t rows) {
    return (size_t)(lopt__round_up(LOPT__LOSS_BUFFER_FLOATS) + 2 * rows * size);
}

lopt__run lopt__run_in_memory(float *memory, int size, int64_t rows) {
    float *hidden = memory + lopt__round_up(LOPT__LOSS_BUFFER_FLOATS);
    return (lopt__run){(lopt__loss_buffer *)(void *)memory, hidden, hidden + rows * size};
}

/* ---- Celo's schedule ------------------------------------------------------------------------- */

size_t lopt__schedule_scratch(int size) {
    return lopt__controller_scratch(size, 1);
}

void lopt__schedule_reset(const lopt__controller *c, float *memory, int64_t num_steps) {
    lopt__run run = lopt__run_in_memory(memory, c->size, 1);
    lopt__loss_buffer_reset(run.losses, num_steps);
    lopt__lstm_reset(&c->lstm, 1, run.hidden, run.cell);
}

float lopt__schedule_step(const lopt__controller *c, float *memory, int64_t step, int64_t num_steps, float loss,
                          float *controls, float *scratch) {
    lopt__run run = lopt__run_in_memory(memory, c->size, 1);
    float x[LOPT__N_RUN_INPUTS], step_size;
    lopt__loss_buffer_update(run.losses, loss);
    lopt__controller_run_inputs(run.losses, step, num_steps, x);
    const lopt__controller_out out = {controls, &step_size, scratch};
    lopt__controller_step(c, 1, x, run.hidden, run.cell, &out);
    return 0.1f * expf(step_size);
}
