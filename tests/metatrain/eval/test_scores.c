/* SPDX-License-Identifier: Apache-2.0
 *
 * Scores of made-up results: cases worked by hand, divergence, verdicts, the table. tests/commands/scores_numpy.py computes
 * scores and intervals independently. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/scores.h"

static lopt_error err;

/* Entry 0 is Adam with a tuned rate. Point i is taken after 10 i steps; all losses are 1. */
static mt_results *make_results(int n_tasks, int n_entries, int64_t seeds, size_t n_points) {
    mt_results *r = mt_results_create(n_tasks, n_entries, seeds, n_points, &err);
    cr_assert(r != NULL, "%s", err.text);
    r->steps = 10 * ((int64_t)n_points - 1);
    r->sweep_seeds = 5;
    for (size_t i = 0; i < n_points; i++) r->x[i] = 10 * (int64_t)i;
    for (int e = 0; e < n_entries; e++) {
        snprintf(r->entries[e].label, sizeof r->entries[e].label, "entry %d", e);
        snprintf(r->entries[e].optimizer, sizeof r->entries[e].optimizer, e == 0 ? "adam" : "sgd");
        for (int t = 0; t < n_tasks; t++) {
            cr_assert(mt_result_set_trials(mt_result_at(r, t, e), e == 0 ? 3 : 1, &err), "%s", err.text);
            for (size_t i = 0; i < (size_t)seeds * n_points; i++)
                for (int k = 0; k < TASK_N_SPLITS; k++) mt_result_at(r, t, e)->points[i].loss[k] = 1;
        }
    }
    return r;
}

static void set_curve(mt_results *r, int task_index, int entry, int64_t seed, const double *losses) {
    mt_point *points = &mt_result_at(r, task_index, entry)->points[(size_t)seed * r->n_points];
    for (size_t i = 0; i < r->n_points; i++) points[i].loss[TASK_OUTER_VALID] = losses[i];
}

static mt_entry_scores *score(const mt_results *r) {
    mt_entry_scores *s = mt_score_entries(r, TASK_OUTER_VALID, &err);
    cr_assert(s != NULL, "%s", err.text);
    return s;
}

static int is_close(double a, double b) {
    return fabs(a - b) <= 1e-12 * fmax(1, fabs(b));
}

/* Smoothed: Adam 2, 1.9, 1.81, 1.729 and the other 2, 1.8, 1.64, 1.512; its second point is the first down at 1.81. */
Test(scores, final_loss_and_speed_up_by_hand) {
    mt_results *r = make_results(1, 3, 1, 4);
    set_curve(r, 0, 0, 0, (double[]){2, 1, 1, 1});
    set_curve(r, 0, 1, 0, (double[]){2, 0, NAN, 0.36});
    set_curve(r, 0, 2, 0, (double[]){1, 3, 3, 3});
    mt_entry_scores *s = score(r);
    cr_assert(is_close(s[1].final_losses[0], 1.729 / 1.656), "final loss %.17g", s[1].final_losses[0]);
    cr_assert(is_close(s[1].speed_ups[0], 30.0 / 30), "speed-up %g", s[1].speed_ups[0]);
    cr_assert(is_close(s[2].final_losses[0], 1.729 / 1.542), "final loss %.17g", s[2].final_losses[0]);
    cr_assert(s[2].speed_ups[0] == 30.0 / 10, "a curve that starts below counts from its first step: %g",
              s[2].speed_ups[0]);
    cr_assert(s[0].final_losses[0] == 1 && s[0].speed_ups[0] == 1, "the reference against itself");
    cr_assert(is_close(s[1].final_loss.iqm.value, 1.729 / 1.656) && isnan(s[1].final_loss.iqm.low), "IQM of one run");
    free(s);
    mt_results_free(r);
}

