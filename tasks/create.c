/* SPDX-License-Identifier: Apache-2.0
 *
 * create.c - a task from what a spec says: of its kind, then wrapped by its augmentations. */
#include <math.h>
#include <stdlib.h>

#include "augment/augment.h"
#include "base/task_error.h"
#include "task.h"
#include "task_registry.h"

static task *create_unwrapped_task(const task_spec *spec, lopt_error *err) {
    const task_kind *kind = task_kind_find(spec->task); /* task_spec_resolve has found the name */
    if (!task_check_settings(kind->name, kind->settings, kind->n_settings, spec, err)) return NULL;
    task *t = calloc(1, sizeof *t);
    if (!t) {
        task_set_error(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
        return NULL;
    }
    t->kind = kind;
    t->loss_bound = INFINITY;
    int ok = kind->create(t, spec, err);
    if (ok && !t->tensors) ok = task_set_error(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
    if (ok) return t;
    task_destroy_task(t);
    return NULL;
}

/* The first examples of a batch are a batch of fewer. */
static int reduce_batch_size(int batch_size, double fraction) {
    int fewer = (int)(batch_size * fraction);
    return fewer < 1 && batch_size > 0 ? 1 : fewer;
}

task *task_create_task(const task_spec *spec, lopt_error *err) {
    task_spec resolved = *spec;
    if (!task_spec_resolve(&resolved, err) || !task_augment_check(&resolved, err)) return NULL;
    resolved.batch_size = reduce_batch_size(resolved.batch_size, resolved.batch_fraction);
    return task_add_augmentations(create_unwrapped_task(&resolved, err), &resolved, err);
}
