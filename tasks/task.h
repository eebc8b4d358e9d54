/* SPDX-License-Identifier: Apache-2.0
 *
 * task.h - what a learned optimizer is trained on: a model, its data and its loss.
 *
 * A task has a fixed structure (tensors, sizes, data set) and, where it is a family, a few sampled numbers
 * `tau` that say which member this is (centre of a quadratic, scales of a reparametrisation). One inner
 * training, as every caller does it:
 *
 *     task *t = task_create(&spec, &err);                       structure; may read a data set
 *     task_sample(t, &rng, tau);                                which member: tau[t->n_tau]
 *     task_initial_params(t, tau, &rng, params);                params[t->n_params + t->n_carried]
 *     for each inner step:
 *         task_draw_batch(t, tau, TASK_TRAIN, &rng, work);      batch into work; twins share it
 *         loss = task_loss(t, tau, work, params, grads);        grads NULL: the loss alone
 *         lopt_step(opt, state, params, grads, loss, NULL);
 *         task_after_step(t, tau, params);
 *     task_destroy(t);
 *
 * To add a task: write one file in tasks/models/ or tasks/families/ with a `task_kind` (the functions
 * below) and add its line to tasks/task_registry.c; `metatrain list tasks` and the gradient test find it there.
 * A wrapper (tasks/augment/) is a task that holds another task; wrappers compose.
 *
 * Shapes   as lopt.h: tensors back to back, row-major; weights (in, out).
 * Work     scratch of t->work_bytes, 64-byte aligned, owned by the caller, one per thread. It carries the
 *          drawn batch from task_draw_batch to task_loss; nothing else survives between calls.
 * Random   every function takes a stream opened by the caller and is a pure function of it.
 * Errors   task_create returns NULL and a sentence; LOPT_ESHAPE where the model's sizes are empty or too large,
 *          which families may draw (task_family_sample draws again). The others cannot fail; a diverged model gives a
 *          non-finite loss, which the caller handles (task_normalise maps it to the task's bound if any).
 * real     float; the gradient tests compile this folder with -DTASK_REAL_DOUBLE. */
#ifndef TASK_H
#define TASK_H

#include <stddef.h>
#include <stdint.h>

#include "lopt.h"
#include "rng/rng.h"

#ifdef TASK_REAL_DOUBLE
#include "double_names.h" /* made by the build: task_loss becomes task_loss_double, so that both link into one program */
typedef double real;
#else
typedef float real;
#endif

typedef enum task_split { TASK_TRAIN, TASK_INNER_VALID, TASK_OUTER_VALID, TASK_TEST, TASK_N_SPLITS } task_split;
typedef enum task_flag { TASK_NO, TASK_YES } task_flag;
/* Which part of a set is trained on: 80 %, or what the code of published results takes (data/dataset.h). */
typedef enum task_data_split { TASK_SPLIT_CLEAN, TASK_SPLIT_PUBLISHED } task_data_split;

/* f(x); gelu by its tanh form. */
typedef enum task_activation_kind {
    TASK_RELU,
    TASK_TANH,
    TASK_GELU,
    TASK_RELU6,
    TASK_SIGMOID,
    TASK_SILU,
    TASK_SELU,
    TASK_COS,
    TASK_SIN,
    TASK_LEAKY_RELU,  /* 0.01 x below 0 */
    TASK_FOLDED_RELU, /* -0.5 x below 0: the "leaky relu" of the published parametric tasks */
    TASK_ELU,
    TASK_N_ACTIVATIONS
} task_activation_kind;
const char *task_activation_name(task_activation_kind kind);
typedef enum task_reparam {
    TASK_REPARAM_NONE,
    TASK_REPARAM_GLOBAL,
    TASK_REPARAM_TENSOR,
    TASK_REPARAM_PARAMETER
} task_reparam;

typedef enum task_norm { TASK_NORM_NONE, TASK_NORM_LAYER, TASK_NORM_BATCH } task_norm;
typedef enum task_loss_kind { TASK_LOSS_CROSS_ENTROPY, TASK_LOSS_SQUARED_ERROR } task_loss_kind;

