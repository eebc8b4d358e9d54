/* SPDX-License-Identifier: Apache-2.0
 *
 * comparison.c - see comparison.h. */
#include "eval/comparison.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "eval/nadamw_search.h"
#include "rng/rng.h"
#include "store/theta_file.h"

#define REPORT_SPLITS (MT_SPLIT(TASK_TRAIN) | MT_SPLIT(TASK_OUTER_VALID) | MT_SPLIT(TASK_TEST))
#define NUMERICS                                                                                                       \
    1 /* counted up when a training of the same settings gives other bits: old results are then not taken */

enum { MAX_HYPERS = 96, VALUE = 256 };

static int report_no_memory(lopt_error *err) {
    return mt_error(err, LOPT_ENOMEM, "out of memory for a comparison");
}

/* ---- optimizers -------------------------------------------------------------------------------- */

/* An optimizer with other settings, and the same theta. */
static lopt_optimizer *change_settings(const lopt_optimizer *from, const lopt_setting *changed, size_t n_changed,
                                       lopt_error *err) {
    const char *preset = lopt_info(from)->name;
    lopt_hyper_info info;
    lopt_setting all[MAX_HYPERS];
    char(*value)[VALUE] = calloc(MAX_HYPERS, sizeof *value);
    size_t n = 0;
    if (!value) return report_no_memory(err), NULL;
    for (; n < MAX_HYPERS && lopt_hyper(preset, n, &info); n++) {
        lopt_get(from, info.name, value[n], sizeof value[n]);
        all[n] = (lopt_setting){info.name, value[n]};
        for (size_t i = 0; i < n_changed; i++)
            if (strcmp(changed[i].name, info.name) == 0) all[n].value = changed[i].value;
    }
    for (size_t i = 0; i < n_changed && n < MAX_HYPERS; i++) { /* an unknown name: liblopt says so */
        size_t k = 0;
        while (k < n && strcmp(all[k].name, changed[i].name) != 0) k++;
        if (k == n) all[n++] = changed[i];
    }
    lopt_optimizer *opt = lopt_create(preset, all, n, err);
    free(value);
    if (!opt || lopt_n_theta(opt) == 0) return opt;
    if (lopt_n_theta(opt) == lopt_n_theta(from)) return lopt_set_theta(opt, lopt_theta(from)), opt;
    mt_error(err, LOPT_ESHAPE, "%s: the theta has %zu weights, these settings need %zu", preset, lopt_n_theta(from),
             lopt_n_theta(opt));
    return lopt_destroy(opt), NULL;
}

/* The settings of a baseline: names and values stay its own. */
static size_t list_settings(const mt_optimizer_config *cfg, lopt_setting list[MT_MAX_SETTINGS]) {
    for (int i = 0; i < cfg->n_settings; i++) list[i] = (lopt_setting){cfg->settings[i].name, cfg->settings[i].value};
    return (size_t)cfg->n_settings;
}

/* Gives an optimizer the theta that a meta-training run with this seed starts from. */
static int start_theta(lopt_optimizer *opt, uint64_t seed, lopt_error *err) {
    size_t n = lopt_n_theta(opt);
    if (n == 0) return 1;
    float *theta = malloc(n * sizeof *theta);
    if (!theta) return report_no_memory(err);
    lopt_init_theta(opt, seed, theta);
    lopt_set_theta(opt, theta);
    free(theta);
    return 1;
}

/* ---- entries ------------------------------------------------------------------------------------- */

static mt_entry *add_entry(mt_comparison *c, const char *label) {
    mt_entry *e = &c->entries[c->n_entries++];
    snprintf(e->label, sizeof e->label, "%s", label);
    return e;
}

static void set_digest(mt_entry *e) {
    if (lopt_n_theta(e->optimizer) > 0) mt_theta_digest(e->optimizer, lopt_theta(e->optimizer), e->digest);
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
    while (slash && slash > path && slash[-1] != '/') slash--;
    return slash && slash > path ? slash : path;
}

/* "learned small-fc", or "learned a/theta.h5" where several must be told apart. */
static void name_theta(const char *word, const lopt_optimizer *opt, const char *path, int several, char *label,
                       size_t bytes) {
    snprintf(label, bytes, "%s %.80s", word, several ? short_path(path) : lopt_info(opt)->name);
}

