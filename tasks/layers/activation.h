/* SPDX-License-Identifier: Apache-2.0
 *
 * activation.h - y = f(x), element by element.
 *
 *     x = task_add_activation(m, x, TASK_RELU);
 *     size_t which = task_sample_choice(m, TASK_N_SAMPLED_ACTIVATIONS);
 *     x = task_add_sampled_activation(m, x, which);   tau[which] says which of the published twelve
 *
 * task_activation_choice says what a layer that has fused one computes (dense.c). */
#ifndef TASK_ACTIVATION_H
#define TASK_ACTIVATION_H

#include "math/elementwise.h"
#include "model/model.h"

enum { TASK_N_SAMPLED_ACTIVATIONS = 12 };

/* A fixed one, or the one that tau[at] says. */
typedef struct task_activation_choice {
    int fixed; /* task_activation_kind, TASK_LINEAR or TASK_ACTIVATION_IN_TAU */
    size_t at;
} task_activation_choice;

enum { TASK_ACTIVATION_IN_TAU = -2 };

int task_add_activation(task_model *m, int x, task_activation_kind kind);
int task_add_sampled_activation(task_model *m, int x, size_t at);

int task_activation_of(task_activation_choice c, const real *tau); /* for task_elementwise */
int task_activation_may_keep_input(task_activation_choice c);      /* its gradient may need x, not only y */
/* 1 if the layer is an activation; *c is which. For fuse. */
int task_is_activation(const task_layer *l, task_activation_choice *c);

#endif
