/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation: training curves against a closed form, paired seeds, the choice of a rate, divergence.
 *
 * On `quadratic` (loss p.p, gradient 2p) SGD with rate r multiplies p by 1 - 2r at each step, so the loss
 * after k steps is loss_0 (1 - 2r)^(2k): rate 0.5 ends at 0, rate 2 diverges. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "eval/evaluation.h"
#include "eval/nadamw_search.h"
#include "eval/training_curve.h"

static lopt_error err;

static task *make_quadratic(void) {
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "quadratic");
    task *t = task_create(&spec, &err);
    cr_assert(t != NULL, "%s", err.text);
    return t;
}

static lopt_optimizer *make_optimizer(const char *preset, const char *rate) {
    lopt_optimizer *opt = lopt_create(preset, &(lopt_setting){"learning_rate", rate}, 1, &err);
    cr_assert(opt != NULL, "%s", err.text);
    return opt;
}

static mt_point *run(const task *t, const char *preset, const char *rate, const mt_curve_plan *plan, int64_t seed) {
    mt_point *points = calloc(mt_curve_points(plan), sizeof *points);
    lopt_optimizer *opt = make_optimizer(preset, rate);
    double seconds = -1, start = mt_wall_seconds();
    cr_assert(mt_compute_curve(t, opt, plan, seed, points, &seconds, &err), "%s", err.text);
    cr_assert(seconds > 0 && seconds <= mt_wall_seconds() - start, "%g s in inner steps", seconds);
    lopt_destroy(opt);
    return points;
}

static const mt_curve_plan plan = {.seed = 1,
                                   .steps = 25,
                                   .every = 10,
                                   .batches = 2,
                                   .last_batches = 3,
                                   .splits = MT_SPLIT(TASK_TRAIN) | MT_SPLIT(TASK_TEST)};

Test(evaluate, points_lie_at_multiples_and_at_the_end) {
    static const struct {
        int64_t steps, every;
        size_t n;
        int64_t last_but_one;
    } cases[] = {{25, 10, 4, 20}, {20, 10, 3, 10}, {5, 10, 2, 0}, {1, 1, 2, 0}, {500, 500, 2, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mt_curve_plan p = {.steps = cases[i].steps, .every = cases[i].every};
        size_t n = mt_curve_points(&p);
        cr_assert(n == cases[i].n, "case %zu: %zu points", i, n);
        cr_assert(mt_curve_x(&p, n - 1) == p.steps, "case %zu ends at %ld", i, (long)mt_curve_x(&p, n - 1));
        cr_assert(mt_curve_x(&p, n - 2) == cases[i].last_but_one, "case %zu", i);
    }
}

Test(evaluate, sgd_on_a_quadratic_follows_its_closed_form) {
    task *t = make_quadratic();
    mt_point *points = run(t, "sgd", "0.01", &plan, 3);
    double start = points[0].loss[TASK_TRAIN];
    cr_assert(start > 0, "loss %g at the start", start);
    for (size_t i = 0; i < mt_curve_points(&plan); i++) {
        double expected = start * pow(0.98, 2.0 * (double)mt_curve_x(&plan, i));
        cr_assert(fabs(points[i].loss[TASK_TRAIN] / expected - 1) < 1e-4, "point %zu: %g, expected %g", i,
                  points[i].loss[TASK_TRAIN], expected);
        cr_assert(points[i].normalised[TASK_TEST] == points[i].loss[TASK_TEST], "this task is not normalised");
        cr_assert(isnan(points[i].loss[TASK_OUTER_VALID]), "a split that was not asked for was measured");
    }
    free(points);
    task_destroy(t);
}

/* Schedule-free SGD with rate 0.25: z = x = y = p/2 after a step, then z = p/4 and x = 3p/8; y is 0.3625 p. */
Test(evaluate, a_schedule_free_optimizer_is_measured_at_its_average) {
    task *t = make_quadratic();
    mt_curve_plan two = {.seed = 1, .steps = 2, .every = 1, .batches = 1, .last_batches = 1, .splits = plan.splits};
    mt_point *points = run(t, "schedule-free-sgd", "0.25", &two, 3);
    double start = points[0].loss[TASK_TRAIN], end = points[2].loss[TASK_TRAIN];
    cr_assert(fabs(end / start - 0.375 * 0.375) < 1e-5, "%g of the loss at the start", end / start);
    free(points);
    task_destroy(t);
}

Test(evaluate, optimizers_with_one_seed_start_alike) {
    task *t = make_quadratic();
    mt_point *a = run(t, "sgd", "0.1", &plan, 3), *b = run(t, "adam", "0.1", &plan, 3);
    mt_point *again = run(t, "sgd", "0.1", &plan, 3), *other = run(t, "sgd", "0.1", &plan, 4);
    cr_assert(a[0].loss[TASK_TRAIN] == b[0].loss[TASK_TRAIN], "starts differ between optimizers");
    cr_assert(a[3].loss[TASK_TRAIN] != b[3].loss[TASK_TRAIN], "sgd and adam end alike");
    cr_assert(memcmp(a, again, mt_curve_points(&plan) * sizeof *a) == 0, "a repetition differs");
    cr_assert(a[0].loss[TASK_TRAIN] != other[0].loss[TASK_TRAIN], "two seeds start alike");
    free(a);
    free(b);
    free(again);
    free(other);
    task_destroy(t);
}

Test(evaluate, batches_are_shared_too) {
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "noisy_quadratic");
    spec.noise = 1; /* the "batch" is the noise of the gradient */
    task *t = task_create(&spec, &err);
    cr_assert(t != NULL, "%s", err.text);
    mt_curve_plan two = {
        .seed = 1, .steps = 2, .every = 1, .batches = 1, .last_batches = 1, .splits = MT_SPLIT(TASK_TRAIN)};
    mt_point *sgd = run(t, "sgd", "1e-6", &two, 0), *sgdm = run(t, "sgdm", "1e-6", &two, 0);
    cr_assert(sgd[1].loss[TASK_TRAIN] == sgdm[1].loss[TASK_TRAIN], "the first step of sgd and sgdm is the same");
    cr_assert(sgd[2].loss[TASK_TRAIN] != sgdm[2].loss[TASK_TRAIN], "the second is not");
    free(sgd);
    free(sgdm);
    task_destroy(t);
}

