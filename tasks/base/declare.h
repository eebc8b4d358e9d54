/* SPDX-License-Identifier: Apache-2.0
 *
 * declare.h - what the kinds of tasks share: declaring tensors and scratch.
 *
 * A kind's create() declares everything it needs and gets offsets back; it never computes an
 * address:
 *
 *     d->weights = task_add_tensor(t, "w0", 2, (int64_t[]){in, out});   offset in params, in reals
 *     d->y = task_add_work(t, batch * out * sizeof(real));              offset in work, in bytes
 *
 * task_work_at turns a work offset into a pointer. */
#ifndef TASK_DECLARE_H
#define TASK_DECLARE_H

#include "base/kind.h"
#include "base/task_error.h"

size_t task_add_tensor(task *t, const char *name, int rank, const int64_t *dim);
size_t task_add_work(task *t, size_t bytes); /* aligned to 64 bytes */
void task_append_name(task *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline real *task_work_at(void *work, size_t offset) {
    return (real *)(void *)((char *)work + offset);
}

#endif
