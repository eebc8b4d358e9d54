/* SPDX-License-Identifier: Apache-2.0
 *
 * task_registry.h - every kind of task. */
#ifndef TASK_REGISTRY_H
#define TASK_REGISTRY_H

#include "base/kind.h"

extern const task_kind *const task_kinds[];        /* ends with NULL */
const task_kind *task_kind_find(const char *name); /* NULL: no kind */

#endif