Test(evaluate, mean_and_standard_error) {
    mt_mean m = mt_mean_of((double[]){1, 2, 3, 6}, 4);
    cr_assert(m.mean == 3 && fabs(m.error - sqrt(14.0 / 3 / 4)) < 1e-15, "%g +- %g", m.mean, m.error);
    m = mt_mean_of((double[]){7}, 1);
    cr_assert(m.mean == 7 && isnan(m.error), "%g +- %g", m.mean, m.error);
}

/* ---- comparisons --------------------------------------------------------------------------------- */

static mt_suite *make_suite(const char *const *sets, int n_sets) {
    mt_suite *suite = mt_suite_load("tests/commands/eval_quadratic.yaml", sets, n_sets, &err);
    cr_assert(suite != NULL, "%s", err.text);
    return suite;
}

static mt_results *compare(mt_suite *suite) {
    mt_results *results = NULL;
    mt_transport *alone = mt_open_mpi();
    mt_comparison *c = mt_comparison_create(suite, NULL, 0, 0, &err);
    cr_assert(c != NULL, "%s", err.text);
    mt_cell_store *store = mt_cell_store_open(NULL, &err);
    cr_assert(mt_run_evaluation(c, alone, store, &results, &err) == 0, "%s", err.text);
    mt_close_transport(alone, 0, 0);
    mt_cell_store_close(store);
    mt_comparison_free(c);
    return results;
}

Test(evaluate, the_best_rate_is_chosen) {
    mt_suite *suite = make_suite(NULL, 0);
    mt_results *r = compare(suite);
    const mt_result *o = mt_result_at(r, 0, 1);
    cr_assert(r->n_entries == 2 && mt_result_at(r, 0, 0)->n_trials == 1 && o->n_trials == 4, "entries");
    cr_assert(o->trial_rate[o->chosen] == 0.5, "rate %g was chosen", o->trial_rate[o->chosen]);
    cr_assert(o->trial_loss[o->chosen] == 0, "loss %g", o->trial_loss[o->chosen]);
    cr_assert(mt_mean_loss(r, 0, 1, TASK_OUTER_VALID).mean == 0, "the final runs used another rate");
    cr_assert(mt_mean_loss(r, 0, 0, TASK_OUTER_VALID).mean > 0, "rate 0.01 cannot have arrived");
    mt_results_free(r);
    mt_suite_free(suite);
}

/* Trial i is row i of the search's seed, but for what the entry sets itself. */
Test(evaluate, a_random_search_over_nadamw) {
    const char *const sets[] = {"optimizers=[{name: nadamw, search: 12, search_seed: 7, beta1: 0.25}]", "steps=20"};
    mt_suite *suite = make_suite(sets, 2);
    mt_results *c = compare(suite);
    const mt_result_entry *e = &c->entries[0];
    const mt_result *o = mt_result_at(c, 0, 0);
    cr_assert(o->n_trials == 12 && e->searched && e->search_seed == 7 && !strcmp(e->label, "nadamw search"), "entry");
    for (int i = 0; i < 12; i++) {
        lopt__optlist row;
        lopt__optlist_row(&row, 7, (uint64_t)i);
        double rate = o->trial_rate[i];
        cr_assert(rate == strtod(row.setting[0].value, NULL), "row %d has rate %g", i, rate);
        cr_assert(!(o->trial_loss[i] < o->trial_loss[o->chosen]), "row %d is better than %d", i, o->chosen);
    }
    cr_assert(strstr(o->settings, "\"beta1\": 0.25,"), "the row lost a setting: %s", o->settings);
    mt_results_free(c);
    mt_suite_free(suite);
}

