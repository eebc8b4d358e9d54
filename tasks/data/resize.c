/* SPDX-License-Identifier: Apache-2.0
 *
 * resize.c - see resize.h. */
#include "data/resize.h"

#include <math.h>

void task_resize_taps(int n_src, int n_dst, task_tap *taps) {
    for (int j = 0; j < n_dst; j++) {
        double at = (j + 0.5) * n_src / n_dst - 0.5;
        at = fmin(fmax(at, 0), n_src - 1);
        int low = (int)at;
        taps[j] = (task_tap){low, low + 1 < n_src ? low + 1 : low, at - low};
    }
}

int task_resize_levels(int n_dst, const task_tap *taps) {
    int levels = 1;
    for (int j = 0; j < n_dst; j++) {
        while (levels <= 16 && taps[j].fraction * levels != floor(taps[j].fraction * levels)) levels *= 2;
    }
    return levels <= 16 ? levels : 0;
}

void task_resize_image(const unsigned char *image, int n_cols_src, int n_channels, const task_tap *rows, int n_rows,
                       const task_tap *cols, int n_cols, real *out) {
    for (int i = 0; i < n_rows; i++) {
        const unsigned char *above = image + rows[i].low * n_cols_src * n_channels;
        const unsigned char *below = image + rows[i].high * n_cols_src * n_channels;
        for (int k = 0; k < n_cols * n_channels; k++) {
            const task_tap *tap = &cols[k / n_channels];
            int low = tap->low * n_channels + k % n_channels;
            int high = tap->high * n_channels + k % n_channels;
            double top = above[low] + tap->fraction * (above[high] - above[low]);
            double bottom = below[low] + tap->fraction * (below[high] - below[low]);
            *out++ = (real)((top + rows[i].fraction * (bottom - top)) / 255);
        }
    }
}
