/* SPDX-License-Identifier: Apache-2.0
 *
 * normaliser.c - see normaliser.h. */
#include "base/normaliser.h"

#include <math.h>

/* A row: y = the loss, or ln(loss + 1e-8), or loss / n; what is not finite becomes `instead`; clipped to
 * [low, high]; then scaled: scale (y - zero). Where keeps_nan, NaN stays and infinities are clipped. */
typedef struct rule {
    int takes_log, divides, keeps_nan;
    double instead, low, high, zero, scale;
} rule;

static rule rule_of_normaliser(const task_normaliser *normaliser) {
    double n = normaliser->n, chance = log(n), twice = log(2 * n);
    switch (normaliser->kind) {
    case TASK_CLIP_TO_CHANCE:
        return (rule){.instead = 1.5 * chance, .high = 1.5 * chance, .scale = 1};
    case TASK_CLIP_TO_CHANCE_NAN:
        return (rule){.keeps_nan = 1, .high = 1.5 * chance, .scale = 1};
    case TASK_TEN_TIMES:
        return (rule){.instead = 1, .low = -INFINITY, .high = 1, .scale = 10};
    case TASK_CLIP_ONE:
        return (rule){.keeps_nan = 1, .high = 1, .scale = 1};
    case TASK_RELATIVE_TO_CHANCE:
        return (rule){.instead = twice, .high = twice, .scale = 10 / twice};
    case TASK_LOG_BELOW_CHANCE:
        return (rule){.instead = twice, .high = twice, .zero = log(n / 5), .scale = 10 / chance};
    case TASK_LOG:
        return (rule){.takes_log = 1, .instead = 1, .low = -12, .high = 1, .zero = -20, .scale = 0.5};
    case TASK_IS_LOG:
        return (rule){.instead = 1, .low = -12, .high = 1, .zero = -20, .scale = 0.5};
    case TASK_CLIP_TEN:
        return (rule){.instead = 10, .high = 10, .scale = 1};
    case TASK_CLIP_TEN_PER_PIXEL:
        return (rule){.divides = 1, .instead = 10, .high = 10, .scale = 1};
    case TASK_IDENTITY:
        break;
    }
    return (rule){.keeps_nan = 1, .low = -INFINITY, .high = INFINITY, .scale = 1};
}

real task_normaliser_apply(const task_normaliser *normaliser, real loss) {
    rule r = rule_of_normaliser(normaliser);
    double y = (double)loss;
    if (normaliser->kind == TASK_IDENTITY) return loss;
    if (r.takes_log) y = log(y + 1e-8);
    if (r.divides) y /= normaliser->n;
    if (isnan(y) && r.keeps_nan) return loss;
    if (!isfinite(y) && !r.keeps_nan) y = normaliser->kind == TASK_CLIP_TO_CHANCE && y < 0 ? 0 : r.instead;
    return (real)(r.scale * (fmin(fmax(y, r.low), r.high) - r.zero));
}

void task_set_normaliser(task *t, task_normaliser_kind kind, double n) {
    t->normaliser = (task_normaliser){kind, n};
    rule r = rule_of_normaliser(&t->normaliser);
    t->loss_bound = (double)(real)(r.scale * (r.high - r.zero));
}
