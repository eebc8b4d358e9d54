/* SPDX-License-Identifier: Apache-2.0
 *
 * hidden.c - see hidden.h. */
#include "models/hidden.h"

#include <stdio.h>
#include <string.h>

#include "layers/activation.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/norm.h"

task_hidden task_hidden_plan(task_model *m, const task_spec *spec) {
    task_hidden h = {.activation = spec->activation, .norm = spec->norm, .dropout = spec->dropout};
    h.per_task = spec->per_task;
    if (!h.per_task) return h;
    h.which = task_sample_choice(m, TASK_N_SAMPLED_ACTIVATIONS);
    h.init = task_init_sampled(m);
    return h;
}

int task_hidden_activation(task_model *m, int x, const task_hidden *h) {
    return h->per_task ? task_add_sampled_activation(m, x, h->which) : task_add_activation(m, x, h->activation);
}

int task_hidden_layer(task_model *m, int x, int width, const task_hidden *h) {
    x = task_add_dense(m, x, width, h->init);
    x = task_add_dropout(m, x, h->dropout);
    if (h->norm == TASK_NORM_LAYER) x = task_add_layer_norm(m, x, 1e-5);
    if (h->norm == TASK_NORM_BATCH) x = task_add_batch_norm(m, x, 1, 1e-5);
    return task_hidden_activation(m, x, h);
}

void task_hidden_name(task *t, size_t n, int in, int out, const task_spec *spec) {
    static const char *const activations[] = {TASK_ACTIVATIONS(TASK_STRING)};
    static const char *const norms[] = {"", " layer norm", " batch norm"};
    char widths[96] = "";
    size_t at = 0;
    for (int l = 0; l < spec->n_hidden && at < sizeof widths; l++)
        at += (size_t)snprintf(widths + at, sizeof widths - at, "%d-", spec->hidden[l]);
    snprintf(t->name + n, sizeof t->name - n, " %d-%s%d %s%s%s, batch %d", in, widths, out,
             spec->per_task ? "any activation" : activations[spec->activation], norms[spec->norm],
             spec->dropout > 0 ? " dropout" : "", spec->batch_size);
}
