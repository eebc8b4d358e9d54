/* SPDX-License-Identifier: Apache-2.0
 *
 * wrap.c - see wrap.h. */
#include "augment/wrap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"
#include "model/delegate.h"

task *task_wrap_task(task *inner, const task_kind *kind, size_t self_size, lopt_error *err) {
    task *t = malloc(sizeof *t);
    void *self = calloc(1, self_size);
    if (!t || !self) {
        task_set_error(err, LOPT_ENOMEM, "task %s: out of memory", inner->name);
        free(t);
        free(self);
        task_destroy_task(inner);
        return NULL;
    }
    *t = *inner;
    t->kind = kind;
    t->inner = inner;
    t->model = NULL;
    t->self = self;
    return t;
}

void task_append_name(task *t, const char *format, ...) {
    size_t used = strlen(t->name);
    va_list args;
    va_start(args, format);
    vsnprintf(t->name + used, sizeof t->name - used, format, args);
    va_end(args);
}
