/* SPDX-License-Identifier: Apache-2.0
 *
 * AdafacNominal: without its nominal part it is small-fc; with a network whose outputs are
 * constants every term has a closed form. */
#include "worked.h"

enum { N_STEPS = 3, MAX_SETTINGS = 12 };

/* The blocks of small-fc, the last layer with two more outputs. */
static void widen(const lopt_optimizer *narrow, lopt_optimizer *wide) {
    float *theta = malloc(lopt_n_theta(wide) * sizeof *theta);
    lopt_init_theta(wide, 2, theta);
    for (size_t i = 0; i < lopt_n_blocks(wide); i++) {
        const lopt_block *to = lopt_block_at(wide, i), *from = lopt_block_find(narrow, to->name);
        size_t rows = from->size == to->size ? 1 : from->size / 2;
        size_t n = from->size / rows, stored = to->size / rows;
        for (size_t r = 0; r < rows; r++)
            memcpy(theta + to->offset + r * stored, lopt_theta(narrow) + from->offset + r * n, n * sizeof *theta);
    }
    lopt_set_theta(wide, theta);
    free(theta);
}

static void check_near(const char *what, const float *p, const double *expected, double tolerance) {
    for (int i = 0; i < WORKED_PARAMS; i++)
        cr_assert(fabs((double)p[i] - expected[i]) < tolerance * fmax(1, fabs(expected[i])),
                  "%s, parameter %d: %.9g, not %.9g", what, i, (double)p[i], expected[i]);
}

/* The magnitude may count for more than usual, and be a tensor's mean where it is the same anyway.
 * */
Test(adafac_nominal, without_its_nominal_part_it_is_small_fc) {
    lopt_optimizer *narrow = worked_create("small-fc", (lopt_setting[]){{"exp_mult", "0.3"}}, 1);
    lopt_optimizer *wide = worked_create("adafac-nominal", (lopt_setting[]){{"exp_mult", "[0.3, 0.1, 0.1]"}}, 1);
    float *theta = malloc(lopt_n_theta(narrow) * sizeof *theta), p[WORKED_PARAMS], q[WORKED_PARAMS];
    double expected[WORKED_PARAMS];
    lopt_init_theta(narrow, 7, theta);
    worked_waves(theta + lopt_block_find(narrow, "momentum_decays")->offset, 7, 0.05, 0.7, 0);
    lopt_set_theta(narrow, theta);
    widen(narrow, wide);
    worked_train(narrow, N_STEPS, p);
    worked_train(wide, N_STEPS, q);
    for (int i = 0; i < WORKED_PARAMS; i++) expected[i] = (double)p[i];
    check_near("small-fc", q, expected, 1e-7);
    free(theta);
    lopt_destroy(narrow);
    lopt_destroy(wide);
}

/* ---- closed forms ---------------------------------------------------------------------------- */

static const float output[4] = {0.7f, -1.2f, 0.9f, 1.5f}; /* d, a, b, c of the network with these biases */

enum { SGD, SGDM, AGGMO, ADAM, ADAM_AGGMO };

typedef struct form {
    int estimate, nominal_controller, regularization_controller, normalize, selfnormalize, aggregate;
} form;

#define STEP_MULT 0.01
#define NOMINAL_STEPSIZE 0.02
#define WEIGHT_DECAY 0.05
static const double exp_mult[3] = {0.2, 0.3, 0.1};
static const double decay[3] = {0.9, 0.99, 0.999};

static double estimate(int which, double g, const double m[3], double inverse) {
    double mean = (m[0] + m[1] + m[2]) / 3;
    switch (which) {
    case SGD:
        return g;
    case SGDM:
        return m[2];
    case AGGMO:
        return mean;
    case ADAM:
        return m[2] * inverse;
    default:
        return mean * inverse;
    }
}

/* One parameter with its tensor's mean gradients. */
static double closed_form(const form *f, double p, const double g[N_STEPS], const double mean_g[N_STEPS]) {
    double m[3] = {0}, rms = 0;
    for (int step = 0; step < N_STEPS; step++) {
        for (int k = 0; k < 3; k++) m[k] = decay[k] * m[k] + (1 - decay[k]) * g[step];
        rms = 0.999 * rms + 0.001 * g[step] * g[step];
        double inverse = 1 / sqrt(rms + 1e-6);
        double b = f->nominal_controller ? (double)output[2] : 1;
        double c = f->regularization_controller ? (double)output[3] : 0;
        double black_box = (double)output[0] * exp((double)output[1] * exp_mult[0]) * STEP_MULT;
        if (f->normalize) black_box *= inverse;
        if (f->selfnormalize) black_box *= mean_g[step];
        double nominal = NOMINAL_STEPSIZE * exp(b * exp_mult[1]) * estimate(f->estimate, g[step], m, inverse);
        p = (1 - WEIGHT_DECAY * exp(c * exp_mult[2])) * p - black_box - nominal;
    }
    return p;
}

