/* SPDX-License-Identifier: Apache-2.0
 *
 * declare.h - what the kinds of tasks share: declaring tensors and scratch, and errors.
 *
 * A kind's create() declares everything it needs and gets offsets back; it never computes an
 * address:
 *
 *     d->weights = task_add_tensor(t, "w0", 2, (int64_t[]){in, out});   offset in params, in reals
 *     d->y = task_add_work(t, batch * out * sizeof(real));              offset in work, in bytes
 *
 * task_at turns a work offset into a pointer. */
#ifndef TASK_INTERNAL_H
#define TASK_INTERNAL_H

#include "task.h"

#define TASK_ALIGNMENT 64

extern const task_kind *const task_kinds[];        /* ends with NULL */
const task_kind *task_kind_find(const char *name); /* NULL: no kind */

size_t task_add_tensor(task *t, const char *name, int rank, const int64_t *dim);
size_t task_add_work(task *t, size_t bytes); /* aligned to 64 bytes */

/* Writes one sentence to *err (which may be NULL) and returns 0. */
int task_fail(lopt_error *err, lopt_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
int task_check_range(const char *name, const char *field, double value, double min, double max, lopt_error *err);

static inline real *task_at(void *work, size_t offset) {
    return (real *)(void *)((char *)work + offset);
}

#endif
