/* SPDX-License-Identifier: Apache-2.0
 *
 * test_conv_both.c - convolution and pooling: gradients and float against double. (Against plain loops: test_conv.c.) */
#include "layer_check.h"

#include "layers/activation.h"
#include "layers/conv.h"
#include "layers/pool.h"
#include "layers/sum.h"

static const int64_t image[] = {2, 5, 6, 3};

static int same(task_model *m) {
    return task_add_conv(m, layer_input(m, 4, image), (task_conv_shape){4, 3, 1, TASK_SAME}, (task_init){0});
}

static int valid(task_model *m) {
    int x = layer_input(m, 4, image);
    return task_add_conv_without_bias(m, x, (task_conv_shape){4, 2, 2, TASK_VALID}, (task_init){0});
}

static int first(task_model *m) {
    int x = layer_data(m, 4, image);
    return task_add_conv(m, x, (task_conv_shape){4, 5, 2, TASK_SAME}, (task_init){0});
}

/* Two that read one value, by patches and by pixels, in either order: gradients add. */
static int shared(task_model *m) {
    task_conv_shape wide = {3, 3, 1, TASK_SAME}, narrow = {3, 1, 1, TASK_SAME};
    int x = layer_input(m, 4, image), ways[4];
    ways[0] = task_add_conv(m, x, wide, (task_init){0});
    ways[1] = task_add_conv(m, x, narrow, (task_init){0});
    ways[2] = task_add_conv_without_bias(m, x, narrow, (task_init){0});
    ways[3] = task_add_conv(m, x, wide, (task_init){0});
    return task_add_sum(m, 4, ways);
}

static int fused(task_model *m) {
    size_t which = task_sample_choice(m, TASK_N_SAMPLED_ACTIVATIONS);
    int x = task_add_conv(m, layer_input(m, 4, image), (task_conv_shape){4, 3, 2, TASK_SAME}, task_init_sampled(m));
    x = task_add_sampled_activation(m, x, which);
    return task_add_activation(m, task_add_conv(m, x, (task_conv_shape){2, 1, 1, TASK_SAME}, (task_init){0}),
                               TASK_GELU);
}

static int pools(task_model *m) {
    int x = layer_input(m, 4, image);
    int ways[] = {task_add_max_pool(m, x, 3, 2, TASK_SAME), task_average_pool(m, x, 3, 2, TASK_SAME),
                  task_add_max_pool(m, x, 2, 2, TASK_SAME)};
    return task_add_sum(m, 3, ways);
}

static int pools_valid(task_model *m) {
    int x = layer_input(m, 4, image);
    int ways[] = {task_average_pool(m, x, 2, 1, TASK_VALID), task_add_max_pool(m, x, 2, 1, TASK_VALID)};
    return task_add_sum(m, 2, ways);
}

static int global_average(task_model *m) {
    int x = layer_input(m, 4, image);
    int ways[] = {task_add_global_average(m, x), task_add_global_average(m, task_add_max_pool(m, x, 3, 1, TASK_SAME))};
    return task_add_sum(m, 2, ways);
}

static const layer_case cases[] = {
    {"conv", same},   {"conv, valid", valid}, {"conv, first", first},        {"conv, shared", shared},
    {"fused", fused}, {"pools", pools},       {"pools, valid", pools_valid}, {"global average", global_average},
};

LAYER_CASES(cases)
