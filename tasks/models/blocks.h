/* SPDX-License-Identifier: Apache-2.0
 *
 * blocks.h - settings shared by models of blocks on a sequence. */
#ifndef TASK_BLOCKS_H
#define TASK_BLOCKS_H

#include "base/setting.h"

// clang-format off
#define TASK_WIDTH_SETTING                                                                                             \
    {"sequence.width", TASK_INTEGER(sequence.width), "[1, 65536]", "8", "units",                                       \
     "width of a recurrent cell; of a patch in a mixer"}
#define TASK_LAYERS_SETTING                                                                                            \
    {"sequence.layers", TASK_INTEGER(sequence.layers), "[1, 1000]", "1", "layers", "blocks of transformers and mixers"}
#define TASK_ATTENTION_SETTINGS                                                                                        \
    TASK_LAYERS_SETTING,                                                                                               \
    {"sequence.heads", TASK_INTEGER(sequence.heads), "[1, 1024]", "2", NULL,                                           \
     "attention heads; heads times head_size is the width of a vision transformer"},                                   \
    {"sequence.head_size", TASK_INTEGER(sequence.head_size), "[1, 4096]", "4", "units", "width of a head"}
#define TASK_PATCH_SETTINGS                                                                                            \
    {"sequence.mlp", TASK_INTEGER(sequence.mlp), "[1, 65536]", "16", "units",                                          \
     "vision transformers and mixers: hidden width of a block's perceptron"},                                          \
    {"sequence.patch", TASK_INTEGER(sequence.patch), "[1, 1024]", "4", "pixels",                                       \
     "vision transformers and mixers: side of a patch"}
// clang-format on

#endif
