/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - what a YAML file says, checked, with every default filled in.
 *
 *     mt_config *cfg = mt_config_load("configs/quickstart.yaml", sets, n_sets, &err);
 *     mt_config_text(cfg)      the resolved configuration as YAML that loads to the same thing
 *     mt_config_free(cfg)
 *
 * Tables (keys_train.c, keys_suite.c, keys_task.c and those of the kinds of tasks) declare every key once: path, type,
 * range, default, unit, help. Loading, --set, the resolved copy, `metatrain list keys` and docs/configuration.md come
 * from them. Order: defaults,
 * file, --set. Unknown keys, wrong types and values out of range are errors that name file, line, key,
 * what was found and what is allowed. Files over 64 kB or nested deeper than 16 are refused. */
#ifndef MT_CONFIG_H
#define MT_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "lopt.h"
#include "task.h"

#define MT_MAX_SETTINGS 32
#define MT_MAX_TASKS 32
#define MT_MAX_FREEZE 16
#define MT_PATH 1024

#define MT_ESTIMATORS(X) X(MT_ES, "es") X(MT_TES, "tes") X(MT_PES, "pes") X(MT_NRES, "nres") X(MT_GPES, "gpes")
typedef enum mt_estimator { MT_ESTIMATORS(TASK_VALUE) } mt_estimator;
/* Clean rules, or those of the published implementations with their quirks (es_gradient.h). */
#define MT_COMPATS(X) X(MT_CLEAN, "clean") X(MT_REFERENCE, "reference")
typedef enum mt_compat { MT_COMPATS(TASK_VALUE) } mt_compat;
#define MT_SCHEDULES(X) X(MT_CONSTANT, "constant") X(MT_LOG_UNIFORM, "log_uniform") X(MT_SCHEDULED, "scheduled")
typedef enum mt_schedule { MT_SCHEDULES(TASK_VALUE) } mt_schedule;
/* Meta-loss of an inner step: the training loss before the update, the loss after the update on
 * the same batch, or after it on a fresh batch of a split. */
#define MT_META_LOSSES(X)                                                                                              \
    X(MT_LOSS_TRAIN, "train")                                                                                          \
    X(MT_LOSS_SAME_DATA, "same_data")                                                                                  \
    X(MT_LOSS_FRESH_TRAIN, "fresh_train")                                                                              \
    X(MT_LOSS_INNER_VALID, "inner_valid")                                                                              \
    X(MT_LOSS_OUTER_VALID, "outer_valid")                                                                              \
    X(MT_LOSS_TEST, "test")
typedef enum mt_meta_loss { MT_META_LOSSES(TASK_VALUE) } mt_meta_loss;
/* What is taken of that batch: the loss, or the share of it that is classified wrongly. */
#define MT_META_VALUES(X) X(MT_VALUE_LOSS, "loss") X(MT_VALUE_ERROR, "error")
typedef enum mt_meta_value { MT_META_VALUES(TASK_VALUE) } mt_meta_value;
#define MT_REDUCTIONS(X) X(MT_MEAN, "mean") X(MT_MIN, "min") X(MT_LAST, "last") X(MT_LAST_FRESH, "last_fresh")
typedef enum mt_reduction { MT_REDUCTIONS(TASK_VALUE) } mt_reduction; /* full ES only */
/* What the meta-losses of an outer step become before the twins are compared (es_gradient.h). */
#define MT_SHAPINGS(X)                                                                                                 \
    X(MT_UNSHAPED, "none")                                                                                             \
    X(MT_SIGN, "sign")                                                                                                 \
    X(MT_STANDARDISE, "standardise")                                                                                   \
    X(MT_RANGE, "range")                                                                                               \
    X(MT_CENTRED_RANK, "centred_rank")
typedef enum mt_shaping { MT_SHAPINGS(TASK_VALUE) } mt_shaping;
#define MT_OUTER_OPTIMIZERS(X)                                                                                         \
    X(MT_OUTER_ADAM, "adam")                                                                                           \
    X(MT_OUTER_ADAMW, "adamw")                                                                                         \
    X(MT_OUTER_SGD, "sgd")                                                                                             \
    X(MT_OUTER_LION, "lion")
typedef enum mt_outer_optimizer { MT_OUTER_OPTIMIZERS(TASK_VALUE) } mt_outer_optimizer;
#define MT_OUTER_MODES(X) X(MT_SYNCHRONOUS, "synchronous") X(MT_ASYNCHRONOUS, "asynchronous")
typedef enum mt_outer_mode { MT_OUTER_MODES(TASK_VALUE) } mt_outer_mode;
#define MT_OUTER_SCHEDULES(X)                                                                                          \
    X(MT_OUTER_CONSTANT, "constant")                                                                                   \
    X(MT_OUTER_WARMUP_COSINE, "warmup_cosine")                                                                         \
    X(MT_OUTER_LINEAR, "linear")                                                                                       \
    X(MT_OUTER_EXPONENTIAL, "exponential")                                                                             \
    X(MT_OUTER_SQRT_DECAY, "sqrt_decay")                                                                               \
    X(MT_OUTER_PIECEWISE, "piecewise")
typedef enum mt_outer_schedule { MT_OUTER_SCHEDULES(TASK_VALUE) } mt_outer_schedule;

/* An optimizer as a configuration names it: a preset and the settings that override it. */
typedef struct mt_optimizer_config {
    char name[64];
    int n_settings;
    struct {
        char name[48], value[208];
        int line;
    } settings[MT_MAX_SETTINGS];
} mt_optimizer_config;

