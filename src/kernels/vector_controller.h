/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_controller.h - the part of vector.c that serves controllers: statistics of a tensor,
 * products of small matrices, the recurrent cell. Included by vector.c alone, which defines fetch,
 * put, lane_mask and element_offset. */
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
        s->sum[i] = vf_splat(0);
    }
    s->n_vectors = 0;
}

INLINE void add_vector_means(vector_sums *s, const float *momentum, int64_t pitch, vf rms, vf p) {
    s->sum[0] += p * p;
    s->sum[1] += rms;
    for (int k = 0; k < LOPT__K; k++) s->sum[2 + k] += vf_load(momentum + k * pitch);
}

INLINE void add_vector_deviations(vector_sums *s, const float *momentum, int64_t pitch, vf rms, const vf *mean,
                                  vi mask) {
    for (int k = 0; k < LOPT__K; k++) {
        vf m = vf_masked(vf_load(momentum + k * pitch) - mean[k], mask), r = vf_masked(rms - mean[k], mask);
        s->sum[k] += m * m;
        s->sum[LOPT__K + k] += r * r;
    }
}

/* mean NULL: sums of p^2, rms, m_k. Else: sums of (m_k - mean_k)^2, (rms - mean_k)^2. */
static void sum_pass_part(const lopt__job *job, const vf *mean, vector_sums *s) {
    const lopt__view *v = job->view;
    float buffer[LOPT__UNIT];
    for (int64_t outer = 0; outer < v->n_outer; outer++)
        for (int64_t row = 0; row < v->rows; row++) {
            const float *momentum = lopt__momentum_row(&job->acc, v, outer, row);
            const float *rms = lopt__rms_row(&job->acc, v, outer, row);
            const float *params = job->params + element_offset(v, outer, row, 0);
            for (int64_t unit = 0; unit < v->lanes; unit += LOPT__UNIT) {
                int64_t left = v->lanes - unit;
                const float *p =
                    mean ? NULL : fetch_lanes(params + unit * v->lane_stride, v->lane_stride, left, LOPT__UNIT, buffer);
                for (int64_t i = 0; i < UNIT_VECTORS; i++) {
                    int64_t lane = unit + i * VL;
                    if (mean)
                        add_vector_deviations(s, momentum + lane, v->pitch, vf_load(rms + lane), mean,
                                              lane_mask(left, (int)i));
                    else
                        add_vector_means(s, momentum + lane, v->pitch, vf_load(rms + lane),
                                         vf_load_unaligned(p + i * VL));
                }
                s->n_vectors += UNIT_VECTORS;
                if (s->n_vectors >= BLOCK_VECTORS) flush_sums(s);
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

static void compute_statistics_part(void *pass_, int64_t i, int thread) {
    (void)thread;
    statistics_pass *p = pass_;
    vector_sums s = {0};
    lopt__part part;
    lopt__part_open(&part, p->job, &p->parts, i);
    sum_pass_part(&part.job, p->mean, &s);
    memcpy(p->total[i], s.total, sizeof s.total);
}

static void sum_over_tensor(const lopt__job *job, const vf *mean, double total[N_SUMS]) {
    statistics_pass p = {.job = job, .mean = mean, .parts = lopt__parts_of_view(job->view, 0)};
    lopt__team_run_parts(job->team, p.parts.n, compute_statistics_part, &p);
    for (int k = 0; k < N_SUMS; k++) {
        total[k] = p.total[0][k];
        for (int64_t i = 1; i < p.parts.n; i++) total[k] += p.total[i][k];
    }
}

static void vector_statistics(const lopt__job *job, lopt__statistics *out) {
    double n = (double)job->view->size, means[N_SUMS], deviations[N_SUMS];
    vf mean[LOPT__K];
    sum_over_tensor(job, NULL, means);
    for (int k = 0; k < LOPT__K; k++) mean[k] = vf_splat((float)(means[2 + k] / n));
    sum_over_tensor(job, mean, deviations);
    out->mean_p2 = means[0] / n;
    out->mean_rms = means[1] / n;
    for (int k = 0; k < LOPT__K; k++) {
        out->variance_m[k] = deviations[k] / n;
        out->rms_around_m[k] = deviations[LOPT__K + k] / n;
    }
}

/* ---- products -------------------------------------------------------------------------------- */

#define MAX_INNER 128           /* of k at a time: MAX_INNER x 2 vectors of b stay in L1 */
#define MANY_ROWS (3 * N_UNITS) /* from here on b is copied first: its rows may collide in the cache */
#if VL == 16
#define TALL 8 /* rows of a tile */
#else
#define TALL 4
#endif

/* c[m][n] += a b, or = a b; a[i][l] lies at a[i * a_row + l * a_column]. */
typedef struct product {
    int64_t m, n, k;
    const float *a, *b;
    float *c;
    int64_t a_row, a_column, ldb, ldc;
    int fresh;     /* = */
    int symmetric; /* so is the result: blocks left of the diagonal are left out */
} product;

/* `rows` rows and `vectors` vectors of columns, whose sums stay in registers. They start at 0 and
 * are added to c at the end: roundings are those of sums of MAX_INNER, however long the whole. */
INLINE void multiply_tile(int rows, int vectors, const product *x, const float *a, const float *b, int64_t ldb,
                          float *c, int64_t ldc) {
    int64_t a_row = x->a_row, a_column = x->a_column, k = x->k;
    vf sum[8][8] = {{{0}}};
    for (int64_t l = 0; l < k; l++, a += a_column, b += ldb) {
        vf row[8];
        UNROLL for (int i = 0; i < vectors; i++) row[i] = vf_load_unaligned(b + i * VL);
        UNROLL for (int r = 0; r < rows; r++) {
            vf factor = vf_splat(a[r * a_row]);
            UNROLL for (int i = 0; i < vectors; i++) sum[r][i] += factor * row[i];
        }
    }
    if (!x->fresh)
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < vectors; i++) sum[r][i] +=
            vf_load_unaligned(c + r * ldc + i * VL);
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < vectors; i++)
        vf_store_unaligned(c + r * ldc + i * VL, sum[r][i]);
}

/* The same where only the first `width` columns are there; b has been padded. */
INLINE void multiply_narrow(int rows, const product *x, const float *a, const float *b, float *c, int64_t width) {
    float buffer[8 * VL] = {0};
    for (int r = 0; r < rows; r++) memcpy(buffer + r * VL, c + r * x->ldc, (size_t)width * sizeof *c);
    multiply_tile(rows, 1, x, a, b, VL, buffer, VL);
    for (int r = 0; r < rows; r++) memcpy(c + r * x->ldc, buffer + r * VL, (size_t)width * sizeof *c);
}

/* Rows from `row` to `end` of `vectors` vectors of columns; b and c are at the first of these. */
INLINE void multiply_rows(int vectors, const product *x, int64_t row, int64_t end, const float *b, int64_t ldb,
                          float *c) {
    for (; row + TALL <= end; row += TALL)
        multiply_tile(TALL, vectors, x, x->a + row * x->a_row, b, ldb, c + row * x->ldc, x->ldc);
    for (; row + N_UNITS <= end; row += N_UNITS)
        multiply_tile(N_UNITS, vectors, x, x->a + row * x->a_row, b, ldb, c + row * x->ldc, x->ldc);
    for (; row + 2 <= end; row += 2)
        multiply_tile(2, vectors, x, x->a + row * x->a_row, b, ldb, c + row * x->ldc, x->ldc);
    if (row < end) multiply_tile(1, vectors, x, x->a + row * x->a_row, b, ldb, c + row * x->ldc, x->ldc);
}

/* All rows that are wanted of `vectors` vectors of columns, 1 or 2. */
INLINE void multiply_columns(int vectors, const product *x, int64_t column) {
    const int width = vectors * VL;
    _Alignas(64) float copy[MAX_INNER * 2 * VL];
    const float *b = x->b + column;
    float *c = x->c + column;
    int64_t ldb = x->ldb, end = x->m;
    if (x->symmetric && column + VL < end) end = column + VL;
    if (x->m >= MANY_ROWS && ldb != width) {
        for (int64_t l = 0; l < x->k; l++)
            UNROLL for (int i = 0; i < vectors; i++)
                vf_store(copy + l * width + i * VL, vf_load_unaligned(b + l * ldb + i * VL));
        b = copy;
        ldb = width;
    }
    multiply_rows(vectors, x, 0, end, b, ldb, c);
    if (vectors == 2 && end < x->m) /* symmetric: the block at the diagonal, right half */
        multiply_rows(1, x, end, end + VL < x->m ? end + VL : x->m, b + VL, ldb, c + VL);
}

/* All rows of the last columns, fewer than a vector. */
static void multiply_last_columns(const product *x, int64_t column) {
    int64_t width = x->n - column, row = 0;
    float b[MAX_INNER * VL] = {0};
    for (int64_t l = 0; l < x->k; l++) memcpy(b + l * VL, x->b + l * x->ldb + column, (size_t)width * sizeof *b);
    for (; row + N_UNITS <= x->m; row += N_UNITS)
        multiply_narrow(N_UNITS, x, x->a + row * x->a_row, b, x->c + row * x->ldc + column, width);
    for (; row < x->m; row++) multiply_narrow(1, x, x->a + row * x->a_row, b, x->c + row * x->ldc + column, width);
}

/* k is MAX_INNER at most. Few rows take many columns at a time, so that sums overlap and b comes in
 * long runs. */
static void multiply_block(const product *x) {
    int64_t column = 0;
    for (; x->m <= N_VECTORS && column + 4 * VL <= x->n; column += 4 * VL) {
        const float *b = x->b + column;
        float *c = x->c + column;
        if (x->m >= 4)
            multiply_tile(4, 4, x, x->a, b, x->ldb, c, x->ldc);
        else if (x->m >= 2)
            multiply_tile(2, 4, x, x->a, b, x->ldb, c, x->ldc);
        if (x->m % 2) multiply_tile(1, 4, x, x->a + (x->m - 1) * x->a_row, b, x->ldb, c + (x->m - 1) * x->ldc, x->ldc);
    }
    for (; column + 2 * VL <= x->n; column += 2 * VL) multiply_columns(2, x, column);
    if (column + VL <= x->n) {
        multiply_columns(1, x, column);
        column += VL;
    }
    if (column < x->n) multiply_last_columns(x, column);
}

static void multiply_in_blocks(const product *whole) {
    for (int64_t l = 0; l < whole->k; l += MAX_INNER) {
        product x = *whole;
        x.k = whole->k - l < MAX_INNER ? whole->k - l : MAX_INNER;
        x.fresh = whole->fresh && l == 0;
        x.a += l * x.a_column;
        x.b += l * x.ldb;
        multiply_block(&x);
    }
}

static void vector_multiply(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb,
                            float *c, int64_t ldc) {
    multiply_in_blocks(&(product){
        .m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .a_row = lda, .a_column = 1, .ldb = ldb, .ldc = ldc});
}

/* ---- recurrent cell -------------------------------------------------------------------------- */

static void update_cell_row(int64_t size, const float *gates, float *hidden, float *cell) {
    float buffer[5][VL];
    for (int64_t k = 0; k < size; k += VL) {
        vf z[4];
        for (int i = 0; i < 4; i++)
            z[i] = vf_load_unaligned(fetch_lanes(gates + i * size + k, 1, size - k, VL, buffer[i]));
        vf old = vf_load_unaligned(fetch_lanes(cell + k, 1, size - k, VL, buffer[4]));
        vf new = vf_sigmoid(z[2] + 1.0f) * old + vf_sigmoid(z[0]) * vf_tanh(z[1]);
        store_lanes(cell + k, 1, size - k, new);
        store_lanes(hidden + k, 1, size - k, vf_sigmoid(z[3]) * vf_tanh(new));
    }
}

static void vector_lstm_cell(int64_t rows, int64_t size, const float *gates, float *hidden, float *cell) {
    for (int64_t r = 0; r < rows; r++) update_cell_row(size, gates + r * 4 * size, hidden + r * size, cell + r * size);
}

/* ---- Newton-Schulz --------------------------------------------------------------------------- */

/* Fills in what a symmetric product has left out. */
static void mirror_symmetric(int64_t n, int64_t pitch, float *c) {
    for (int64_t i = VL; i < n; i++)
        for (int64_t j = 0; j < i / VL * VL; j++) c[i * pitch + j] = c[j * pitch + i];
}

/* c[n][pitch] = a^T a, a being [k][pitch] */
static void multiply_by_itself(int64_t n, int64_t k, int64_t pitch, const float *a, float *c) {
    multiply_in_blocks(&(product){.m = n,
                                  .n = pitch,
                                  .k = k,
                                  .a = a,
                                  .b = a,
                                  .c = c,
                                  .a_row = 1,
                                  .a_column = pitch,
                                  .ldb = pitch,
                                  .ldc = pitch,
                                  .fresh = 1,
                                  .symmetric = 1});
    mirror_symmetric(n, pitch, c);
}

/* a Y + Y factor as Y (a + factor). */
static void vector_newton_schulz_step(const lopt__newton_schulz_work *w) {
    int64_t n = w->n, pitch = w->pitch;
    vf b = vf_splat(w->coefficient[1]), c = vf_splat(w->coefficient[2]);
    multiply_by_itself(n, w->m, pitch, w->now, w->gram);
    multiply_by_itself(n, n, pitch, w->gram, w->factor);
    for (int64_t i = 0; i < n * pitch; i += VL)
        vf_store_unaligned(w->factor + i, b * vf_load_unaligned(w->gram + i) + c * vf_load_unaligned(w->factor + i));
    for (int64_t i = 0; i < n; i++) w->factor[i * pitch + i] += w->coefficient[0];
    multiply_in_blocks(&(product){.m = w->m,
                                  .n = pitch,
                                  .k = n,
                                  .a = w->now,
                                  .b = w->factor,
                                  .c = w->next,
                                  .a_row = pitch,
                                  .a_column = 1,
                                  .ldb = pitch,
                                  .ldc = pitch,
                                  .fresh = 1});
}

#endif