#define TASK_MAX_HIDDEN 8

/* What a configuration says of a task. task_spec_default fills it; a published name sets several fields.
 * Fields a kind does not use are ignored by it. */
typedef struct task_spec {
    char task[64];        /* kind or published name: "image_mlp", "quadratic", "ImageMLP_FashionMnist8_Relu32" */
    char dataset[256];    /* as data/sources.h says: "fashion_mnist", "gaussians classes=3", a path */
    char data_path[1024]; /* folders searched before the system's, separated by ':'; "" for none */
    task_flag grey;       /* images of three channels become their mean */
    task_data_split data_split;
    int batch_size;
    int image_size; /* images are resized to image_size x image_size; 0: as they are */
    int n_hidden, hidden[TASK_MAX_HIDDEN];
    task_activation_kind activation;
    task_norm norm;      /* between a hidden layer and its activation */
    double dropout;      /* share that is left out there */
    task_loss_kind loss; /* of classification: squared error is that of one-hot labels */
    int per_task;        /* activation and initialisation are drawn with the task, not with the structure */
    struct {             /* auto-encoders */
        int log_loss;    /* mean of ln(squared error) */
        int centre;      /* pixels in [-1, 1] in place of [0, 1] */
        int constrain;   /* outputs pass through tanh or sigmoid, which have that range */
    } encoder;
    struct { /* variational auto-encoders */
        int encoder_layers, encoder_width, decoder_layers, decoder_width, latent;
        int centre, per_pixel; /* the loss is divided by the number of pixels */
    } vae;
    int strided;     /* convolutional nets: how many of the first layers have stride 2 */
    struct {         /* residual nets, of 4 groups of blocks */
        int version; /* 1: normalised after each convolution, 2: before */
        int blocks[4], channels[4];
        int stem_channels, stem_size, stem_stride, pool; /* pool: 1 has one of 3x3, stride 2, after the stem */
    } resnet;
    struct {                               /* models of sequences: of text, or of patches of images */
        int tokens;                        /* text: 259 ids are bytes, from 300 on byte pairs (data/text.h) */
        int vocab;                         /* ids that the model knows, into which others are folded; 0: tokens */
        int length, embed;                 /* text: tokens that it sees; numbers a token */
        int cell, width;                   /* task_cell, its numbers */
        int layers, heads, head_size, mlp; /* attention: of blocks, in one block, the width between */
        int token_mlp, patch;              /* mixers: width across positions; images: pixels a side */
        double attention_dropout;
    } sequence;
    int dim;      /* quadratics */
    double noise; /* quadratics: standard deviation of the gradient noise (spec D.4, cov) */
    task_reparam reparam;
    double reparam_min, reparam_max; /* scale = exp(uniform(log min, log max)) */
    double batch_fraction;           /* of batch_size, at least one example */
    int es_pairs;                    /* gradients estimated by ES; 0: true ones */
    double es_std;
    int bf16;          /* parameters, data and gradients in bfloat16 */
    int unit_gradient; /* divided by its length */
    int directions;    /* gradients are known along so many random directions; 0: all */
    int direction_signs;
    int delay; /* steps by which gradients are late */
} task_spec;

typedef struct task task;

typedef struct task_kind {
    const char *name, *summary, *source;
    /* Copies to spec what a published name of the kind fixes (task_name below); NULL where there is none. */
    void (*fix)(const task_spec *named, task_spec *spec);
    /* Fills t->tensors, n_tau, work_bytes, name, self (the kind's own memory); 0 and *err if it cannot. A kind
     * that describes a task_model may leave out sample, initial_params and loss. */
    int (*create)(task *t, const task_spec *spec, lopt_error *err);
    void (*destroy)(task *t);                                     /* also of a task that create gave up on */
    void (*sample)(const task *t, lopt_rng_stream *r, real *tau); /* NULL when n_tau = 0 */
    void (*initial_params)(const task *t, const real *tau, lopt_rng_stream *r, real *params);
    void (*draw_batch)(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work);
    void (*after_step)(const task *t, const real *tau, real *params); /* NULL where there is nothing to do */
    real (*loss)(const task *t, const real *tau, void *work, const real *params, real *grads);
    real (*normalise)(const task *t, real loss); /* NULL: by t->normaliser */
    /* Share of the drawn batch classified right at params, in [0,1]; NULL where it means nothing. */
    real (*accuracy)(const task *t, const real *tau, void *work, const real *params);
} task_kind;

