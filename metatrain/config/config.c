/* SPDX-License-Identifier: Apache-2.0
 *
 * config.c - every key of a configuration and of an evaluation suite but those of tasks
 * (keys_task.c), and the checks across keys. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/read_file.h"
#include "config/schema.h"

#define ANY_COUNT "[1, 1000000000]"
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- meta-training --------------------------------------------------------------------------- */

#define IN_CONFIG(field) offsetof(mt_config, field), sizeof(((mt_config *)0)->field)
#define KNOTS(where, list, count)                                                                                      \
    MT_KEY_NUMBER, offsetof(mt_config, where.list), sizeof(double), MT_MAX_KNOTS, offsetof(mt_config, where.count)

static const mt_key config_keys[] = {
    {"seed", MT_KEY_SEED, IN_CONFIG(seed), .standard = "1", .help = "every random number of the run follows from it"},
    {"optimizer.name", MT_KEY_TEXT, IN_CONFIG(optimizer.name), .range = "filled", .standard = "small-fc",
     .help = "the learned optimizer to meta-train (`metatrain list optimizers`)"},
    {"optimizer.init", MT_KEY_TEXT, IN_CONFIG(init), .standard = "\"\"",
     .help = "theta file to start from; empty: a random theta"},
    {"optimizer.freeze", MT_KEY_TEXT, offsetof(mt_config, freeze), sizeof(((mt_config *)0)->freeze[0]), MT_MAX_FREEZE,
     offsetof(mt_config, n_freeze), "filled", .standard = "[]",
     .help = "patterns (`w*`) of the blocks of theta that are neither perturbed nor updated"},
    {"optimizer.*", MT_KEY_SETTINGS, offsetof(mt_config, optimizer), sizeof(mt_optimizer_config), 0, MT_NOWHERE,
     .range = "", .help = "hyperparameters of that optimizer, listed at the end of this page"},
    {"tasks", MT_KEY_ITEMS, offsetof(mt_config, tasks), sizeof(mt_task_config), MT_MAX_TASKS,
     offsetof(mt_config, n_tasks), "", &mt_task_schema, "[{task: image_mlp}]",
     .help = "what inner training trains; each trajectory draws one"},
    {"data.path", MT_KEY_TEXT, IN_CONFIG(data_path), .standard = "\"\"",
     .help = "folders searched for data sets before the system's, separated by colons"},
    {"estimator.name", MT_KEY_CHOICE, IN_CONFIG(estimator.name), .range = "es|tes|pes|nres|gpes", .standard = "pes",
     .help = "how losses become a gradient of theta (`metatrain list estimators`)"},
    {"estimator.compat", MT_KEY_CHOICE, IN_CONFIG(estimator.compat), .range = "clean|reference", .standard = "clean",
     .help = "reference: as the published implementations, quirks included (docs/meta-training.md)"},
    {"estimator.std", MT_KEY_NUMBER, IN_CONFIG(estimator.std), .range = "[1e-12, 1000]", .standard = "0.01",
     .help = "standard deviation of the perturbations of theta"},
    {"estimator.window", MT_KEY_INTEGER, IN_CONFIG(estimator.window), .range = ANY_COUNT, .standard = "50",
     .unit = "inner steps", .help = "inner steps of every particle in one outer step; for es it is the trajectory"},
    {"estimator.noise_every", MT_KEY_INTEGER, IN_CONFIG(estimator.noise_every), .range = ANY_COUNT, .standard = "200",
     .unit = "inner steps",
     .help = "gpes: inner steps from one draw of the perturbation to the next, a multiple of the "
             "window"},
    {"estimator.meta_loss", MT_KEY_CHOICE, IN_CONFIG(estimator.meta_loss),
     .range = "train|same_data|fresh_train|inner_valid|outer_valid|test", .standard = "train",
     .help = "what judges an inner step: the training batch before the update, the same batch "
             "after it, or a fresh batch of a split after it"},
    {"estimator.meta_value", MT_KEY_CHOICE, IN_CONFIG(estimator.meta_value), .range = "loss|error", .standard = "loss",
     .help = "what is taken of that batch: the loss, or the share that is classified wrongly "
             "(tasks with classes)"},
    {"estimator.reduction", MT_KEY_CHOICE, IN_CONFIG(estimator.reduction), .range = "mean|min|last|last_fresh",
     .standard = "mean",
     .help = "es: what a trajectory is judged by: the mean, smallest or last of its meta-losses, "
             "or the mean over fresh batches at its end"},
    {"estimator.reduction_batches", MT_KEY_INTEGER, IN_CONFIG(estimator.reduction_batches), .range = "[1, 1000000]",
     .standard = "50", .unit = "batches", .help = "last_fresh: how many fresh batches"},
    {"estimator.reduction_split", MT_KEY_CHOICE, IN_CONFIG(estimator.reduction_split),
     .range = "train|inner_valid|outer_valid|test", .standard = "train",
     .help = "last_fresh: the split they come from"},
    {"estimator.clip", MT_KEY_NUMBER, IN_CONFIG(estimator.clip), .range = "[0, 1000000000]", .standard = "0",
     .help = "largest difference of the twins' meta-losses; 0: any"},
    {"estimator.shaping", MT_KEY_CHOICE, IN_CONFIG(estimator.shaping),
     .range = "none|sign|standardise|range|centred_rank", .standard = "none",
     .help = "what the meta-losses of an outer step become: their twins' sign, in units of their "
             "standard deviation, mapped to [-1, 1], or ranks from -1/2 to 1/2"},
    {"estimator.shaping_scale", MT_KEY_NUMBER, IN_CONFIG(estimator.shaping_scale), .range = "(0, 1000000000]",
     .standard = "1", .help = "factor of what shaping gives"},
    {"estimator.schedule.name", MT_KEY_CHOICE, IN_CONFIG(estimator.schedule.name),
     .range = "constant|log_uniform|scheduled", .standard = "log_uniform",
     .help = "lengths of trajectories: always `max`, drawn log-uniformly from `min` to `max`, or "
             "what the knots say at the outer step"},
    {"estimator.schedule.min", MT_KEY_INTEGER, IN_CONFIG(estimator.schedule.min), .range = ANY_COUNT, .standard = "100",
     .unit = "inner steps", .help = "shortest trajectory"},
    {"estimator.schedule.max", MT_KEY_INTEGER, IN_CONFIG(estimator.schedule.max), .range = ANY_COUNT,
     .standard = "2000", .unit = "inner steps", .help = "longest trajectory; with knots they say it"},
    {"estimator.schedule.knot_steps", KNOTS(estimator.schedule.knots, step, n_steps), .range = "[0, 1000000000]",
     .standard = "[]", .unit = "outer steps", .help = "where straight lines of the length begin and end, rising"},
    {"estimator.schedule.knot_lengths", KNOTS(estimator.schedule.knots, value, n_values), .range = ANY_COUNT,
     .standard = "[]", .unit = "inner steps", .help = "lengths there: of `scheduled`, or the longest of `log_uniform`"},
    {"estimator.schedule.std", MT_KEY_NUMBER, IN_CONFIG(estimator.schedule.std), .range = "[0, 1000000000]",
     .standard = "0", .unit = "inner steps",
     .help = "scheduled: standard deviation of the lengths, which stay at least `min`"},
    {"estimator.schedule.multiple", MT_KEY_INTEGER, IN_CONFIG(estimator.schedule.multiple), .range = ANY_COUNT,
     .standard = "1", .unit = "inner steps", .help = "lengths are rounded down to a multiple of this"},
    {"estimator.schedule.offset", MT_KEY_INTEGER, IN_CONFIG(estimator.schedule.offset), .range = "[0, 1000000000]",
     .standard = "0", .unit = "inner steps",
     .help = "first trajectories end early by a uniform number below this, so that particles "
             "leave lock-step; 0: below their own length"},
    {"particles", MT_KEY_INTEGER, IN_CONFIG(particles), .range = "[1, 1000000]", .standard = "16",
     .unit = "antithetic pairs",
     .help = "pairs of inner trainings, under theta + noise and theta − noise, over "
             "all ranks together"},
    {"outer.steps", MT_KEY_INTEGER, IN_CONFIG(outer.steps), .range = ANY_COUNT, .standard = "1000",
     .unit = "outer steps", .help = "updates of theta"},
    {"outer.optimizer", MT_KEY_CHOICE, IN_CONFIG(outer.optimizer), .range = "adam|adamw|sgd|lion", .standard = "adam",
     .help = "what updates theta"},
    {"outer.learning_rate", MT_KEY_NUMBER, IN_CONFIG(outer.learning_rate), .range = "[0, 1000]", .standard = "0.001",
     .help = "its (peak) learning rate"},
    {"outer.beta1", MT_KEY_NUMBER, IN_CONFIG(outer.beta1), .range = "[0, 1)", .standard = "0.9",
     .help = "decay of the mean gradient; sgd: momentum; lion: its weight in the step"},
    {"outer.beta2", MT_KEY_NUMBER, IN_CONFIG(outer.beta2), .range = "[0, 1)", .standard = "0.999",
     .help = "adam, adamw: decay of the mean square; lion: of the mean gradient"},
    {"outer.epsilon", MT_KEY_NUMBER, IN_CONFIG(outer.epsilon), .range = "(0, 1]", .standard = "1e-8",
     .help = "adam, adamw: added to the root of the mean square"},
    {"outer.epsilon_root", MT_KEY_NUMBER, IN_CONFIG(outer.epsilon_root), .range = "[0, 1]", .standard = "0",
     .help = "adam, adamw: added inside the root"},
    {"outer.weight_decay", MT_KEY_NUMBER, IN_CONFIG(outer.weight_decay), .range = "[0, 1000]", .standard = "0",
     .help = "adamw, lion: theta shrinks by learning rate times this, apart from the gradient"},
    {"outer.gradient_clip", MT_KEY_NUMBER, IN_CONFIG(outer.gradient_clip), .range = "[0, 1000000000]", .standard = "0",
     .help = "largest norm of the gradient of theta; 0: any"},
    {"outer.accumulate", MT_KEY_INTEGER, IN_CONFIG(outer.accumulate), .range = ANY_COUNT, .standard = "1",
     .unit = "outer steps", .help = "outer steps whose mean gradient makes one update of theta"},
    {"outer.share_from", MT_KEY_INTEGER, IN_CONFIG(outer.share_from), .range = "[0, 1000000000000]",
     .standard = "500000",
     .help = "ranks share the work of the gradient of theta where particles times trained numbers are "
             "so many or more; theta has the same bits either way"},
    {"outer.mode", MT_KEY_CHOICE, IN_CONFIG(outer.mode), .range = "synchronous|asynchronous", .standard = "synchronous",
     .help = "asynchronous: no process waits for another, and theta is not the same bits in every run; "
             "for machines of unequal speed (docs/meta-training.md)"},
    {"outer.batch", MT_KEY_INTEGER, IN_CONFIG(outer.batch), .range = "[0, 1000000]", .standard = "0", .unit = "windows",
     .help = "asynchronous: windows whose gradients make an outer step; 0: as many as particles"},
    {"outer.staleness", MT_KEY_INTEGER, IN_CONFIG(outer.staleness), .range = "[0, 1000000000]", .standard = "1",
     .unit = "outer steps",
     .help = "asynchronous: a window that began so many outer steps before the one that could use it still "
             "counts, an older one is dropped"},
    {"outer.schedule.name", MT_KEY_CHOICE, IN_CONFIG(outer.schedule.name),
     .range = "constant|warmup_cosine|linear|exponential|sqrt_decay|piecewise", .standard = "constant",
     .help = "learning rate over the run"},
    {"outer.schedule.warmup", MT_KEY_INTEGER, IN_CONFIG(outer.schedule.warmup), .range = "[0, 1000000000]",
     .standard = "0", .unit = "updates", .help = "linear rise before any of them but piecewise"},
    {"outer.schedule.start_fraction", MT_KEY_NUMBER, IN_CONFIG(outer.schedule.start_fraction), .range = "[0, 1]",
     .standard = "0", .help = "where the rise begins, as a fraction of the peak; 0: one step above nothing"},
    {"outer.schedule.decay", MT_KEY_INTEGER, IN_CONFIG(outer.schedule.decay), .range = ANY_COUNT, .standard = "10000",
     .unit = "updates", .help = "warmup_cosine, linear: where the fall ends, the rise included"},
    {"outer.schedule.end_fraction", MT_KEY_NUMBER, IN_CONFIG(outer.schedule.end_fraction), .range = "[0, 1]",
     .standard = "0", .help = "warmup_cosine, linear: last learning rate as a fraction of the peak"},
    {"outer.schedule.decay_per_step", MT_KEY_NUMBER, IN_CONFIG(outer.schedule.decay_per_step), .range = "[0, 1]",
     .standard = "7e-5", .help = "exponential: part of the rate lost an update"},
    {"outer.schedule.knot_steps", KNOTS(outer.schedule.knots, step, n_steps), .range = "[0, 1000000000]",
     .standard = "[]", .unit = "updates", .help = "piecewise: where straight lines begin and end, rising"},
    {"outer.schedule.knot_fractions", KNOTS(outer.schedule.knots, value, n_values), .range = "[0, 1]", .standard = "[]",
     .help = "piecewise: fractions of the peak there"},
    {"checkpoint.every", MT_KEY_INTEGER, IN_CONFIG(checkpoint.every), .range = ANY_COUNT, .standard = "100",
     .unit = "outer steps", .help = "outer steps from one restart point to the next"},
    {"checkpoint.keep", MT_KEY_INTEGER, IN_CONFIG(checkpoint.keep), .range = "[1, 10000]", .standard = "3",
     .help = "restart points kept"},
    {"faults.silence", MT_KEY_NUMBER, IN_CONFIG(faults.silence), .range = "[2, 1000000]", .standard = "120",
     .unit = "seconds",
     .help = "a process that says nothing for so long is left out and the others go on from the last "
             "restart point; longer than the slowest inner step or write"},
    {"evaluate.every", MT_KEY_INTEGER, IN_CONFIG(evaluate.every), .range = "[0, 1000000000]", .standard = "0",
     .unit = "outer steps",
     .help = "outer steps from one evaluation of theta to the next; 0: none. The weights with the "
             "best score so far are kept as DIR/best.h5"},
    {"evaluate.tasks", MT_KEY_ITEMS, offsetof(mt_config, evaluate.tasks), sizeof(mt_task_config), MT_MAX_TASKS,
     offsetof(mt_config, evaluate.n_tasks), "", &mt_task_schema, "[]",
     .help = "what is trained then, with the keys of `tasks`, by whose weights losses are averaged "
             "to the score; empty: those of `tasks`"},
    {"evaluate.steps", MT_KEY_INTEGER, IN_CONFIG(evaluate.steps), .range = ANY_COUNT, .standard = "500",
     .unit = "inner steps", .help = "length of these inner trainings"},
    {"evaluate.seeds", MT_KEY_INTEGER, IN_CONFIG(evaluate.seeds), .range = "[1, 10000]", .standard = "2",
     .unit = "inner trainings", .help = "trainings of each of these tasks"},
    {"evaluate.batches", MT_KEY_INTEGER, IN_CONFIG(evaluate.batches), .range = "[1, 1000000]", .standard = "10",
     .unit = "batches", .help = "batches of outer_valid whose mean normalised loss, after the last inner step, counts"},
};