Test(scores, another_split_has_other_scores) {
    mt_results *r = make_results(1, 2, 1, 2);
    set_curve(r, 0, 0, 0, (double[]){2, 2});
    mt_entry_scores *valid = score(r), *test = mt_score_entries(r, TASK_TEST, &err);
    cr_assert(valid[1].final_losses[0] == 2 && test && test[1].final_losses[0] == 1, "scores");
    free(valid);
    free(test);
    mt_results_free(r);
}

Test(scores, a_result_that_is_not_reached_has_no_speed_up) {
    mt_results *r = make_results(1, 2, 1, 3);
    set_curve(r, 0, 0, 0, (double[]){1, 0.5, 0.5});
    mt_entry_scores *s = score(r);
    cr_assert(s[1].speed_ups[0] == 0 && s[1].final_losses[0] < 1, "speed-up %g", s[1].speed_ups[0]);
    free(s);
    mt_results_free(r);
}

/* Adam's mean over two seeds is 4, 0, 0, smoothed 4, 3.8, 3.61. */
Test(scores, inverse_curve_by_hand) {
    mt_results *r = make_results(1, 2, 2, 3);
    set_curve(r, 0, 0, 0, (double[]){3, 0, 0.5});
    set_curve(r, 0, 0, 1, (double[]){5, 0, -0.5});
    set_curve(r, 0, 1, 0, (double[]){9, 9, 3.9});
    set_curve(r, 0, 1, 1, (double[]){9, 9, 3});
    mt_entry_scores *s = score(r);
    cr_assert(is_close(s[1].inverse_curves[0], 0.25), "half of the first 10 of 20 steps: %g", s[1].inverse_curves[0]);
    cr_assert(s[1].inverse_curves[1] == 1, "lower than Adam's end: %g", s[1].inverse_curves[1]);
    free(s);
    mt_results_free(r);
}

/* Smoothed 4, 3.8, 4.61, 2.3795: up to step 30 Adam is no better than 3.8. */
Test(scores, inverse_curve_takes_the_running_minimum) {
    mt_results *r = make_results(1, 2, 1, 4);
    set_curve(r, 0, 0, 0, (double[]){4, 0, 20, -40});
    set_curve(r, 0, 1, 0, (double[]){9, 9, 9, 3});
    mt_entry_scores *s = score(r);
    double expected = (20 + 10 * (3.8 - 3) / (3.8 - 2.3795)) / 30;
    cr_assert(is_close(s[1].inverse_curves[0], expected), "%g, expected %g", s[1].inverse_curves[0], expected);
    free(s);
    mt_results_free(r);
}

Test(scores, diverged_runs_score_0_and_are_counted) {
    mt_results *r = make_results(2, 2, 3, 3);
    for (int64_t seed = 0; seed < 3; seed++) set_curve(r, 0, 1, seed, (double[]){1, 0.1, seed == 1 ? INFINITY : NAN});
    set_curve(r, 1, 0, 2, (double[]){1, 1, NAN});
    mt_entry_scores *s = score(r);
    for (int i = 0; i < 3; i++)
        cr_assert(s[1].final_losses[2 * i] == 0 && s[1].speed_ups[2 * i] == 0 && s[1].inverse_curves[2 * i] == 0,
                  "run %d scores", i);
    cr_assert(s[1].diverged == 3 && s[1].tasks[0].diverged == 3 && s[1].tasks[1].diverged == 0, "%d", s[1].diverged);
    cr_assert(s[1].tasks[0].verdict == MT_LOST && is_close(s[1].tasks[0].log_ratio.value, -log(MT_LARGEST_RATIO)),
              "log ratio %g", s[1].tasks[0].log_ratio.value);
    cr_assert(s[0].diverged == 1 && s[0].final_losses[5] == 0, "the reference's own divergence");
    cr_assert(s[1].final_losses[5] == 0 && s[1].speed_ups[5] == 0, "nothing to compare with");
    cr_assert(s[1].tasks[1].verdict == MT_TIED && s[1].tasks[1].log_ratio.value > 0, "one lucky run of three");
    free(s);
    mt_results_free(r);
}

