/* SPDX-License-Identifier: Apache-2.0
 *
 * task_error.h - messages of errors. */
#ifndef TASK_ERROR_H
#define TASK_ERROR_H

#include "base/real.h"
#include "lopt.h"

/* Writes the message to *err (which may be NULL) and returns 0. */
int task_set_error(lopt_error *err, lopt_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
int task_check_range(const char *name, const char *field, double value, double min, double max, lopt_error *err);

#endif
