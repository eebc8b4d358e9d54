/* SPDX-License-Identifier: Apache-2.0
 *
 * ending.h - bias and activation, which end a layer of weights: y = f(z + b).
 *
 *     e = task_ending_make(rows, cols, has_bias);         linear, until the layer's `fuse` calls
 *     return task_ending_fuse(m, &e, next);               1: it does next's work from now on
 *     real *z = task_ending_z(&e, run, out);              where the products go: [rows, cols]
 *     task_ending_forward(&e, run, first, n, b, z, y);    rows first..first+n, once they are there
 *     task_ending_backward(&e, run, z, y, dy, db);        dy becomes the gradient of z, db that of b
 *
 * Without a bias nothing is fused and nothing done: z is y, b and db are not looked at. */
#ifndef TASK_ENDING_H
#define TASK_ENDING_H

#include "layers/activation.h"

typedef struct task_ending {
    int rows, cols, has_bias;
    task_activation_choice activation;
    size_t z; /* work, where the gradient of an activation needs what it read */
    const task_elementwise *elementwise;
} task_ending;

task_ending task_ending_make(int rows, int cols, int has_bias);
int task_ending_fuse(task_model *m, task_ending *e, const task_layer *next);
real *task_ending_z(const task_ending *e, const task_run *run, const task_layer *l);
void task_ending_forward(const task_ending *e, const task_run *run, int first, int n, const real *b, real *z, real *y);
void task_ending_backward(const task_ending *e, const task_run *run, const real *z, const real *y, real *dy, real *db);

#endif
