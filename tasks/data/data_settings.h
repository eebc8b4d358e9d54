/* SPDX-License-Identifier: Apache-2.0
 *
 * data_settings.h - numbers that follow the name of a data set: "spirals classes=3 noise=0.1".
 *
 *     task_data_setting table[] = {{"classes", 2, 2, 1000, 1}, {"noise", 0.05, 0, 10, 0}};
 *     if (!task_read_data_settings("spirals", "classes=3", table, 2, &err)) ...     values are in table */
#ifndef TASK_DATA_SETTINGS_H
#define TASK_DATA_SETTINGS_H

#include "base/spec.h"

typedef struct task_data_setting {
    const char *name;
    double value, min, max; /* value: the default, then what was read */
    int whole;              /* a whole number */
} task_data_setting;

int task_read_data_settings(const char *of, const char *text, task_data_setting *table, int n, lopt_error *err);

#endif