#define MT_AUGMENTATIONS(X) X(MT_AUGMENT_FIXED, "fixed") X(MT_AUGMENT_VELO, "velo")
typedef enum mt_augmentations { MT_AUGMENTATIONS(TASK_VALUE) } mt_augmentations;

typedef struct mt_task_config {
    task_spec spec;
    double weight;
    /* Ranges of a sampled structure (task_sampler.h); [0, 0]: as spec says. */
    struct {
        int64_t every;
        int hidden[2], layers[2], batch_size[2], image_size[2], dim[2];
        int family; /* spec.task is a parametric family, which draws every size */
        mt_augmentations augment;
        double max_flops, max_params; /* of a family, or with augmentations drawn */
    } sample;
} mt_task_config;

#define MT_MAX_KNOTS 8

/* A piecewise linear function of the outer step, constant outside its knots; as many values as
 * steps. */
typedef struct mt_knots {
    int n_steps, n_values;
    double step[MT_MAX_KNOTS], value[MT_MAX_KNOTS];
} mt_knots;

typedef struct mt_estimator_config {
    mt_estimator name;
    mt_compat compat;
    double std;
    int64_t window;
    int64_t noise_every; /* gpes: inner steps between noise draws, a multiple of window */
    mt_meta_loss meta_loss;
    mt_meta_value meta_value;
    mt_reduction reduction;
    int64_t reduction_batches;  /* last_fresh: fresh batches */
    task_split reduction_split; /* last_fresh: where they come from */
    double clip;                /* of loss differences; 0: none */
    mt_shaping shaping;
    double shaping_scale;
    struct {
        mt_schedule name;
        int64_t min, max, multiple, offset;
        double std;
        mt_knots knots;
    } schedule; /* schedules.h */
} mt_estimator_config;

typedef struct mt_config {
    char file[MT_PATH]; /* "" when there was none */
    uint64_t seed;
    mt_optimizer_config optimizer;
    char init[MT_PATH]; /* theta file to start from, "" for a random theta */
    int n_freeze;
    char freeze[MT_MAX_FREEZE][48]; /* glob patterns of theta blocks neither perturbed nor updated */
    char data_path[MT_PATH];        /* folders searched before the system's; copied into every task */
    int n_tasks;
    mt_task_config tasks[MT_MAX_TASKS];
    mt_estimator_config estimator;
    int64_t particles;
    struct {
        int64_t steps;
        mt_outer_optimizer optimizer;
        double learning_rate, beta1, beta2, epsilon, epsilon_root, weight_decay;
        double gradient_clip; /* global norm; 0: none */
        int64_t accumulate;   /* outer steps whose mean gradient makes one update */
        int64_t share_from;   /* particles times trained parameters from which on ranks share the gradient */
        mt_outer_mode mode;
        int64_t batch, staleness; /* asynchronous (step_async.c) */
        struct {
            mt_outer_schedule name;
            int64_t warmup, decay;
            double start_fraction, end_fraction, decay_per_step;
            mt_knots knots;
        } schedule; /* schedules.h */
    } outer;
    struct {
        int64_t every, keep;
    } checkpoint;
    struct {
        double silence;
    } faults;
    struct { /* of theta while it is meta-trained (validation.h) */
        int64_t every, steps, seeds, batches;
        int n_tasks; /* 0: those of `tasks` */
        mt_task_config tasks[MT_MAX_TASKS];
    } evaluate;
} mt_config;

/* Whether a task's structure is sampled; of a family, or with augmentations, whose size only its bounds limit. */
int mt_is_sampled(const mt_task_config *entry);
int mt_is_bounded(const mt_task_config *entry);

/* sets: "key=value" strings, as after --set. path NULL: defaults and sets alone. */
mt_config *mt_config_load(const char *path, const char *const *sets, int n_sets, lopt_error *err);
/* The same from text, e.g. from a checkpoint; name stands for the file in messages. */
mt_config *mt_config_parse(const char *text, const char *name, const char *const *sets, int n_sets, lopt_error *err);
char *mt_config_text(const mt_config *cfg); /* YAML, caller frees */
void mt_config_free(mt_config *cfg);

/* The optimizer a configuration names. NULL and *err (with file and line) if it cannot be made. */
lopt_optimizer *mt_optimizer_create(const mt_optimizer_config *cfg, const char *file, lopt_error *err);

/* ---- evaluation suites (configs/eval/) ----------------------------------------------------------- */

#define MT_MAX_BASELINES 32
#define MT_MAX_SWEEP 64
#define MT_MAX_SEARCH 1000

typedef struct mt_baseline {
    mt_optimizer_config optimizer;
    char theta[MT_PATH]; /* theta file of a learned optimizer, or "" */
    int sweep;           /* learning_rate: sweep */
    int64_t search;      /* trials of a random search; 0: none */
    uint64_t search_seed;
    char label[96]; /* name in tables; "" for one made from the settings */
} mt_baseline;

typedef struct mt_suite {
    char file[MT_PATH];
    uint64_t seed;
    int64_t steps, seeds;
    int64_t every, batches, last_batches; /* steps between evaluations; batches of each split */
    int64_t sweep_seeds;                  /* trainings behind each trial of a sweep or search */
    int extend_sweep;
    int n_sweep;
    double sweep[MT_MAX_SWEEP]; /* learning rates tried where a baseline says sweep */
    char data_path[MT_PATH];    /* as in mt_config */
    int n_tasks;
    mt_task_config tasks[MT_MAX_TASKS];
    int n_baselines;
    mt_baseline baselines[MT_MAX_BASELINES];
} mt_suite;

mt_suite *mt_suite_load(const char *path, const char *const *sets, int n_sets, lopt_error *err);
char *mt_suite_text(const mt_suite *suite);
void mt_suite_free(mt_suite *suite);

#endif
