/* SPDX-License-Identifier: Apache-2.0
 *
 * create.c - a task from what a spec says: of its kind, then wrapped by its augmentations. */
#include <math.h>
#include <stdlib.h>

#include "augment/augment.h"
#include "base/task_error.h"
#include "task.h"
#include "task_registry.h"

static task *create_plain(const task_spec *spec, lopt_error *err) {
    task *t = calloc(1, sizeof *t);
    if (!t) {
        task_fail(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
        return NULL;
    }
    t->kind = task_kind_find(spec->task); /* task_spec_resolve has found the name */
    t->loss_bound = INFINITY;
    int ok = t->kind->create(t, spec, err);
    if (ok && !t->tensors) ok = task_fail(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
    if (ok) return t;
    task_destroy(t);
    return NULL;
}

static int check_augmentation(const task_spec *s, lopt_error *err) {
    return task_check_range(s->task, "reparam level", s->reparam, TASK_REPARAM_NONE, TASK_REPARAM_PARAMETER, err) &&
           task_check_range(s->task, "reparam range minimum", s->reparam_min, 1e-10, 1e10, err) &&
           task_check_range(s->task, "reparam range maximum", s->reparam_max, s->reparam_min, 1e10, err) &&
           task_check_range(s->task, "batch fraction", s->batch_fraction, 1e-9, 1, err) &&
           task_check_range(s->task, "es pairs", s->es_pairs, 0, 65536, err) &&
           task_check_range(s->task, "es std", s->es_std, 1e-10, 1e10, err) &&
           task_check_range(s->task, "directions", s->directions, 0, 65536, err) &&
           task_check_range(s->task, "delay", s->delay, 0, 65536, err);
}

/* The first examples of a batch are a batch of fewer. */
static int reduced(int batch_size, double fraction) {
    int fewer = (int)(batch_size * fraction);
    return fewer < 1 && batch_size > 0 ? 1 : fewer;
}

task *task_create(const task_spec *spec, lopt_error *err) {
    task_spec resolved = *spec;
    if (!task_spec_resolve(&resolved, err) || !check_augmentation(&resolved, err)) return NULL;
    resolved.batch_size = reduced(resolved.batch_size, resolved.batch_fraction);
    return task_augment(create_plain(&resolved, err), &resolved, err);
}
