/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics: cases worked by hand, properties, and how often 95 % intervals hold the truth. tests/commands/scores_numpy.py
 * computes the same numbers independently. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/statistics.h"
#include "rng/rng.h"

static lopt_error err;

static int is_near(double a, double b) {
    return fabs(a - b) <= 1e-12 * fmax(1, fabs(b));
}

static mt_aggregates aggregate(size_t runs, size_t tasks, const double *scores, size_t replicates) {
    mt_aggregates a;
    mt_bootstrap b = {.seed = 1, .replicates = replicates};
    cr_assert(mt_aggregate_scores(runs, tasks, scores, &b, &a, &err), "%s", err.text);
    return a;
}

/* ---- curves -------------------------------------------------------------------------------------- */

Test(statistics, smoothing_skips_what_is_not_finite) {
    double y[] = {NAN, 4, NAN, 8, INFINITY, 0}, smooth[6];
    mt_smooth_curve(6, y, 0.75, smooth);
    cr_assert(isnan(smooth[0]) && smooth[1] == 4 && smooth[2] == 4, "start");
    cr_assert(smooth[3] == 5 && smooth[4] == 5 && smooth[5] == 3.75, "%g %g %g", smooth[3], smooth[4], smooth[5]);
    mt_smooth_curve(6, y, 0.75, y);
    cr_assert(memcmp(y + 1, smooth + 1, 5 * sizeof *y) == 0, "in place gives something else");
}

Test(statistics, a_curve_is_inverted_between_points_and_clamped) {
    const double x[] = {0, 10, 20, 40}, y[] = {8, 4, 4, 2};
    static const struct {
        double level, x;
    } cases[] = {{9, 0}, {8, 0}, {7, 2.5}, {4, 10}, {3, 30}, {2, 40}, {1, 40}, {-INFINITY, 40}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = mt_invert_curve(4, x, y, cases[i].level);
        cr_assert(got == cases[i].x, "level %g: %g, expected %g", cases[i].level, got, cases[i].x);
    }
    cr_assert(mt_invert_curve(3, x, (double[]){INFINITY, 4, 4}, 5) == 10, "nothing is known before the first number");
}

/* ---- Student's t --------------------------------------------------------------------------------- */

/* Quantiles as tables print them. 0 and 2 have mean 1 and standard error 1. */
Test(statistics, intervals_of_a_mean_are_students) {
    static const struct {
        size_t n;
        double quantile;
    } cases[] = {{2, 12.7062}, {3, 4.3027}, {4, 3.1824}, {5, 2.7764}, {10, 2.2622}, {11, 2.2281}, {101, 1.9840}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double values[101] = {0}, mean = 0, squares = 0;
        size_t n = cases[i].n;
        for (size_t k = 0; k < n; k++) mean += (values[k] = k % 2 ? 2.0 : 0.0) / (double)n;
        for (size_t k = 0; k < n; k++) squares += (values[k] - mean) * (values[k] - mean);
        mt_interval m = mt_estimate_mean(n, values);
        double error = sqrt(squares / (double)(n - 1) / (double)n), quantile = (m.high - m.value) / error;
        cr_assert(is_near(m.value, mean) && is_near(m.value - m.low, m.high - m.value), "%zu values: mean", n);
        cr_assert(fabs(quantile - cases[i].quantile) < 6e-5, "%zu values: quantile %.5f", n, quantile);
    }
    mt_interval one = mt_estimate_mean(1, (double[]){7});
    cr_assert(one.value == 7 && isnan(one.low) && isnan(one.high), "one value has an interval");
}

/* ---- aggregates ---------------------------------------------------------------------------------- */

/* 2 runs of 3 tasks; sorted 0 .5 1 1 2 9, one left out at each end. Means of tasks .25, 1, 5.5. */
static const double six[] = {0, 1, 9, 0.5, 1, 2};

