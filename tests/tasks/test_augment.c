/* SPDX-License-Identifier: Apache-2.0
 *
 * test_augment.c - what the augmentations do to gradients, numbers and time, alone and together.
 *
 * Reparametrisation is in test_tasks.c. The quadratic has 10 parameters, loss sum p^2 and gradient 2p. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task.h"

typedef struct probe {
    task *t;
    float *tau, *params, *grads;
    void *work;
    lopt_rng_stream r;
} probe;

static void *aligned(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    cr_assert(p != NULL);
    return memset(p, 0x5a, (bytes + 64) / 64 * 64);
}

static probe start(const task_spec *spec) {
    lopt_error err = {LOPT_OK, ""};
    probe p = {.t = task_create(spec, &err)};
    cr_assert(p.t != NULL, "%s", err.text);
    p.tau = aligned((p.t->n_tau + 1) * sizeof(float));
    p.params = aligned((p.t->n_params + p.t->n_aux) * sizeof(float));
    p.grads = aligned(p.t->n_params * sizeof(float));
    p.work = aligned(p.t->work_bytes);
    lopt_rng_open_stream(&p.r, (lopt_rng_address){5, LOPT_RNG_TEST, 0, 0, 0});
    task_sample_tau(p.t, &p.r, p.tau);
    task_initial_params(p.t, p.tau, &p.r, p.params);
    return p;
}

static void stop(probe *p) {
    task_destroy(p->t);
    free(p->tau), free(p->params), free(p->grads), free(p->work);
}

static float next_loss(probe *p) {
    task_draw_batch(p->t, p->tau, TASK_TRAIN, &p->r, p->work);
    return task_compute_loss(p->t, p->tau, p->work, p->params, p->grads);
}

static task_spec quadratic(void) {
    task_spec spec = task_spec_default();
    strcpy(spec.task, "quadratic");
    return spec;
}

static double product(size_t n, const float *a, const float *b) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static double cosine(size_t n, const float *a, const float *b) {
    return product(n, a, b) / sqrt(product(n, a, a) * product(n, b, b));
}

/* Of a quadratic the antithetic difference is the slope itself, whatever the step: the mean over e of
 * e (e . g) is g. */
Test(augment, es_estimates_the_gradient) {
    task_spec spec = quadratic();
    spec.es_pairs = 40000, spec.es_std = 0.5;
    probe p = start(&spec);
    float loss = next_loss(&p);
    cr_assert(fabs((double)loss - product(10, p.params, p.params)) < 1e-5 * (double)loss, "the loss is the true one");
    for (int i = 0; i < 10; i++) { /* standard error |g| / sqrt(pairs), twice that of its own square */
        double g = 2 * (double)p.params[i];
        double error = 2 * sqrt((double)loss * 2 / spec.es_pairs);
        cr_assert(fabs((double)p.grads[i] - g) < 5 * error, "%d: %g, expected %g", i, (double)p.grads[i], g);
    }
    stop(&p);
}

/* The vectors are the batch's: twins on one batch share them, the next batch has others. */
Test(augment, draws_belong_to_the_batch) {
    for (int way = 0; way < 2; way++) {
        task_spec spec = quadratic();
        if (way == 0) spec.es_pairs = 1;
        if (way == 1) spec.directions = 1;
        probe p = start(&spec);
        float first[10], again[10];
        next_loss(&p);
        memcpy(first, p.grads, sizeof first);
        task_compute_loss(p.t, p.tau, p.work, p.params, again);
        cr_assert(memcmp(first, again, sizeof first) == 0);
        next_loss(&p);
        cr_assert(fabs(cosine(10, first, p.grads)) < 0.999);
        stop(&p);
    }
}

Test(augment, unit_gradient_has_length_one) {
    task_spec spec = quadratic();
    spec.unit_gradient = 1;
    probe p = start(&spec);
    next_loss(&p);
    cr_assert(fabs(product(10, p.grads, p.grads) - 1) < 1e-6 && cosine(10, p.grads, p.params) > 1 - 1e-6);
    stop(&p);
}

/* One direction: the projection of g on it, so g . g' = |g'|^2. Many: n/10 of g; of signs, mean |cos| n. */
Test(augment, directions) {
    task_spec spec = quadratic();
    float g[10];
    spec.directions = 1;
    probe p = start(&spec);
    next_loss(&p);
    for (int i = 0; i < 10; i++) g[i] = 2 * p.params[i];
    double square = product(10, p.grads, p.grads);
    cr_assert(fabs(product(10, g, p.grads) - square) < 1e-4 * square && square < product(10, g, g));
    stop(&p);
    for (int signs = 0; signs < 2; signs++) {
        spec.directions = 40000, spec.direction_signs = signs;
        p = start(&spec);
        next_loss(&p);
        double length = sqrt(product(10, p.grads, p.grads)) / spec.directions;
        double all = sqrt(product(10, g, g));
        double expected = signs ? exp(lgamma(5) - lgamma(5.5)) / sqrt(acos(-1.)) : all / 10;
        cr_assert(cosine(10, g, p.grads) > 0.999, "cosine %g", cosine(10, g, p.grads));
        cr_assert(fabs(length / expected - 1) < 0.03, "length %g, expected %g", length, expected);
        stop(&p);
    }
}

