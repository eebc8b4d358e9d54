/* SPDX-License-Identifier: Apache-2.0
 *
 * outer.c - see outer.h. */
#include "outer.h"

#include <math.h>
#include <stdlib.h>

#include "commands.h"

int mt_outer_open(mt_outer *o, const mt_config *cfg, const unsigned char *trained, size_t n,
                  lopt_error *err) {
    *o = (mt_outer){.cfg = cfg,
                    .trained = trained,
                    .n = n,
                    .m = calloc(n + 1, sizeof *o->m),
                    .v = calloc(n + 1, sizeof *o->v)};
    if (o->m && o->v)
        return 1;
    mt_outer_close(o);
    return mt_error(err, LOPT_ENOMEM, "out of memory for the outer optimizer of %zu numbers", n);
}

void mt_outer_close(mt_outer *o) {
    free(o->m);
    free(o->v);
    *o = (mt_outer){0};
}

/* Constant, or linear warm-up, then a cosine that reaches end_fraction of the peak at step `decay`
 * and stays there. A function of the step alone, so a longer run begins like a shorter one. */
double mt_outer_learning_rate(const mt_config *cfg, int64_t update) {
    double peak = cfg->outer.learning_rate;
    if (cfg->outer.schedule.name == MT_OUTER_CONSTANT)
        return peak;
    double t = (double)update, warmup = (double)cfg->outer.schedule.warmup,
           end = cfg->outer.schedule.end_fraction;
    if (t < warmup)
        return peak * (t + 1) / (warmup + 1);
    double span = (double)cfg->outer.schedule.decay - warmup, u = fmin((t - warmup) / span, 1);
    return peak * (end + (1 - end) * 0.5 * (1 + cos(3.14159265358979323846 * u)));
}

static double norm(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* The step to subtract from theta[i] before the learning rate; bias: Adam's two corrections 1 -
 * beta^t. */
static double step_of(mt_outer *o, const double bias[2], size_t i, double g, double theta) {
    double b1 = o->cfg->outer.beta1, b2 = o->cfg->outer.beta2;
    if (o->cfg->outer.optimizer == MT_OUTER_SGD)
        return o->m[i] = b1 * o->m[i] + g;
    o->m[i] = b1 * o->m[i] + (1 - b1) * g;
    o->v[i] = b2 * o->v[i] + (1 - b2) * g * g;
    double step = o->m[i] / bias[0] / (sqrt(o->v[i] / bias[1]) + o->cfg->outer.epsilon);
    return o->cfg->outer.optimizer == MT_OUTER_ADAMW ? step + o->cfg->outer.weight_decay * theta
                                                     : step;
}

void mt_outer_update(mt_outer *o, double *gradient, float *theta, mt_outer_norms *norms) {
    double rate = mt_outer_learning_rate(o->cfg, o->updates), clip = o->cfg->outer.gradient_clip;
    double size = norm(gradient, o->n), scale = clip > 0 && size > clip ? clip / size : 1;
    double moved = 0, length = 0;
    int finite = isfinite(size);
    o->updates += finite;
    o->skipped += !finite;
    double t = (double)o->updates,
           bias[2] = {1 - pow(o->cfg->outer.beta1, t), 1 - pow(o->cfg->outer.beta2, t)};
    for (size_t i = 0; i < o->n; i++) {
        if (finite && o->trained[i] != 0) {
            float before = theta[i];
            gradient[i] *= scale;
            double step = step_of(o, bias, i, gradient[i], (double)before);
            float after = (float)((double)before - rate * step);
            theta[i] = isfinite(after) ? after : before;
            moved += ((double)theta[i] - (double)before) * ((double)theta[i] - (double)before);
        }
        length += (double)theta[i] * (double)theta[i];
    }
    *norms = (mt_outer_norms){size, sqrt(moved), sqrt(length), rate};
}
