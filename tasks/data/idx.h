/* SPDX-License-Identifier: Apache-2.0
 *
 * idx.h - reads one IDX file, the format of MNIST: plain or gzip.
 *
 *     task_idx images = {0};
 *     if (!task_idx_read("train-images-idx3-ubyte.gz", 3, &images, &err)) ...
 *     images.bytes[(i * images.rows + y) * images.cols + x]
 *     task_idx_free(&images);
 *
 * A big-endian magic number (0x0801: one dimension, labels; 0x0803: three, images), a count per
 * dimension, then bytes. No length in the file is trusted: counts are bounded, and memory is asked
 * for only where the file's own size can hold what it claims. Errors name the file. */
#ifndef TASK_IDX_H
#define TASK_IDX_H

#include "base/spec.h"

typedef struct task_idx {
    size_t n, rows, cols; /* rows = cols = 1 for labels */
    unsigned char *bytes; /* [n, rows, cols] */
} task_idx;

int task_idx_read(const char *path, int rank, task_idx *out, lopt_error *err); /* rank 1 or 3; 0: failed */
void task_idx_free(task_idx *idx);

#endif