/* Steps of gradient descent with gradients that are late, against a loop that keeps all parameters. */
Test(augment, delay_is_in_steps) {
    for (int delay = 1; delay <= 4; delay++) {
        float history[31];
        task_spec spec = quadratic();
        spec.delay = delay;
        probe p = start(&spec);
        history[0] = p.params[3];
        for (int t = 0; t < 30; t++) {
            float old = history[t < delay ? 0 : t - delay];
            next_loss(&p);
            cr_assert(p.grads[3] == 2 * old, "delay %d, step %d", delay, t);
            for (int i = 0; i < 10; i++) p.params[i] -= 0.05f * p.grads[i];
            task_after_step(p.t, p.tau, p.params);
            history[t + 1] = p.params[3];
        }
        stop(&p);
    }
}

static uint32_t bits(float x) {
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

Test(augment, bf16_rounds_to_nearest_even) {
    const struct {
        float in, out;
    } cases[] = {{1.00390625f, 1},     {1.01171875f, 1.015625f},
                 {1.005f, 1.0078125f}, {-3.0e38f, -0x1.c4p127f},
                 {3.4e38f, INFINITY},  {0, 0},
                 {-0.0f, -0.0f}};
    task_spec spec = task_spec_default();
    spec.bf16 = 1;
    probe p = start(&spec);
    for (size_t i = 0; i < p.t->n_params; i++) cr_assert((bits(p.params[i]) & 0xffff) == 0);
    next_loss(&p);
    for (size_t i = 0; i < p.t->n_params; i++) cr_assert((bits(p.grads[i]) & 0xffff) == 0);
    for (size_t i = 0; i < 7; i++) p.params[i] = cases[i].in;
    p.params[7] = NAN;
    task_after_step(p.t, p.tau, p.params);
    for (size_t i = 0; i < 7; i++)
        cr_assert(bits(p.params[i]) == bits(cases[i].out), "%zu: %a", i, (double)p.params[i]);
    cr_assert(isnan(p.params[7]));
    stop(&p);
}

/* Pixels are sixteenths of 1/255, which bfloat16 does not hold. */
Test(augment, bf16_rounds_the_data) {
    task_spec spec = task_spec_default();
    probe plain = start(&spec);
    spec.bf16 = 1;
    probe p = start(&spec);
    memcpy(plain.params, p.params, p.t->n_params * sizeof(float));
    plain.r = p.r;
    double a = (double)next_loss(&plain), b = (double)next_loss(&p);
    cr_assert(a != b && fabs(a - b) < 0.01, "%g and %g", a, b);
    stop(&p), stop(&plain);
}

Test(augment, a_reduced_batch_is_the_first_examples) {
    task_spec spec = task_spec_default();
    spec.batch_size = 64, spec.batch_fraction = 0.26;
    probe p = start(&spec);
    spec.batch_size = 16, spec.batch_fraction = 1;
    probe few = start(&spec);
    cr_assert(next_loss(&p) == next_loss(&few));
    stop(&p), stop(&few);
    spec.batch_fraction = 0.001;
    p = start(&spec);
    cr_assert(strstr(p.t->name, "batch 1") && !strstr(p.t->name, "batch 16"), "%s", p.t->name);
    stop(&p);
}

/* All of them on every kind of tensors: finite, and a function of the streams alone. */
static void run_all(int level, float out[8]) {
    task_spec spec = task_spec_default();
    spec.reparam = (task_reparam)level, spec.es_pairs = 2, spec.batch_fraction = 0.5, spec.bf16 = 1;
    spec.unit_gradient = 1, spec.directions = 3, spec.delay = 2;
    probe p = start(&spec);
    cr_assert(task_has_accuracy(p.t) && p.t->n_aux == 3 * p.t->n_params + 1 && isfinite(p.t->loss_bound));
    for (int t = 0; t < 8; t++) {
        out[t] = next_loss(&p);
        cr_assert(isfinite(task_normalise_loss(p.t, out[t])) &&
                  task_compute_accuracy(p.t, p.tau, p.work, p.params) >= 0);
        for (size_t i = 0; i < p.t->n_params; i++) {
            cr_assert(isfinite(p.grads[i]));
            p.params[i] -= 0.01f * p.grads[i];
        }
        task_after_step(p.t, p.tau, p.params);
    }
    stop(&p);
}

Test(augment, all_at_once) {
    for (int level = TASK_REPARAM_NONE; level <= TASK_REPARAM_PARAMETER; level++) {
        float a[8], b[8];
        run_all(level, a), run_all(level, b);
        cr_assert(memcmp(a, b, sizeof a) == 0);
    }
}

static void refuse(task_spec spec, const char *words) {
    lopt_error err = {LOPT_OK, ""};
    cr_assert(task_create(&spec, &err) == NULL && strstr(err.text, words), "%s", err.text);
}

Test(augment, ranges_are_checked) {
    task_spec spec = quadratic();
    spec.batch_fraction = 0;
    refuse(spec, "augment.batch_fraction is 0, allowed: (0, 1]");
    spec = quadratic(), spec.es_pairs = -1;
    refuse(spec, "augment.es.pairs is -1");
    spec = quadratic(), spec.delay = 70000;
    refuse(spec, "augment.delay is 70000, allowed: [0, 65536]");
}