Test(scores, losses_of_0_and_below_have_no_ratio) {
    mt_results *r = make_results(1, 2, 2, 2);
    for (int64_t seed = 0; seed < 2; seed++) set_curve(r, 0, 1, seed, (double[]){0, seed == 0 ? 0.0 : -1.0});
    mt_entry_scores *s = score(r);
    cr_assert(s[1].final_losses[0] == 0 && s[1].final_losses[1] == 0, "final loss %g", s[1].final_losses[0]);
    cr_assert(s[1].speed_ups[0] == 1 && s[1].won == 1 && is_close(s[1].log_ratio.value, log(MT_LARGEST_RATIO)), "won");
    free(s);
    mt_results_free(r);
}

/* Losses of the reference over own: 2, 2.2 and 1.8 exclude 1; 2, 0.5 and 1 do not. Task 2 is task 0 the other way round. */
Test(scores, a_task_is_won_if_the_interval_excludes_0) {
    static const double own[3][3] = {{0.5, 1 / 2.2, 1 / 1.8}, {0.5, 2, 1}, {2, 2.2, 1.8}};
    mt_results *r = make_results(3, 2, 3, 2);
    for (int t = 0; t < 3; t++)
        for (int64_t seed = 0; seed < 3; seed++) set_curve(r, t, 1, seed, (double[]){own[t][seed], own[t][seed]});
    mt_entry_scores *s = score(r);
    cr_assert(s[1].won == 1 && s[1].tied == 1 && s[1].lost == 1, "%d/%d/%d", s[1].won, s[1].tied, s[1].lost);
    cr_assert(s[1].tasks[0].verdict == MT_WON && s[1].tasks[1].verdict == MT_TIED && s[1].tasks[2].verdict == MT_LOST);
    double mean = (log(2) + log(2.2) + log(1.8)) / 3;
    cr_assert(is_close(s[1].tasks[0].log_ratio.value, mean), "%g", s[1].tasks[0].log_ratio.value);
    cr_assert(s[0].tied == 3 && s[0].improvement.value == 0.5, "the reference against itself");
    free(s);
    mt_results_free(r);
}

Test(scores, with_one_seed_the_value_decides) {
    mt_results *r = make_results(3, 2, 1, 2);
    set_curve(r, 0, 1, 0, (double[]){0.999, 0.999});
    set_curve(r, 1, 1, 0, (double[]){1.001, 1.001});
    mt_entry_scores *s = score(r);
    cr_assert(s[1].won == 1 && s[1].tied == 1 && s[1].lost == 1, "%d/%d/%d", s[1].won, s[1].tied, s[1].lost);
    free(s);
    mt_results_free(r);
}

/* A random walk about 1. */
static void fill_walks(mt_results *r, int entry) {
    for (int t = 0; t < r->n_tasks; t++)
        for (int64_t seed = 0; seed < r->seeds; seed++) {
            double losses[3];
            for (int i = 0; i < 3; i++)
                losses[i] = 1 + 0.3 * sin(12.9898 * (double)(seed * 7 + t) + 78.233 * entry + i);
            set_curve(r, t, entry, seed, losses);
        }
}

Test(scores, scores_do_not_depend_on_other_entries) {
    mt_results *two = make_results(3, 2, 4, 3), *three = make_results(3, 3, 4, 3);
    fill_walks(two, 1);
    fill_walks(three, 1);
    fill_walks(three, 2);
    mt_entry_scores *a = score(two), *b = score(three);
    cr_assert(memcmp(&a[1].final_loss, &b[1].final_loss, sizeof a->final_loss) == 0, "other bits");
    cr_assert(a[1].final_loss.iqm.low < a[1].final_loss.iqm.value, "no interval");
    free(a);
    free(b);
    mt_results_free(two);
    mt_results_free(three);
}

/* ---- the table ----------------------------------------------------------------------------------- */

static char *print_scores(const mt_results *r) {
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    mt_print_scores(r, f);
    fclose(f);
    return text;
}