Test(statistics, aggregates_by_hand) {
    mt_aggregates a = aggregate(2, 3, six, 100);
    cr_assert(is_near(a.iqm.value, 4.5 / 4), "IQM %.17g", a.iqm.value);
    cr_assert(is_near(a.mean.value, 6.75 / 3), "mean %.17g", a.mean.value);
    cr_assert(is_near(a.median.value, 1), "median %.17g", a.median.value);
    cr_assert(is_near(a.optimality_gap.value, 1.5 / 6), "optimality gap %.17g", a.optimality_gap.value);
    for (size_t i = 0; i < MT_PROFILE_POINTS; i++) {
        double above = 0;
        for (size_t k = 0; k < 6; k++) above += six[k] > mt_profile_threshold(i);
        cr_assert(is_near(a.profile[i].value, above / 6), "above %g: %g", mt_profile_threshold(i), a.profile[i].value);
    }
    cr_assert(mt_profile_threshold(20) == 1 && a.profile[20].value == 2.0 / 6, "a score of 1 is not above 1");
    cr_assert(a.profile[0].value == 5.0 / 6 && mt_profile_threshold(0) == 0, "a score of 0 is not above 0");
}

Test(statistics, the_median_of_an_even_number_of_tasks) {
    mt_aggregates a = aggregate(1, 4, (double[]){8, 1, 2, 4}, 1);
    cr_assert(a.median.value == 3, "median %g", a.median.value);
}

/* Scores of one task: two runs, 0 and 1. A replicate's mean is 0, .5 or 1 with probability 1/4, 1/2, 1/4. */
Test(statistics, the_ends_of_an_interval_are_percentiles) {
    mt_aggregates a = aggregate(2, 1, (double[]){0, 1}, 1000);
    cr_assert(a.mean.low == 0 && a.mean.value == 0.5 && a.mean.high == 1, "[%g, %g]", a.mean.low, a.mean.high);
    cr_assert(a.profile[0].low == 0 && a.profile[0].value == 0.5 && a.profile[0].high == 1, "profile");
}

/* Of two replicates, 0.025 and 0.975 of the way from the smaller to the larger. */
Test(statistics, percentiles_are_interpolated) {
    int differ = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        mt_aggregates a;
        mt_bootstrap b = {.seed = seed, .replicates = 2};
        cr_assert(mt_aggregate_scores(2, 1, (double[]){0, 1}, &b, &a, &err), "%s", err.text);
        double apart = (a.mean.high - a.mean.low) / 0.95; /* the means are 0, 0.5 or 1 */
        cr_assert(is_near(apart, 0) || is_near(apart, 0.5) || is_near(apart, 1), "[%g, %g]", a.mean.low, a.mean.high);
        cr_assert(is_near(a.profile[0].low, a.mean.low) && is_near(a.profile[0].high, a.mean.high), "profile");
        differ += apart > 0;
    }
    cr_assert(differ > 0, "two replicates are always the same");
}

/* Runs of a task are exchangeable, tasks are not resampled: without spread over runs there is none in the interval. */
Test(statistics, tasks_are_not_resampled) {
    double scores[] = {1, 5, 2, 1, 5, 2, 1, 5, 2};
    mt_aggregates a = aggregate(3, 3, scores, 1000);
    cr_assert(a.iqm.low == a.iqm.value && a.iqm.high == a.iqm.value, "[%g, %g]", a.iqm.low, a.iqm.high);
    cr_assert(a.profile[30].low == a.profile[30].value && is_near(a.profile[30].value, 2.0 / 3), "profile");
}

Test(statistics, one_run_has_no_interval) {
    mt_aggregates a = aggregate(1, 3, six, 1000);
    cr_assert(a.iqm.value == 10.0 / 3 && isnan(a.iqm.low) && isnan(a.profile[0].high), "IQM %g", a.iqm.value);
    a = aggregate(1, 1, six + 1, 1000);
    cr_assert(a.iqm.value == 1 && a.median.value == 1 && isnan(a.iqm.high), "one score: IQM %g", a.iqm.value);
}

