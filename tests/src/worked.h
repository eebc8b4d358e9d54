/* SPDX-License-Identifier: Apache-2.0
 *
 * worked.h - the inputs of worked numbers, for tests of learned optimizers.
 *
 * Worked numbers come from an independent transcription of the formulas in numpy, float32. Inputs
 * are sine waves, element k = a sin(w k + phase) in double, rounded: five tensors with 0 to 4 axes,
 * gradients that do not depend on the parameters, a loss that goes up and down, and theta, block by
 * block. */
#ifndef TESTS_WORKED_H
#define TESTS_WORKED_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lopt.h"

enum { WORKED_TENSORS = 5, WORKED_PARAMS = 15 + 16 + 48 + 5 + 1 };

static const float worked_losses[] = {1.0f, 1.5f, 1.2f, 1.4f, 1.1f};

/* A block of theta: by its name. */
typedef struct worked_block {
    const char *name;
    double a, phase; /* w is 0.37 */
} worked_block;

/* A tensor's first elements and its sum of |p| after the steps. */
typedef struct worked_result {
    int tensor;
    double first[4], sum;
} worked_result;

typedef struct worked_case {
    int steps;
    double element_tolerance, sum_tolerance; /* absolute */
    float gradients;                         /* factor of the gradients */
    worked_result result[WORKED_TENSORS];
} worked_case;

static inline void worked_waves(float *out, size_t n, double a, double w, double phase) {
    for (size_t k = 0; k < n; k++) out[k] = (float)(a * sin(w * (double)k + phase));
}

static inline void worked_tensors(lopt_tensor t[WORKED_TENSORS]) {
    t[0] = lopt_tensor_make("A", 2, (int64_t[]){3, 5});
    t[1] = lopt_tensor_make("B", 2, (int64_t[]){4, 4});
    t[2] = lopt_tensor_make("C", 4, (int64_t[]){2, 2, 3, 4});
    t[3] = lopt_tensor_make("D", 1, (int64_t[]){5});
    t[4] = lopt_tensor_make("E", 0, NULL);
}

static inline void worked_params(const lopt_tensor *t, float *p) {
    for (int i = 0; i < WORKED_TENSORS; i++) {
        worked_waves(p, (size_t)lopt_tensor_size(&t[i]), 0.3, 0.7, 1 + i);
        p += lopt_tensor_size(&t[i]);
    }
}

static inline void worked_grads(const lopt_tensor *t, int step, float *g) {
    for (int i = 0; i < WORKED_TENSORS; i++) {
        worked_waves(g, (size_t)lopt_tensor_size(&t[i]), 0.05, 0.9, 0.5 * step + 0.3 * i);
        g += lopt_tensor_size(&t[i]);
    }
}

static inline void worked_scaled_grads(const lopt_tensor *t, int step, float scale, float *g) {
    worked_grads(t, step, g);
    for (int i = 0; i < WORKED_PARAMS; i++) g[i] *= scale;
}

static inline lopt_optimizer *worked_create(const char *preset, const lopt_setting *settings, size_t n) {
    lopt_error err = {0};
    lopt_optimizer *opt = lopt_create(preset, settings, n, &err);
    cr_assert(opt, "%s", err.text);
    return opt;
}

/* Blocks that are not named keep their initial values. */
static inline void worked_theta(lopt_optimizer *opt, const worked_block *blocks, int n) {
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    lopt_init_theta(opt, 1, theta);
    for (int i = 0; i < n; i++) {
        const lopt_block *b = lopt_block_find(opt, blocks[i].name);
        cr_assert(b, "theta has no block %s", blocks[i].name);
        worked_waves(theta + b->offset, b->size, blocks[i].a, 0.37, blocks[i].phase);
    }
    lopt_set_theta(opt, theta);
    free(theta);
}

/* Steps from the worked inputs to p, with a loss that stays. */
static inline void worked_train(const lopt_optimizer *opt, int steps, float p[WORKED_PARAMS]) {
    lopt_tensor t[WORKED_TENSORS];
    float g[WORKED_PARAMS];
    lopt_error err = {0};
    worked_tensors(t);
    worked_params(t, p);
    lopt_state *state = lopt_state_create(opt, t, WORKED_TENSORS, &err);
    cr_assert(state, "%s", err.text);
    for (int step = 0; step < steps; step++) {
        worked_grads(t, step, g);
        lopt_step(opt, state, p, g, 1, NULL);
    }
    lopt_state_destroy(state);
}

static inline void worked_check_tensor(const lopt_tensor *t, const float *x, const worked_case *c,
                                       const worked_result *r) {
    double sum = 0;
    int64_t size = lopt_tensor_size(t);
    for (int64_t k = 0; k < size; k++) sum += fabs((double)x[k]);
    for (int64_t k = 0; k < size && k < 4; k++)
        cr_assert(fabs(x[k] - r->first[k]) < c->element_tolerance, "tensor %s, element %d: %.8f, not %.8f", t->name,
                  (int)k, x[k], r->first[k]);
    cr_assert(fabs(sum - r->sum) < c->sum_tolerance, "tensor %s: sum %.8f, not %.8f", t->name, sum, r->sum);
}

/* Steps from the worked inputs and compares. */
static inline void worked_check(const lopt_optimizer *opt, const worked_case *c) {
    lopt_tensor t[WORKED_TENSORS];
    float p[WORKED_PARAMS], g[WORKED_PARAMS], *x = p;
    lopt_error err = {0};
    worked_tensors(t);
    worked_params(t, p);
    lopt_state *state = lopt_state_create(opt, t, WORKED_TENSORS, &err);
    cr_assert(state, "%s", err.text);
    for (int step = 0; step < c->steps; step++) {
        worked_scaled_grads(t, step, c->gradients, g);
        lopt_step(opt, state, p, g, worked_losses[step], NULL);
    }
    for (int i = 0; i < WORKED_TENSORS; i++) {
        worked_check_tensor(&t[i], x, c, &c->result[i]);
        x += lopt_tensor_size(&t[i]);
    }
    lopt_state_destroy(state);
}

#endif
