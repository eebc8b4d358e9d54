/* SPDX-License-Identifier: Apache-2.0
 *
 * spec.h - what a configuration says of a task: its kind and the values of its settings. */
#ifndef TASK_SPEC_H
#define TASK_SPEC_H

#include "base/real.h"
#include "lopt.h"
#include "rng/rng.h"

/* An enum and the words of a configuration for its values come from one list:
 *
 *     #define NORMS(X) X(TASK_NORM_NONE, "none") X(TASK_NORM_LAYER, "layer")
 *     typedef enum task_norm { NORMS(TASK_VALUE) } task_norm;
 *     TASK_WORDS(NORMS)                                    "none|layer"
 *     const char *const words[] = {NORMS(TASK_STRING)};    by value */
#define TASK_VALUE(value, word) value,
#define TASK_WORD(value, word) "|" word
#define TASK_STRING(value, word) word,
#define TASK_WORDS(list) &list(TASK_WORD)[1]

#define TASK_SPLITS(X)                                                                                                 \
    X(TASK_TRAIN, "train")                                                                                             \
    X(TASK_INNER_VALID, "inner_valid")                                                                                 \
    X(TASK_OUTER_VALID, "outer_valid")                                                                                 \
    X(TASK_TEST, "test")
typedef enum task_split { TASK_SPLITS(TASK_VALUE) TASK_N_SPLITS } task_split;

/* Which part of a set is trained on: 80 %, or what the code of published results takes (data/dataset.h). */
#define TASK_DATA_SPLITS(X) X(TASK_SPLIT_CLEAN, "clean") X(TASK_SPLIT_PUBLISHED, "published")
typedef enum task_data_split { TASK_DATA_SPLITS(TASK_VALUE) } task_data_split;

/* gelu by its tanh form; leaky_relu is 0.01 x below 0, folded_relu -0.5 x: the "leaky relu" of the published parametric
 * tasks. */
#define TASK_ACTIVATIONS(X)                                                                                            \
    X(TASK_RELU, "relu")                                                                                               \
    X(TASK_TANH, "tanh")                                                                                               \
    X(TASK_GELU, "gelu")                                                                                               \
    X(TASK_RELU6, "relu6")                                                                                             \
    X(TASK_SIGMOID, "sigmoid")                                                                                         \
    X(TASK_SILU, "silu")                                                                                               \
    X(TASK_SELU, "selu")                                                                                               \
    X(TASK_COS, "cos")                                                                                                 \
    X(TASK_SIN, "sin")                                                                                                 \
    X(TASK_LEAKY_RELU, "leaky_relu")                                                                                   \
    X(TASK_FOLDED_RELU, "folded_relu")                                                                                 \
    X(TASK_ELU, "elu")
typedef enum task_activation_kind { TASK_ACTIVATIONS(TASK_VALUE) TASK_N_ACTIVATIONS } task_activation_kind;

#define TASK_NORMS(X) X(TASK_NORM_NONE, "none") X(TASK_NORM_LAYER, "layer") X(TASK_NORM_BATCH, "batch")
typedef enum task_norm { TASK_NORMS(TASK_VALUE) } task_norm;

/* Of classification: squared error is that of one-hot labels. */
#define TASK_LOSSES(X) X(TASK_LOSS_CROSS_ENTROPY, "cross_entropy") X(TASK_LOSS_SQUARED_ERROR, "squared_error")
typedef enum task_loss_kind { TASK_LOSSES(TASK_VALUE) } task_loss_kind;

#define TASK_CELLS(X) X(TASK_LSTM, "lstm") X(TASK_GRU, "gru") X(TASK_VANILLA_RNN, "vanilla_rnn") X(TASK_IRNN, "irnn")
typedef enum task_cell { TASK_CELLS(TASK_VALUE) } task_cell;

#define TASK_REPARAMS(X)                                                                                               \
    X(TASK_REPARAM_NONE, "none")                                                                                       \
    X(TASK_REPARAM_GLOBAL, "global")                                                                                   \
    X(TASK_REPARAM_TENSOR, "tensor")                                                                                   \
    X(TASK_REPARAM_PARAMETER, "parameter")
typedef enum task_reparam { TASK_REPARAMS(TASK_VALUE) } task_reparam;

#define TASK_MAX_HIDDEN 8

/* What a configuration says of a task. task_spec_default fills it; a published name sets several fields. The tables of
 * settings (setting.h) say what a field means and which values it may have; a kind ignores those of other kinds. */
typedef struct task_spec {
    char task[64];        /* kind or published name: "image_mlp", "quadratic", "ImageMLP_FashionMnist8_Relu32" */
    char data_path[1024]; /* folders searched before the system's, separated by ':'; "" for none */
    int per_task; /* of a family: activation and initialisation are drawn with the task, not with the structure */
    char dataset[256];
    int batch_size, image_size, grey;
    task_data_split data_split;
    task_loss_kind loss;
    int n_hidden, hidden[TASK_MAX_HIDDEN];
    task_activation_kind activation;
    task_norm norm;
    double dropout;
    int strided;
    struct {
        int log_loss, centre, constrain;
    } encoder;
    struct {
        int encoder_layers, encoder_width, decoder_layers, decoder_width, latent, centre, per_pixel;
    } vae;
    struct {
        int version, blocks[4], channels[4], stem_channels, stem_size, stem_stride, pool;
    } resnet;
    struct {
        int tokens, vocab, length, embed;
        task_cell cell;
        int width, layers, heads, head_size, mlp, token_mlp, patch;
        double attention_dropout;
    } sequence;
    int dim;
    double noise;
    task_reparam reparam;
    double reparam_range[2], batch_fraction;
    int es_pairs;
    double es_std;
    int bf16, unit_gradient, directions, direction_signs, delay;
} task_spec;

#endif