static int check_optimizer(const mt_config *cfg, const mt_yaml *root, lopt_error *err) {
    const lopt_preset_info *preset = NULL;
    for (size_t i = 0; i < lopt_n_presets(); i++)
        if (strcmp(lopt_preset(i)->name, cfg->optimizer.name) == 0) preset = lopt_preset(i);
    if (preset && preset->learned) return 1;
    return mt_yaml_error(err, mt_yaml_nearest(root, "optimizer.name"), "optimizer.name",
                         "found %s, expected a learned optimizer, as this one has no theta to meta-train",
                         cfg->optimizer.name);
}

/* As many values as steps, the steps rising; `needed`: why there must be some, or NULL. */
static int check_knots(const mt_knots *k, const char *section, const char *values, const char *needed,
                       const mt_yaml *root, lopt_error *err) {
    char steps_path[MT_KEY_PATH], path[MT_KEY_PATH];
    mt_key_path(steps_path, "%sknot_steps", section);
    mt_key_path(path, "%s%s", section, values);
    if (needed && k->n_steps == 0)
        return mt_yaml_error(err, mt_yaml_nearest(root, steps_path), steps_path,
                             "found no steps, expected some, as %s needs them", needed);
    for (int i = 1; i < k->n_steps; i++)
        if (k->step[i] <= k->step[i - 1])
            return mt_yaml_error(err, mt_yaml_nearest(root, steps_path), steps_path,
                                 "found %g after %g, expected rising steps", k->step[i], k->step[i - 1]);
    if (k->n_values == k->n_steps) return 1;
    return mt_yaml_error(err, mt_yaml_nearest(root, path), path,
                         "found %d values, expected %d, one for each step of %s", k->n_values, k->n_steps, steps_path);
}

