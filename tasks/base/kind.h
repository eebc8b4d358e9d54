/* SPDX-License-Identifier: Apache-2.0
 *
 * kind.h - a kind of task, as the table of functions that its file defines, and a task created from it. */
#ifndef TASK_KIND_H
#define TASK_KIND_H

#include "base/setting.h"

typedef struct task task;

typedef struct task_info {
    const char *name, *summary;
} task_info;

/* A published name: values for all settings of its kind, zeros included. */
typedef struct task_name {
    task_info info;
    task_spec spec; /* .task is the kind */
} task_name;

/* A parametric family: draws a structure, that is kind and sizes, with the published ranges. Fields of *spec that
 * it leaves alone (dataset, data_path, augmentations) are the caller's. */
typedef struct task_family {
    const char *name, *summary;
    void (*sample)(task_spec *spec, lopt_rng_stream *r);
} task_family;

typedef struct task_kind {
    const char *name, *summary, *source;
    const task_name *names;    /* published names, ended by a row of zeros; NULL: none */
    const task_family *family; /* NULL: none */
    const task_setting *settings;
    size_t n_settings;
    size_t self_size;          /* of t->self: zeroed before create, freed after destroy */
    const char *open_settings; /* "a|b": those that a published name sets only where they have their default; or NULL */
    /* Fills t->tensors, n_tau, work_bytes, name and t->self; 0 and *err if it cannot. A kind that describes a
     * task_model may leave out sample, initial_params and loss; a wrapper whatever it takes from t->inner. */
    int (*create)(task *t, const task_spec *spec, lopt_error *err);
    void (*destroy)(task *t);                                     /* also of a task that create gave up on */
    void (*sample)(const task *t, lopt_rng_stream *r, real *tau); /* NULL when n_tau = 0 */
    void (*initial_params)(const task *t, const real *tau, lopt_rng_stream *r, real *params);
    void (*draw_batch)(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work);
    void (*after_step)(const task *t, const real *tau, real *params); /* NULL where there is nothing to do */
    real (*loss)(const task *t, const real *tau, void *work, const real *params, real *grads);
    real (*normalise)(const task *t, real loss); /* NULL: by t->normaliser */
    /* Fraction of the drawn batch classified correctly at params, in [0,1]; NULL where it means nothing. */
    real (*accuracy)(const task *t, const real *tau, void *work, const real *params);
} task_kind;

/* What task_normalise_loss does unless the kind does it itself (base/normaliser.h); C classes, clip(low, high). */
typedef enum task_normaliser_kind {
    TASK_IDENTITY,
    TASK_CLIP_TO_CHANCE,     /* clip(0, 1.5 ln C), NaN to the upper end */
    TASK_CLIP_TO_CHANCE_NAN, /* the same, NaN stays NaN */
    TASK_TEN_TIMES,          /* 10 min(loss, 1) */
    TASK_CLIP_ONE,           /* clip(0, 1), NaN stays NaN */
    TASK_RELATIVE_TO_CHANCE, /* 10 / ln(2C) clip(0, ln 2C) */
    TASK_LOG_BELOW_CHANCE,   /* 10 / ln C (clip(0, ln 2C) - ln(C / 5)) */
    TASK_LOG,                /* 10 + clip(-12, 1) / 2 of ln(loss + 1e-8) */
    TASK_IS_LOG,             /* the same of a loss that is a logarithm */
    TASK_CLIP_TEN,           /* clip(0, 10) */
    TASK_CLIP_TEN_PER_PIXEL  /* clip(0, 10) of loss / n */
} task_normaliser_kind;

typedef struct task_normaliser {
    task_normaliser_kind kind;
    double n;
} task_normaliser;

struct task {
    const task_kind *kind;
    char name[128];
    struct task_model *model; /* its layers (model/model.h), or NULL */
    lopt_tensor *tensors;     /* its own */
    size_t n_tensors, n_params, n_tau, work_bytes;
    size_t n_aux; /* values behind the parameters that the task, not the optimizer, keeps from step to step */
    task *inner;  /* what a wrapper holds; functions that its kind leaves out are this one's. NULL: none */
    task_normaliser normaliser;
    double loss_bound;     /* upper bound of normalise; INFINITY if none */
    double flops_per_step; /* of one loss and gradient, multiply-add = 2 */
    void *self;            /* of self_size of its kind */
};

#endif
