/* SPDX-License-Identifier: Apache-2.0
 *
 * prodigy.c - Prodigy (Mishchenko and Defazio 2023, 2306.06101; prodigyopt 1.1.2): Adam that estimates its own
 * learning rate d from the distance to the initial parameters p0. learning_rate is a factor of it.
 *
 *     r = learning_rate d, with bias_correction times sqrt(1 - beta2^T) / (1 - beta1^T)
 *     m <- beta1 m + (1 - beta1) d g          v <- beta2 v + (1 - beta2) d^2 g^2
 *     s <- beta3 s + (d / d0) r g             safeguard_warmup: d in place of r
 *     a <- beta3 a + (d / d0) r <g, p0 - p>   over all tensors, as |s|_1
 *     e = d_coef a / |s|_1;  if d = d0: d <- max(d, e);  D <- max(D, e);  d <- min(D, d growth_rate)
 *     p <- p - r (m / (sqrt(v) + d epsilon) + weight_decay p)
 *
 * r has the d before its update. A step with learning rate 0 or |s|_1 = 0 changes neither d nor p and is not counted
 * by T. lr_scale of a tensor multiplies its last line only. State of a tensor: m, v, s, p0. Global: d, D, a from
 * d0, d0, 0, and T. */
#include <string.h>

#include "classical/moments.h"

enum { BETA3 = LOPT__N_COMMON + 2, EPSILON, BIAS_CORRECTION, SAFEGUARD_WARMUP, D0, D_COEF, GROWTH_RATE };
enum { GLOBAL_D, GLOBAL_D_MAX, GLOBAL_NUMERATOR, GLOBAL_STEPS, N_GLOBAL };
enum { ARRAY_M, ARRAY_V, ARRAY_S, ARRAY_P0, N_ARRAYS };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("1", "0"),
    [LOPT__BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the mean gradient"},
    [LOPT__BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.999", "decay of the mean square"},
    [BETA3] = {"beta3", LOPT__NUMBER, 1, 0, 1, NULL, "0", "decay of the sums that d is estimated from; 0: sqrt(beta2)"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "times d, added to the root"},
    [BIAS_CORRECTION] = {"bias_correction", LOPT__BOOLEAN, 1, 0, 1, NULL, "false", "correct the bias of the moments"},
    [SAFEGUARD_WARMUP] = {"safeguard_warmup", LOPT__BOOLEAN, 1, 0, 1, NULL, "false",
                          "keep the learning rate out of the denominator of the estimate"},
    [D0] = {"d0", LOPT__NUMBER, 1, 1e-30, 1e6, NULL, "1e-6", "first estimate of d"},
    [D_COEF] = {"d_coef", LOPT__NUMBER, 1, 0, 1e6, NULL, "1", "factor of estimates of d"},
    [GROWTH_RATE] = {"growth_rate", LOPT__NUMBER, 1, 0, 1e6, NULL, "0",
                     "d grows at most by this factor a step; 0: any"},
};

static const lopt__preset presets[] = {
    {{"prodigy", "prodigy", "Adam that estimates its learning rate", "Mishchenko and Defazio, 2023 (2306.06101)", 0},
     {{0}}},
};

static size_t prodigy_global_floats(const lopt_optimizer *opt, size_t n_tensors) {
    (void)opt;
    (void)n_tensors;
    return N_GLOBAL;
}

static size_t prodigy_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return N_ARRAYS * (size_t)view->size;
}

static void prodigy_reset(const lopt_optimizer *opt, lopt_state *state) {
    state->global[GLOBAL_D] = state->global[GLOBAL_D_MAX] = lopt__read_number(opt, D0);
}

typedef struct prodigy_constants {
    lopt__moments moments;
    float beta3, d, s_rate, epsilon; /* epsilon: times the new d */
    int first;
} prodigy_constants;

/* Sums of the tensor; update = g (p0 - p). */
static void prodigy_moments_rule(const lopt__span *s, const void *constants) {
    const prodigy_constants c = *(const prodigy_constants *)constants;
    const lopt__moments k = c.moments;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, ARRAY_M), *restrict v = lopt__span_array(s, ARRAY_V);
    float *restrict sum = lopt__span_array(s, ARRAY_S), *restrict p0 = lopt__span_array(s, ARRAY_P0);
    float *restrict update = s->update;
    if (c.first) memcpy(p0, p, (size_t)s->n * sizeof *p0);
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        float scaled = c.d * g[i];
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * scaled;
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (scaled * scaled);
        sum[i] = c.beta3 * sum[i] + c.s_rate * g[i];
        update[i] = g[i] * (p0[i] - p[i]);
    }
}

