/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/comparison.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "eval/nadamw_search.h"
#include "store/theta_file.h"

#define REPORT_SPLITS (MT_SPLIT(TASK_TRAIN) | MT_SPLIT(TASK_OUTER_VALID) | MT_SPLIT(TASK_TEST))

/* ---- entries ------------------------------------------------------------------------------------- */

static mt_entry *add_entry(mt_comparison *c, const char *label) {
    mt_entry *e = &c->entries[c->n_entries++];
    snprintf(e->label, sizeof e->label, "%s", label);
    e->n_trials = 1;
    return e;
}

static void set_digest(mt_entry *e) {
    if (lopt_n_theta(e->opt[0]) > 0) mt_theta_digest(e->opt[0], lopt_theta(e->opt[0]), e->digest);
}

static int out_of_memory(lopt_error *err) {
    return mt_error(err, LOPT_ENOMEM, "out of memory");
}

/* Gives an optimizer the theta that a meta-training run with this seed starts from. */
static int start_theta(lopt_optimizer *opt, uint64_t seed, lopt_error *err) {
    size_t n = lopt_n_theta(opt);
    if (n == 0) return 1;
    float *theta = malloc(n * sizeof *theta);
    if (theta == NULL) return out_of_memory(err);
    lopt_init_theta(opt, seed, theta);
    lopt_set_theta(opt, theta);
    free(theta);
    return 1;
}

/* The seed of the run that made a theta file; 1, the default, where the file does not say. */
static uint64_t seed_of(const mt_theta_file *file) {
    for (int i = 0; i < file->n_notes; i++)
        if (strcmp(file->note_name[i], "seed") == 0) return strtoull(file->note_value[i], NULL, 10);
    return 1;
}

/* "runs/a/theta.h5" -> "a/theta.h5" */
static const char *short_path(const char *path) {
    const char *slash = strrchr(path, '/');
    while (slash != NULL && slash > path && slash[-1] != '/') slash--;
    return slash != NULL && slash > path ? slash : path;
}

/* "learned small-fc", or "learned a/theta.h5" where several must be told apart. */
static void name_theta(const char *word, const lopt_optimizer *opt, const char *path, int several, char *label,
                       size_t bytes) {
    snprintf(label, bytes, "%s %.80s", word, several ? short_path(path) : lopt_info(opt)->name);
}

static int add_theta(mt_comparison *c, const char *path, const char *given_label, int several, int untrained,
                     lopt_error *err) {
    mt_theta_file *file = mt_theta_file_read(path, err);
    if (file == NULL) return 0;
    int ok = 1;
    for (int before = 0; ok && before <= untrained; before++) {
        char label[96];
        name_theta(before ? "untrained" : "learned", file->optimizer, path, several, label, sizeof label);
        mt_entry *e = add_entry(c, given_label[0] != '\0' ? given_label : label);
        e->opt[0] = lopt_clone(file->optimizer);
        ok = e->opt[0] != NULL ? !before || start_theta(e->opt[0], seed_of(file), err) : out_of_memory(err);
        if (!ok) break;
        if (!before) snprintf(e->theta_path, sizeof e->theta_path, "%s", path);
        set_digest(e);
    }
    mt_theta_file_free(file);
    return ok;
}

/* name = value in place of what the settings say, or beside them. */
static int change_setting(mt_optimizer_config *cfg, const char *name, const char *value, lopt_error *err) {
    int i = 0;
    while (i < cfg->n_settings && strcmp(cfg->settings[i].name, name) != 0) i++;
    if (i == MT_MAX_SETTINGS)
        return mt_error(err, LOPT_EARG, "optimizer %s: more than %d settings", cfg->name, MT_MAX_SETTINGS);
    if (i == cfg->n_settings) cfg->n_settings++;
    snprintf(cfg->settings[i].name, sizeof cfg->settings[i].name, "%s", name);
    snprintf(cfg->settings[i].value, sizeof cfg->settings[i].value, "%s", value);
    return 1;
}

/* The optimizer of a baseline with learning_rate = rate. */
static lopt_optimizer *create_with_rate(const mt_baseline *baseline, double rate, const char *file, lopt_error *err) {
    mt_optimizer_config cfg = baseline->optimizer;
    char value[32];
    snprintf(value, sizeof value, "%.17g", rate);
    return change_setting(&cfg, "learning_rate", value, err) ? mt_optimizer_create(&cfg, file, err) : NULL;
}

