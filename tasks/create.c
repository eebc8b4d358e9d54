/* SPDX-License-Identifier: Apache-2.0
 *
 * create.c - a task from what a spec says: of its kind, then wrapped by its augmentations. */
#include "augment/augment.h"
#include "task.h"

/* The first examples of a batch are a batch of fewer. */
static int reduce_batch_size(int batch_size, double fraction) {
    int fewer = (int)(batch_size * fraction);
    return fewer < 1 && batch_size > 0 ? 1 : fewer;
}

task *task_create(const task_spec *spec, lopt_error *err) {
    task_spec resolved = *spec;
    if (!task_spec_resolve(&resolved, err) || !task_augment_check(&resolved, err)) return NULL;
    resolved.batch_size = reduce_batch_size(resolved.batch_size, resolved.batch_fraction);
    const task_kind *kind = task_kind_find(resolved.task);
    if (!task_check_settings(kind->name, kind->settings, kind->n_settings, &resolved, err)) return NULL;
    return task_add_augmentations(task_create_of_kind(kind, NULL, &resolved, err), &resolved, err);
}