/* A theta file of the command line. */
static int add_theta(mt_comparison *c, const char *path, int several, int untrained, lopt_error *err) {
    mt_theta_file *file = mt_theta_file_read(path, err);
    if (!file) return 0;
    int ok = 1;
    for (int before = 0; ok && before <= untrained; before++) {
        char label[96];
        name_theta(before ? "untrained" : "learned", file->optimizer, path, several, label, sizeof label);
        mt_entry *e = add_entry(c, label);
        e->optimizer = lopt_clone(file->optimizer);
        ok = e->optimizer ? !before || start_theta(e->optimizer, seed_of(file), err) : report_no_memory(err);
        if (!ok) break;
        if (!before) snprintf(e->theta_path, sizeof e->theta_path, "%s", path);
        set_digest(e);
    }
    mt_theta_file_free(file);
    return ok;
}

/* Theta of a file for an optimizer whose settings the suite gives; they must be of one kind and shape theta. */
static int set_theta_from(lopt_optimizer *opt, const mt_theta_file *file, const char *path, lopt_error *err) {
    const lopt_preset_info *theirs = lopt_info(file->optimizer), *ours = lopt_info(opt);
    if (strcmp(theirs->kind, ours->kind) != 0 || lopt_n_theta(file->optimizer) != lopt_n_theta(opt))
        return mt_error(err, LOPT_ESHAPE, "%.200s: holds %zu weights of %s, the suite's %s has %zu", path,
                        lopt_n_theta(file->optimizer), theirs->name, ours->name, lopt_n_theta(opt));
    lopt_set_theta(opt, lopt_theta(file->optimizer));
    return 1;
}

/* The settings of a theta file hold but for those that the suite gives; so do those of a preset without a file, or with a
 * file of another preset. */
static lopt_optimizer *open_baseline(const mt_baseline *b, const mt_suite *suite, lopt_error *err) {
    lopt_setting settings[MT_MAX_SETTINGS];
    mt_theta_file *file = NULL;
    const char *name = b->optimizer.name;
    if (b->theta[0] && !(file = mt_theta_file_read(b->theta, err))) return NULL;
    int of_file = file && (!name[0] || strcmp(name, lopt_info(file->optimizer)->name) == 0);
    lopt_optimizer *opt = of_file
                              ? change_settings(file->optimizer, settings, list_settings(&b->optimizer, settings), err)
                              : mt_optimizer_create(&b->optimizer, suite->file, err);
    if (opt && !(file ? set_theta_from(opt, file, b->theta, err) : start_theta(opt, suite->seed, err))) {
        lopt_destroy(opt);
        opt = NULL;
    }
    mt_theta_file_free(file);
    return opt;
}

static int add_baseline(mt_comparison *c, const mt_baseline *b, lopt_error *err) {
    char label[96];
    lopt_optimizer *opt = open_baseline(b, c->suite, err);
    if (!opt) return 0;
    if (b->theta[0])
        name_theta("learned", opt, b->theta, 1, label, sizeof label);
    else
        snprintf(label, sizeof label, "%s%s", b->optimizer.name, b->search > 0 ? " search" : "");
    mt_entry *e = add_entry(c, b->label[0] ? b->label : label);
    e->baseline = b;
    e->optimizer = opt;
    snprintf(e->theta_path, sizeof e->theta_path, "%s", b->theta);
    set_digest(e);
    return 1;
}

static int check_labels(const mt_comparison *c, lopt_error *err) {
    for (int i = 0; i < c->n_entries; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(c->entries[i].label, c->entries[j].label) == 0)
                return mt_error(err, LOPT_EARG,
                                "%s: optimizers: found \"%s\" twice, expected different names: give one of them a "
                                "`label`",
                                c->suite->file[0] ? c->suite->file : "the suite", c->entries[i].label);
    return 1;
}

static int add_entries(mt_comparison *c, const char *const *thetas, int n_thetas, int untrained, lopt_error *err) {
    for (int i = 0; i < n_thetas; i++)
        if (!add_theta(c, thetas[i], n_thetas > 1, untrained, err)) return 0;
    for (int i = 0; i < c->suite->n_baselines; i++)
        if (!add_baseline(c, &c->suite->baselines[i], err)) return 0;
    if (c->n_entries > 0) return check_labels(c, err);
    return mt_error(err, LOPT_EARG, "%s: no baseline and no theta file: nothing to compare", c->suite->file);
}

/* ---- trials -------------------------------------------------------------------------------------- */

int mt_is_swept(const mt_entry *e) {
    return e->baseline && e->baseline->sweep;
}

int mt_is_searched(const mt_entry *e) {
    return e->baseline && e->baseline->search > 0;
}

int mt_count_trials(const mt_comparison *c, int entry) {
    const mt_entry *e = &c->entries[entry];
    return mt_is_searched(e) ? (int)e->baseline->search : mt_is_swept(e) ? c->suite->n_sweep : 1;
}

