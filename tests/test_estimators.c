/* SPDX-License-Identifier: Apache-2.0
 *
 * test_estimators.c - every estimator against closed forms.
 *
 * The inner problem: a position moves by x <- x - a.theta at each step, and the loss after step t
 * is (x_t - c)^2, so x_t = x_0 - t a.theta. The loss is quadratic in theta, hence Gaussian
 * smoothing does not change its gradient, and
 *
 *     d(loss_t)/d(theta) = -2 t (x_0 - t a.theta - c) a.
 *
 * es, pes, nres and gpes must give the mean of that over the trajectory; tes is known to see only
 * the steps of its own window. The test plays the rules of estimator.h itself and hands mt_estimate
 * the reports. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "estimator.h"
#include "whole_noise.h"

enum { DIM = 3, PARTICLES = 4000, LENGTH = 12, WINDOW = 4, NOISE_EVERY = 8 };
static const double a[DIM] = {1, -0.5, 0.25};
static const float theta[DIM] = {0.1f, 0.2f, 0.3f};
static const unsigned char trained[DIM] = {1, 1, 1};
static const double x0 = 1, c = 0.45;

/* a.(theta + sign * delta) */
static double speed(const float *delta, double sign) {
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += a[i] * ((double)theta[i] + sign * (double)delta[i]);
    return sum;
}

typedef struct walker { /* a particle of this problem */
    double x[2];
    int t;
    int64_t trajectory, noise, draws;
} walker;

static void take_step(walker *w, const float *delta, mt_segment *s) {
    for (int twin = 0; twin < 2; twin++) {
        w->x[twin] -= speed(delta, twin ? -1 : 1);
        s->sum[twin] += (w->x[twin] - c) * (w->x[twin] - c);
    }
    w->t++;
    s->count++;
}

/* One window by the rules; a trajectory that ends inside it is followed by the next. */
static void walk(const mt_rule *rule, const mt_noise *noise, walker *w, int64_t particle,
                 int window, mt_report *r) {
    float delta[DIM];
    mt_segment *s = NULL;
    *r = (mt_report){.particle = particle, .window = window};
    if (rule->redraw == MT_EACH_WINDOW)
        w->noise = w->draws++;
    if (rule->start == MT_POSITIVE_STATE)
        w->x[1] = w->x[0];
    if (rule->start == MT_NEW_TRAJECTORY)
        w->t = LENGTH;
    int steps = rule->start == MT_NEW_TRAJECTORY ? LENGTH : WINDOW;
    for (int k = 0; k < steps; k++) {
        int reset = w->t == LENGTH;
        if (reset)
            w->x[0] = w->x[1] = x0, w->t = 0, w->trajectory++;
        int redraw = (reset && rule->redraw == MT_EACH_TRAJECTORY) ||
                     (rule->redraw == MT_EVERY_K_STEPS && w->t % NOISE_EVERY == 0);
        if (redraw)
            w->noise = w->draws++;
        if (reset || redraw || !s) {
            s = &r->segment[r->n_segments++];
            *s = (mt_segment){.trajectory = w->trajectory, .noise = w->noise};
        }
        whole_noise(noise, particle, w->noise, delta);
        take_step(w, delta, s);
    }
}

/* Mean gradient over `windows` windows, all particles starting `stagger` steps apart, and its
 * standard error along a, by batches of windows. */
static void average(mt_estimator name, uint64_t seed, int stagger, int windows, double mean[DIM]) {
    static walker w[PARTICLES];
    static mt_report report[PARTICLES];
    mt_gradient_estimator e;
    mt_outer_summary summary;
    mt_noise noise = {seed, 0.1f, DIM, trained};
    const mt_rule *rule = mt_estimator_rule(name);
    cr_assert(mt_estimator_open(&e, rule, noise, PARTICLES, NULL));
    for (int p = 0; p < PARTICLES; p++)
        w[p] = (walker){.t = LENGTH, .trajectory = -1, .noise = -1};
    memset(mean, 0, DIM * sizeof *mean);
    for (int k = -3; k < windows; k++) {
        for (int p = 0; p < PARTICLES; p++) {
            if (k == -3 && stagger)
                w[p] = (walker){.x = {x0, x0},
                                .t = p % LENGTH,
                                .trajectory = -2,
                                .noise = -1}; /* first trajectories end early */
            walk(rule, &noise, &w[p], p, k, &report[p]);
        }
        mt_estimate(&e, report, &summary);
        for (int i = 0; i < DIM; i++)
            mean[i] += k >= 0 ? e.gradient[i] / windows : 0;
    }
    mt_estimator_close(&e);
}

