/* SPDX-License-Identifier: Apache-2.0
 *
 * test_schedules.c - lengths of trajectories and the outer learning rate, against the formulas of
 * schedules.h. */
#include <criterion/criterion.h>
#include <math.h>

#include "es/schedules.h"

#define SETS(...) (const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define NEAR(a, b) (fabs((double)(a) - (double)(b)) < 1e-9)

static mt_config *config(const char *const *sets, int n) {
    lopt_error err;
    mt_config *cfg = mt_config_load(NULL, sets, n, &err);
    cr_assert(cfg, "%s", err.text);
    return cfg;
}

/* ---- learning rates ------------------------------------------------------------------------ */

/* Rates at the updates given, negative number last. */
static void check_rates(const char *const *sets, int n, const double *expected) {
    mt_config *cfg = config(sets, n);
    for (; expected[0] >= 0; expected += 2)
        cr_assert(NEAR(mt_outer_learning_rate(cfg, (int64_t)expected[0]), expected[1]),
                  "update %g: %.12g, expected %.12g", expected[0], mt_outer_learning_rate(cfg, (int64_t)expected[0]),
                  expected[1]);
    mt_config_free(cfg);
}

#define RATES(...) ((const double[]){__VA_ARGS__, -1, 0})
#define WARM                                                                                                           \
    "outer.learning_rate=2", "outer.schedule.warmup=10", "outer.schedule.decay=110", "outer.schedule.end_fraction=0.2"

Test(schedules, constant_with_warmup) {
    check_rates(SETS(WARM), RATES(0, 2.0 / 11, 9, 20.0 / 11, 10, 2, 1000, 2));
}

Test(schedules, warmup_cosine) {
    check_rates(SETS(WARM, "outer.schedule.name=warmup_cosine"),
                RATES(0, 2.0 / 11, 10, 2, 60, 1.2, 110, 0.4, 1000, 0.4));
}

/* optax: from the initial rate at update 0 to the peak at update `warmup`. */
Test(schedules, start_fraction) {
    check_rates(SETS(WARM, "outer.schedule.name=warmup_cosine", "outer.schedule.start_fraction=0.1"),
                RATES(0, 0.2, 5, 1.1, 10, 2));
}

Test(schedules, linear) {
    check_rates(SETS(WARM, "outer.schedule.name=linear"), RATES(10, 2, 35, 1.6, 60, 1.2, 110, 0.4, 1000, 0.4));
}

Test(schedules, exponential) {
    check_rates(SETS(WARM, "outer.schedule.name=exponential", "outer.schedule.decay_per_step=0.5"),
                RATES(9, 20.0 / 11, 10, 2, 11, 1, 14, 0.125));
}

Test(schedules, sqrt_decay) {
    check_rates(SETS(WARM, "outer.schedule.name=sqrt_decay"), RATES(0, 2.0 / 11, 10, 2, 43, 1));
}

Test(schedules, piecewise) {
    check_rates(SETS("outer.learning_rate=2", "outer.schedule.name=piecewise", "outer.schedule.knot_steps=[10, 20, 40]",
                     "outer.schedule.knot_fractions=[0.5, 1, 0]"),
                RATES(0, 1, 10, 1, 15, 1.5, 20, 2, 30, 1, 40, 0, 99, 0));
}

/* ---- lengths ------------------------------------------------------------------------------- */

static int64_t length_at(const mt_config *cfg, int64_t trajectory, int64_t step) {
    return mt_trajectory_length(cfg, 3, trajectory, step);
}

Test(schedules, log_uniform_between_its_bounds) {
    mt_config *cfg = config(SETS("estimator.schedule.min=60", "estimator.schedule.max=6000"));
    int below = 0, n = 4000;
    for (int i = 0; i < n; i++) {
        int64_t length = length_at(cfg, i, 0);
        cr_assert(length >= 60 && length <= 6000 && length == length_at(cfg, i, 9));
        below += length < 600; /* the middle on a logarithmic scale */
    }
    cr_assert(fabs((double)below / n - 0.5) < 0.04, "%d of %d below the geometric mean", below, n);
    mt_config_free(cfg);
}

Test(schedules, log_uniform_whose_longest_grows) {
    mt_config *cfg = config(SETS("estimator.schedule.knot_steps=[0, 100]", /* max is not asked */
                                 "estimator.schedule.knot_lengths=[200, 2000]", "estimator.schedule.min=100",
                                 "estimator.schedule.max=60"));
    int64_t early = 0, late = 0;
    for (int i = 0; i < 1000; i++) {
        cr_assert(length_at(cfg, i, 0) >= 100 && length_at(cfg, i, 0) <= 200);
        early = early > length_at(cfg, i, 50) ? early : length_at(cfg, i, 50);
        late = late > length_at(cfg, i, 500) ? late : length_at(cfg, i, 500);
    }
    cr_assert(early <= 1100 && early > 1000 && late <= 2000 && late > 1800, "%d, %d", (int)early, (int)late);
    mt_config_free(cfg);
}

Test(schedules, scheduled_lengths) {
    mt_config *cfg = config(SETS("estimator.schedule.name=scheduled", "estimator.schedule.knot_steps=[10, 110]",
                                 "estimator.schedule.knot_lengths=[100, 200]"));
    cr_assert(length_at(cfg, 0, 0) == 100 && length_at(cfg, 1, 61) == 151 && length_at(cfg, 2, 900) == 200);
    mt_config_free(cfg);
    cfg = config(SETS("estimator.schedule.name=scheduled", "estimator.schedule.knot_steps=[0]",
                      "estimator.schedule.knot_lengths=[300]", "estimator.schedule.std=50",
                      "estimator.schedule.min=220"));
    double sum = 0, squares = 0;
    int n = 4000, at_min = 0;
    for (int i = 0; i < n; i++) {
        double d = (double)length_at(cfg, i, 7) - 300;
        cr_assert(d >= -80);
        at_min += d == -80;
        sum += d, squares += d * d;
    }
    /* P(z < -1.6) = 0.055; below it the length is held, which narrows the spread to 47 */
    cr_assert(fabs(sum / n) < 4 && fabs(sqrt(squares / n) - 47) < 3 && abs(at_min - 220) < 60,
              "mean %g, deviation %g, at min %d", sum / n, sqrt(squares / n), at_min);
    mt_config_free(cfg);
}

Test(schedules, lengths_are_multiples) {
    mt_config *cfg = config(SETS("estimator.name=es", "estimator.schedule.min=3", "estimator.schedule.max=50",
                                 "estimator.schedule.multiple=10"));
    int seen = 0;
    for (int i = 0; i < 200; i++) {
        int64_t length = length_at(cfg, i, 0);
        cr_assert(length % 10 == 0 && length >= 10 && length <= 50);
        seen |= 1 << length / 10;
    }
    cr_assert((seen & 15) == 14, "lengths seen: %x", seen);
    mt_config_free(cfg);
}
