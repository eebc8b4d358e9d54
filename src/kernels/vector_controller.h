/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_controller.h - the part of vector.c that serves controllers: statistics of a tensor and
 * products of small matrices. Included by vector.c alone, which defines fetch, lane_mask and
 * element_offset. */
#ifndef LOPT_VECTOR_CONTROLLER_H
#define LOPT_VECTOR_CONTROLLER_H

/* ---- statistics ------------------------------------------------------------------------------ */

#define N_SUMS (2 * LOPT__K)

/* Sums of vectors: as vectors for BLOCK_VECTORS additions, then in double. */
typedef struct vector_sums {
    vf sum[N_SUMS];
    int n_vectors;
    double total[N_SUMS];
} vector_sums;

static void flush_sums(vector_sums *s) {
    for (int i = 0; i < N_SUMS; i++) {
        s->total[i] += lane_sum(s->sum[i]);
        s->sum[i] = splat(0);
    }
    s->n_vectors = 0;
}

INLINE void add_means(vector_sums *s, const float *momentum, int64_t pitch, vf rms, vf p) {
    s->sum[0] += p * p;
    s->sum[1] += rms;
    for (int k = 0; k < LOPT__K; k++)
        s->sum[2 + k] += load(momentum + k * pitch);
}

INLINE void add_deviations(vector_sums *s, const float *momentum, int64_t pitch, vf rms,
                           const vf *mean, vi mask) {
    for (int k = 0; k < LOPT__K; k++) {
        vf m = masked(load(momentum + k * pitch) - mean[k], mask), r = masked(rms - mean[k], mask);
        s->sum[k] += m * m;
        s->sum[LOPT__K + k] += r * r;
    }
}

/* mean NULL: sums of p^2, rms, m_k. Else: sums of (m_k - mean_k)^2, (rms - mean_k)^2. */
static void sum_part(const lopt__job *job, const vf *mean, vector_sums *s) {
    const lopt__view *v = job->view;
    float buffer[LOPT__UNIT];
    for (int64_t outer = 0; outer < v->n_outer; outer++)
        for (int64_t row = 0; row < v->rows; row++) {
            const float *momentum = lopt__momentum_row(&job->acc, v, outer, row);
            const float *rms = lopt__rms_row(&job->acc, v, outer, row);
            const float *params = job->params + element_offset(v, outer, row, 0);
            for (int64_t unit = 0; unit < v->lanes; unit += LOPT__UNIT) {
                int64_t left = v->lanes - unit;
                const float *p = mean ? NULL
                                      : fetch(params + unit * v->lane_stride, v->lane_stride, left,
                                              LOPT__UNIT, buffer);
                for (int64_t i = 0; i < UNIT_VECTORS; i++) {
                    int64_t lane = unit + i * VL;
                    if (mean)
                        add_deviations(s, momentum + lane, v->pitch, load(rms + lane), mean,
                                       lane_mask(left, (int)i));
                    else
                        add_means(s, momentum + lane, v->pitch, load(rms + lane),
                                  load_unaligned(p + i * VL));
                }
                s->n_vectors += UNIT_VECTORS;
                if (s->n_vectors >= BLOCK_VECTORS)
                    flush_sums(s);
            }
        }
    flush_sums(s);
}

/* Sums over a tensor, by parts. */
typedef struct statistics_pass {
    const lopt__job *job;
    const vf *mean;
    lopt__parts parts;
    double total[LOPT__MAX_PARTS][N_SUMS];
} statistics_pass;

static void statistics_part(void *pass_, int64_t i, int thread) {
    (void)thread;
    statistics_pass *p = pass_;
    vector_sums s = {0};
    lopt__part part;
    lopt__part_open(&part, p->job, &p->parts, i);
    sum_part(&part.job, p->mean, &s);
    memcpy(p->total[i], s.total, sizeof s.total);
}

static void sum_tensor(const lopt__job *job, const vf *mean, double total[N_SUMS]) {
    statistics_pass p = {.job = job, .mean = mean, .parts = lopt__parts_of(job->view, 0)};
    lopt__team_run(job->team, p.parts.n, statistics_part, &p);
    for (int k = 0; k < N_SUMS; k++) {
        total[k] = p.total[0][k];
        for (int64_t i = 1; i < p.parts.n; i++)
            total[k] += p.total[i][k];
    }
}

static void statistics(const lopt__job *job, lopt__statistics *out) {
    double n = (double)job->view->size, means[N_SUMS], deviations[N_SUMS];
    vf mean[LOPT__K];
    sum_tensor(job, NULL, means);
    for (int k = 0; k < LOPT__K; k++)
        mean[k] = splat((float)(means[2 + k] / n));
    sum_tensor(job, mean, deviations);
    out->mean_p2 = (float)(means[0] / n);
    out->mean_rms = (float)(means[1] / n);
    for (int k = 0; k < LOPT__K; k++) {
        out->variance_m[k] = (float)(deviations[k] / n);
        out->rms_around_m[k] = (float)(deviations[LOPT__K + k] / n);
    }
}

