/* SPDX-License-Identifier: Apache-2.0
 *
 * spec.h - what a configuration says of a task: its kind and sizes, as plain numbers. */
#ifndef TASK_SPEC_H
#define TASK_SPEC_H

#include "base/real.h"
#include "lopt.h"
#include "rng/rng.h"

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

task_spec task_spec_default(void);

#endif