/* Row i of a search; what the baseline sets itself stays as it is. */
static lopt_optimizer *make_row(const mt_entry *e, int i, lopt_error *err) {
    lopt__optlist row;
    lopt_setting changed[LOPT__OPTLIST_SETTINGS], own[MT_MAX_SETTINGS];
    size_t n = 0, n_own = list_settings(&e->baseline->optimizer, own);
    lopt__optlist_row(&row, e->baseline->search_seed, (uint64_t)i);
    for (int k = 0; k < LOPT__OPTLIST_SETTINGS; k++) {
        size_t same = 0;
        while (same < n_own && strcmp(own[same].name, row.setting[k].name) != 0) same++;
        if (same == n_own) changed[n++] = row.setting[k];
    }
    return change_settings(e->optimizer, changed, n, err);
}

lopt_optimizer *mt_make_trial(const mt_comparison *c, int entry, int trial, double rate, lopt_error *err) {
    const mt_entry *e = &c->entries[entry];
    char value[32];
    if (mt_is_searched(e)) return make_row(e, trial, err);
    if (mt_is_swept(e)) {
        snprintf(value, sizeof value, "%.17g", rate);
        return change_settings(e->optimizer, &(lopt_setting){"learning_rate", value}, 1, err);
    }
    lopt_optimizer *opt = lopt_clone(e->optimizer);
    if (!opt) report_no_memory(err);
    return opt;
}

/* ---- keys ---------------------------------------------------------------------------------------- */

const mt_curve_plan *mt_plan_of(const mt_comparison *c, const mt_cell *cell) {
    return cell->is_final ? &c->plan : &c->sweep_plan;
}

static void add_text(mt_digest *d, const char *name, const char *value) {
    mt_digest_add(d, name, strlen(name) + 1);
    mt_digest_add(d, value, strlen(value) + 1);
}

static void add_integers(mt_digest *d, const int64_t *value, int n) {
    mt_digest_add(d, value, (size_t)n * sizeof *value);
}

/* What the task computes at its initial parameters on a few batches of every split: another data set, another model
 * or kernels that round otherwise give other bits. */
static int digest_task_values(mt_digest *d, const task *t, lopt_error *err) {
    enum { BATCHES = 8 };
    float *memory = NULL;
    size_t floats[4] = {t->n_tau, t->n_params + t->n_aux, t->n_params, t->work_bytes / sizeof(float) + 1}, total = 0;
    for (int i = 0; i < 4; i++) total += floats[i] = (floats[i] + 31) / 16 * 16;
    memory = aligned_alloc(64, total * sizeof *memory);
    if (!memory) return report_no_memory(err);
    float *tau = memory, *params = tau + floats[0], *grads = params + floats[1], *work = grads + floats[2];
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){0, LOPT_RNG_EVAL, 0, 0, 0});
    task_sample_tau(t, &r, tau);
    task_initial_params(t, tau, &r, params);
    for (int split = 0; split < TASK_N_SPLITS; split++)
        for (int i = 0; i < BATCHES; i++) {
            task_draw_batch(t, tau, (task_split)split, &r, work);
            float loss = task_compute_loss(t, tau, work, params, grads);
            mt_digest_add(d, &loss, sizeof loss);
            mt_digest_add(d, grads, t->n_params * sizeof *grads);
        }
    free(memory);
    return 1;
}

/* A suite of that task alone, as text: every key of the task. */
static char *describe_task(const mt_suite *suite, int task_index) {
    mt_suite *one = malloc(sizeof *one);
    if (!one) return NULL;
    *one = *suite;
    one->tasks[0] = suite->tasks[task_index];
    one->tasks[0].weight = 1;
    one->tasks[0].spec.data_path[0] = one->data_path[0] = '\0';
    one->n_tasks = 1;
    one->n_baselines = one->n_sweep = one->extend_sweep = 0;
    one->seed = 1;
    one->steps = one->seeds = one->sweep_seeds = one->every = one->batches = one->last_batches = 1;
    char *text = mt_suite_text(one);
    free(one);
    return text;
}

static int make_task_key(mt_comparison *c, int task_index, lopt_error *err) {
    mt_digest d;
    char *text = describe_task(c->suite, task_index);
    if (!text) return report_no_memory(err);
    mt_digest_begin(&d);
    add_text(&d, "task", text);
    free(text);
    if (!digest_task_values(&d, c->tasks[task_index], err)) return 0;
    mt_digest_end(&d, c->task_key[task_index]);
    return 1;
}

