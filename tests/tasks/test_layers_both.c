/* SPDX-License-Identifier: Apache-2.0
 *
 * test_layers_both.c - layers of multi-layer perceptrons: gradients and float against double. */
#include "layer_check.h"

#include "layers/activation.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/losses.h"
#include "layers/norm.h"
#include "layers/sum.h"
#include "layers/variational.h"

static const int64_t rows_cols[] = {6, 5}, rows_time_cols[] = {3, 2, 5};

static int dense(task_model *m) {
    int x = layer_input(m, 3, rows_time_cols);
    return task_add_dense(m, x, 4, (task_init){0});
}

static int dense_first(task_model *m) {
    int x = layer_data(m, 2, rows_cols);
    return task_dense_without_bias(m, x, 3, (task_init){0});
}

/* One value read by three layers: gradients add. */
static int dense_thrice(task_model *m) {
    int x = layer_input(m, 2, rows_cols);
    int a = task_add_dense(m, x, 3, (task_init){0}), b = task_add_dense(m, a, 3, (task_init){0});
    int c = task_add_activation(m, a, TASK_TANH), d = task_add_dense(m, a, 5, (task_init){0});
    int ab[] = {task_add_dense(m, b, 5, (task_init){0}), task_add_dense(m, c, 5, (task_init){0}), d};
    size_t labels = layer_ids(m, 6, 5, 0);
    return task_add_cross_entropy(m, task_add_sum(m, 3, ab), labels);
}

/* Alone and fused into a dense layer. */
static int activations(task_model *m, task_activation_kind kind) {
    int x = task_add_activation(m, layer_input(m, 2, rows_cols), kind);
    return task_add_activation(m, task_add_dense(m, x, 4, (task_init){0}), kind);
}

#define ACTIVATION(name, kind)                                                                                         \
    static int name(task_model *m) {                                                                                   \
        return activations(m, kind);                                                                                   \
    }
ACTIVATION(relu, TASK_RELU)
ACTIVATION(tanh_layer, TASK_TANH)
ACTIVATION(gelu, TASK_GELU)
ACTIVATION(relu6, TASK_RELU6)
ACTIVATION(sigmoid, TASK_SIGMOID)
ACTIVATION(silu, TASK_SILU)
ACTIVATION(selu, TASK_SELU)
ACTIVATION(cosine, TASK_COS)
ACTIVATION(sine, TASK_SIN)
ACTIVATION(leaky_relu, TASK_LEAKY_RELU)
ACTIVATION(folded_relu, TASK_FOLDED_RELU)
ACTIVATION(elu, TASK_ELU)

static int sampled(task_model *m) {
    size_t which = task_sample_choice(m, TASK_N_SAMPLED_ACTIVATIONS);
    task_init init = task_init_sampled(m);
    int x = task_add_sampled_activation(m, layer_input(m, 2, rows_cols), which);
    return task_add_sampled_activation(m, task_add_dense(m, x, 4, init), which);
}

static int cross_entropy(task_model *m) {
    int x = layer_input(m, 2, (int64_t[]){70, 5});
    return task_add_cross_entropy(m, x, layer_ids(m, 70, 5, 0));
}

static int cross_entropy_padded(task_model *m) {
    int x = layer_input(m, 3, rows_time_cols);
    return task_add_cross_entropy(m, x, layer_ids(m, 6, 5, 1));
}

static int reshape(task_model *m) {
    int x = task_add_reshape(m, layer_input(m, 2, rows_cols), 2, (int64_t[]){3, 10});
    return task_add_reshape(m, task_add_dense(m, x, 4, (task_init){0}), 1, (int64_t[]){12});
}

static int bias_and_scale(task_model *m) {
    int x = layer_input(m, 2, rows_cols);
    int y = task_add_scale(m, task_add_bias(m, x, (task_init){TASK_INIT_NORMAL, 1, 0}),
                           (task_init){TASK_INIT_CONSTANT, 1, 0});
    return task_add_sum(m, 3, (int[]){x, y, task_add_scale(m, x, (task_init){0})});
}

static int layer_norm(task_model *m) {
    int x = layer_input(m, 2, (int64_t[]){3, 21});
    return task_add_sum(m, 2, (int[]){x, task_add_layer_norm(m, x, 1e-5)});
}

static int batch_norm(task_model *m) {
    int x = layer_input(m, 3, rows_time_cols);
    return task_add_sum(m, 2, (int[]){x, task_add_batch_norm(m, x, 0, 1e-5)});
}

static int norms_of_data(task_model *m) {
    int x = layer_data(m, 2, rows_cols);
    int y[] = {task_add_layer_norm(m, x, 1e-5), task_add_batch_norm(m, x, 1, 1e-5)};
    return task_add_sum(m, 2, y);
}

static int dropout(task_model *m) {
    int x = layer_input(m, 2, (int64_t[]){20, 15});
    return task_add_sum(m, 2, (int[]){task_add_dropout(m, x, 0.3), x});
}

static int one_hot_error(task_model *m) {
    return task_add_one_hot_error(m, layer_input(m, 2, rows_cols), layer_ids(m, 6, 5, 0));
}

static int squared_error(task_model *m) {
    int x = layer_input(m, 2, rows_cols);
    return task_add_squared_error(m, x, task_add_dense(m, x, 5, (task_init){0}));
}

static int log_squared_error(task_model *m) {
    int x = layer_input(m, 3, rows_time_cols);
    return task_add_log_squared_error(m, x, layer_data(m, 3, rows_time_cols));
}

static int affine(task_model *m) {
    int x = layer_input(m, 2, rows_cols);
    return task_add_sum(m, 2, (int[]){task_add_affine(m, x, 2, -1), x});
}

static int variational(task_model *m) {
    int stats = layer_input(m, 2, (int64_t[]){3, 4}),
        out = task_add_dense(m, task_add_gaussian(m, stats), 10, (task_init){0});
    return task_add_elbo(m, stats, out, layer_data(m, 2, (int64_t[]){3, 5}), 1);
}

static const layer_case cases[] = {
    {"dense", dense},
    {"dense, first", dense_first},
    {"dense thrice", dense_thrice},
    {"relu", relu},
    {"tanh", tanh_layer},
    {"gelu", gelu},
    {"relu6", relu6},
    {"sigmoid", sigmoid},
    {"silu", silu},
    {"selu", selu},
    {"cos", cosine},
    {"sin", sine},
    {"leaky_relu", leaky_relu},
    {"folded_relu", folded_relu},
    {"elu", elu},
    {"sampled", sampled},
    {"cross-entropy", cross_entropy},
    {"cross-entropy, padded", cross_entropy_padded},
    {"reshape", reshape},
    {"bias and scale", bias_and_scale},
    {"layer norm", layer_norm},
    {"batch norm", batch_norm},
    {"norms of data", norms_of_data},
    {"dropout", dropout},
    {"one-hot error", one_hot_error},
    {"squared error", squared_error},
    {"log squared error", log_squared_error},
    {"affine", affine},
    {"variational", variational},
};

LAYER_CASES(cases)
