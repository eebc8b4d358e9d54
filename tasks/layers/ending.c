/* SPDX-License-Identifier: Apache-2.0
 *
 * ending.c - see ending.h. */
#include "layers/ending.h"

task_ending task_ending_make(int rows, int cols, int has_bias) {
    return (task_ending){.rows = rows,
                         .cols = cols,
                         .has_bias = has_bias,
                         .activation = {.fixed = TASK_LINEAR},
                         .elementwise = task_elementwise_best()};
}

int task_ending_fuse(task_model *m, task_ending *e, const task_layer *next) {
    if (!e->has_bias || e->activation.fixed != TASK_LINEAR || !task_is_activation(next, &e->activation)) return 0;
    if (task_activation_may_keep_input(e->activation))
        e->z = task_add_layer_work(m, (size_t)e->rows * (size_t)e->cols * sizeof(real));
    return 1;
}

real *task_ending_z(const task_ending *e, const task_run *run, const task_layer *l) {
    int activation = task_activation_of(e->activation, run->tau);
    return task_activation_keeps_input(activation) ? task_work_at(run->work, e->z) : task_layer_output(run, l);
}

void task_ending_forward(const task_ending *e, const task_run *run, int first, int n, const real *b, real *z, real *y) {
    if (!e->has_bias) return;
    size_t at = (size_t)first * (size_t)e->cols;
    e->elementwise->activate(task_activation_of(e->activation, run->tau), n, e->cols, b, z + at, y + at);
}

void task_ending_backward(const task_ending *e, const task_run *run, const real *z, const real *y, real *dy, real *db) {
    if (!e->has_bias) return;
    e->elementwise->activate_grad(task_activation_of(e->activation, run->tau), e->rows, e->cols, z, y, dy, db);
}