static void add_optimizer(mt_digest *d, const lopt_optimizer *opt) {
    const char *preset = lopt_info(opt)->name;
    lopt_hyper_info info;
    char value[VALUE], theta[33] = "";
    add_text(d, "kind", lopt_info(opt)->kind);
    for (size_t i = 0; lopt_hyper(preset, i, &info); i++) {
        lopt_get(opt, info.name, value, sizeof value);
        add_text(d, info.name, value);
    }
    if (lopt_n_theta(opt) > 0) mt_theta_digest(opt, lopt_theta(opt), theta);
    add_text(d, "theta", theta);
}

int mt_cell_key(mt_comparison *c, const mt_cell *cell, char key[MT_DIGEST_HEX], lopt_error *err) {
    mt_digest d;
    const mt_curve_plan *plan = mt_plan_of(c, cell);
    if (!c->task_key[cell->task][0] && !make_task_key(c, cell->task, err)) return 0;
    lopt_optimizer *opt = mt_make_trial(c, cell->entry, cell->trial, cell->rate, err);
    if (!opt) return 0;
    mt_digest_begin(&d);
    add_text(&d, lopt_version(), lopt_kernels_name());
    add_text(&d, "task", c->task_key[cell->task]);
    add_optimizer(&d, opt);
    lopt_destroy(opt);
    add_integers(&d,
                 (int64_t[]){NUMERICS, (int64_t)plan->seed, plan->steps, plan->every, plan->batches, plan->last_batches,
                             plan->splits, cell->seed_index},
                 8);
    mt_digest_end(&d, key);
    return 1;
}

void mt_describe_cell(const mt_comparison *c, const mt_cell *cell, char *text, size_t bytes) {
    const mt_entry *e = &c->entries[cell->entry];
    char trial[48] = "";
    if (mt_is_swept(e)) snprintf(trial, sizeof trial, " %g", cell->rate);
    if (mt_is_searched(e)) snprintf(trial, sizeof trial, " row %d", cell->trial);
    snprintf(text, bytes, "%.100s: %.60s%s", c->tasks[cell->task]->name, e->label, trial);
}

/* ---- create -------------------------------------------------------------------------------------- */

static int add_suite_tasks(mt_comparison *c, lopt_error *err) {
    for (int i = 0; i < c->suite->n_tasks; i++) {
        lopt_error why;
        if (!(c->tasks[i] = task_create(&c->suite->tasks[i].spec, &why)))
            return mt_error(err, why.status, "%.200s: tasks.%d: %.280s",
                            c->suite->file[0] ? c->suite->file : "the suite", i, why.text);
        c->n_tasks++;
    }
    return 1;
}

/* Every optimizer must be able to train every task before the first of many minutes is spent. */
static int check_states(const mt_comparison *c, lopt_error *err) {
    for (int t = 0; t < c->n_tasks; t++) {
        for (int e = 0; e < c->n_entries; e++) {
            const task *one = c->tasks[t];
            lopt_state *state = lopt_state_create(c->entries[e].optimizer, one->tensors, one->n_tensors, err);
            if (!state) return 0;
            lopt_state_destroy(state);
        }
    }
    return 1;
}

/* Sweeps and searches must be able to make every trial. */
static int check_trials(const mt_comparison *c, lopt_error *err) {
    for (int e = 0; e < c->n_entries; e++) {
        lopt_optimizer *opt = mt_make_trial(c, e, 0, c->suite->n_sweep > 0 ? c->suite->sweep[0] : 0, err);
        if (!opt) return 0;
        lopt_destroy(opt);
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

mt_comparison *mt_comparison_create(const mt_suite *suite, const char *const *thetas, int n_thetas, int untrained,
                                    lopt_error *err) {
    mt_comparison *c = calloc(1, sizeof *c);
    if (!c) return report_no_memory(err), NULL;
    c->suite = suite;
    make_plans(c);
    size_t most = 2 * (size_t)n_thetas + (size_t)suite->n_baselines + 1;
    c->entries = calloc(most, sizeof *c->entries);
    c->task_key = calloc((size_t)suite->n_tasks + 1, sizeof *c->task_key);
    if (!c->entries || !c->task_key)
        report_no_memory(err);
    else if (add_entries(c, thetas, n_thetas, untrained, err) && add_suite_tasks(c, err) && check_states(c, err) &&
             check_trials(c, err))
        return c;
    mt_comparison_free(c);
    return NULL;
}

void mt_comparison_free(mt_comparison *c) {
    if (!c) return;
    for (int i = 0; i < c->n_entries; i++) lopt_destroy(c->entries[i].optimizer);
    for (int i = 0; i < c->n_tasks; i++) task_destroy(c->tasks[i]);
    free(c->entries);
    free(c->task_key);
    free(c);
}
