/* SPDX-License-Identifier: Apache-2.0
 *
 * gemm.c - see gemm.h. BLAS and libxsmm are column-major: a row-major matrix is its transpose
 * there, so C = A B is asked for as C' = B' A', with b as the first operand. */
#include "math/gemm.h"

#ifndef TASK_REAL_DOUBLE
#include <cblas.h>
#ifdef TASK_WITH_LIBXSMM
#include <libxsmm.h>
#endif
#endif

double task_gemm_flops(const task_gemm *g) {
    return 2.0 * g->rows * g->cols * g->depth;
}

#ifdef TASK_REAL_DOUBLE

static task_gemm plan_gemm_call(task_gemm_kind kind, int rows, int cols, int depth, int added) {
    return (task_gemm){kind, rows, cols, depth, added, NULL, 0};
}

void task_gemm_run(const task_gemm *g, const real *a, const real *b, real *c) {
    for (int i = 0; i < g->rows; i++, c += g->cols) {
        for (int j = 0; j < g->cols && !g->added; j++) c[j] = 0;
        for (int k = 0; k < g->depth; k++) {
            real left = g->kind == TASK_GEMM_NN ? a[i * g->depth + k] : a[k * g->rows + i];
            for (int j = 0; j < g->cols; j++) c[j] += left * b[k * g->cols + j];
        }
    }
}

#else

/* Absent from a BLAS other than OpenBLAS. */
extern void openblas_set_num_threads(int n) __attribute__((weak));

/* Multiply-adds up to which libxsmm's unblocked kernels are faster than a blocked BLAS (measured on Zen 4: 115
 * to 105 GFLOP/s against 100 at a peak of 118; at 128 x 4096 x 1024, 30 against 90). */
#define LARGEST_SMALL_PRODUCT (1 << 26)

/* libxsmm's kernels leave the upper halves of the vector registers dirty, which slows every SSE
 * instruction after them: Adam's step took four times as long. */
#if defined(__x86_64__)
__attribute__((target("avx"))) static void clear_upper_halves(void) {
    __builtin_ia32_vzeroupper();
}
#else
static void clear_upper_halves(void) {
}
#endif

static task_gemm plan_gemm_call(task_gemm_kind kind, int rows, int cols, int depth, int added) {
    task_gemm g = {kind, rows, cols, depth, added, NULL, 0};
#if defined(__x86_64__)
    g.has_avx = __builtin_cpu_supports("avx") != 0;
#endif
    if (openblas_set_num_threads) openblas_set_num_threads(1);
#ifdef TASK_WITH_LIBXSMM
    if ((double)rows * cols * depth <= LARGEST_SMALL_PRODUCT) {
        int flags = kind == TASK_GEMM_TN ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
        int ld_second = kind == TASK_GEMM_TN ? rows : depth;
        const float one = 1, beta = (float)added;
        g.kernel = libxsmm_smmdispatch(cols, rows, depth, &cols, &ld_second, &cols, &one, &beta, &flags, NULL);
    }
#endif
    return g;
}

void task_gemm_run(const task_gemm *g, const real *a, const real *b, real *c) {
    if (g->kernel) {
        g->kernel(b, a, c);
        if (g->has_avx) clear_upper_halves();
        return;
    }
    int transposed = g->kind == TASK_GEMM_TN;
    cblas_sgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasNoTrans, g->rows, g->cols, g->depth, 1, a,
                transposed ? g->rows : g->depth, b, g->cols, (float)g->added, c, g->cols);
}

#endif

task_gemm task_gemm_plan(task_gemm_kind kind, int rows, int cols, int depth) {
    return plan_gemm_call(kind, rows, cols, depth, 0);
}

task_gemm task_gemm_plan_added(task_gemm_kind kind, int rows, int cols, int depth) {
    return plan_gemm_call(kind, rows, cols, depth, 1);
}

/* By square blocks that stay in cache. */
void task_transpose_matrix(int rows, int cols, const real *restrict in, real *restrict out) {
    enum { BLOCK = 16 };
    for (int i0 = 0; i0 < rows; i0 += BLOCK) {
        int i1 = i0 + BLOCK < rows ? i0 + BLOCK : rows;
        for (int j = 0; j < cols; j++) {
            real *to = out + (size_t)j * (size_t)rows;
            for (int i = i0; i < i1; i++) to[i] = in[(size_t)i * (size_t)cols + (size_t)j];
        }
    }
}