/* The optimizer of row i of a search; what the baseline sets itself stays as it is. */
static lopt_optimizer *create_from_row(const mt_baseline *baseline, int i, const char *file, lopt_error *err) {
    const mt_optimizer_config *given = &baseline->optimizer;
    mt_optimizer_config cfg = {.n_settings = 0};
    lopt__optlist row;
    lopt__optlist_row(&row, baseline->search_seed, (uint64_t)i);
    snprintf(cfg.name, sizeof cfg.name, "%s", given->name);
    for (int k = 0; k < LOPT__OPTLIST_SETTINGS; k++)
        if (!change_setting(&cfg, row.setting[k].name, row.setting[k].value, err)) return NULL;
    for (int k = 0; k < given->n_settings; k++)
        if (!change_setting(&cfg, given->settings[k].name, given->settings[k].value, err)) return NULL;
    return mt_optimizer_create(&cfg, file, err);
}

static lopt_optimizer *create_trial(const mt_suite *suite, const mt_baseline *baseline, int i, lopt_error *err) {
    if (baseline->search > 0) return create_from_row(baseline, i, suite->file, err);
    if (baseline->sweep) return create_with_rate(baseline, suite->sweep[i], suite->file, err);
    return mt_optimizer_create(&baseline->optimizer, suite->file, err);
}

/* The optimizer that the suite describes with the theta of a file; any settings may differ but those that
 * shape theta. */
static int set_theta_from(lopt_optimizer *opt, const char *path, lopt_error *err) {
    mt_theta_file *file = mt_theta_file_read(path, err);
    if (file == NULL) return 0;
    const lopt_preset_info *theirs = lopt_info(file->optimizer), *ours = lopt_info(opt);
    int same = strcmp(theirs->kind, ours->kind) == 0 && lopt_n_theta(file->optimizer) == lopt_n_theta(opt);
    if (same)
        lopt_set_theta(opt, lopt_theta(file->optimizer));
    else
        mt_error(err, LOPT_ESHAPE, "%.200s: holds %zu weights of %s, the suite's %s has %zu", path,
                 lopt_n_theta(file->optimizer), theirs->name, ours->name, lopt_n_theta(opt));
    mt_theta_file_free(file);
    return same;
}

static int add_baseline(mt_comparison *c, const mt_baseline *baseline, lopt_error *err) {
    const mt_suite *suite = c->suite;
    if (baseline->optimizer.name[0] == '\0') return add_theta(c, baseline->theta, baseline->label, 1, 0, err);
    char label[96];
    snprintf(label, sizeof label, "%s%s", baseline->optimizer.name, baseline->search > 0 ? " search" : "");
    mt_entry *e = add_entry(c, baseline->label[0] ? baseline->label : label);
    e->searched = baseline->search > 0;
    e->search_seed = baseline->search_seed;
    snprintf(e->theta_path, sizeof e->theta_path, "%s", baseline->theta);
    e->n_trials = e->searched ? (int)baseline->search : baseline->sweep ? suite->n_sweep : 1;
    for (int i = 0; i < e->n_trials; i++) {
        e->opt[i] = create_trial(suite, baseline, i, err);
        if (e->opt[i] == NULL) return 0;
        if (baseline->theta[0] != '\0' ? !set_theta_from(e->opt[i], baseline->theta, err)
                                       : !start_theta(e->opt[i], suite->seed, err))
            return 0;
    }
    set_digest(e);
    return 1;
}

static int add_entries(mt_comparison *c, const char *const *thetas, int n_thetas, int untrained, lopt_error *err) {
    for (int i = 0; i < n_thetas; i++)
        if (!add_theta(c, thetas[i], "", n_thetas > 1, untrained, err)) return 0;
    for (int i = 0; i < c->suite->n_baselines; i++)
        if (!add_baseline(c, &c->suite->baselines[i], err)) return 0;
    if (c->n_entries > 0) return 1;
    return mt_error(err, LOPT_EARG, "%s: no baseline and no theta file: nothing to compare", c->suite->file);
}

/* ---- create -------------------------------------------------------------------------------------- */

static int add_suite_tasks(mt_comparison *c, lopt_error *err) {
    for (int i = 0; i < c->suite->n_tasks; i++) {
        if ((c->tasks[i] = task_create(&c->suite->tasks[i].spec, err)) == NULL) return 0;
        c->n_tasks++;
    }
    return 1;
}

/* Every optimizer must be able to train every task before the first of many minutes is spent. */
static int check_states(const mt_comparison *c, lopt_error *err) {
    for (int t = 0; t < c->n_tasks; t++) {
        for (int e = 0; e < c->n_entries; e++) {
            const task *one = c->tasks[t];
            lopt_state *state = lopt_state_create(c->entries[e].opt[0], one->tensors, one->n_tensors, err);
            if (state == NULL) return 0;
            lopt_state_destroy(state);
        }
    }
    return 1;
}