static int is_narrow(const char *text) {
    int column = 0;
    for (; *text; text++) {
        if (((unsigned char)*text & 0xc0) != 0x80) column = *text == '\n' ? 0 : column + 1;
        if (column > 100) return 0;
    }
    return 1;
}

Test(scores, the_table_is_sorted_and_says_what_the_reference_is) {
    mt_results *r = make_results(2, 4, 2, 2);
    for (int t = 0; t < 2; t++)
        for (int64_t seed = 0; seed < 2; seed++) {
            set_curve(r, t, 1, seed, (double[]){2, 2});
            set_curve(r, t, 2, seed, (double[]){0.5, 0.5});
            set_curve(r, t, 3, seed, (double[]){1, seed == 0 ? 1 : NAN});
            strcpy(r->tasks[t].name, t == 0 ? "one" : "other");
        }
    char *text = print_scores(r);
    const char *const order[] = {"reference: entry 0, its rate the best of 3 on 5 other seeds\n", "\nentry 2 ",
                                 "\nentry 0 ", "\nentry 1 ", "\nentry 3 "}; /* 1: 0.5 everywhere; 3: 0 and 1 */
    for (int i = 0; i < 5; i++) cr_assert(strstr(text, order[i]), "no %s: %s", order[i], text);
    for (int i = 1; i < 4; i++) cr_assert(strstr(text, order[i]) < strstr(text, order[i + 1]), "%s", text);
    cr_assert(strstr(text, "2.00-2.00      1.00          2/0/0         0"), "%s", text);
    cr_assert(strstr(text, "0.00-1.00      0.50          0/2/0         2"), "%s", text);
    cr_assert(strstr(text, "\nentry 3 diverged on one (1 of 2), other (1 of 2)\n"), "%s", text);
    cr_assert(is_narrow(text), "%s", text);
    free(text);
    mt_results_free(r);
}

Test(scores, the_table_has_at_most_100_columns) {
    mt_results *r = make_results(12, 3, 3, 2);
    for (int e = 0; e < 3; e++)
        for (int i = 0; i < 40; i++) strcpy(r->entries[e].label + 2 * i, "ü");
    for (int t = 0; t < 12; t++)
        for (int64_t seed = 0; seed < 3; seed++) {
            snprintf(r->tasks[t].name, sizeof r->tasks[t].name, "%.*s", t, "twelve letters");
            set_curve(r, t, 1, seed, (double[]){3e-9 / (double)(seed + 1), 3e-9});
            set_curve(r, t, 2, seed, (double[]){1, NAN});
        }
    char *text = print_scores(r);
    cr_assert(is_narrow(text) && strstr(text, "ü… "), "%s", text);
    free(text);
    mt_results_free(r);
}

Test(scores, how_the_reference_was_tuned) {
    static const struct {
        int trials[2];
        const char *says;
    } cases[] = {{{1, 1}, "rate not tuned"}, {{3, 3}, "best of 3 on 5"}, {{5, 3}, "best of 3 to 5 on 5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mt_results *r = make_results(2, 1, 1, 2);
        for (int t = 0; t < 2; t++) mt_result_at(r, t, 0)->n_trials = cases[i].trials[t];
        char *text = print_scores(r);
        cr_assert(strstr(text, cases[i].says), "%s", text);
        free(text);
        mt_results_free(r);
    }
}

Test(scores, without_adam_there_are_no_scores) {
    mt_results *r = make_results(1, 2, 1, 2);
    snprintf(r->entries[0].optimizer, sizeof r->entries[0].optimizer, "adamw");
    cr_assert(mt_score_entries(r, TASK_OUTER_VALID, &err) == NULL && strstr(err.text, "adam"), "%s", err.text);
    char *text = print_scores(r);
    cr_assert(strstr(text, "adam") && strchr(text, '\n') == text + strlen(text) - 1, "%s", text);
    free(text);
    mt_results_free(r);
}
