/* SPDX-License-Identifier: Apache-2.0
 *
 * synthetic.h - labelled sets that are computed: every task runs without any file.
 *
 *     gaussians   images: each class has `modes` smooth random pictures; an example is one of them
 *                 plus normal noise a pixel (settings: examples classes modes size channels noise seed)
 *     spirals     a table of 2 features: a point on the arm of its class, plus noise
 *                 (examples classes turns noise seed)
 *     teacher     a table of normal features, labelled by the largest output of a random network with
 *                 one hidden layer (examples classes dim hidden seed)
 *
 * Settings stand after the name: "spirals classes=3 noise=0.1"; an unknown one is an error that names
 * the others. The same text is the same set on every machine, up to the last digits of libm. */
#ifndef TASK_SYNTHETIC_H
#define TASK_SYNTHETIC_H

#include "data/raw.h"

typedef struct task_synthetic_info {
    const char *name, *summary;
} task_synthetic_info;
const task_synthetic_info *task_synthetic_known(size_t i); /* NULL past the last */

/* The set of known i with settings "a=1 b=2". raw NULL: checks the settings alone. */
int task_synthetic_make(size_t i, const char *settings, task_raw *raw, lopt_error *err);

#endif
