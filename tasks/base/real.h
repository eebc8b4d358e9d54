/* SPDX-License-Identifier: Apache-2.0
 *
 * real.h - the number that tasks compute in: float; the gradient tests build this folder a second time with
 * -DTASK_REAL_DOUBLE. */
#ifndef TASK_REAL_H
#define TASK_REAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef TASK_REAL_DOUBLE
#include "double_names.h" /* made by the build: task_compute_loss becomes task_compute_loss_double, so that both link into one program */
typedef double real;
#else
typedef float real;
#endif

#define TASK_ALIGNMENT 64 /* bytes, of work and of what is shared in memory */

#endif