static void prodigy_rule(const lopt__span *s, const void *constants) {
    const float epsilon = ((const prodigy_constants *)constants)->epsilon, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict m = lopt__span_array(s, ARRAY_M),
                          *restrict v = lopt__span_array(s, ARRAY_V);
    float *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) update[i] = -rate * (m[i] / (sqrtf(v[i]) + epsilon) + decay * p[i]);
}

/* Moments of all tensors; *product = <g, p0 - p>. Returns |s|_1. */
static double sum_over_tensors(const lopt_optimizer *opt, const lopt_state *state, const lopt__io *io,
                               const prodigy_constants *c, double *product) {
    double norm = 0;
    *product = 0;
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        const float *s = t->data + ARRAY_S * t->view.size;
        lopt__run_rule(opt, t, io, 1, prodigy_moments_rule, c, state->scratch);
        for (int64_t k = 0; k < t->view.size; k++) {
            *product += state->scratch[k];
            norm += fabsf(s[k]);
        }
    }
    return norm;
}

/* The estimate of d after this step; of two numbers of which one is NaN the other counts. */
static void estimate_distance(const lopt_optimizer *opt, float *global, double norm) {
    double d = global[GLOBAL_D], growth = opt->value[GROWTH_RATE][0];
    double estimate = opt->value[D_COEF][0] * global[GLOBAL_NUMERATOR] / norm;
    if (global[GLOBAL_D] == lopt__read_number(opt, D0)) d = fmax(d, estimate);
    double d_max = fmax(global[GLOBAL_D_MAX], estimate);
    global[GLOBAL_D_MAX] = (float)d_max;
    global[GLOBAL_D] = (float)(growth > 0 ? fmin(d_max, d * growth) : d_max);
}

static prodigy_constants prodigy_constants_at(const lopt_optimizer *opt, const float *global) {
    double beta2 = opt->value[LOPT__BETA2][0], beta3 = opt->value[BETA3][0];
    int64_t done = (int64_t)global[GLOBAL_STEPS];
    return (prodigy_constants){.moments = lopt__moments_at_step(opt->value[LOPT__BETA1][0], beta2, done),
                               .beta3 = (float)(beta3 == 0 ? sqrt(beta2) : beta3),
                               .d = global[GLOBAL_D],
                               .first = done == 0};
}

static void prodigy_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    float *global = state->global;
    prodigy_constants c = prodigy_constants_at(opt, global);
    float r = c.d * lopt__scheduled_rate(opt, state), ratio = c.d / lopt__read_number(opt, D0);
    if (lopt__read_integer(opt, BIAS_CORRECTION)) r *= sqrtf(c.moments.correction2) / c.moments.correction1;
    c.s_rate = ratio * (lopt__read_integer(opt, SAFEGUARD_WARMUP) ? c.d : r);
    double product = 0, norm = r != 0 ? sum_over_tensors(opt, state, io, &c, &product) : 0;
    if (norm != 0) {
        global[GLOBAL_NUMERATOR] = (float)(c.beta3 * global[GLOBAL_NUMERATOR] + (double)ratio * r * product);
        estimate_distance(opt, global, norm);
        global[GLOBAL_STEPS]++;
    } else {
        r = 0;
    }
    c.epsilon = global[GLOBAL_D] * lopt__read_number(opt, EPSILON);
    for (size_t i = 0; i < state->n_tensors; i++)
        lopt__step_tensor(opt, &state->tensors[i], io, lopt__tensor_rate(&state->tensors[i], r), prodigy_rule, &c);
}

const lopt__kind lopt__prodigy = {
    .name = "prodigy",
    LOPT__TABLES,
    .global_floats = prodigy_global_floats,
    .tensor_floats = prodigy_tensor_floats,
    .scratch_floats = lopt__largest_tensor,
    .reset = prodigy_reset,
    .step = prodigy_step,
};