/* ---- products -------------------------------------------------------------------------------- */

#define MAX_INNER 128 /* of k at a time: MAX_INNER x 2 vectors of b stay in L1 */
#define MANY_ROWS                                                                                  \
    (3 * N_UNITS) /* from here on b is copied first: its rows may collide in the cache */

typedef struct product {
    int64_t m, n, k;
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
} product;

/* c += a b for `rows` rows and `vectors` vectors of columns, whose sums stay in registers. */
INLINE void multiply_tile(int rows, int vectors, int64_t k, const float *a, int64_t lda,
                          const float *b, int64_t ldb, float *c, int64_t ldc) {
    vf sum[8][8];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < vectors; i++) sum[r][i] =
        load_unaligned(c + r * ldc + i * VL);
    for (int64_t l = 0; l < k; l++) {
        vf row[8];
        UNROLL for (int i = 0; i < vectors; i++) row[i] = load_unaligned(b + l * ldb + i * VL);
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < vectors; i++) sum[r][i] +=
            a[r * lda + l] * row[i];
    }
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < vectors; i++)
        store_unaligned(c + r * ldc + i * VL, sum[r][i]);
}

/* The same where only the first `width` columns are there; b has been padded. */
INLINE void multiply_narrow(int rows, int64_t k, const float *a, int64_t lda, const float *b,
                            float *c, int64_t ldc, int64_t width) {
    float buffer[8 * VL] = {0};
    for (int r = 0; r < rows; r++)
        memcpy(buffer + r * VL, c + r * ldc, (size_t)width * sizeof *c);
    multiply_tile(rows, 1, k, a, lda, b, VL, buffer, VL);
    for (int r = 0; r < rows; r++)
        memcpy(c + r * ldc, buffer + r * VL, (size_t)width * sizeof *c);
}

/* All rows of `vectors` vectors of columns. */
INLINE void multiply_columns(int vectors, const product *x, int64_t column) {
    const int width = vectors * VL;
    _Alignas(64) float copy[MAX_INNER * 2 * VL];
    const float *a = x->a, *b = x->b + column;
    float *c = x->c + column;
    int64_t left = x->m, ldb = x->ldb;
    if (x->m >= MANY_ROWS) {
        for (int64_t l = 0; l < x->k; l++)
            UNROLL for (int i = 0; i < vectors; i++)
                store(copy + l * width + i * VL, load_unaligned(b + l * ldb + i * VL));
        b = copy;
        ldb = width;
    }
    for (; left >= N_UNITS; left -= N_UNITS, a += N_UNITS * x->lda, c += N_UNITS * x->ldc)
        multiply_tile(N_UNITS, vectors, x->k, a, x->lda, b, ldb, c, x->ldc);
    for (; left >= 2; left -= 2, a += 2 * x->lda, c += 2 * x->ldc)
        multiply_tile(2, vectors, x->k, a, x->lda, b, ldb, c, x->ldc);
    if (left)
        multiply_tile(1, vectors, x->k, a, x->lda, b, ldb, c, x->ldc);
}

/* All rows of the last columns, fewer than a vector. */
static void multiply_last_columns(const product *x, int64_t column) {
    int64_t width = x->n - column, left = x->m;
    float b[MAX_INNER * VL] = {0};
    const float *a = x->a;
    float *c = x->c + column;
    for (int64_t l = 0; l < x->k; l++)
        memcpy(b + l * VL, x->b + l * x->ldb + column, (size_t)width * sizeof *b);
    for (; left >= N_UNITS; left -= N_UNITS, a += N_UNITS * x->lda, c += N_UNITS * x->ldc)
        multiply_narrow(N_UNITS, x->k, a, x->lda, b, c, x->ldc, width);
    for (; left > 0; left--, a += x->lda, c += x->ldc)
        multiply_narrow(1, x->k, a, x->lda, b, c, x->ldc, width);
}

/* k is MAX_INNER at most. One row takes many columns at a time, so that its sums overlap. */
static void multiply_block(const product *x) {
    int64_t column = 0;
    for (; x->m == 1 && column + N_UNITS * VL <= x->n; column += N_UNITS * VL)
        multiply_tile(1, N_UNITS, x->k, x->a, x->lda, x->b + column, x->ldb, x->c + column, x->ldc);
    for (; column + 2 * VL <= x->n; column += 2 * VL)
        multiply_columns(2, x, column);
    if (column + VL <= x->n) {
        multiply_columns(1, x, column);
        column += VL;
    }
    if (column < x->n)
        multiply_last_columns(x, column);
}

static void multiply_matrices(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                              const float *b, int64_t ldb, float *c, int64_t ldc) {
    for (int64_t l = 0; l < k; l += MAX_INNER) {
        int64_t inner = k - l < MAX_INNER ? k - l : MAX_INNER;
        multiply_block(&(product){m, n, inner, a + l, b + l * ldb, c, lda, ldb, ldc});
    }
}

#endif
