/* SPDX-License-Identifier: Apache-2.0
 *
 * wrap.h - tasks that hold another task and change one thing about it.
 *
 *     task *t = task_wrap_task(inner, &kind, sizeof(delay), &err);   takes inner over, also on failure
 *     delay *self = t->self;                                    zeroed memory of the wrapper's own
 *     task_append_name(t, ", delay %d", n);
 *
 * What a kind leaves out is the inner task's (model/delegate.h): a wrapper writes only what it changes. A wrapped task
 * has the tensors of the inner one, and its tau and work before its own, so wrappers compose. The one that
 * keeps values from step to step (delay) is the outermost. */
#ifndef TASK_WRAP_H
#define TASK_WRAP_H

#include "base/declare.h"
#include "model/delegate.h"

task *task_wrap_task(task *inner, const task_kind *kind, size_t self_size, lopt_error *err);
void task_append_name(task *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An augmentation. wrap returns inner where the spec does not ask for it, and NULL for NULL. */
typedef struct task_wrapper {
    const task_setting *settings;
    size_t n_settings;
    task *(*wrap)(task *inner, const task_spec *spec, lopt_error *err);
} task_wrapper;

extern const task_wrapper task_wrapper_reparam, task_wrapper_es, task_wrapper_bf16, task_wrapper_unit_gradient,
    task_wrapper_directions, task_wrapper_delay;

#endif
