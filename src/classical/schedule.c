/* SPDX-License-Identifier: Apache-2.0
 *
 * schedule.c - learning rates over the planned steps (formulas in schedule.h). */
#include "classical/schedule.h"

#include <math.h>

enum { CONSTANT, COSINE, LINEAR, EXPONENTIAL, SQRT_DECAY, PIECEWISE };
enum { RULE_PLAIN, RULE_OPTLIST };

#define PI 3.14159265358979323846

static double warmup_steps(const lopt_optimizer *opt, int at, double n) {
    double fraction = opt->value[at + LOPT__WARMUP_FRACTION][0];
    if (opt->value[at + LOPT__WARMUP_STEPS][0] > 0) return opt->value[at + LOPT__WARMUP_STEPS][0];
    if (lopt__read_integer(opt, at + LOPT__WARMUP_RULE) == RULE_OPTLIST && fraction > 0)
        fraction = fmax(fraction, opt->value[at + LOPT__CONSTANT_FRACTION][0]);
    return fraction * n;
}

/* Fraction of the decay that is done at step t. */
static double decay_progress(const lopt_optimizer *opt, int at, double t, double n, double warm) {
    double start = opt->value[at + LOPT__CONSTANT_FRACTION][0] * n;
    if (lopt__read_integer(opt, at + LOPT__WARMUP_RULE) == RULE_PLAIN) start = fmax(start, warm);
    return n > start ? fmin(fmax((t - start) / (n - start), 0), 1) : 0;
}

static double piecewise_constant_rate(const double *steps, const double *rates, double t) {
    int k = 0;
    while (k < LOPT__N_KNOTS && steps[k] <= t) k++;
    if (k == 0) return rates[0];
    if (k == LOPT__N_KNOTS) return rates[LOPT__N_KNOTS - 1];
    double x = (t - steps[k - 1]) / (steps[k] - steps[k - 1]);
    return rates[k - 1] + x * (rates[k] - rates[k - 1]);
}

double lopt__rate_at_step(const lopt_optimizer *opt, int at, int64_t step, int64_t num_steps) {
    double peak = opt->value[at + LOPT__LEARNING_RATE][0], floor = opt->value[at + LOPT__MIN_RATE_MULT][0] * peak;
    double t = (double)step, n = (double)num_steps, c = fmax(t, 1);
    double warm = warmup_steps(opt, at, n);
    int schedule = lopt__read_integer(opt, at + LOPT__SCHEDULE);
    if (schedule == PIECEWISE)
        return piecewise_constant_rate(opt->value[at + LOPT__KNOT_STEPS], opt->value[at + LOPT__KNOT_RATES], t);
    if (schedule == SQRT_DECAY) return peak * fmin(c / fmax(warm, 1), sqrt(fmax(warm, 1) / c));
    if (t < warm) return peak * t / warm;
    switch (schedule) {
    case COSINE:
        return floor + (peak - floor) * (cos(PI * decay_progress(opt, at, t, n, warm)) + 1) / 2;
    case LINEAR:
        return floor + (peak - floor) * (1 - decay_progress(opt, at, t, n, warm));
    case EXPONENTIAL:
        return peak * pow(1 - opt->value[at + LOPT__DECAY_PER_STEP][0], t - warm);
    default:
        return peak;
    }
}

float lopt__rate_of_update(const lopt_optimizer *opt, const lopt_state *state, int at) {
    return (float)lopt__rate_at_step(opt, at, state->header->step, state->header->num_steps);
}