/* Lengths that would be raised to the least one are a mistake. */
static int check_knot_lengths(const mt_config *cfg, const mt_yaml *root, lopt_error *err) {
    const char *path = "estimator.schedule.knot_lengths";
    const mt_knots *k = &cfg->estimator.schedule.knots;
    long long min = cfg->estimator.schedule.min;
    for (int i = 0; i < k->n_values; i++)
        if (k->value[i] < (double)min)
            return mt_yaml_error(err, mt_yaml_nearest(root, path), path,
                                 "found %g, expected at least %lld (estimator.schedule.min)", k->value[i], min);
    return check_knots(k, "estimator.schedule.", "knot_lengths",
                       cfg->estimator.schedule.name == MT_SCHEDULED ? "schedule scheduled" : NULL, root, err);
}

/* A window may hold one reset at most, so no trajectory is shorter than the window. */
static int check_lengths(const mt_config *cfg, const mt_yaml *root, lopt_error *err) {
    const char *min_path = "estimator.schedule.min", *max_path = "estimator.schedule.max";
    mt_schedule name = cfg->estimator.schedule.name;
    int64_t min = cfg->estimator.schedule.min, max = cfg->estimator.schedule.max;
    if (name == MT_LOG_UNIFORM && cfg->estimator.schedule.knots.n_steps == 0 && min > max)
        return mt_yaml_error(err, mt_yaml_nearest(root, min_path), min_path, "found %lld, expected at most %lld (%s)",
                             (long long)min, (long long)max, max_path);
    int64_t shortest = name == MT_CONSTANT ? max : min, multiple = cfg->estimator.schedule.multiple;
    int64_t rounded = shortest < multiple ? multiple : shortest / multiple * multiple;
    const char *path = name == MT_CONSTANT ? max_path : min_path;
    if (cfg->estimator.name != MT_ES && rounded < cfg->estimator.window)
        return mt_yaml_error(err, mt_yaml_nearest(root, path), path,
                             "found %lld, expected at least %lld (estimator.window), as a window "
                             "may hold one reset",
                             (long long)rounded, (long long)cfg->estimator.window);
    return check_knot_lengths(cfg, root, err);
}

