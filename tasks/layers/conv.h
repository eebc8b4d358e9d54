/* SPDX-License-Identifier: Apache-2.0
 *
 * conv.h - convolution of images by square windows; with an activation after it one layer.
 *
 *     x = task_add_conv(m, x, (task_conv_shape){.channels = 32, .size = 3, .stride = 2}, init);
 *
 * x[batch, rows, cols, in] becomes [batch, out rows, out cols, channels] (window.h says how many).
 * Tensors "conv0" [size, size, in, channels], initialised by init, and "conv_b0" (channels), zeros.
 *
 * Method   patches of some output rows at a time, which stay in cache, then a matrix product; in backward the
 *          same patches for the gradient of the weights, and products scattered into that of x. Where a window
 *          is one pixel the image is its patches. docs/performance.md compares this with oneDNN. */
#ifndef TASK_CONV_H
#define TASK_CONV_H

#include "layers/init.h"
#include "layers/window.h"

typedef struct task_conv_shape {
    int channels, size, stride;
    task_padding padding;
} task_conv_shape;

int task_add_conv(task_model *m, int x, task_conv_shape shape, task_init init);
int task_add_conv_without_bias(task_model *m, int x, task_conv_shape shape, task_init init);

#endif
