/* SPDX-License-Identifier: Apache-2.0
 *
 * keys_train.c - every key of a configuration but those of its tasks (keys_task.c), and the checks across them. */
#include <string.h>

#include "config/schema.h"

#define ANY_COUNT "[1, 1000000000]"
#define IN_CONFIG(field) offsetof(mt_config, field), sizeof(((mt_config *)0)->field)
#define KNOTS(where, list, count)                                                                                      \
    MT_KEY_NUMBER, offsetof(mt_config, where.list), sizeof(double), MT_MAX_KNOTS, offsetof(mt_config, where.count)

static const mt_key config_keys[] = {
    {"seed", MT_KEY_SEED, IN_CONFIG(seed), .standard = "1", .help = "seed of all random numbers of the run"},
    {"optimizer.name", MT_KEY_TEXT, IN_CONFIG(optimizer.name), .range = "filled", .standard = "small-fc",
     .help = "the learned optimizer to meta-train (`metatrain list optimizers`)"},
    {"optimizer.init", MT_KEY_TEXT, IN_CONFIG(init), .standard = "\"\"",
     .help = "theta file to start from; empty: a random theta"},
    {"optimizer.freeze", MT_KEY_TEXT, offsetof(mt_config, freeze), sizeof(((mt_config *)0)->freeze[0]), MT_MAX_FREEZE,
     offsetof(mt_config, n_freeze), "filled", .standard = "[]",
     .help = "patterns (`w*`) of blocks of theta that stay fixed"},
    {"optimizer.*", MT_KEY_SETTINGS, offsetof(mt_config, optimizer), sizeof(mt_optimizer_config), 0, MT_NOWHERE,
     .range = "", .help = "hyperparameters of that optimizer, listed at the end of this page"},
    {"tasks", MT_KEY_ITEMS, offsetof(mt_config, tasks), sizeof(mt_task_config), MT_MAX_TASKS,
     offsetof(mt_config, n_tasks), "", &mt_task_schema, "[{task: image_mlp}]",
     .help = "the tasks of inner training; each trajectory draws one of them"},
    {"data.path", MT_KEY_TEXT, IN_CONFIG(data_path), .standard = "\"\"",
     .help = "folders searched for data sets before the system's, separated by colons"},
    {"estimator.name", MT_KEY_CHOICE, IN_CONFIG(estimator.name), .range = TASK_WORDS(MT_ESTIMATORS), .standard = "pes",
     .help = "how losses become a gradient of theta (`metatrain list estimators`)"},
    {"estimator.compat", MT_KEY_CHOICE, IN_CONFIG(estimator.compat), .range = TASK_WORDS(MT_COMPATS),
     .standard = "clean",
     .help = "reference: reproduces the published implementations with their quirks (docs/meta-training.md)"},
    {"estimator.std", MT_KEY_NUMBER, IN_CONFIG(estimator.std), .range = "[1e-12, 1000]", .standard = "0.01",
     .help = "standard deviation of the perturbations of theta"},
    {"estimator.window", MT_KEY_INTEGER, IN_CONFIG(estimator.window), .range = ANY_COUNT, .standard = "50",
     .unit = "inner steps",
     .help = "inner steps of every particle in one outer step; for es the window is the whole trajectory"},
    {"estimator.noise_every", MT_KEY_INTEGER, IN_CONFIG(estimator.noise_every), .range = ANY_COUNT, .standard = "200",
     .unit = "inner steps",
     .help = "gpes: the perturbation is redrawn after this many inner steps, a multiple of the window"},
    {"estimator.meta_loss", MT_KEY_CHOICE, IN_CONFIG(estimator.meta_loss), .range = TASK_WORDS(MT_META_LOSSES),
     .standard = "train",
     .help = "meta-loss of an inner step: the loss on the training batch before the update, on the same batch "
             "after it, or on a fresh batch of a split after it"},
    {"estimator.meta_value", MT_KEY_CHOICE, IN_CONFIG(estimator.meta_value), .range = TASK_WORDS(MT_META_VALUES),
     .standard = "loss",
     .help = "what is measured on that batch: the loss, or the classification error (tasks with classes)"},
    {"estimator.reduction", MT_KEY_CHOICE, IN_CONFIG(estimator.reduction), .range = TASK_WORDS(MT_REDUCTIONS),
     .standard = "mean",
     .help = "es: meta-loss of a trajectory: the mean, minimum or last of its meta-losses, or the mean over fresh "
             "batches at its end"},
    {"estimator.reduction_batches", MT_KEY_INTEGER, IN_CONFIG(estimator.reduction_batches), .range = "[1, 1000000]",
     .standard = "50", .unit = "batches", .help = "last_fresh: number of fresh batches"},
    {"estimator.reduction_split", MT_KEY_CHOICE, IN_CONFIG(estimator.reduction_split), .range = TASK_WORDS(TASK_SPLITS),
     .standard = "train", .help = "last_fresh: the split they come from"},
    {"estimator.clip", MT_KEY_NUMBER, IN_CONFIG(estimator.clip), .range = "[0, 1000000000]", .standard = "0",
     .help = "differences of the twins' meta-losses are clipped to this; 0: no clipping"},
    {"estimator.shaping", MT_KEY_CHOICE, IN_CONFIG(estimator.shaping), .range = TASK_WORDS(MT_SHAPINGS),
     .standard = "none",
     .help = "transform of the meta-losses of an outer step: the sign of the twins' difference, standardised, "
             "mapped to [-1, 1], or ranks from -1/2 to 1/2"},
    {"estimator.shaping_scale", MT_KEY_NUMBER, IN_CONFIG(estimator.shaping_scale), .range = "(0, 1000000000]",
     .standard = "1", .help = "the shaped values are multiplied by this"},
    {"estimator.schedule.name", MT_KEY_CHOICE, IN_CONFIG(estimator.schedule.name), .range = TASK_WORDS(MT_SCHEDULES),
     .standard = "log_uniform",
     .help = "lengths of trajectories: always `max`, drawn log-uniformly from `min` to `max`, or "
             "interpolated between the knots at the outer step"},
    {"estimator.schedule.min", MT_KEY_INTEGER, IN_CONFIG(estimator.schedule.min), .range = ANY_COUNT, .standard = "100",
     .unit = "inner steps", .help = "shortest trajectory"},
    {"estimator.schedule.max", MT_KEY_INTEGER, IN_CONFIG(estimator.schedule.max), .range = ANY_COUNT,
     .standard = "2000", .unit = "inner steps", .help = "longest trajectory; ignored where there are knots"},
    {"estimator.schedule.knot_steps", KNOTS(estimator.schedule.knots, step, n_steps), .range = "[0, 1000000000]",
     .standard = "[]", .unit = "outer steps",
     .help = "outer steps of the knots of a piecewise linear length, increasing"},
    {"estimator.schedule.knot_lengths", KNOTS(estimator.schedule.knots, value, n_values), .range = ANY_COUNT,
     .standard = "[]", .unit = "inner steps",
     .help = "lengths at the knots: the length itself (`scheduled`) or the longest one (`log_uniform`)"},
    {"estimator.schedule.std", MT_KEY_NUMBER, IN_CONFIG(estimator.schedule.std), .range = "[0, 1000000000]",
     .standard = "0", .unit = "inner steps", .help = "scheduled: standard deviation of the lengths, none below `min`"},
    {"estimator.schedule.multiple", MT_KEY_INTEGER, IN_CONFIG(estimator.schedule.multiple), .range = ANY_COUNT,
     .standard = "1", .unit = "inner steps", .help = "lengths are rounded down to a multiple of this"},
    {"estimator.schedule.offset", MT_KEY_INTEGER, IN_CONFIG(estimator.schedule.offset), .range = "[0, 1000000000]",
     .standard = "0", .unit = "inner steps",
     .help = "first trajectories are shortened by a uniform random number below this, so that particles do not "
             "reset together; 0: below their own length"},
    {"particles", MT_KEY_INTEGER, IN_CONFIG(particles), .range = "[1, 1000000]", .standard = "16",
     .unit = "antithetic pairs",
     .help = "pairs of inner trainings, under theta + noise and theta − noise, over all ranks"},
    {"outer.steps", MT_KEY_INTEGER, IN_CONFIG(outer.steps), .range = ANY_COUNT, .standard = "1000",
     .unit = "outer steps", .help = "updates of theta"},
    {"outer.optimizer", MT_KEY_CHOICE, IN_CONFIG(outer.optimizer), .range = TASK_WORDS(MT_OUTER_OPTIMIZERS),
     .standard = "adam", .help = "optimizer of theta"},
    {"outer.learning_rate", MT_KEY_NUMBER, IN_CONFIG(outer.learning_rate), .range = "[0, 1000]", .standard = "0.001",
     .help = "learning rate, at its peak"},
    {"outer.beta1", MT_KEY_NUMBER, IN_CONFIG(outer.beta1), .range = "[0, 1)", .standard = "0.9",
     .help = "decay of the first moment; sgd: momentum; lion: weight of the momentum in the step"},
    {"outer.beta2", MT_KEY_NUMBER, IN_CONFIG(outer.beta2), .range = "[0, 1)", .standard = "0.999",
     .help = "adam, adamw: decay of the second moment; lion: decay of the momentum"},
    {"outer.epsilon", MT_KEY_NUMBER, IN_CONFIG(outer.epsilon), .range = "(0, 1]", .standard = "1e-8",
     .help = "adam, adamw: added to the square root of the second moment"},
    {"outer.epsilon_root", MT_KEY_NUMBER, IN_CONFIG(outer.epsilon_root), .range = "[0, 1]", .standard = "0",
     .help = "adam, adamw: added inside the square root"},
    {"outer.weight_decay", MT_KEY_NUMBER, IN_CONFIG(outer.weight_decay), .range = "[0, 1000]", .standard = "0",
     .help = "adamw, lion: decoupled weight decay, multiplied by the learning rate"},
    {"outer.gradient_clip", MT_KEY_NUMBER, IN_CONFIG(outer.gradient_clip), .range = "[0, 1000000000]", .standard = "0",
     .help = "the gradient of theta is clipped to this norm; 0: no clipping"},
    {"outer.accumulate", MT_KEY_INTEGER, IN_CONFIG(outer.accumulate), .range = ANY_COUNT, .standard = "1",
     .unit = "outer steps", .help = "outer steps whose gradients are averaged for one update of theta"},
    {"outer.share_from", MT_KEY_INTEGER, IN_CONFIG(outer.share_from), .range = "[0, 1000000000000]",
     .standard = "500000",
     .help = "ranks share the computation of the gradient of theta if particles times trained parameters are at "
             "least this; theta is bitwise the same either way"},
    {"outer.mode", MT_KEY_CHOICE, IN_CONFIG(outer.mode), .range = TASK_WORDS(MT_OUTER_MODES), .standard = "synchronous",
     .help = "asynchronous: no process waits for another, and results are not reproducible; for machines of "
             "unequal speed (docs/meta-training.md)"},
    {"outer.batch", MT_KEY_INTEGER, IN_CONFIG(outer.batch), .range = "[0, 1000000]", .standard = "0", .unit = "windows",
     .help = "asynchronous: windows per outer step; 0: as many as particles"},
    {"outer.staleness", MT_KEY_INTEGER, IN_CONFIG(outer.staleness), .range = "[0, 1000000000]", .standard = "1",
     .unit = "outer steps", .help = "asynchronous: windows that began more outer steps ago than this are discarded"},
    {"outer.schedule.name", MT_KEY_CHOICE, IN_CONFIG(outer.schedule.name), .range = TASK_WORDS(MT_OUTER_SCHEDULES),
     .standard = "constant", .help = "schedule of the learning rate"},
    {"outer.schedule.warmup", MT_KEY_INTEGER, IN_CONFIG(outer.schedule.warmup), .range = "[0, 1000000000]",
     .standard = "0", .unit = "updates", .help = "linear warm-up, of all schedules but piecewise"},
    {"outer.schedule.start_fraction", MT_KEY_NUMBER, IN_CONFIG(outer.schedule.start_fraction), .range = "[0, 1]",
     .standard = "0",
     .help = "learning rate at the start of the warm-up, as a fraction of the peak; 0: the first step of the rise"},
    {"outer.schedule.decay", MT_KEY_INTEGER, IN_CONFIG(outer.schedule.decay), .range = ANY_COUNT, .standard = "10000",
     .unit = "updates", .help = "warmup_cosine, linear: end of the decay, warm-up included"},
    {"outer.schedule.end_fraction", MT_KEY_NUMBER, IN_CONFIG(outer.schedule.end_fraction), .range = "[0, 1]",
     .standard = "0", .help = "warmup_cosine, linear: final learning rate as a fraction of the peak"},
    {"outer.schedule.decay_per_step", MT_KEY_NUMBER, IN_CONFIG(outer.schedule.decay_per_step), .range = "[0, 1]",
     .standard = "7e-5", .help = "exponential: fraction of the learning rate lost per update"},
    {"outer.schedule.knot_steps", KNOTS(outer.schedule.knots, step, n_steps), .range = "[0, 1000000000]",
     .standard = "[]", .unit = "updates", .help = "piecewise: updates at the knots, increasing"},
    {"outer.schedule.knot_fractions", KNOTS(outer.schedule.knots, value, n_values), .range = "[0, 1]", .standard = "[]",
     .help = "piecewise: fractions of the peak at the knots"},
    {"checkpoint.every", MT_KEY_INTEGER, IN_CONFIG(checkpoint.every), .range = ANY_COUNT, .standard = "100",
     .unit = "outer steps", .help = "outer steps between checkpoints"},
    {"checkpoint.keep", MT_KEY_INTEGER, IN_CONFIG(checkpoint.keep), .range = "[1, 10000]", .standard = "3",
     .help = "number of checkpoints kept"},
    {"faults.silence", MT_KEY_NUMBER, IN_CONFIG(faults.silence), .range = "[2, 1000000]", .standard = "120",
     .unit = "seconds",
     .help = "heartbeat timeout: a process that is not heard of for this long is removed, and the others resume "
             "from the last checkpoint; must exceed the slowest inner step or write"},
    {"evaluate.every", MT_KEY_INTEGER, IN_CONFIG(evaluate.every), .range = "[0, 1000000000]", .standard = "0",
     .unit = "outer steps",
     .help = "outer steps between validations of theta; 0: none. The weights with the best score so far are "
             "kept as DIR/best.h5"},
    {"evaluate.tasks", MT_KEY_ITEMS, offsetof(mt_config, evaluate.tasks), sizeof(mt_task_config), MT_MAX_TASKS,
     offsetof(mt_config, evaluate.n_tasks), "", &mt_task_schema, "[]",
     .help = "tasks of the validation, with the keys of `tasks`; the score is the mean loss weighted by "
             "`weight`; empty: those of `tasks`"},
    {"evaluate.steps", MT_KEY_INTEGER, IN_CONFIG(evaluate.steps), .range = ANY_COUNT, .standard = "500",
     .unit = "inner steps", .help = "length of these inner trainings"},
    {"evaluate.seeds", MT_KEY_INTEGER, IN_CONFIG(evaluate.seeds), .range = "[1, 10000]", .standard = "2",
     .unit = "inner trainings", .help = "trainings of each of these tasks"},
    {"evaluate.batches", MT_KEY_INTEGER, IN_CONFIG(evaluate.batches), .range = "[1, 1000000]", .standard = "10",
     .unit = "batches", .help = "batches of outer_valid for the normalised loss after the last inner step"},
};

