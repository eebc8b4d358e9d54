/* SPDX-License-Identifier: Apache-2.0
 *
 * resize.h - bilinear resizing with half-pixel centres and no anti-aliasing, then division by 255.
 *
 * Pixel j of n_dst lies at (j + 1/2) n_src / n_dst - 1/2 of the source, clamped at the borders, and
 * is interpolated linearly along each axis. 28 -> 8 therefore steps by 3.5, and 32 -> 8 averages
 * the 2 x 2 pixels 4j+1, 4j+2. n_src = n_dst only divides. */
#ifndef TASK_RESIZE_H
#define TASK_RESIZE_H

#include "base/spec.h"

/* A resized pixel along one axis: (1 - fraction) source[low] + fraction source[high]. */
typedef struct task_tap {
    int low, high;
    double fraction;
} task_tap;

void task_resize_taps(int n_src, int n_dst, task_tap *taps /* [n_dst] */);

/* The least power of two of which all fractions are multiples of the inverse; 0 where it is beyond
 * 16. Resized pixels are whole multiples of 1 / (255 x that of the rows x that of the columns). */
int task_resize_levels(int n_dst, const task_tap *taps);

/* image[., n_cols_src, n_channels] bytes -> out[n_rows, n_cols, n_channels] in 0..1. */
void task_resize_image(const unsigned char *image, int n_cols_src, int n_channels, const task_tap *rows, int n_rows,
                       const task_tap *cols, int n_cols, real *out);

#endif
