/* SPDX-License-Identifier: Apache-2.0
 *
 * hidden.h - hidden layers of a perceptron, from a spec: n_hidden, hidden, activation, norm, dropout, per_task.
 *
 *     task_hidden hidden = task_hidden_plan(m, spec);
 *     for (l < spec->n_hidden) x = task_hidden_layer(m, x, spec->hidden[l], &hidden);
 *
 * Where per_task is set, activation and initialisation come from tau. */
#ifndef TASK_HIDDEN_H
#define TASK_HIDDEN_H

#include "base/setting.h"
#include "layers/init.h"

typedef struct task_hidden {
    task_init init; /* of the weights, also for layers outside of the hidden ones */
    int per_task;
    size_t which; /* tau: the activation */
    task_activation_kind activation;
    task_norm norm;
    double dropout;
} task_hidden;

task_hidden task_hidden_plan(task_model *m, const task_spec *spec);
int task_hidden_layer(task_model *m, int x, int width, const task_hidden *hidden); /* dense .. activation */
int task_hidden_activation(task_model *m, int x, const task_hidden *hidden);       /* it alone */
/* " 64-32-10 relu, batch 64" behind the first n characters of t->name. */
void task_hidden_name(task *t, size_t n, int in, int out, const task_spec *spec);

// clang-format off
#define TASK_ACTIVATION_SETTING                                                                                        \
    {"activation", TASK_CHOICE(activation), TASK_WORDS(TASK_ACTIVATIONS), "relu", NULL,                                \
     "what follows each hidden layer"}
#define TASK_NORM_SETTING                                                                                              \
    {"norm", TASK_CHOICE(norm), TASK_WORDS(TASK_NORMS), "none", NULL,                                                  \
     "normalisation between a hidden layer and its activation (perceptrons, convolutional nets)"}
#define TASK_DROPOUT_SETTING                                                                                           \
    {"dropout", TASK_NUMBER(dropout), "[0, 0.999]", "0", NULL,                                                         \
     "fraction of a hidden layer that is dropped at random (perceptrons, transformers)"}
#define TASK_HIDDEN_SETTINGS                                                                                           \
    {"hidden", TASK_INTEGERS(hidden, TASK_MAX_HIDDEN, offsetof(task_spec, n_hidden)), "[1, 65536]", "[32]", "units",   \
     "widths of the hidden layers; `[]`: a linear model"},                                                             \
    TASK_ACTIVATION_SETTING,                                                                                           \
    TASK_NORM_SETTING
// clang-format on

#endif