/* ---- checks across keys ---------------------------------------------------------------------- */

static int check_learned_optimizer(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    const lopt_preset_info *preset;
    for (size_t i = 0; (preset = lopt_preset(i)) && strcmp(preset->name, cfg->optimizer.name) != 0;) i++;
    return (preset && preset->learned) ||
           mt_item_error(item, "optimizer.name",
                         "found %s, expected a learned optimizer, as this one has no theta to meta-train",
                         cfg->optimizer.name);
}

static int check_length_order(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    long long min = cfg->estimator.schedule.min, max = cfg->estimator.schedule.max;
    int drawn = cfg->estimator.schedule.name == MT_LOG_UNIFORM && cfg->estimator.schedule.knots.n_steps == 0;
    return !drawn || min <= max ||
           mt_item_error(item, "estimator.schedule.min", "found %lld, expected at most %lld (estimator.schedule.max)",
                         min, max);
}

static int check_window_length(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    int constant = cfg->estimator.schedule.name == MT_CONSTANT;
    long long shortest = constant ? cfg->estimator.schedule.max : cfg->estimator.schedule.min;
    long long multiple = cfg->estimator.schedule.multiple, window = cfg->estimator.window;
    long long rounded = shortest < multiple ? multiple : shortest / multiple * multiple;
    return cfg->estimator.name == MT_ES || rounded >= window ||
           mt_item_error(item, constant ? "estimator.schedule.max" : "estimator.schedule.min",
                         "found %lld, expected at least %lld (estimator.window), as a window may hold one reset",
                         rounded, window);
}