static int check_estimator(const mt_config *cfg, const mt_yaml *root, lopt_error *err) {
    const char *every = "estimator.noise_every", *clip = "estimator.clip", *reduction = "estimator.reduction";
    long long window = cfg->estimator.window, noise_every = cfg->estimator.noise_every;
    if (cfg->estimator.name == MT_GPES && noise_every % window != 0)
        return mt_yaml_error(err, mt_yaml_nearest(root, every), every,
                             "found %lld, expected a multiple of %lld (estimator.window)", noise_every, window);
    if (cfg->estimator.clip > 0 && cfg->estimator.shaping != MT_UNSHAPED)
        return mt_yaml_error(err, mt_yaml_nearest(root, clip), clip,
                             "found %g, expected 0, as estimator.shaping bounds the differences", cfg->estimator.clip);
    if (cfg->estimator.name == MT_ES || cfg->estimator.reduction == MT_MEAN) return 1;
    char word[32];
    mt_key_choice(mt_schema_find(&mt_config_schema, reduction), (int)cfg->estimator.reduction, word, sizeof word);
    return mt_yaml_error(err, mt_yaml_nearest(root, reduction), reduction,
                         "found %s, expected mean, as only es reduces whole trajectories", word);
}

/* What has an effect in the asynchronous mode alone is not to be said without it. */
static int check_mode(const mt_config *cfg, const mt_yaml *root, lopt_error *err) {
    const struct {
        const char *key;
        int64_t found, expected;
    } row[] = {{"outer.batch", cfg->outer.batch, 0}, {"outer.staleness", cfg->outer.staleness, 1}};
    for (size_t i = 0; cfg->outer.mode == MT_SYNCHRONOUS && i < COUNT(row); i++)
        if (row[i].found != row[i].expected)
            return mt_yaml_error(err, mt_yaml_nearest(root, row[i].key), row[i].key,
                                 "found %lld, expected the default %lld, as outer.mode is synchronous",
                                 (long long)row[i].found, (long long)row[i].expected);
    return 1;
}

