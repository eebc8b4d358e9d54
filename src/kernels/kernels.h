/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.h - what a learned optimizer computes for every parameter, in three passes over a tensor.
 *
 *     kernels->accumulate(job)   gradient into the accumulators
 *     kernels->moments(job)      mean square of each feature -> job->mean_square
 *     kernels->apply(job)        features, normalised -> network -> update of the parameters
 *
 * and what controllers (controller.h) need: statistics of a tensor, products of small matrices, an LSTM cell.
 *
 * reference.c follows the formulas literally; vector.c, compiled once per instruction set, is fast. kernels.c
 * chooses a table at first use. */
#ifndef LOPT_KERNELS_H
#define LOPT_KERNELS_H

#include "kernels/accumulators.h"
#include "kernels/mlp.h"
#include "kernels/param_features.h"

#define LOPT__PARAMETER_SCALE_FLOOR 1e-9f

/* One tensor in one step. Pointers into params, grads, updates are to the tensor's first element. */
typedef struct lopt__job {
    const lopt__view *view;
    lopt__accumulators acc;
    const lopt__pipeline *pipeline;
    const lopt__decays *decays;
    const lopt__mlp *mlp; /* two outputs (direction, magnitude) or one (direction) */
    const float *time;    /* [LOPT__N_TIME], or NULL: no time features */
    const float *grads;
    float *params;
    float *updates;                    /* or NULL */
    float *steps;                      /* NULL, or receives the steps; params stay unchanged */
    float learning_rate, weight_decay; /* of this tensor; not in `steps` */
    int decay_uses_updated;            /* weight decay acts on p after the step, else before */
    float step_mult, exp_mult;
    int64_t slice;       /* contiguous elements that are normalised together */
    double *mean_square; /* [size / slice][LOPT__N_EXTENDED], written by moments, read by apply */
    lopt__team *team;    /* or NULL: one thread */
    float *inverse_mean; /* [n_outer][K]: 1 / (mean of R + epsilon), from accumulate to apply */
    float *scratch;      /* [lopt__kernel_scratch_floats], 64-byte aligned */
} lopt__job;

/* Statistics of a tensor before this step, for VeLO's controller; means over all elements. */
typedef struct lopt__statistics {
    double mean_p2, mean_rms;
    double variance_m[LOPT__K];   /* mean of (m_k - mean m_k)^2 */
    double rms_around_m[LOPT__K]; /* mean of (rms - mean m_k)^2 */
} lopt__statistics;

/* One step of Newton-Schulz (newton_schulz.h) on Y, the transpose of X:
 *
 *     gram = Y^T Y, factor = b gram + c gram gram, next = a Y + Y factor
 *
 * now and next are [m][pitch], gram and factor [n][pitch] scratch, n <= m. pitch is a multiple of LOPT__UNIT;
 * columns from n on are 0 and stay 0. */
typedef struct lopt__newton_schulz_work {
    const float *coefficient; /* a, b, c */
    int64_t n, m, pitch;
    const float *now;
    float *next, *gram, *factor;
} lopt__newton_schulz_work;

typedef struct lopt__kernels {
    const char *name;
    void (*accumulate)(lopt__job *job);
    void (*moments)(lopt__job *job);
    void (*apply)(lopt__job *job);
    void (*statistics)(const lopt__job *job, lopt__statistics *out);
    /* c[m][n] += a[m][k] b[k][n]; rows lie lda, ldb, ldc floats apart. */
    void (*multiply)(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb,
                     float *c, int64_t ldc);
    /* The cell of lstm.h: rows of gates[4 size] (order i, g, f, o), hidden[size], cell[size]. */
    void (*lstm_cell)(int64_t rows, int64_t size, const float *gates, float *hidden, float *cell);
    void (*newton_schulz_step)(const lopt__newton_schulz_work *work);
} lopt__kernels;

/* Mean squares for the slice of the element at `offset`. */
static inline double *lopt__mean_square_at(const lopt__job *job, int64_t offset) {
    int64_t slice = job->slice == job->view->size ? 0 : offset / job->slice;
    return job->mean_square + slice * LOPT__N_EXTENDED;
}

const lopt__kernels *lopt__kernels_current(void); /* the chosen table */

extern const lopt__kernels lopt__kernels_reference, lopt__kernels_portable, lopt__kernels_portable_bf16;
#if defined(__x86_64__)
extern const lopt__kernels lopt__kernels_avx2, lopt__kernels_avx512, lopt__kernels_avx512_bf16;
#endif

#endif