static int check_knot_lengths(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    const mt_knots *k = &cfg->estimator.schedule.knots;
    long long min = cfg->estimator.schedule.min;
    for (int i = 0; i < k->n_values; i++)
        if (k->value[i] < (double)min)
            return mt_item_error(item, "estimator.schedule.knot_lengths",
                                 "found %g, expected at least %lld (estimator.schedule.min)", k->value[i], min);
    return 1;
}

/* `needed`: the schedule that must have some, where it is chosen; else NULL. */
static int check_schedule_knots(const mt_key_item *item, const mt_knots *k, const char *steps, const char *values,
                                const char *needed) {
    if (needed && k->n_steps == 0)
        return mt_item_error(item, steps, "found no steps, expected some, as schedule %s needs them", needed);
    for (int i = 1; i < k->n_steps; i++)
        if (k->step[i] <= k->step[i - 1])
            return mt_item_error(item, steps, "found %g after %g, expected increasing steps", k->step[i],
                                 k->step[i - 1]);
    return k->n_values == k->n_steps ||
           mt_item_error(item, values, "found %d values, expected %d, one for each step of %s", k->n_values, k->n_steps,
                         steps);
}

static int check_length_knots(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    return check_schedule_knots(item, &cfg->estimator.schedule.knots, "estimator.schedule.knot_steps",
                                "estimator.schedule.knot_lengths",
                                cfg->estimator.schedule.name == MT_SCHEDULED ? "scheduled" : NULL);
}