static int check_outer(const mt_config *cfg, const mt_yaml *root, lopt_error *err) {
    const char *decay = "outer.weight_decay", *warmup = "outer.schedule.warmup";
    mt_outer_optimizer optimizer = cfg->outer.optimizer;
    mt_outer_schedule name = cfg->outer.schedule.name;
    if (cfg->outer.weight_decay > 0 && optimizer != MT_OUTER_ADAMW && optimizer != MT_OUTER_LION)
        return mt_yaml_error(err, mt_yaml_nearest(root, decay), decay,
                             "found %g, expected 0, as only outer.optimizer adamw and lion decay theta",
                             cfg->outer.weight_decay);
    int falls = name == MT_OUTER_WARMUP_COSINE || name == MT_OUTER_LINEAR;
    if (falls && cfg->outer.schedule.warmup >= cfg->outer.schedule.decay)
        return mt_yaml_error(err, mt_yaml_nearest(root, warmup), warmup,
                             "found %lld, expected fewer than %lld (outer.schedule.decay)",
                             (long long)cfg->outer.schedule.warmup, (long long)cfg->outer.schedule.decay);
    if (!check_mode(cfg, root, err)) return 0;
    return check_knots(&cfg->outer.schedule.knots, "outer.schedule.", "knot_fractions",
                       name == MT_OUTER_PIECEWISE ? "schedule piecewise" : NULL, root, err);
}

