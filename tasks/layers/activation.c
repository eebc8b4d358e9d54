/* SPDX-License-Identifier: Apache-2.0
 *
 * activation.c - see activation.h. */
#include "layers/activation.h"

typedef struct activation {
    task_layer base;
    size_t n;
    task_activation_choice choice;
    const task_elementwise *elementwise;
} activation;

static const unsigned char published[TASK_N_SAMPLED_ACTIVATIONS] = {TASK_RELU, TASK_RELU, TASK_RELU6, TASK_SELU,
                                                                    TASK_TANH, TASK_COS,  TASK_SIN,   TASK_SIGMOID,
                                                                    TASK_SILU, TASK_SILU, TASK_GELU,  TASK_FOLDED_RELU};

int task_activation_of(task_activation_choice c, const real *tau) {
    return c.fixed == TASK_ACTIVATION_IN_TAU ? published[(int)tau[c.at]] : c.fixed;
}

int task_activation_may_keep_input(task_activation_choice c) {
    return c.fixed == TASK_ACTIVATION_IN_TAU || task_activation_keeps_input(c.fixed);
}

static void activation_forward(const task_layer *l, const task_run *run) {
    const activation *a = (const activation *)l;
    a->elementwise->apply(task_activation_of(a->choice, run->tau), a->n, task_layer_input(run, l, 0),
                          task_layer_output(run, l));
}

static void activation_backward(const task_layer *l, const task_run *run) {
    const activation *a = (const activation *)l;
    a->elementwise->apply_grad(task_activation_of(a->choice, run->tau), a->n, task_layer_input(run, l, 0),
                               task_layer_output(run, l), task_layer_output_grad(run, l), l->adds[0],
                               task_layer_input_grad(run, l, 0));
}

static const task_layer_kind kind = {
    .name = "activation", .forward = activation_forward, .backward = activation_backward};

static int add_activation_layer(task_model *m, int x, task_activation_choice choice) {
    if (x < 0) return -1;
    const task_shape *s = task_value_shape(m, x);
    size_t n = (size_t)(s->rows * s->cols);
    activation *a = task_add_layer(m, &kind, sizeof *a, 1, &x, s->rank, s->dim);
    if (!a) return -1;
    a->n = n;
    a->choice = choice;
    a->elementwise = task_elementwise_best();
    return a->base.out;
}

int task_add_activation(task_model *m, int x, task_activation_kind which) {
    return add_activation_layer(m, x, (task_activation_choice){.fixed = (int)which});
}

int task_add_sampled_activation(task_model *m, int x, size_t at) {
    return add_activation_layer(m, x, (task_activation_choice){TASK_ACTIVATION_IN_TAU, at});
}

int task_is_activation(const task_layer *l, task_activation_choice *c) {
    if (l->kind != &kind) return 0;
    *c = ((const activation *)l)->choice;
    return 1;
}
