/* SPDX-License-Identifier: Apache-2.0
 *
 * Results that were written are read back whole, as are files of before raw curves and accuracies of seeds. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/read_file.h"
#include "eval/results.h"

enum { TASKS = 2, ENTRIES = 3, SEEDS = 2, POINTS = 4 };

static char dir[64], results_path[96], timing_path[96];
static lopt_error err;

static void make_dir(void) {
    snprintf(dir, sizeof dir, "/tmp/metatrain-results-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(results_path, sizeof results_path, "%s/results.json", dir);
    snprintf(timing_path, sizeof timing_path, "%s/timing.json", dir);
}

static void clear_dir(void) {
    remove(results_path);
    remove(timing_path);
    cr_assert(rmdir(dir) == 0, "%s: files are left", dir);
}

TestSuite(results_read, .init = make_dir, .fini = clear_dir);

/* Entry 0 is a sweep, whose last seed diverges on task 1; entry 1 is learned; entry 2 is a search. */
static mt_results *fill_example(void) {
    mt_results *r = mt_results_create(TASKS, ENTRIES, SEEDS, POINTS, &err);
    cr_assert(r != NULL, "%s", err.text);
    r->seed = UINT64_MAX;
    r->steps = 30;
    r->sweep_seeds = 5;
    r->every = 10;
    r->batches = 2;
    r->last_batches = 3;
    snprintf(r->version, sizeof r->version, "9.9.9");
    snprintf(r->kernels, sizeof r->kernels, "none");
    snprintf(r->command, sizeof r->command, "metatrain eval 'a b'");
    for (int i = 0; i < POINTS; i++) r->x[i] = 10 * i;
    for (int t = 0; t < TASKS; t++)
        r->tasks[t] = (mt_result_task){.n_params = 10 + t, .flops_per_step = 1e6, .loss_bound = t ? 3.5 : INFINITY};
    static const char *const names[] = {"adam", "small-fc", "nadamw"};
    for (int e = 0; e < ENTRIES; e++) {
        snprintf(r->entries[e].label, sizeof r->entries[e].label, "label \"%d\"", e);
        snprintf(r->entries[e].optimizer, sizeof r->entries[e].optimizer, "%s", names[e]);
    }
    r->entries[1].learned = 1;
    r->entries[1].n_theta = 197;
    snprintf(r->entries[1].digest, sizeof r->entries[1].digest, "0123");
    r->entries[2].searched = 1;
    r->entries[2].search_seed = 7;
    for (int i = 0; i < TASKS * ENTRIES; i++) {
        mt_result *one = &r->results[i];
        int n_trials = i % ENTRIES == 1 ? 1 : 3;
        cr_assert(mt_result_set_trials(one, n_trials, &err));
        for (int k = 0; k < n_trials && n_trials > 1; k++) {
            one->trial_rate[k] = pow(10, -k);
            one->trial_loss[k] = k == 0 ? NAN : 1.0 / 3 + k;
        }
        one->chosen = n_trials - 1;
        one->at_end = i % ENTRIES == 0 ? -1 : 0;
        one->state_bytes = 4 * i;
        if (i % ENTRIES == 2) snprintf(one->settings, sizeof one->settings, "{\"beta1\": 0.9, \"nesterov\": true}");
        for (int j = 0; j < SEEDS * POINTS; j++)
            for (int k = 0; k < TASK_N_SPLITS; k++) {
                double loss = k == TASK_INNER_VALID ? NAN : 2.0 / (1 + i + j + k);
                one->points[j].loss[k] = one->points[j].normalised[k] = loss;
                one->points[j].accuracy[k] = NAN;
            }
        for (int s = 0; s < SEEDS; s++) {
            one->seconds[s] = 1e-6 * (1 + s);
            one->points[(s + 1) * POINTS - 1].accuracy[TASK_TEST] = 0.5 + 0.1 * s;
        }
    }
    mt_point *diverged = &mt_result_at(r, 1, 0)->points[SEEDS * POINTS - 1];
    diverged->loss[TASK_TRAIN] = NAN;
    diverged->normalised[TASK_TRAIN] = 3.5;
    return r;
}