static void closed_forms(const form *f, double *expected) {
    lopt_tensor t[WORKED_TENSORS];
    float p[WORKED_PARAMS], g[N_STEPS][WORKED_PARAMS];
    worked_tensors(t);
    worked_params(t, p);
    for (int step = 0; step < N_STEPS; step++) worked_grads(t, step, g[step]);
    for (int64_t tensor = 0, at = 0; tensor < WORKED_TENSORS; at += lopt_tensor_size(&t[tensor++])) {
        double mean[N_STEPS] = {0};
        int64_t n = lopt_tensor_size(&t[tensor]);
        for (int step = 0; step < N_STEPS; step++)
            for (int64_t i = at; i < at + n; i++) mean[step] += (double)g[step][i] / (double)n;
        for (int64_t i = at; i < at + n; i++) {
            double own[N_STEPS];
            for (int step = 0; step < N_STEPS; step++) own[step] = (double)g[step][i];
            expected[i] = closed_form(f, (double)p[i], own, mean);
        }
    }
}

static lopt_optimizer *create_form(const form *f) {
    static const char *const flag[] = {"false", "true"};
    static const char *const estimates[] = {"sgd", "sgdm", "aggmo", "adam", "adam-aggmo"};
    const lopt_setting settings[MAX_SETTINGS] = {
        {"step_mult", "0.01"},
        {"exp_mult", "[0.2, 0.3, 0.1]"},
        {"nominal_stepsize", "0.02"},
        {"weight_decay", "0.05"},
        {"nominal_estimate", estimates[f->estimate]},
        {"nominal_controller", flag[f->nominal_controller]},
        {"regularization_controller", flag[f->regularization_controller]},
        {"normalize_blackbox", flag[f->normalize]},
        {"selfnormalize", flag[f->selfnormalize]},
        {"aggregate_magnitude", flag[f->aggregate]},
        {"aggregate_nominal", flag[f->aggregate]},
        {"aggregate_regularization", flag[f->aggregate]},
    };
    lopt_optimizer *opt = worked_create("adafac-nominal", settings, MAX_SETTINGS);
    float *theta = calloc(lopt_n_theta(opt), sizeof *theta);
    memcpy(theta + lopt_block_find(opt, "b2")->offset, output, sizeof output);
    lopt_set_theta(opt, theta);
    free(theta);
    return opt;
}

Test(adafac_nominal, closed_forms) {
    for (int bits = 0; bits < 32; bits++)
        for (int which = SGD; which <= ADAM_AGGMO; which++) {
            form f = {which, bits & 1, bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1, bits >> 4 & 1};
            float p[WORKED_PARAMS];
            double expected[WORKED_PARAMS];
            char what[32];
            snprintf(what, sizeof what, "estimate %d, flags %x", which, (unsigned)bits);
            lopt_optimizer *opt = create_form(&f);
            worked_train(opt, N_STEPS, p);
            closed_forms(&f, expected);
            check_near(what, p, expected, 3e-5); /* 1 - 0.999 in float */
            lopt_destroy(opt);
        }
}

/* The first update of each parameter with a network that looks at features. */
static void first_update(const char *aggregate, float *u) {
    const lopt_setting settings[] = {
        {"aggregate_magnitude", aggregate}, {"exp_mult", "[1, 1, 1]"}, {"hidden_size", "16"}};
    lopt_optimizer *opt = worked_create("adafac-nominal", settings, 3);
    lopt_tensor t[WORKED_TENSORS];
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta), p[WORKED_PARAMS], g[WORKED_PARAMS];
    lopt_error err = {0};
    lopt_init_theta(opt, 9, theta);
    lopt_set_theta(opt, theta);
    free(theta);
    worked_tensors(t);
    worked_params(t, p);
    worked_grads(t, 0, g);
    lopt_state *state = lopt_state_create(opt, t, WORKED_TENSORS, &err);
    cr_assert(state, "%s", err.text);
    lopt_step(opt, state, p, g, 1, u);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* Updates d exp(mean a) over updates d exp(a): the mean logarithm of the ratios is 0. */
Test(adafac_nominal, the_magnitude_may_be_its_mean) {
    lopt_tensor t[WORKED_TENSORS];
    float own[WORKED_PARAMS], mean[WORKED_PARAMS];
    worked_tensors(t);
    first_update("false", own);
    first_update("true", mean);
    for (int64_t tensor = 0, at = 0; tensor < WORKED_TENSORS; at += lopt_tensor_size(&t[tensor++])) {
        double sum = 0, spread = 0;
        for (int64_t i = at; i < at + lopt_tensor_size(&t[tensor]); i++) {
            double ratio = log((double)mean[i] / (double)own[i]);
            sum += ratio;
            spread += fabs(ratio);
        }
        cr_assert(fabs(sum) < 1e-4, "tensor %s: %g", t[tensor].name, sum);
        cr_assert((spread > 0.1) == (t[tensor].rank > 0), "tensor %s: %g", t[tensor].name, spread);
    }
}
