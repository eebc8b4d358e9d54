/* SPDX-License-Identifier: Apache-2.0
 *
 * gemm.h - products of small row-major matrices, C = A B or C = A' B, prepared once.
 *
 *     task_gemm g = task_gemm_plan(TASK_GEMM_NN, rows, cols, depth);   at creation
 *     task_gemm_run(&g, a, b, c);                                      no allocation, no dispatch
 *
 * Shapes   NN: a[rows, depth], TN: a[depth, rows]; b[depth, cols]; c[rows, cols], overwritten or added to.
 * Kernels  libxsmm's, compiled at run time for the machine, where it has one and the product is
 *          small; else CBLAS on one thread. Both sum in a fixed order: same inputs, same bits, on
 *          one kind of CPU. With double as real (tests) three plain loops. */
#ifndef TASK_GEMM_H
#define TASK_GEMM_H

#include "base/real.h"

typedef enum task_gemm_kind { TASK_GEMM_NN, TASK_GEMM_TN } task_gemm_kind;

typedef struct task_gemm {
    task_gemm_kind kind;
    int rows, cols, depth, added;
    void (*kernel)(const float *, const float *, float *, ...); /* libxsmm's, or NULL */
    int has_avx;                                                /* of this machine */
} task_gemm;

task_gemm task_gemm_plan(task_gemm_kind kind, int rows, int cols, int depth);
task_gemm task_gemm_plan_added(task_gemm_kind kind, int rows, int cols, int depth); /* C += */
void task_gemm_run(const task_gemm *g, const real *a, const real *b, real *c);
double task_gemm_flops(const task_gemm *g);

void task_transpose_matrix(int rows, int cols, const real *in, real *out); /* out[cols, rows] <- in[rows, cols] */

#endif