static int same_number(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

static void compare_results(const mt_results *a, const mt_results *b) {
    for (int i = 0; i < TASKS * ENTRIES; i++) {
        const mt_result *x = &a->results[i], *y = &b->results[i];
        cr_assert(x->n_trials == y->n_trials && x->chosen == y->chosen && x->at_end == y->at_end, "trials of result %d",
                  i);
        cr_assert(strcmp(x->settings, y->settings) == 0, "settings: %s and %s", x->settings, y->settings);
        for (int k = 0; k < x->n_trials; k++)
            cr_assert(same_number(x->trial_rate[k], y->trial_rate[k]) &&
                      same_number(x->trial_loss[k], y->trial_loss[k]));
        for (int s = 0; s < SEEDS; s++) cr_assert(x->seconds[s] == y->seconds[s]);
        for (int j = 0; j < SEEDS * POINTS; j++)
            for (int k = 0; k < TASK_N_SPLITS; k++)
                cr_assert(same_number(x->points[j].loss[k], y->points[j].loss[k]) &&
                              same_number(x->points[j].normalised[k], y->points[j].normalised[k]) &&
                              same_number(x->points[j].accuracy[k], y->points[j].accuracy[k]),
                          "result %d, point %d, split %d", i, j, k);
        cr_assert(x->state_bytes == y->state_bytes);
    }
}

Test(results_read, what_was_written_is_read) {
    mt_results *a = fill_example();
    cr_assert(mt_results_write(a, dir, &err), "%s", err.text);
    mt_results *b = mt_results_read(dir, &err);
    cr_assert(b != NULL, "%s", err.text);
    compare_results(a, b);
    cr_assert(memcmp(a->tasks, b->tasks, TASKS * sizeof *a->tasks) == 0, "tasks differ");
    cr_assert(memcmp(a->entries, b->entries, ENTRIES * sizeof *a->entries) == 0, "entries differ");
    cr_assert(memcmp(a->x, b->x, POINTS * sizeof *a->x) == 0, "inner steps differ");
    cr_assert(a->seed == b->seed && a->steps == b->steps && a->last_batches == b->last_batches);
    cr_assert(strcmp(a->command, b->command) == 0 && strcmp(a->kernels, b->kernels) == 0);
    mt_results_free(b);
    remove(timing_path); /* then times are not known, and neither is the command */
    b = mt_results_read(results_path, &err);
    cr_assert(b != NULL, "%s", err.text);
    cr_assert(isnan(b->results[0].seconds[0]) && b->command[0] == '\0');
    mt_results_free(b);
    mt_results_free(a);
}

/* Puts text, as long as what it replaces, over every `old` in results.json: a key that no reader knows. */
static void hide_key(const char *old, const char *text) {
    size_t n;
    char *json = mt_text_read(results_path, 1 << 20, &n, &err);
    cr_assert(json != NULL && strstr(json, old) != NULL, "%s is not in the file", old);
    for (char *at = json; (at = strstr(at, old)) != NULL; at++) memcpy(at, text, strlen(text));
    FILE *f = fopen(results_path, "wb");
    cr_assert(f != NULL && fwrite(json, 1, n, f) == n && fclose(f) == 0);
    free(json);
}

Test(results_read, what_older_files_lack_follows_from_the_rest) {
    mt_results *a = fill_example();
    cr_assert(mt_results_write(a, dir, &err), "%s", err.text);
    hide_key("\"chosen\"", "\"CHOSEN\"");
    hide_key("\"at_end\"", "\"AT_END\"");
    hide_key("\"learned\"", "\"LEARNED\"");
    hide_key("\"raw_curves\"", "\"RAW_CURVES\"");
    mt_results *b = mt_results_read(dir, &err);
    cr_assert(b != NULL, "%s", err.text);
    compare_results(a, b); /* the raw loss of the last point stands in its "losses" */
    cr_assert(b->entries[1].learned && !b->entries[0].learned);
    mt_results_free(b);
    mt_results_free(a);
}
