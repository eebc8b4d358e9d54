/* SPDX-License-Identifier: Apache-2.0
 *
 * losses.c - see losses.h. */
#include "layers/losses.h"

#include "layers/elementwise.h"

typedef struct cross_entropy {
    task_layer base;
    int rows, classes;
    size_t labels, scratch;
    const task_elementwise *elementwise;
} cross_entropy;

/* The gradient with the loss: both come from the exponentials. It is the last layer, so no gradient is added to. */
static void cross_entropy_forward(const task_layer *l, const task_run *run) {
    const cross_entropy *c = (const cross_entropy *)l;
    *task_out(run, l) = c->elementwise->cross_entropy(
        c->rows, c->classes, task_in(run, l, 0), task_ids(run->work, c->labels),
        task_at(run->work, c->scratch), run->grads ? task_in_grad(run, l, 0) : NULL);
}

static const task_layer_kind cross_entropy_kind = {.name = "cross entropy", .forward = cross_entropy_forward};

int task_cross_entropy(task_model *m, int logits, size_t labels) {
    if (logits < 0) return -1;
    task_shape s = *task_value_shape(m, logits);
    cross_entropy *c = task_layer_add(m, &cross_entropy_kind, sizeof *c, 1, &logits, 0, NULL);
    if (!c) return -1;
    c->rows = (int)s.rows, c->classes = (int)s.cols;
    c->labels = labels;
    c->elementwise = task_elementwise_best();
    c->scratch = task_layer_work(m, task_cross_entropy_scratch(c->rows, c->classes) * sizeof(real));
    return c->base.out;
}
