/* SPDX-License-Identifier: Apache-2.0
 *
 * adafactor.c - Adafactor (Shazeer and Stern 2018, 1804.04235; optax.adafactor).
 *
 *     beta = 1 - (t - decay_offset + 1)^-decay_rate, t updates done; q = g^2 + epsilon
 *     factored: R <- beta R + (1 - beta) mean over d0 of q,  C <- the same over d1
 *               u = g / sqrt(R / (mean over d1 of R)) / sqrt(C)
 *     else:     V <- beta V + (1 - beta) q,  u = g / sqrt(V)
 *     u <- u / max(1, rms(u) / clipping_threshold)
 *     u <- u learning_rate max(rms(p), 1e-3)
 *     m <- momentum m + (1 - momentum) u;  u = m                            where momentum is not 0
 *     p <- p - u - weight_decay p                       weight decay is not times the learning rate
 *
 * d0 is the largest axis, d1 the next (tensor_layout.h); factored if d1 has min_dim_size_to_factor elements.
 * relative_step: the learning rate is at most 1 / sqrt(t + 1), as torch.optim.Adafactor has it
 * (which also factors the last two axes regardless of size, and uses epsilon as a lower bound).
 *
 * State of a tensor: [n_outer][rows] and [n_outer][lanes] (R and C), or V; then m, where momentum
 * is not 0. */
#include <string.h>

#include "classical/elementwise_update.h"

enum {
    MIN_DIM_SIZE_TO_FACTOR = LOPT__N_COMMON,
    DECAY_RATE,
    DECAY_OFFSET,
    MULTIPLY_BY_PARAMETER_SCALE,
    CLIPPING_THRESHOLD,
    MOMENTUM,
    EPSILON,
    FACTORED,
    RELATIVE_STEP
};

#define MIN_PARAMETER_SCALE 1e-3f

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.01", "0"),
    [MIN_DIM_SIZE_TO_FACTOR] = {"min_dim_size_to_factor", LOPT__INTEGER, 1, 1, 1e12, NULL, "128",
                                "minimum length of the second largest axis of a factored tensor"},
    [DECAY_RATE] = {"decay_rate", LOPT__NUMBER, 1, 0, 1e6, NULL, "0.8", "exponent of the decay"},
    [DECAY_OFFSET] = {"decay_offset", LOPT__INTEGER, 1, -1e12, 0, NULL, "0",
                      "minus the updates done before the first step"},
    [MULTIPLY_BY_PARAMETER_SCALE] = {"multiply_by_parameter_scale", LOPT__BOOLEAN, 1, 0, 1, NULL, "true",
                                     "scale steps by the root mean square of the tensor"},
    [CLIPPING_THRESHOLD] = {"clipping_threshold", LOPT__NUMBER, 1, 0, 1e6, NULL, "1",
                            "largest root mean square of a step before the learning rate; 0: off"},
    [MOMENTUM] = {"momentum", LOPT__NUMBER, 1, 0, 1, NULL, "0", "decay of the mean step; 0: none"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-30", "added to squares"},
    [FACTORED] = {"factored", LOPT__BOOLEAN, 1, 0, 1, NULL, "true", "factor large tensors"},
    [RELATIVE_STEP] = {"relative_step", LOPT__BOOLEAN, 1, 0, 1, NULL, "false",
                       "learning rate at most 1 / sqrt(updates)"},
};

static const lopt__preset presets[] = {
    {{"adafactor", "adafactor", "Adam with factored second moments and no momentum",
      "Shazeer and Stern, 2018 (1804.04235)", 0},
     {{0}}},
};

static int is_view_factored(const lopt_optimizer *opt, const lopt__view *v) {
    int64_t d1_size = v->rows < v->lanes ? v->rows : v->lanes;
    return lopt__read_integer(opt, FACTORED) && v->factored && (double)d1_size >= opt->value[MIN_DIM_SIZE_TO_FACTOR][0];
}

static size_t floats_of_second_moment(const lopt_optimizer *opt, const lopt__view *v) {
    return (size_t)(is_view_factored(opt, v) ? v->n_outer * (v->rows + v->lanes) : v->size);
}

static size_t adafactor_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    return floats_of_second_moment(opt, view) + (lopt__read_number(opt, MOMENTUM) != 0 ? (size_t)view->size : 0);
}

/* u, gradient, factors of rows and lanes (at most the size of a factored tensor). */
static size_t adafactor_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return 3 * lopt__largest_tensor(opt, state) + 2;
}

typedef struct adafactor_constants {
    float beta, one_minus_beta, epsilon;
} adafactor_constants;

static void adafactor_second_moment(const lopt__span *s, const void *constants) {
    const adafactor_constants c = *(const adafactor_constants *)constants;
    const float *restrict g = s->g;
    float *restrict v = lopt__span_array(s, 0), *restrict u = s->update;
    for (int64_t i = 0; i < s->n; i++) {
        v[i] = c.beta * v[i] + c.one_minus_beta * (g[i] * g[i] + c.epsilon);
        u[i] = g[i] / sqrtf(v[i]);
    }
}

