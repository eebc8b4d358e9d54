/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise_choice.c - which build of elementwise.c this machine runs. */
#include <string.h>

#include "math/elementwise.h"

extern const task_elementwise task_elementwise_portable, task_elementwise_avx2, task_elementwise_avx512;

static int is_table_usable(const task_elementwise *table) {
#ifdef TASK_WITH_X86
    if (table == &task_elementwise_avx512) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    }
    if (table == &task_elementwise_avx2) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
#endif
    return table == &task_elementwise_portable;
}

static const task_elementwise *const tables[] = {
#ifdef TASK_WITH_X86
    &task_elementwise_avx512,
    &task_elementwise_avx2,
#endif
    &task_elementwise_portable,
};

enum { N_TABLES = sizeof tables / sizeof *tables };

const task_elementwise *task_elementwise_best(void) {
    for (int i = 0; i < N_TABLES; i++) {
        if (is_table_usable(tables[i])) return tables[i];
    }
    return &task_elementwise_portable;
}

const task_elementwise *task_elementwise_find(const char *name) {
    for (int i = 0; i < N_TABLES; i++) {
        if (!strcmp(name, tables[i]->name)) return is_table_usable(tables[i]) ? tables[i] : NULL;
    }
    return NULL;
}
