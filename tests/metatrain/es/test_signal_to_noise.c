/* SPDX-License-Identifier: Apache-2.0
 *
 * The signal-to-noise of a gradient estimate: what the definition gives from every particle's part, one where losses
 * know nothing of the noise, and the closed form where they are linear in theta. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "es/es_gradient.h"
#include "whole_noise.h"

enum { DIM = 20, PARTICLES = 50 };
static const float std_delta = 0.1f;
static const mt_estimator_config full_es = {.name = MT_ES};

/* A window of es whose twins differ by `difference`. */
static mt_report report_of(int64_t particle, double difference) {
    mt_report r = {.particle = particle, .n_segments = 1};
    r.segment[0] = (mt_segment){.noise = 3, .count = 1, .sum = {difference, 0}};
    return r;
}

/* The definition, with every particle's part drawn anew. */
static double by_definition(const mt_noise *noise, const mt_report *report) {
    static double part[PARTICLES][DIM], mean[DIM];
    float delta[DIM];
    double signal = 0, spread = 0;
    for (int i = 0; i < DIM; i++) mean[i] = 0;
    for (int p = 0; p < PARTICLES; p++) {
        whole_noise(noise, p, report[p].segment[0].noise, delta);
        for (int i = 0; i < DIM; i++) {
            part[p][i] = report[p].segment[0].sum[0] * (double)delta[i] / (2 * (double)(std_delta * std_delta));
            mean[i] += part[p][i] / PARTICLES;
        }
    }
    for (int i = 0; i < DIM; i++) {
        signal += mean[i] * mean[i];
        for (int p = 0; p < PARTICLES; p++) spread += (part[p][i] - mean[i]) * (part[p][i] - mean[i]) / (PARTICLES - 1);
    }
    return signal / (spread / PARTICLES);
}

/* Mean over many outer steps of what mt_compute_gradient says when the twins' difference is 2 slope.delta + noise. */
static double average(double slope, double noise_of_loss, int steps) {
    static unsigned char trained[DIM];
    static mt_report report[PARTICLES];
    mt_es_gradient e;
    mt_outer_summary summary;
    lopt_error err;
    double sum = 0;
    unsigned state = 7;
    for (int i = 0; i < DIM; i++) trained[i] = 1;
    for (int step = 0; step < steps; step++) {
        mt_noise noise = {.seed = (uint64_t)step, .std = std_delta, .n = DIM, .trained = trained};
        cr_assert(mt_es_gradient_open(&e, &full_es, noise, PARTICLES, &err), "%s", err.text);
        for (int p = 0; p < PARTICLES; p++) {
            float delta[DIM];
            whole_noise(&noise, p, 3, delta);
            double uniform = rand_r(&state) / (double)RAND_MAX - 0.5;
            report[p] = report_of(p, 2 * slope * (double)delta[0] + noise_of_loss * uniform);
        }
        mt_compute_gradient(&e, report, &summary);
        double want = by_definition(&noise, report);
        cr_assert(fabs(summary.signal_to_noise - want) < 1e-9 * want, "%.12g for %.12g", summary.signal_to_noise, want);
        sum += summary.signal_to_noise / steps;
        mt_es_gradient_close(&e);
    }
    return sum;
}

Test(signal_to_noise, noise_alone_gives_one) {
    double found = average(0, 1, 400);
    cr_assert(fabs(found - 1) < 0.1, "%g", found);
}

/* A part is slope * eps0 * eps: mean slope in one direction, variance slope^2 (DIM + 1) in all together. */
static double linear_closed_form(void) {
    return 1 + (double)PARTICLES / (DIM + 1);
}

Test(signal_to_noise, a_linear_loss_gives_its_closed_form) {
    double found = average(5, 0, 400), want = linear_closed_form();
    cr_assert(fabs(found / want - 1) < 0.15, "%g for %g", found, want);
}
