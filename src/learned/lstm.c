/* SPDX-License-Identifier: Apache-2.0
 *
 * lstm.c - see lstm.h. */
#include "learned/lstm.h"

#include <string.h>

#include "kernels/kernels.h"

void lopt__lstm_step(const lopt__linear *gates, int64_t n, const float *x, float *hidden, float *cell, float *scratch) {
    int size = gates->out / 4, n_x = gates->in - size;
    float *both = scratch, *z = scratch + n * gates->in;
    for (int64_t r = 0; r < n; r++) {
        memcpy(both + r * gates->in, x + r * n_x, (size_t)n_x * sizeof(float));
        memcpy(both + r * gates->in + n_x, hidden + r * size, (size_t)size * sizeof(float));
    }
    lopt__linear_forward(gates, n, both, z);
    lopt__kernels_current()->lstm_cell(n, size, z, hidden, cell);
}

/* ---- rows of an optimizer -------------------------------------------------------------------- */

#define GATES "rnn_params/rnn/linear"

void lopt__lstm_layout(lopt_optimizer *opt, int n_inputs, int size) {
    int64_t one_row[] = {1, size};
    lopt__add_block(opt, "lstm_init_state/hidden", 2, one_row, LOPT__INIT_ZERO, 0);
    lopt__add_block(opt, "lstm_init_state/cell", 2, one_row, LOPT__INIT_ZERO, 0);
    lopt__linear_layout(opt, GATES, n_inputs + size, 4 * size);
}

lopt__lstm lopt__lstm_from_theta(const lopt_optimizer *opt) {
    lopt__lstm l = {
        .initial_hidden = opt->theta + lopt_block_find(opt, "lstm_init_state/hidden")->offset,
        .initial_cell = opt->theta + lopt_block_find(opt, "lstm_init_state/cell")->offset,
        .gates = lopt__linear_from_theta(opt, GATES),
    };
    l.size = l.gates.out / 4;
    l.n_inputs = l.gates.in - l.size;
    return l;
}

void lopt__lstm_reset(const lopt__lstm *l, int64_t rows, float *hidden, float *cell) {
    for (int64_t r = 0; r < rows; r++) {
        memcpy(hidden + r * l->size, l->initial_hidden, (size_t)l->size * sizeof(float));
        memcpy(cell + r * l->size, l->initial_cell, (size_t)l->size * sizeof(float));
    }
}
