/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - what a YAML file says, checked, with every default filled in.
 *
 *     mt_config *cfg = mt_config_load("configs/quickstart.yaml", sets, n_sets, &err);
 *     mt_config_text(cfg)      the resolved configuration as YAML that loads to the same thing
 *     mt_config_free(cfg)
 *
 * One table (config.c) declares every key once: path, type, range, default, unit, help. Loading, --set,
 * the resolved copy, `metatrain list keys` and docs/configuration.md come from it. Order: defaults,
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

typedef enum mt_estimator { MT_ES, MT_TES, MT_PES, MT_NRES, MT_GPES } mt_estimator;
/* Clean rules, or those of the published implementations with their quirks (es_gradient.h). */
typedef enum mt_compat { MT_CLEAN, MT_REFERENCE } mt_compat;
typedef enum mt_schedule { MT_CONSTANT, MT_LOG_UNIFORM, MT_SCHEDULED } mt_schedule;
/* Meta-loss of an inner step (spec B.3): the training loss before the update, the loss after the update on
 * the same batch, or after it on a fresh batch of a split. */
typedef enum mt_meta_loss {
    MT_LOSS_TRAIN,
    MT_LOSS_SAME_DATA,
    MT_LOSS_FRESH_TRAIN,
    MT_LOSS_INNER_VALID,
    MT_LOSS_OUTER_VALID,
    MT_LOSS_TEST
} mt_meta_loss;
/* What is taken of that batch: the loss, or the share of it that is classified wrongly. */
typedef enum mt_meta_value { MT_VALUE_LOSS, MT_VALUE_ERROR } mt_meta_value;
typedef enum mt_reduction { MT_MEAN, MT_MIN, MT_LAST, MT_LAST_FRESH } mt_reduction; /* full ES only */
/* What the meta-losses of an outer step become before the twins are compared (es_gradient.h). */
typedef enum mt_shaping { MT_UNSHAPED, MT_SIGN, MT_STANDARDISE, MT_RANGE, MT_CENTRED_RANK } mt_shaping;
typedef enum mt_outer_optimizer { MT_OUTER_ADAM, MT_OUTER_ADAMW, MT_OUTER_SGD, MT_OUTER_LION } mt_outer_optimizer;
typedef enum mt_outer_mode { MT_SYNCHRONOUS, MT_ASYNCHRONOUS } mt_outer_mode;
typedef enum mt_outer_schedule {
    MT_OUTER_CONSTANT,
    MT_OUTER_WARMUP_COSINE,
    MT_OUTER_LINEAR,
    MT_OUTER_EXPONENTIAL,
    MT_OUTER_SQRT_DECAY,
    MT_OUTER_PIECEWISE
} mt_outer_schedule;

/* An optimizer as a configuration names it: a preset and the settings that override it. */
typedef struct mt_optimizer_config {
    char name[64];
    int n_settings;
    struct {
        char name[48], value[208];
        int line;
    } settings[MT_MAX_SETTINGS];
} mt_optimizer_config;

typedef enum mt_augmentations { MT_AUGMENT_FIXED, MT_AUGMENT_VELO } mt_augmentations;

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
        int64_t share_from;   /* particles times trained numbers that make ranks share the gradient */
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

/* The optimizer a configuration names. NULL and a sentence (with file and line) if it cannot be made. */
lopt_optimizer *mt_optimizer_create(const mt_optimizer_config *cfg, const char *file, lopt_error *err);

/* ---- evaluation suites (configs/eval/) ----------------------------------------------------------- */

#define MT_MAX_CONTENDERS 32
#define MT_MAX_SWEEP 64
#define MT_MAX_SEARCH 1000

typedef struct mt_contender {
    mt_optimizer_config optimizer;
    char theta[MT_PATH]; /* theta file of a learned optimizer, or "" */
    int sweep;           /* learning_rate: sweep */
    int64_t search;      /* rows of a random search that are tried; 0: none */
    uint64_t search_seed;
    char label[96]; /* name in tables; "" for one made from the settings */
} mt_contender;

typedef struct mt_suite {
    char file[MT_PATH];
    uint64_t seed;
    int64_t steps, seeds;
    int64_t every, batches, last_batches; /* evaluate every so many steps, batches of each split */
    int n_sweep;
    double sweep[MT_MAX_SWEEP]; /* learning rates tried where a contender says sweep */
    char data_path[MT_PATH];    /* as in mt_config */
    int n_tasks;
    mt_task_config tasks[MT_MAX_TASKS];
    int n_contenders;
    mt_contender contenders[MT_MAX_CONTENDERS];
} mt_suite;

mt_suite *mt_suite_load(const char *path, const char *const *sets, int n_sets, lopt_error *err);
char *mt_suite_text(const mt_suite *suite);
void mt_suite_free(mt_suite *suite);

/* The tables of keys as Markdown; both are part of docs/configuration.md. */
void mt_config_print_keys(FILE *f);
void mt_suite_print_keys(FILE *f);

#endif