/* Whether what is drawn must be held against the entry's bounds. */
int mt_is_bounded(const mt_task_config *entry) {
    return entry->sample.family || entry->sample.augment != MT_AUGMENT_FIXED;
}

int mt_is_sampled(const mt_task_config *entry) {
    return mt_is_bounded(entry) || entry->sample.hidden[1] > 0 || entry->sample.batch_size[1] > 0 ||
           entry->sample.image_size[1] > 0 || entry->sample.dim[1] > 0;
}

/* Scores of one run must differ by theta alone. */
static int check_evaluate(const mt_config *cfg, const mt_yaml *root, lopt_error *err) {
    int own = cfg->evaluate.n_tasks > 0;
    const mt_task_config *tasks = own ? cfg->evaluate.tasks : cfg->tasks;
    for (int i = 0; cfg->evaluate.every > 0 && i < (own ? cfg->evaluate.n_tasks : cfg->n_tasks); i++)
        if (mt_is_sampled(&tasks[i]))
            return mt_yaml_error(err, mt_yaml_nearest(root, "evaluate.tasks"), "evaluate.tasks",
                                 "found sampled sizes in task %d, expected fixed ones%s", i,
                                 own ? "" : ": the tasks of meta-training cannot be used here");
    return 1;
}

static void share_data_path(mt_task_config *tasks, int n, const char *data_path) {
    for (int i = 0; i < n; i++) memcpy(tasks[i].spec.data_path, data_path, sizeof tasks[i].spec.data_path);
}

static int finish_config(void *into, const mt_yaml *root, const char *path, lopt_error *err) {
    mt_config *cfg = into;
    (void)path;
    share_data_path(cfg->tasks, cfg->n_tasks, cfg->data_path);
    share_data_path(cfg->evaluate.tasks, cfg->evaluate.n_tasks, cfg->data_path);
    return check_optimizer(cfg, root, err) && check_lengths(cfg, root, err) && check_estimator(cfg, root, err) &&
           check_outer(cfg, root, err) && check_evaluate(cfg, root, err);
}

const mt_schema mt_config_schema = {"", COUNT(config_keys), sizeof(mt_config), config_keys, NULL, finish_config};

/* ---- evaluation suites ----------------------------------------------------------------------- */

#define IN_CONTENDER(field) offsetof(mt_contender, field), sizeof(((mt_contender *)0)->field)

static const mt_key contender_keys[] = {
    {"name", MT_KEY_TEXT, IN_CONTENDER(optimizer.name),
     .help = "optimizer (`metatrain list optimizers`); may be left out where a theta file names "
             "it"},
    {"theta", MT_KEY_TEXT, IN_CONTENDER(theta), .help = "theta file of a learned optimizer; empty: a random theta"},
    {"label", MT_KEY_TEXT, IN_CONTENDER(label), .help = "its name in tables and plots; empty: made from the rest"},
    {"search", MT_KEY_INTEGER, IN_CONTENDER(search), .range = "[0, 1000]", .standard = "0", .unit = "trials",
     .help = "nadamw, optlist: tries so many rows of a random search over NAdamW's hyperparameters "
             "(docs/optimizers.md); settings given here hold in every row"},
    {"search_seed", MT_KEY_SEED, IN_CONTENDER(search_seed), .standard = "1",
     .help = "search: row i of a seed is always the same row"},
    {"*", MT_KEY_SETTINGS, offsetof(mt_contender, optimizer), sizeof(mt_optimizer_config), 0,
     offsetof(mt_contender, sweep), .range = "",
     .help = "hyperparameters of that optimizer; `learning_rate: sweep` tries every rate of "
             "`sweep`"},
};

