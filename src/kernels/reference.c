/* SPDX-License-Identifier: Apache-2.0
 *
 * reference.c - the three passes of kernels.h in plain C, the definition of correct results.
 *
 * One parameter at a time, in the order of the formulas of accumulators.h, param_features.h, normalise.h, mlp.h;
 * strict IEEE float, means in double. Nothing is shared between parameters, which makes it slow. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/normalise.h"

/* Offset of an element in the tensor. */
static int64_t offset_in_tensor(const lopt__view *v, int64_t outer, int64_t row, int64_t lane) {
    return lopt__view_outer(v, outer) + row * v->row_stride + lane * v->lane_stride;
}

static float clipped_gradient_at(const lopt__job *job, int64_t outer, int64_t row, int64_t lane) {
    const lopt__view *v = job->view;
    float g = job->grads[offset_in_tensor(v, outer, row, lane)];
    return lopt__clip_to_limit(g, job->pipeline->grad_limit);
}

static float decayed_average(float decay, float one_minus_decay, float old, float next) {
    return decay * old + one_minus_decay * next;
}

static void accumulate_element(lopt__job *job, int64_t outer, int64_t row, int64_t lane) {
    const lopt__decays *d = job->decays;
    float g = clipped_gradient_at(job, outer, row, lane);
    float *m = lopt__momentum_row(&job->acc, job->view, outer, row) + lane;
    float *rms = lopt__rms_row(&job->acc, job->view, outer, row) + lane;
    for (int k = 0; k < LOPT__K; k++, m += job->view->pitch)
        *m = decayed_average(d->momentum[k], d->one_minus_momentum[k], *m, g);
    *rms = decayed_average(d->rms, d->one_minus_rms, *rms, g * g);
}

/* Mean of g^2 + 1e-30 over the lanes of a row, or over the rows of a lane. */
static float mean_square_gradient(const lopt__job *job, int64_t outer, int64_t row, int64_t lane) {
    const lopt__view *v = job->view;
    int over_lanes = lane < 0;
    int64_t n = over_lanes ? v->lanes : v->rows;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        float g = clipped_gradient_at(job, outer, over_lanes ? row : i, over_lanes ? i : lane);
        sum += g * g + LOPT__GRAD_SQUARE_FLOOR;
    }
    return (float)(sum / (double)n);
}

static void accumulate_factored(lopt__job *job, int64_t outer) {
    const lopt__view *v = job->view;
    const lopt__decays *d = job->decays;
    for (int64_t lane = 0; lane < v->lanes; lane++) {
        float mean = mean_square_gradient(job, outer, 0, lane); /* not factored: one row, g^2 itself */
        for (int k = 0; k < LOPT__K; k++) {
            float *x = job->acc.lane + (outer * LOPT__K + k) * v->pitch + lane;
            *x = decayed_average(d->factored[k], d->one_minus_factored[k], *x, mean);
        }
    }
    for (int64_t row = 0; v->factored && row < v->rows; row++) {
        float mean = mean_square_gradient(job, outer, row, -1);
        for (int k = 0; k < LOPT__K; k++) {
            float *x = job->acc.row + (outer * LOPT__K + k) * v->row_pitch + row;
            *x = decayed_average(d->factored[k], d->one_minus_factored[k], *x, mean);
        }
    }
}

static void reference_accumulate(lopt__job *job) {
    const lopt__view *v = job->view;
    for (int64_t outer = 0; outer < v->n_outer; outer++) {
        for (int64_t row = 0; row < v->rows; row++)
            for (int64_t lane = 0; lane < v->lanes; lane++) accumulate_element(job, outer, row, lane);
        accumulate_factored(job, outer);
    }
}

static float inverse_root(float x) {
    return 1.0f / sqrtf(x);
}

static float safe_inverse_root(float x) {
    return inverse_root(x < LOPT__RSQRT_FLOOR ? LOPT__RSQRT_FLOOR : x); /* NaN stays NaN */
}

/* Mean of R_k over d1, for one outer slice. */
static void mean_of_factor_R(const lopt__job *job, int64_t outer, float mean[LOPT__K]) {
    const lopt__view *v = job->view;
    for (int k = 0; k < LOPT__K && v->factored; k++) {
        const float *R = v->lanes_are_d0 ? job->acc.row + (outer * LOPT__K + k) * v->row_pitch
                                         : job->acc.lane + (outer * LOPT__K + k) * v->pitch;
        int64_t n = v->lanes_are_d0 ? v->rows : v->lanes;
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += R[i];
        mean[k] = (float)(sum / (double)n);
    }
}