/* What task_normalise does unless the kind does it itself (tasks/normaliser.h); C classes, clip(low, high). */
typedef enum task_normaliser_kind {
    TASK_AS_IT_IS,
    TASK_CLIP_GUESS,     /* clip(0, 1.5 ln C), NaN to the upper end */
    TASK_CLIP_GUESS_NAN, /* the same, NaN stays NaN */
    TASK_TEN_TIMES,      /* 10 min(loss, 1) */
    TASK_CLIP_ONE,       /* clip(0, 1), NaN stays NaN */
    TASK_OF_GUESS,       /* 10 / ln(2C) clip(0, ln 2C) */
    TASK_BELOW_GUESS,    /* 10 / ln C (clip(0, ln 2C) - ln(C / 5)) */
    TASK_LOG,            /* 10 + clip(-12, 1) / 2 of ln(loss + 1e-8) */
    TASK_IS_LOG,         /* the same of a loss that is a logarithm */
    TASK_CLIP_TEN,       /* clip(0, 10) */
    TASK_CLIP_TEN_EACH   /* clip(0, 10) of loss / n */
} task_normaliser_kind;

typedef struct task_normaliser {
    task_normaliser_kind kind;
    double n;
} task_normaliser;

struct task {
    const task_kind *kind;
    char name[128];
    struct task_model *model; /* its layers (tasks/model.h), or NULL */
    lopt_tensor *tensors;     /* its own */
    size_t n_tensors, n_params, n_tau, work_bytes;
    size_t n_carried; /* numbers behind the parameters that the task keeps from step to step, not the optimizer */
    task *inner;      /* what a wrapper holds; functions that its kind leaves out are this one's. NULL: none */
    task_normaliser normaliser;
    double loss_bound;     /* upper bound of normalise; INFINITY if none */
    double flops_per_step; /* of one loss and gradient, multiply-add = 2 */
    void *self;
};

task_spec task_spec_default(void);
/* Fills the fields that a published name fixes and puts the kind's name for it into spec->task, so that
 * what is set afterwards overrides the published sizes; 1 if spec->task is known. */
int task_spec_resolve(task_spec *spec, lopt_error *err);
task *task_create(const task_spec *spec, lopt_error *err);
void task_destroy(task *t);

void task_sample(const task *t, lopt_rng_stream *r, real *tau);
void task_initial_params(const task *t, const real *tau, lopt_rng_stream *r, real *params);
void task_draw_batch(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work);
void task_after_step(const task *t, const real *tau, real *params);
real task_loss(const task *t, const real *tau, void *work, const real *params, real *grads);
real task_normalise(const task *t, real loss);
int task_has_accuracy(const task *t);
real task_accuracy(const task *t, const real *tau, void *work, const real *params);

/* Kinds and published names, for `metatrain list tasks`; NULL past the last. */
typedef struct task_info {
    const char *name, *summary;
} task_info;
const task_info *task_known(size_t i);

/* A published name: the spec's fields that its kind's `fix` copies. A file of models ends its table of them
 * with a row of zeros and has a line in tasks/task_registry.c. */
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
const task_family *task_family_known(size_t i); /* NULL past the last */
/* One structure that costs at most max_flops a loss and gradient (0: any), of up to 512 draws; 0 and *err
 * where none does or spec->task is no family. */
int task_family_sample(task_spec *spec, lopt_rng_stream *r, double max_flops, lopt_error *err);

#endif