static int check_search(const mt_contender *contender, const mt_yaml *item, const char *path, lopt_error *err) {
    char where[MT_KEY_PATH];
    const char *name = contender->optimizer.name;
    int searchable = strcmp(name, "nadamw") == 0 || strcmp(name, "optlist") == 0;
    if (contender->search == 0 || (searchable && !contender->sweep)) return 1;
    mt_key_path(where, "%ssearch", path);
    return mt_yaml_error(err, mt_yaml_nearest(item, "search"), where,
                         searchable ? "found %lld, expected 0, as the search draws what "
                                      "`learning_rate: sweep` tries"
                                    : "found %lld, expected 0, as only nadamw and optlist have a "
                                      "random search",
                         (long long)contender->search);
}

static int finish_contender(void *into, const mt_yaml *item, const char *path, lopt_error *err) {
    const mt_contender *contender = into;
    char where[MT_KEY_PATH];
    if (!check_search(contender, item, path, err)) return 0;
    if (contender->optimizer.name[0] || contender->theta[0]) return 1;
    mt_key_path(where, "%.*s", (int)strlen(path) - 1, path);
    return mt_yaml_error(err, item, where, "found no name, expected the name of an optimizer or a theta file");
}

static const mt_schema contender_schema = {
    "optimizers[].", COUNT(contender_keys), sizeof(mt_contender), contender_keys, NULL, finish_contender};

#define IN_SUITE(field) offsetof(mt_suite, field), sizeof(((mt_suite *)0)->field)

static const mt_key suite_keys[] = {
    {"seed", MT_KEY_SEED, IN_SUITE(seed), .standard = "1",
     .help = "every random number of the evaluation follows from it"},
    {"steps", MT_KEY_INTEGER, IN_SUITE(steps), .range = ANY_COUNT, .standard = "1000", .unit = "inner steps",
     .help = "length of every training"},
    {"seeds", MT_KEY_INTEGER, IN_SUITE(seeds), .range = "[1, 100000]", .standard = "5",
     .help = "trainings of each optimizer on each task: initial parameters and batches differ"},
    {"every", MT_KEY_INTEGER, IN_SUITE(every), .range = ANY_COUNT, .standard = "10", .unit = "inner steps",
     .help = "inner steps from one evaluation to the next"},
    {"batches", MT_KEY_INTEGER, IN_SUITE(batches), .range = "[1, 100000]", .standard = "5", .unit = "batches",
     .help = "batches of each split an evaluation averages over"},
    {"last_batches", MT_KEY_INTEGER, IN_SUITE(last_batches), .range = "[1, 100000]", .standard = "20",
     .unit = "batches", .help = "the same for the evaluation after the last step"},
    {"sweep", MT_KEY_NUMBER, offsetof(mt_suite, sweep), sizeof(double), MT_MAX_SWEEP, offsetof(mt_suite, n_sweep),
     "(0, 1000000]",
     .standard = "[1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]",
     .help = "learning rates tried where an optimizer says `learning_rate: sweep`"},
    {"data.path", MT_KEY_TEXT, IN_SUITE(data_path), .standard = "\"\"",
     .help = "folders searched for data sets before the system's, separated by colons"},
    {"tasks", MT_KEY_ITEMS, offsetof(mt_suite, tasks), sizeof(mt_task_config), MT_MAX_TASKS,
     offsetof(mt_suite, n_tasks), "", &mt_task_schema, "[{task: image_mlp}]",
     .help = "what is trained, with the keys of `tasks` above"},
    {"optimizers", MT_KEY_ITEMS, offsetof(mt_suite, contenders), sizeof(mt_contender), MT_MAX_CONTENDERS,
     offsetof(mt_suite, n_contenders), "", &contender_schema,
     "[{name: adam, learning_rate: sweep}, {name: sgdm, learning_rate: sweep}]", .help = "what is compared"},
};