static int check_rate_knots(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    return check_schedule_knots(item, &cfg->outer.schedule.knots, "outer.schedule.knot_steps",
                                "outer.schedule.knot_fractions",
                                cfg->outer.schedule.name == MT_OUTER_PIECEWISE ? "piecewise" : NULL);
}

static int check_noise_every(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    long long every = cfg->estimator.noise_every, window = cfg->estimator.window;
    return cfg->estimator.name != MT_GPES || every % window == 0 ||
           mt_item_error(item, "estimator.noise_every", "found %lld, expected a multiple of %lld (estimator.window)",
                         every, window);
}

static int check_clip_alone(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    return cfg->estimator.clip == 0 || cfg->estimator.shaping == MT_UNSHAPED ||
           mt_item_error(item, "estimator.clip", "found %g, expected 0, as estimator.shaping bounds the differences",
                         cfg->estimator.clip);
}

static int check_reduction(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    char word[32];
    task_choice_word(TASK_WORDS(MT_REDUCTIONS), (int)cfg->estimator.reduction, word, sizeof word);
    return cfg->estimator.name == MT_ES || cfg->estimator.reduction == MT_MEAN ||
           mt_item_error(item, "estimator.reduction", "found %s, expected mean, as only es reduces whole trajectories",
                         word);
}