Test(statistics, the_same_scores_give_the_same_bits) {
    double scores[40];
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TEST, 0, 0, 0});
    for (int i = 0; i < 40; i++) scores[i] = lopt_rng_draw_uniform(&r);
    mt_aggregates a = aggregate(8, 5, scores, 500), again = aggregate(8, 5, scores, 500);
    cr_assert(memcmp(&a, &again, sizeof a) == 0, "other bits");
    mt_aggregates other;
    mt_bootstrap b = {.seed = 1, .stream = 1, .replicates = 500};
    cr_assert(mt_aggregate_scores(8, 5, scores, &b, &other, &err), "%s", err.text);
    cr_assert(a.iqm.value == other.iqm.value && a.iqm.low != other.iqm.low, "another stream gives the same replicates");
}

/* ---- probability of improvement ------------------------------------------------------------------ */

/* Task 0: 1, 3 against 2, 2: 2 of 4 pairs. Task 1: 5, 5 against 5, 4: 2 of 4 pairs and 2 halves. */
Test(statistics, improvement_by_hand) {
    mt_bootstrap b = {.seed = 1, .replicates = 1000};
    mt_interval p, q;
    const double x[] = {1, 5, 3, 5}, y[] = {2, 5, 2, 4};
    cr_assert(mt_estimate_improvement(2, 2, x, y, &b, &p, &err) && mt_estimate_improvement(2, 2, y, x, &b, &q, &err));
    cr_assert(p.value == (0.5 + 0.75) / 2, "%g", p.value);
    cr_assert(is_near(p.value + q.value, 1), "%g + %g", p.value, q.value);
    cr_assert(p.low == 0.25 && p.high == 1, "[%g, %g]", p.low, p.high);
    cr_assert(mt_estimate_improvement(1, 4, x, y, &b, &p, &err) && p.value == 1.5 / 4 + 1.0 / 4 && isnan(p.low), "%g",
              p.value);
}

/* ---- coverage ------------------------------------------------------------------------------------ */

enum { EXPERIMENTS = 1000, RUNS = 10, TASKS = 5, REPLICATES = 1000 };

/* Experiments with normal scores whose means are 1, 2, ...: the true mean is 3. A percentile interval of a mean has the
 * half width 1.96 s sqrt((runs - 1) / runs) / sqrt(cells), where s has tasks (runs - 1) degrees of freedom. So it holds the
 * truth when |t| < 1.96 sqrt(0.9) = 1.859 with 45 degrees: in 93.0 % (computed by numerical integration). The
 * standard error of the share is sqrt(0.93 * 0.07 / 1000) = 0.8 %. */
Test(statistics, intervals_hold_the_truth_as_often_as_they_should) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TEST, 1, 0, 0});
    int by_mean = 0, by_median = 0, by_iqm = 0;
    for (int e = 0; e < EXPERIMENTS; e++) {
        double scores[RUNS * TASKS];
        for (int i = 0; i < RUNS * TASKS; i++) scores[i] = 1 + i % TASKS + lopt_rng_draw_normal(&r);
        mt_aggregates a;
        mt_bootstrap b = {.seed = (uint64_t)e, .replicates = REPLICATES};
        cr_assert(mt_aggregate_scores(RUNS, TASKS, scores, &b, &a, &err), "%s", err.text);
        by_mean += a.mean.low <= 3 && 3 <= a.mean.high;
        by_median += a.median.low <= 3 && 3 <= a.median.high;
        by_iqm += a.iqm.low <= 3 && 3 <= a.iqm.high;
    }
    double mean = by_mean / (double)EXPERIMENTS, median = by_median / (double)EXPERIMENTS,
           iqm = by_iqm / (double)EXPERIMENTS;
    cr_log_info("coverage: mean %.3f, median %.3f, IQM %.3f", mean, median, iqm);
    cr_assert(fabs(mean - 0.930) < 0.024, "the interval of the mean holds it in %.3f", mean);
    cr_assert(median > 0.90 && median < 0.98, "the interval of the median holds it in %.3f", median);
    cr_assert(iqm > 0.90 && iqm < 0.98, "the interval of the IQM holds it in %.3f", iqm);
}
