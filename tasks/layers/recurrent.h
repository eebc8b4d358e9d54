/* SPDX-License-Identifier: Apache-2.0
 *
 * recurrent.h - recurrent cells, unrolled over a sequence from a learned state, differentiated through all of it.
 *
 *     x = task_add_recurrent(m, x, TASK_LSTM, 256);       x[time, batch, in] -> [time, batch, 256], every step's h
 *
 * The time comes first, so that a step is one block of memory: x of all steps goes through one matrix product
 * before the first step, and so do the gradients of the weights after the last. The states before the first step
 * are tensors, zeros at the start: "h0" [width], and "c0" [width] of an LSTM, the same for all sequences.
 *
 * LSTM     i, g, f, o = [x, h] W + b;  c' = sigmoid(f + 1) c + sigmoid(i) tanh(g);  h' = sigmoid(o) tanh(c').
 *          "lstm_w" [in + width, 4 width], TN(1/sqrt(in + width)); "lstm_b", 0.
 * GRU      z, r = sigmoid(x Wi + h Wh + b);  a = tanh(x Wi + (r h) Wh + b);  h' = (1 - z) h + z a, each with its
 *          columns z, r, a of "gru_wi" [in, 3 width] and "gru_wh" [width, 3 width], truncated normals of variance
 *          1 / rows, and "gru_b", 0.
 * Vanilla  h' = relu(x Wi + bi + h Wh + bh); "rnn_wi", "rnn_wh" of TN(1/sqrt(rows)), "rnn_bi", "rnn_bh", 0.
 * IRNN     the same with the identity for "rnn_wh" at the start.
 * Source   Haiku's cells. */
#ifndef TASK_RECURRENT_H
#define TASK_RECURRENT_H

#include "model/model.h"

int task_add_recurrent(task_model *m, int x, task_cell cell, int width);

#endif