static int finish_suite(void *into, const mt_yaml *root, const char *path, lopt_error *err) {
    mt_suite *suite = into;
    (void)path;
    share_data_path(suite->tasks, suite->n_tasks, suite->data_path);
    for (int i = 0; i < suite->n_tasks; i++)
        if (mt_is_sampled(&suite->tasks[i]))
            return mt_yaml_error(err, mt_yaml_nearest(root, "tasks"), "tasks",
                                 "found sampled sizes in task %d, expected fixed ones, as all "
                                 "optimizers train the same",
                                 i);
    for (int i = 0; i < suite->n_contenders; i++)
        if (suite->contenders[i].sweep && suite->n_sweep == 0)
            return mt_yaml_error(err, mt_yaml_nearest(root, "sweep"), "sweep",
                                 "found no learning rates, expected some, as optimizers.%d.learning_rate is sweep", i);
    return 1;
}

const mt_schema mt_suite_schema = {"", COUNT(suite_keys), sizeof(mt_suite), suite_keys, NULL, finish_suite};

/* ---- loading --------------------------------------------------------------------------------- */

/* Numbers have a decimal point here whatever the environment says. */
static locale_t enter_c_locale(void) {
    return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

static void leave_c_locale(locale_t before) {
    freelocale(uselocale(before));
}

static int override_all(const mt_schema *schema, mt_yaml *root, const char *const *sets, int n_sets, lopt_error *err) {
    if (root->kind == MT_YAML_MAP && n_sets > 0 && !mt_schema_seed_lists(schema, root, err)) return 0;
    for (int i = 0; i < n_sets; i++)
        if (!mt_yaml_override(root, sets[i], err)) return 0;
    return 1;
}

/* text NULL: defaults and sets alone. Returns a struct of the schema, or NULL and a sentence. */
static void *parse(const mt_schema *schema, const char *text, const char *name, const char *const *sets, int n_sets,
                   lopt_error *err) {
    locale_t before = enter_c_locale();
    mt_yaml *root = text ? mt_yaml_read(text, strlen(text), name, err) : mt_yaml_empty("defaults");
    void *out = root ? malloc(schema->bytes) : NULL;
    if (!out && (root || !text)) mt_error(err, LOPT_ENOMEM, "%.200s: out of memory", text ? name : "defaults");
    if (out && (!override_all(schema, root, sets, n_sets, err) || !mt_schema_fill(schema, root, out, err))) {
        free(out);
        out = NULL;
    }
    mt_yaml_free(root);
    leave_c_locale(before);
    return out;
}

static void *load(const mt_schema *schema, const char *path, const char *const *sets, int n_sets, lopt_error *err) {
    if (!path) return parse(schema, NULL, "", sets, n_sets, err);
    size_t n;
    char *text = mt_text_read(path, MT_YAML_MAX_BYTES, &n, err);
    if (!text && err && err->status == LOPT_EIO) err->status = LOPT_EARG; /* a folder: the user's mistake */
    if (!text) return NULL;
    void *out = NULL;
    if (strlen(text) == n)
        out = parse(schema, text, path, sets, n_sets, err);
    else
        mt_error(err, LOPT_EARG, "%.200s: found a zero byte, expected YAML text", path);
    free(text);
    return out;
}

static char *text_of(const mt_schema *schema, const void *from) {
    locale_t before = enter_c_locale();
    char *text = mt_schema_text(schema, from);
    leave_c_locale(before);
    return text;
}

mt_config *mt_config_load(const char *path, const char *const *sets, int n_sets, lopt_error *err) {
    mt_config *cfg = load(&mt_config_schema, path, sets, n_sets, err);
    if (cfg && path) snprintf(cfg->file, sizeof cfg->file, "%s", path);
    return cfg;
}

mt_config *mt_config_parse(const char *text, const char *name, const char *const *sets, int n_sets, lopt_error *err) {
    mt_config *cfg = parse(&mt_config_schema, text, name, sets, n_sets, err);
    if (cfg) snprintf(cfg->file, sizeof cfg->file, "%s", name);
    return cfg;
}

char *mt_config_text(const mt_config *cfg) {
    return text_of(&mt_config_schema, cfg);
}

void mt_config_free(mt_config *cfg) {
    free(cfg);
}

mt_suite *mt_suite_load(const char *path, const char *const *sets, int n_sets, lopt_error *err) {
    mt_suite *suite = load(&mt_suite_schema, path, sets, n_sets, err);
    if (suite && path) snprintf(suite->file, sizeof suite->file, "%s", path);
    return suite;
}

char *mt_suite_text(const mt_suite *suite) {
    return text_of(&mt_suite_schema, suite);
}

void mt_suite_free(mt_suite *suite) {
    free(suite);
}