static int allocate_outcomes(mt_comparison *c, lopt_error *err) {
    size_t seeds = (size_t)c->suite->seeds;
    c->outcomes = calloc((size_t)c->n_tasks * (size_t)c->n_entries, sizeof *c->outcomes);
    if (c->outcomes == NULL) return out_of_memory(err);
    for (int i = 0; i < c->n_tasks * c->n_entries; i++) {
        mt_outcome *o = &c->outcomes[i];
        o->sweep_loss = calloc((size_t)c->entries[i % c->n_entries].n_trials, sizeof *o->sweep_loss);
        o->points = calloc(seeds * mt_curve_points(&c->plan), sizeof *o->points);
        o->seconds = calloc(seeds, sizeof *o->seconds);
        if (!o->sweep_loss || !o->points || !o->seconds) return out_of_memory(err);
    }
    return 1;
}

static void make_plans(mt_comparison *c) {
    const mt_suite *s = c->suite;
    c->plan = (mt_curve_plan){.seed = s->seed,
                              .steps = s->steps,
                              .every = s->every,
                              .batches = s->batches,
                              .last_batches = s->last_batches,
                              .splits = REPORT_SPLITS};
    c->sweep_plan = c->plan;
    c->sweep_plan.every = s->steps; /* the start and the end only */
    c->sweep_plan.splits = MT_SPLIT(TASK_INNER_VALID);
}

mt_comparison *mt_comparison_create(mt_suite *suite, const char *const *thetas, int n_thetas, int untrained,
                                    lopt_error *err) {
    mt_comparison *c = calloc(1, sizeof *c);
    if (c == NULL) {
        out_of_memory(err);
        return NULL;
    }
    c->suite = suite;
    make_plans(c);
    size_t most = 2 * (size_t)n_thetas + (size_t)suite->n_baselines + 1;
    c->entries = calloc(most, sizeof *c->entries);
    if (c->entries == NULL)
        out_of_memory(err);
    else if (add_entries(c, thetas, n_thetas, untrained, err) && add_suite_tasks(c, err) && check_states(c, err) &&
             allocate_outcomes(c, err))
        return c;
    mt_comparison_free(c);
    return NULL;
}

void mt_comparison_free(mt_comparison *c) {
    if (c == NULL) return;
    for (int i = 0; c->outcomes != NULL && i < c->n_tasks * c->n_entries; i++) {
        free(c->outcomes[i].sweep_loss);
        free(c->outcomes[i].points);
        free(c->outcomes[i].seconds);
    }
    free(c->outcomes);
    for (int i = 0; i < c->n_entries; i++)
        for (int j = 0; j < c->entries[i].n_trials; j++) lopt_destroy(c->entries[i].opt[j]);
    free(c->entries);
    for (int i = 0; i < c->n_tasks; i++) task_destroy(c->tasks[i]);
    free(c);
}

/* ---- results ------------------------------------------------------------------------------------- */

mt_outcome *mt_comparison_outcome(const mt_comparison *c, int task_index, int entry) {
    return &c->outcomes[task_index * c->n_entries + entry];
}

mt_mean mt_mean_of(const double *values, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    mt_mean m = {sum / (double)n, NAN};
    for (size_t i = 0; i < n; i++) squares += (values[i] - m.mean) * (values[i] - m.mean);
    if (n > 1) m.error = sqrt(squares / (double)(n - 1) / (double)n);
    return m;
}

static mt_mean mean_of_last(const mt_comparison *c, const mt_outcome *o, size_t offset) {
    size_t n_points = mt_curve_points(&c->plan), seeds = (size_t)c->suite->seeds;
    double *last = calloc(seeds, sizeof *last);
    if (last == NULL) return (mt_mean){NAN, NAN};
    for (size_t s = 0; s < seeds; s++)
        last[s] = *(const double *)((const char *)&o->points[(s + 1) * n_points - 1] + offset);
    mt_mean mean = mt_mean_of(last, seeds);
    free(last);
    return mean;
}

mt_mean mt_comparison_loss(const mt_comparison *c, int task_index, int entry, task_split split) {
    const mt_outcome *o = mt_comparison_outcome(c, task_index, entry);
    return mean_of_last(c, o, offsetof(mt_point, normalised) + split * sizeof(double));
}

mt_mean mt_comparison_accuracy(const mt_comparison *c, int task_index, int entry, task_split split) {
    const mt_outcome *o = mt_comparison_outcome(c, task_index, entry);
    return mean_of_last(c, o, offsetof(mt_point, accuracy) + split * sizeof(double));
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mt_comparison_step_seconds(const mt_comparison *c, int task_index, int entry) {
    const double *seconds = mt_comparison_outcome(c, task_index, entry)->seconds;
    size_t n = (size_t)c->suite->seeds;
    double *sorted = malloc(n * sizeof *sorted);
    if (sorted == NULL) return NAN;
    memcpy(sorted, seconds, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    double median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
    free(sorted);
    return median;
}
