/* SPDX-License-Identifier: Apache-2.0
 *
 * outer_optimizer.c - see outer_optimizer.h. */
#include "es/outer_optimizer.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "es/schedules.h"

int mt_outer_open(mt_outer *o, const mt_config *cfg, const unsigned char *trained, size_t n, lopt_error *err) {
    int accumulates = cfg->outer.accumulate > 1;
    *o = (mt_outer){.cfg = cfg,
                    .trained = trained,
                    .n = n,
                    .m = calloc(n + 1, sizeof *o->m),
                    .v = calloc(n + 1, sizeof *o->v),
                    .sum = accumulates ? calloc(n + 2, sizeof *o->sum) : NULL};
    if (o->m && o->v && (o->sum || !accumulates)) return 1;
    mt_outer_close(o);
    return mt_error(err, LOPT_ENOMEM, "out of memory for the outer optimizer of %zu parameters", n);
}

void mt_outer_close(mt_outer *o) {
    free(o->m);
    free(o->v);
    free(o->sum);
    *o = (mt_outer){0};
}

static double vector_norm(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

/* The step to subtract from theta[i] before the learning rate; bias: Adam's two corrections 1 -
 * beta^t. */
static double step_of_rule(mt_outer *o, const double bias[2], size_t i, double g, double theta) {
    double b1 = o->cfg->outer.beta1, b2 = o->cfg->outer.beta2, m = o->m[i];
    double decay = o->cfg->outer.weight_decay * theta;
    mt_outer_optimizer optimizer = o->cfg->outer.optimizer;
    if (optimizer == MT_OUTER_SGD) return o->m[i] = b1 * m + g;
    if (optimizer == MT_OUTER_LION) {
        double mixed = b1 * m + (1 - b1) * g;
        o->m[i] = b2 * m + (1 - b2) * g;
        return (mixed > 0) - (mixed < 0) + decay;
    }
    o->m[i] = b1 * m + (1 - b1) * g;
    o->v[i] = b2 * o->v[i] + (1 - b2) * g * g;
    double root = sqrt(o->v[i] / bias[1] + o->cfg->outer.epsilon_root);
    double step = o->m[i] / bias[0] / (root + o->cfg->outer.epsilon);
    return optimizer == MT_OUTER_ADAMW ? step + decay : step;
}

/* Whether this outer step ends with an update; gradient becomes what that uses. */
static int accumulate(mt_outer *o, double *gradient, int finite) {
    if (!o->sum) return finite;
    double *gradients = &o->sum[o->n], *steps = &o->sum[o->n + 1];
    for (size_t i = 0; finite && i < o->n; i++) o->sum[i] += gradient[i];
    *gradients += finite;
    *steps += 1;
    if (*steps < (double)o->cfg->outer.accumulate) return 0;
    int any = *gradients > 0;
    for (size_t i = 0; i < o->n; i++) {
        gradient[i] = any ? o->sum[i] / *gradients : 0;
        o->sum[i] = 0;
    }
    *gradients = *steps = 0;
    return any;
}

/* Moves theta; returns the norm of the change. */
static double move_parameter(mt_outer *o, const double *gradient, float *theta, double rate) {
    double t = (double)o->updates, moved = 0;
    double bias[2] = {1 - pow(o->cfg->outer.beta1, t), 1 - pow(o->cfg->outer.beta2, t)};
    for (size_t i = 0; i < o->n; i++) {
        if (o->trained[i] == 0) continue;
        double before = (double)theta[i];
        float after = (float)(before - rate * step_of_rule(o, bias, i, gradient[i], before));
        theta[i] = isfinite(after) ? after : theta[i];
        moved += ((double)theta[i] - before) * ((double)theta[i] - before);
    }
    return sqrt(moved);
}

void mt_outer_update(mt_outer *o, double *gradient, float *theta, mt_outer_norms *norms) {
    double rate = mt_outer_learning_rate(o->cfg, o->updates), clip = o->cfg->outer.gradient_clip;
    double size = vector_norm(gradient, o->n), moved = 0, length = 0;
    int finite = isfinite(size);
    o->skipped += !finite;
    for (size_t i = 0; finite && clip > 0 && size > clip && i < o->n; i++) gradient[i] *= clip / size;
    if (accumulate(o, gradient, finite)) {
        o->updates++;
        moved = move_parameter(o, gradient, theta, rate);
    }
    for (size_t i = 0; i < o->n; i++) length += (double)theta[i] * (double)theta[i];
    *norms = (mt_outer_norms){size, moved, sqrt(length), rate};
}