static int check_weight_decay(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    int decays = cfg->outer.optimizer == MT_OUTER_ADAMW || cfg->outer.optimizer == MT_OUTER_LION;
    return cfg->outer.weight_decay == 0 || decays ||
           mt_item_error(item, "outer.weight_decay",
                         "found %g, expected 0, as only outer.optimizer adamw and lion decay theta",
                         cfg->outer.weight_decay);
}

static int check_warmup_length(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    int falls = cfg->outer.schedule.name == MT_OUTER_WARMUP_COSINE || cfg->outer.schedule.name == MT_OUTER_LINEAR;
    long long warmup = cfg->outer.schedule.warmup, decay = cfg->outer.schedule.decay;
    return !falls || warmup < decay ||
           mt_item_error(item, "outer.schedule.warmup", "found %lld, expected fewer than %lld (outer.schedule.decay)",
                         warmup, decay);
}

static int check_outer_mode(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    const struct {
        const char *key;
        int64_t found, expected;
    } row[] = {{"outer.batch", cfg->outer.batch, 0}, {"outer.staleness", cfg->outer.staleness, 1}};
    for (size_t i = 0; cfg->outer.mode == MT_SYNCHRONOUS && i < MT_COUNT(row); i++)
        if (row[i].found != row[i].expected)
            return mt_item_error(item, row[i].key,
                                 "found %lld, expected the default %lld, as outer.mode is synchronous",
                                 (long long)row[i].found, (long long)row[i].expected);
    return 1;
}