/* Mean over t = 1..LENGTH of the gradient factor: times a[i] gives the gradient. own_window: the
 * derivative sees only the steps since the window began (tes). */
static double closed_form(int own_window) {
    double sum = 0, v = 0;
    for (int i = 0; i < DIM; i++)
        v += a[i] * (double)theta[i];
    for (int t = 1; t <= LENGTH; t++) {
        int seen = own_window ? (t - 1) % WINDOW + 1 : t;
        sum += -2 * seen * (x0 - t * v - c);
    }
    return sum / LENGTH;
}

static void check(mt_estimator name, int stagger, double factor, double tolerance) {
    double mean[DIM];
    average(name, 17, stagger, 60, mean);
    for (int i = 0; i < DIM; i++)
        cr_assert(fabs(mean[i] - factor * a[i]) < tolerance,
                  "%s: component %d is %g, closed form %g", mt_estimator_rule(name)->name, i,
                  mean[i], factor * a[i]);
}

/* Tolerances are about five standard errors of the mean, found by varying the seed. */
Test(estimators, es_is_unbiased) {
    check(MT_ES, 0, closed_form(0), 0.05);
}
Test(estimators, pes_is_unbiased) {
    check(MT_PES, 0, closed_form(0), 0.08);
}
Test(estimators, nres_is_unbiased) {
    check(MT_NRES, 0, closed_form(0), 0.05);
}
Test(estimators, gpes_is_unbiased) {
    check(MT_GPES, 0, closed_form(0), 0.08);
}
Test(estimators, tes_sees_only_its_window) {
    check(MT_TES, 0, closed_form(1), 0.03);
}

/* Resets inside windows, at every phase. */
Test(estimators, pes_with_resets_inside_windows) {
    check(MT_PES, 1, closed_form(0), 0.08);
}
Test(estimators, nres_with_resets_inside_windows) {
    check(MT_NRES, 1, closed_form(0), 0.05);
}
Test(estimators, gpes_with_resets_inside_windows) {
    check(MT_GPES, 1, closed_form(0), 0.08);
}

/* Here the whole trajectory says "smaller a.theta", its windows say "larger": truncation points the
 * wrong way (the bias that PES was made for). */
Test(estimators, the_bias_of_tes_is_real) {
    double full = closed_form(0), truncated = closed_form(1);
    cr_assert(full > 0.5 && truncated < -0.1, "full %g, truncated %g", full, truncated);
}

Test(estimators, dropped_particles_count_for_nothing_but_keep_their_noise) {
    mt_gradient_estimator e;
    mt_outer_summary summary;
    mt_noise noise = {3, 0.1f, DIM, trained};
    float first[DIM], second[DIM];
    cr_assert(mt_estimator_open(&e, mt_estimator_rule(MT_PES), noise, 1, NULL));
    mt_report r = {.n_segments = 1,
                   .dropped = 1,
                   .segment = {{.trajectory = 0, .noise = 0, .count = 2, .sum = {9, 1}}}};
    mt_estimate(&e, &r, &summary);
    for (int i = 0; i < DIM; i++)
        cr_assert(e.gradient[i] == 0);
    cr_assert(summary.dropped == 1 && isnan(summary.meta_loss));
    r = (mt_report){.n_segments = 1,
                    .segment = {{.trajectory = 0, .noise = 1, .count = 2, .sum = {9, 1}}}};
    mt_estimate(&e, &r, &summary);
    whole_noise(&noise, 0, 0, first);
    whole_noise(&noise, 0, 1, second);
    for (int i = 0; i < DIM; i++) {
        double expected =
            8.0 / 2 * (double)(first[i] + second[i]) / (2 * (double)0.1f * (double)0.1f);
        cr_assert(fabs(e.gradient[i] - expected) < 1e-9 * fabs(expected),
                  "component %d: %g, expected %g", i, e.gradient[i], expected);
    }
    cr_assert(summary.meta_loss == 2.5);
    mt_estimator_close(&e);
}

Test(estimators, frozen_numbers_are_not_perturbed) {
    static const unsigned char partly[DIM] = {1, 0, 1};
    mt_noise noise = {3, 0.1f, DIM, partly};
    float delta[DIM];
    whole_noise(&noise, 5, 7, delta);
    cr_assert(delta[0] != 0 && delta[1] == 0 && delta[2] != 0);
}
