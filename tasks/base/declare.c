/* SPDX-License-Identifier: Apache-2.0
 *
 * declare.c - see declare.h. */
#include "base/declare.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where memory lacks, n_tensors counts on but tensors is NULL: create_plain notices. */
size_t task_add_tensor(task *t, const char *name, int rank, const int64_t *dim) {
    size_t offset = t->n_params;
    lopt_tensor tensor = lopt_tensor_make(name, rank, dim);
    lopt_tensor *more = NULL;
    if (t->tensors || t->n_tensors == 0) more = realloc(t->tensors, (t->n_tensors + 1) * sizeof *more);
    if (more) more[t->n_tensors] = tensor;
    if (!more) free(t->tensors);
    t->tensors = more;
    t->n_params += (size_t)lopt_tensor_size(&tensor);
    t->n_tensors++;
    return offset;
}

size_t task_add_work(task *t, size_t bytes) {
    size_t offset = t->work_bytes;
    t->work_bytes += (bytes + TASK_ALIGNMENT - 1) / TASK_ALIGNMENT * TASK_ALIGNMENT;
    return offset;
}

void task_append_name(task *t, const char *format, ...) {
    size_t used = strlen(t->name);
    va_list args;
    va_start(args, format);
    vsnprintf(t->name + used, sizeof t->name - used, format, args);
    va_end(args);
}