static lopt__point gather_point(const lopt__job *job, const float mean[LOPT__K], int64_t outer, int64_t row,
                                int64_t lane) {
    const lopt__view *v = job->view;
    lopt__point x;
    x.g = clipped_gradient_at(job, outer, row, lane);
    x.p = job->params[offset_in_tensor(v, outer, row, lane)];
    x.rms = lopt__rms_row(&job->acc, v, outer, row)[lane];
    for (int k = 0; k < LOPT__K; k++) {
        float lane_side = job->acc.lane[(outer * LOPT__K + k) * v->pitch + lane];
        x.m[k] = lopt__momentum_row(&job->acc, v, outer, row)[k * v->pitch + lane];
        if (v->factored) {
            float row_side = job->acc.row[(outer * LOPT__K + k) * v->row_pitch + row];
            x.R[k] = v->lanes_are_d0 ? row_side : lane_side;
            x.C[k] = v->lanes_are_d0 ? lane_side : row_side;
            float r = safe_inverse_root(x.R[k] / (mean[k] + LOPT__FACTOR_EPSILON));
            x.g_factor[k] = x.m_factor[k] = r * safe_inverse_root(x.C[k]);
        } else {
            x.R[k] = x.C[k] = lane_side;
            x.g_factor[k] = safe_inverse_root(lane_side + LOPT__FACTOR_EPSILON);
            x.m_factor[k] = inverse_root(lane_side + job->pipeline->momentum_epsilon);
        }
    }
    return x;
}

static void reference_moments(lopt__job *job) {
    const lopt__view *v = job->view;
    int64_t n_sums = v->size / job->slice * LOPT__N_EXTENDED;
    memset(job->mean_square, 0, (size_t)n_sums * sizeof *job->mean_square);
    for (int64_t outer = 0; outer < v->n_outer; outer++) {
        float mean[LOPT__K];
        mean_of_factor_R(job, outer, mean);
        for (int64_t row = 0; row < v->rows; row++)
            for (int64_t lane = 0; lane < v->lanes; lane++) {
                lopt__point x = gather_point(job, mean, outer, row, lane);
                double *sum = lopt__mean_square_at(job, offset_in_tensor(v, outer, row, lane));
                float feature[LOPT__N_EXTENDED];
                lopt__make_features(job->pipeline, &x, feature);
                for (int i = 0; i < job->pipeline->n_features; i++) sum[i] += (double)feature[i] * feature[i];
            }
    }
    for (int64_t i = 0; i < n_sums; i++) job->mean_square[i] /= (double)job->slice;
}

/* The network's step for the parameter at `offset`. */
static float network_step_of_point(const lopt__job *job, const lopt__point *x, int64_t offset) {
    const double *mean_square = lopt__mean_square_at(job, offset);
    int n = job->pipeline->n_features;
    float feature[LOPT__N_EXTENDED + LOPT__N_TIME], out[2] = {0};
    lopt__make_features(job->pipeline, x, feature);
    for (int i = 0; i < n; i++)
        feature[i] *= lopt__normalising_factor(job->pipeline->normalise_epsilon, (float)mean_square[i]);
    for (int i = 0; i < LOPT__N_TIME && job->time; i++) feature[n + i] = job->time[i];
    lopt__mlp_forward(job->mlp, feature, out, job->scratch);
    return out[0] * expf(out[1] * job->exp_mult) * job->step_mult;
}

static void apply_to_element(lopt__job *job, const float mean[LOPT__K], int64_t outer, int64_t row, int64_t lane) {
    lopt__point x = gather_point(job, mean, outer, row, lane);
    int64_t i = offset_in_tensor(job->view, outer, row, lane);
    float step = network_step_of_point(job, &x, i);
    if (job->steps) {
        job->steps[i] = step;
        return;
    }
    step *= job->learning_rate;
    float decayed_p = job->decay_uses_updated ? x.p - step : x.p;
    float update = -step - job->learning_rate * job->weight_decay * decayed_p;
    job->params[i] = x.p + update;
    if (job->updates) job->updates[i] = update;
}

static void reference_apply(lopt__job *job) {
    const lopt__view *v = job->view;
    for (int64_t outer = 0; outer < v->n_outer; outer++) {
        float mean[LOPT__K];
        mean_of_factor_R(job, outer, mean);
        for (int64_t row = 0; row < v->rows; row++)
            for (int64_t lane = 0; lane < v->lanes; lane++) apply_to_element(job, mean, outer, row, lane);
    }
}

/* ---- for controllers ---------------------------------------------------------------------------- */

