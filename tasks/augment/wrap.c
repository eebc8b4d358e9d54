/* SPDX-License-Identifier: Apache-2.0
 *
 * wrap.c - see wrap.h. */
#include "augment/wrap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

task *task_wrap(task *inner, const task_kind *kind, size_t self_size, lopt_error *err) {
    task *t = malloc(sizeof *t);
    void *self = calloc(1, self_size);
    if (!t || !self) {
        task_fail(err, LOPT_ENOMEM, "task %s: out of memory", inner->name);
        free(t);
        free(self);
        task_destroy(inner);
        return NULL;
    }
    *t = *inner;
    t->kind = kind;
    t->inner = inner;
    t->model = NULL;
    t->self = self;
    return t;
}

void task_name_more(task *t, const char *format, ...) {
    size_t used = strlen(t->name);
    va_list args;
    va_start(args, format);
    vsnprintf(t->name + used, sizeof t->name - used, format, args);
    va_end(args);
}

/* The batch is reduced by whoever draws it (task_create): the first examples of a batch are a smaller batch. */
task *task_augment(task *t, const task_spec *spec, lopt_error *err) {
    t = task_reparam_wrap(t, spec, err);
    t = task_es_wrap(t, spec, err);
    t = task_bf16_wrap(t, spec, err);
    t = task_unit_gradient_wrap(t, spec, err);
    t = task_directions_wrap(t, spec, err);
    return task_delay_wrap(t, spec, err);
}