/* Sums of g^2 + epsilon of one slice over its lanes and over its rows. */
static void sum_slice_squares(const lopt__view *v, const float *g, float epsilon, float *restrict row_sum,
                              float *restrict lane_sum) {
    const int64_t stride = v->lane_stride;
    memset(lane_sum, 0, (size_t)v->lanes * sizeof *lane_sum);
    for (int64_t r = 0; r < v->rows; r++) {
        const float *restrict line = g + r * v->row_stride;
        double sum = 0;
        for (int64_t j = 0; j < v->lanes; j++) {
            float square = line[j * stride] * line[j * stride] + epsilon;
            lane_sum[j] += square;
            sum += square;
        }
        row_sum[r] = (float)sum;
    }
}

static void average_second_moment(const adafactor_constants *c, float *moment, const float *sum, int64_t n,
                                  int64_t over) {
    for (int64_t i = 0; i < n; i++) moment[i] = c->beta * moment[i] + c->one_minus_beta * (sum[i] / (float)over);
}

static float mean_of_moment(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return (float)(sum / (double)n);
}

/* factor[i] = 1 / sqrt(moment[i] / divisor) */
static void set_inverse_roots(const float *moment, int64_t n, float divisor, float *factor) {
    for (int64_t i = 0; i < n; i++) factor[i] = 1 / sqrtf(moment[i] / divisor);
}

/* One slice; rows[], lanes[]: its moments, work: rows + lanes floats. R is the mean over d0: that
 * of the rows if lanes are d0. */
static void precondition_slice(const adafactor_constants *c, const lopt__view *v, const float *g, float *rows,
                               float *lanes, float *restrict work, float *u) {
    float *restrict row = work, *restrict lane = work + v->rows;
    sum_slice_squares(v, g, c->epsilon, row, lane);
    average_second_moment(c, rows, row, v->rows, v->lanes);
    average_second_moment(c, lanes, lane, v->lanes, v->rows);
    set_inverse_roots(rows, v->rows, v->lanes_are_d0 ? mean_of_moment(rows, v->rows) : 1, row);
    set_inverse_roots(lanes, v->lanes, v->lanes_are_d0 ? 1 : mean_of_moment(lanes, v->lanes), lane);
    for (int64_t r = 0; r < v->rows; r++)
        for (int64_t j = 0; j < v->lanes; j++) {
            int64_t at = r * v->row_stride + j * v->lane_stride;
            u[at] = g[at] * row[r] * lane[j];
        }
}

/* u = g over the root of its second moment. */
static void precondition_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io,
                                const adafactor_constants *c, float *u) {
    const lopt__view *v = &t->view;
    if (!is_view_factored(opt, v)) {
        lopt__run_rule(opt, t, io, 1, adafactor_second_moment, c, u);
        return;
    }
    float *gradient = u + v->size, *work = gradient + v->size, *lanes = t->data + v->n_outer * v->rows;
    const float *g = lopt__decayed_gradient(opt, t, io, gradient);
    for (int64_t o = 0; o < v->n_outer; o++) {
        int64_t at = lopt__view_outer(v, o);
        precondition_slice(c, v, g + at, t->data + o * v->rows, lanes + o * v->lanes, work, u + at);
    }
}

static float root_mean_square(lopt__team *team, const float *x, int64_t n) {
    return lopt__norm_of(team, x, n) / sqrtf((float)n);
}

/* What u is multiplied by: clipping, learning rate, scale of the parameters. */
static float adafactor_step_size(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, float rate,
                                 const float *u) {
    float threshold = lopt__read_number(opt, CLIPPING_THRESHOLD);
    if (threshold != 0) rate /= lopt__larger_of(1, root_mean_square(io->team, u, t->view.size) / threshold);
    if (lopt__read_integer(opt, MULTIPLY_BY_PARAMETER_SCALE))
        rate *= lopt__larger_of(MIN_PARAMETER_SCALE, root_mean_square(io->team, io->params + t->offset, t->view.size));
    return rate;
}

static void adafactor_step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, float rate,
                                  const adafactor_constants *c, float *restrict u) {
    precondition_tensor(opt, t, io, c, u);
    int64_t n = t->view.size;
    float size = adafactor_step_size(opt, t, io, rate, u), momentum = lopt__read_number(opt, MOMENTUM);
    float one_minus_momentum = (float)(1 - opt->value[MOMENTUM][0]), decay = lopt__decoupled_decay(opt, t);
    float *restrict m = t->data + floats_of_second_moment(opt, &t->view);
    const float *restrict p = io->params + t->offset;
    for (int64_t i = 0; i < n; i++) u[i] *= size;
    for (int64_t i = 0; momentum != 0 && i < n; i++) u[i] = m[i] = one_minus_momentum * u[i] + momentum * m[i];
    for (int64_t i = 0; i < n; i++) u[i] += decay * p[i];
    lopt__add_update(t, io, -1, u);
}

static void adafactor_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    float rate = lopt__scheduled_rate(opt, state), done = (float)(state->header->step + 1);
    float count = done - lopt__read_number(opt, DECAY_OFFSET);
    float beta = 1 - powf(count, -lopt__read_number(opt, DECAY_RATE));
    adafactor_constants c = {beta, 1 - beta, lopt__read_number(opt, EPSILON)};
    if (lopt__read_integer(opt, RELATIVE_STEP)) rate = lopt__smaller_of(rate, 1 / sqrtf(done));
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        adafactor_step_tensor(opt, t, io, lopt__tensor_rate(t, rate), &c, state->scratch);
    }
}

const lopt__kind lopt__adafactor = {
    .name = "adafactor",
    LOPT__TABLES,
    .tensor_floats = adafactor_tensor_floats,
    .scratch_floats = adafactor_scratch_floats,
    .step = adafactor_step,
};