/* Scores of one run must differ by theta alone. */
static int check_evaluated_tasks(const mt_key_item *item) {
    const mt_config *cfg = item->value;
    int own = cfg->evaluate.n_tasks > 0;
    const mt_task_config *tasks = own ? cfg->evaluate.tasks : cfg->tasks;
    for (int i = 0; cfg->evaluate.every > 0 && i < (own ? cfg->evaluate.n_tasks : cfg->n_tasks); i++)
        if (mt_is_sampled(&tasks[i]))
            return mt_item_error(item, "evaluate.tasks", "found sampled sizes in task %d, expected fixed ones%s", i,
                                 own ? "" : ": the tasks of meta-training cannot be used here");
    return 1;
}

static const mt_check checks[] = {
    {"`optimizer.name` is a learned optimizer: the others have no theta.", check_learned_optimizer},
    {"`estimator.schedule.min` is at most `estimator.schedule.max` (`log_uniform` without knots).", check_length_order},
    {"No trajectory is shorter than `estimator.window`, so that a window holds one reset at most (except for `es`, "
     "where the window is the trajectory).",
     check_window_length},
    {"`estimator.schedule.knot_lengths` are at least `estimator.schedule.min`.", check_knot_lengths},
    {"`estimator.schedule.knot_steps` increase and have as many `knot_lengths`; `scheduled` needs at least one.",
     check_length_knots},
    {"`estimator.noise_every` is a multiple of `estimator.window` (`gpes`).", check_noise_every},
    {"`estimator.clip` is 0 where `estimator.shaping` is not `none`.", check_clip_alone},
    {"`estimator.reduction` other than `mean` is for `es`.", check_reduction},
    {"`outer.weight_decay` is for `adamw` and `lion`.", check_weight_decay},
    {"`outer.schedule.warmup` is less than `outer.schedule.decay` (`warmup_cosine`, `linear`).", check_warmup_length},
    {"`outer.batch` and `outer.staleness` have their defaults where `outer.mode` is `synchronous`.", check_outer_mode},
    {"`outer.schedule.knot_steps` increase and have as many `knot_fractions`; `piecewise` needs at least one.",
     check_rate_knots},
    {"Tasks of the validation have no sampled sizes (`evaluate.every` above 0).", check_evaluated_tasks},
};

static void finish_data_paths(void *into) {
    mt_config *cfg = into;
    mt_set_data_path(cfg->tasks, cfg->n_tasks, cfg->data_path);
    mt_set_data_path(cfg->evaluate.tasks, cfg->evaluate.n_tasks, cfg->data_path);
}

const mt_schema mt_config_schema = {.name = "",
                                    .n = MT_COUNT(config_keys),
                                    .bytes = sizeof(mt_config),
                                    .keys = config_keys,
                                    .n_checks = MT_COUNT(checks),
                                    .checks = checks,
                                    .finish = finish_data_paths};