static char *printed(const mt_results *c) {
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    mt_print_tables(c, f);
    fclose(f);
    return text;
}

Test(evaluate, the_output_says_which_row_of_how_many) {
    const char *const sets[] = {"optimizers=[{name: optlist, search: 3, search_seed: 18446744073709551615}]"};
    mt_suite *suite = make_suite(sets, 1);
    mt_results *c = compare(suite);
    char says[120], *text = printed(c);
    snprintf(says, sizeof says,
             "optlist search: row %d of search_seed 18446744073709551615, best of 3 rows\n    learning_rate ",
             mt_result_at(c, 0, 0)->chosen);
    cr_assert(strstr(text, says), "no \"%s\" in %s", says, text);
    free(text);
    mt_results_free(c);
    mt_suite_free(suite);
}

Test(evaluate, only_nadamw_can_be_searched_and_not_swept_too) {
    static const char *const bad[][2] = {{"optimizers=[{name: adam, search: 2}]", "optimizers.0.search: found 2"},
                                         {"optimizers=[{name: nadamw, search: 2, learning_rate: sweep}]", "sweep"},
                                         {"optimizers=[{name: nadamw, search: 1001}]", "[0, 1000]"}};
    for (int i = 0; i < 3; i++)
        cr_assert(!mt_suite_load(NULL, &bad[i][0], 1, &err) && strstr(err.text, bad[i][1]), "%s", err.text);
}

/* Rate 2 multiplies the loss by 9 a step, infinite after 60 steps; rate 1000 ends in NaN. */
Test(evaluate, a_diverged_rate_is_never_chosen_and_a_diverged_run_counts) {
    mt_suite *suite = make_suite((const char *[]){"sweep=[1000, 2, 0.01]", "optimizers.0.learning_rate=2"}, 2);
    mt_results *c = compare(suite);
    const mt_result *o = mt_result_at(c, 0, 1);
    cr_assert(o->trial_rate[o->chosen] == 0.01, "rate %g was chosen", o->trial_rate[o->chosen]);
    cr_assert(isnan(o->trial_loss[0]) && isinf(o->trial_loss[1]), "losses %g, %g", o->trial_loss[0], o->trial_loss[1]);
    cr_assert(!isfinite(mt_mean_loss(c, 0, 0, TASK_OUTER_VALID).mean), "diverged runs were dropped");
    mt_results_free(c);
    mt_suite_free(suite);
}

/* The loss of this task is the same on every split, so five shared seeds would give one mean. */
Test(evaluate, sweep_and_final_runs_have_no_seed_in_common) {
    mt_suite *suite = make_suite((const char *[]){"sweep=[0.01, 0.02]", "seeds=5"}, 2);
    mt_results *c = compare(suite);
    const mt_result *o = mt_result_at(c, 0, 1);
    double chosen = o->trial_loss[o->chosen], final = mt_mean_loss(c, 0, 1, TASK_OUTER_VALID).mean;
    cr_assert(chosen > 0 && final > 0 && chosen != final, "sweep %g, final %g", chosen, final);
    mt_results_free(c);
    mt_suite_free(suite);
}

/* The best of 0.001 and 0.003 is 0.003; then 0.01, 0.03, 0.1 and 0.3 are better each, and 1 diverges. */
Test(evaluate, a_sweep_is_extended_until_its_best_rate_is_inside) {
    mt_suite *suite = make_suite((const char *[]){"sweep=[0.001, 0.003]", "extend_sweep=yes"}, 2);
    mt_results *r = compare(suite);
    const mt_result *o = mt_result_at(r, 0, 1);
    cr_assert(o->n_trials == 7 && o->chosen == 5 && o->at_end == 0, "%d trials, chosen %d, end %d", o->n_trials,
              o->chosen, o->at_end);
    static const double rates[] = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1};
    for (int i = 0; i < 7; i++)
        cr_assert(fabs(o->trial_rate[i] / rates[i] - 1) < 1e-15, "rate %d is %.17g", i, o->trial_rate[i]);
    mt_results_free(r);
    mt_suite_free(suite);
    suite = make_suite((const char *[]){"sweep=[0.001, 0.003]"}, 1);
    r = compare(suite);
    cr_assert(mt_result_at(r, 0, 1)->n_trials == 2 && mt_result_at(r, 0, 1)->at_end == 1, "its end is not said");
    mt_results_free(r);
    mt_suite_free(suite);
}
