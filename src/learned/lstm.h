/* SPDX-License-Identifier: Apache-2.0
 *
 * lstm.h - a long short-term memory cell as Haiku defines it, on several rows at once.
 *
 *     [i g f o] = [x, hidden] W + b
 *     cell   <- sigmoid(f + 1) cell + sigmoid(i) tanh(g)
 *     hidden <- sigmoid(o) tanh(cell)
 *
 * The order of the gates is i, g, f, o, and the 1 is added here, not stored in b. */
#ifndef LOPT_LSTM_H
#define LOPT_LSTM_H

#include "learned/linear.h"

/* One step of n rows: x[n][in], hidden[n][size] and cell[n][size] in place. gates: in + size
 * inputs, 4 size outputs. scratch[n * lopt__lstm_scratch(gates)]. */
void lopt__lstm_step(const lopt__linear *gates, int64_t n, const float *x, float *hidden, float *cell, float *scratch);

static inline size_t lopt__lstm_scratch(const lopt__linear *gates) {
    return (size_t)gates->in + (size_t)gates->out;
}

/* An LSTM in theta: a row for each tensor, with a learned initial state. */
typedef struct lopt__lstm {
    int n_inputs, size;
    const float *initial_hidden, *initial_cell; /* [size] */
    lopt__linear gates;
} lopt__lstm;

/* Adds blocks lstm_init_state/{hidden,cell} (0) and layer rnn_params/rnn/linear to theta. */
void lopt__lstm_layout(lopt_optimizer *opt, int n_inputs, int size);
lopt__lstm lopt__lstm_from_theta(const lopt_optimizer *opt);
/* hidden[rows][size] and cell[rows][size] from theta. */
void lopt__lstm_reset(const lopt__lstm *lstm, int64_t rows, float *hidden, float *cell);

#endif
