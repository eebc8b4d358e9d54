/* SPDX-License-Identifier: Apache-2.0
 *
 * gradient_check.h - a gradient against signed finite differences, in double.
 *
 *     gradient_check c = {"name", t->tensors, t->n_tensors, params, loss, self};
 *     check_gradient(&c, &rng);
 *
 * For each tensor alone and for all together, along random directions u, (L(p + h u) - L(p - h u)) / 2h must be
 * g.u, sign included, for h = 1e-6 or, as a kink of relu may lie between, 1e-7 or 1e-8; the loss with gradient
 * must be the loss without, and no tensor may have gradient 0
 * but the bias of attention's keys (attention.h), or where
 * may_be_zero says that there are such. */
#ifndef GRADIENT_CHECK_H
#define GRADIENT_CHECK_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "task.h"

static inline void *aligned(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    cr_assert(p != NULL);
    return memset(p, 0x5a, (bytes + 64) / 64 * 64); /* nothing may rest on what was there */
}

#ifdef TASK_REAL_DOUBLE

typedef struct gradient_check {
    const char *name;
    const lopt_tensor *tensors;
    size_t n_tensors;
    const real *params;
    real (*loss)(void *self, const real *params, real *grads);
    void *self;
    int may_be_zero;
} gradient_check;

/* Along u, which is 0 outside [begin, end). */
static void check_direction(const gradient_check *c, size_t begin, size_t end, size_t n, const real *grads,
                            lopt_rng_stream *r, const char *tensor) {
    real *u = aligned(n * sizeof *u), *moved = aligned(n * sizeof *moved);
    double slope = 0, norm = 0, loss[2];
    for (size_t i = 0; i < n; i++) {
        u[i] = i < begin || i >= end ? 0 : lopt_rng_draw_normal(r) * (fabs(c->params[i]) + 1e-3);
        slope += grads[i] * u[i];
        norm += grads[i] * grads[i] * u[i] * u[i];
    }
    norm = sqrt(norm);
    int is_zero = !strncmp(tensor, "key_bias", 8) || (c->may_be_zero && norm < 1e-12); /* but for rounding */
    cr_assert(norm > 1e-12 || is_zero, "%s: the gradient of %s is zero", c->name, tensor);
    int agrees = 0;
    double measured = 0;
    for (double h = 1e-6; !agrees && h > 5e-9; h /= 10) {
        for (int s = 0; s < 2; s++) {
            for (size_t i = 0; i < n; i++) moved[i] = c->params[i] + (s ? -h : h) * u[i];
            loss[s] = c->loss(c->self, moved, NULL);
        }
        double rounding = (is_zero ? 1e-14 : 4e-16) * (fabs(loss[0]) + fabs(loss[1])) / h;
        measured = (loss[0] - loss[1]) / (2 * h);
        agrees = fabs(measured - slope) <= 1e-5 * norm + rounding;
    }
    cr_assert(agrees, "%s, %s: measured %.10g, gradient %.10g (norm %.3g)", c->name, tensor, measured, slope, norm);
    free(u), free(moved);
}

static void check_gradient(const gradient_check *c, lopt_rng_stream *r) {
    size_t n = 0;
    for (size_t k = 0; k < c->n_tensors; k++) n += (size_t)lopt_tensor_size(&c->tensors[k]);
    real *grads = aligned(n * sizeof *grads);
    real alone = c->loss(c->self, c->params, NULL), loss = c->loss(c->self, c->params, grads);
    cr_assert(loss == alone, "%s: %.17g with gradient, %.17g without", c->name, loss, alone);
    cr_assert(isfinite(loss), "%s: loss %g", c->name, loss);
    for (int round = 0; round < 3; round++) {
        check_direction(c, 0, n, n, grads, r, "all tensors");
        for (size_t k = 0, begin = 0; k < c->n_tensors; k++) {
            size_t end = begin + (size_t)lopt_tensor_size(&c->tensors[k]);
            check_direction(c, begin, end, n, grads, r, c->tensors[k].name);
            begin = end;
        }
    }
    free(grads);
}

#endif
#endif