/* Calls add for every parameter of a tensor. */
static void sum_over_elements(const lopt__job *job, const double *mean,
                              void (*add)(float p, const float m[LOPT__K], float rms, const double *mean, double *sum),
                              double *sum) {
    const lopt__view *v = job->view;
    for (int64_t outer = 0; outer < v->n_outer; outer++)
        for (int64_t row = 0; row < v->rows; row++) {
            const float *momentum = lopt__momentum_row(&job->acc, v, outer, row);
            const float *rms = lopt__rms_row(&job->acc, v, outer, row);
            for (int64_t lane = 0; lane < v->lanes; lane++) {
                float m[LOPT__K];
                for (int k = 0; k < LOPT__K; k++) m[k] = momentum[k * v->pitch + lane];
                add(job->params[offset_in_tensor(v, outer, row, lane)], m, rms[lane], mean, sum);
            }
        }
}

static void add_element_means(float p, const float m[LOPT__K], float rms, const double *mean, double *sum) {
    (void)mean;
    sum[0] += (double)p * p;
    sum[1] += rms;
    for (int k = 0; k < LOPT__K; k++) sum[2 + k] += m[k];
}

static void add_element_deviations(float p, const float m[LOPT__K], float rms, const double *mean, double *sum) {
    (void)p;
    for (int k = 0; k < LOPT__K; k++) {
        sum[k] += (m[k] - mean[k]) * (m[k] - mean[k]);
        sum[LOPT__K + k] += (rms - mean[k]) * (rms - mean[k]);
    }
}

static void reference_statistics(const lopt__job *job, lopt__statistics *out) {
    double n = (double)job->view->size, first[2 + LOPT__K] = {0}, second[2 * LOPT__K] = {0};
    sum_over_elements(job, NULL, add_element_means, first);
    for (int i = 0; i < 2 + LOPT__K; i++) first[i] /= n;
    sum_over_elements(job, first + 2, add_element_deviations, second);
    out->mean_p2 = first[0];
    out->mean_rms = first[1];
    for (int k = 0; k < LOPT__K; k++) {
        out->variance_m[k] = second[k] / n;
        out->rms_around_m[k] = second[LOPT__K + k] / n;
    }
}

#define COLUMNS 64 /* summed at a time */

/* Sums in double: those of a controller are long, and errors are amplified where its outputs cancel
 * (docs/optimizers.md). */
static void reference_multiply(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                               int64_t ldb, float *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t first = 0; first < n; first += COLUMNS) {
            int64_t width = n - first < COLUMNS ? n - first : COLUMNS;
            double sum[COLUMNS] = {0};
            for (int64_t l = 0; l < k; l++)
                for (int64_t j = 0; j < width; j++) sum[j] += (double)a[i * lda + l] * b[l * ldb + first + j];
            for (int64_t j = 0; j < width; j++) c[i * ldc + first + j] = (float)(c[i * ldc + first + j] + sum[j]);
        }
}

static double sigmoid_of_double(double x) {
    return 1 / (1 + exp(-x));
}

static void reference_lstm_cell(int64_t rows, int64_t size, const float *gates, float *hidden, float *cell) {
    for (int64_t r = 0; r < rows; r++, gates += 4 * size, hidden += size, cell += size)
        for (int64_t k = 0; k < size; k++) {
            const float *i = gates + k, *g = i + size, *f = g + size, *o = f + size;
            double next = sigmoid_of_double(*f + 1.0) * cell[k] + sigmoid_of_double(*i) * tanh((double)*g);
            cell[k] = (float)next;
            hidden[k] = (float)(sigmoid_of_double(*o) * tanh(next));
        }
}

static void reference_newton_schulz_step(const lopt__newton_schulz_work *w) {
    const float *coefficient = w->coefficient;
    int64_t n = w->n, m = w->m, pitch = w->pitch;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < pitch; j++) {
            w->gram[i * pitch + j] = 0;
            for (int64_t l = 0; l < m; l++) w->gram[i * pitch + j] += w->now[l * pitch + i] * w->now[l * pitch + j];
        }
    memset(w->factor, 0, (size_t)(n * pitch) * sizeof *w->factor);
    reference_multiply(n, pitch, n, w->gram, pitch, w->gram, pitch, w->factor, pitch);
    for (int64_t i = 0; i < n * pitch; i++) w->factor[i] = coefficient[1] * w->gram[i] + coefficient[2] * w->factor[i];
    for (int64_t i = 0; i < m * pitch; i++) w->next[i] = coefficient[0] * w->now[i];
    reference_multiply(m, pitch, n, w->now, pitch, w->factor, pitch, w->next, pitch);
}

const lopt__kernels lopt__kernels_reference = {"reference",         reference_accumulate,        reference_moments,
                                               reference_apply,     reference_statistics,        reference_multiply,
                                               reference_lstm_cell, reference_newton_schulz_step};
