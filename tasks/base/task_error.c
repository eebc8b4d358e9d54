/* SPDX-License-Identifier: Apache-2.0
 *
 * task_error.c - see task_error.h. */
#include "base/task_error.h"

#include <stdarg.h>
#include <stdio.h>

int task_set_error(lopt_error *err, lopt_status status, const char *format, ...) {
    if (!err) return 0;
    va_list args;
    va_start(args, format);
    err->status = status;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return 0;
}

int task_check_range(const char *name, const char *field, double value, double min, double max, lopt_error *err) {
    if (value >= min && value <= max) return 1;
    return task_set_error(err, LOPT_EARG, "task %s: %s is %g, allowed: %g to %g", name, field, value, min, max);
}
