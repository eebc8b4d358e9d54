/* SPDX-License-Identifier: Apache-2.0
 *
 * npy.h - one array of NumPy's .npy format (versions 1 to 3).
 *
 * C order; little-endian or single-byte elements of type u1 i1 u2 i2 u4 i4 u8 i8 b1 f4 f8. The array
 * points into the bytes given. What the header claims must be what the file holds. */
#ifndef TASK_NPY_H
#define TASK_NPY_H

#include "data/raw.h"

enum { TASK_NPY_RANK = 8 };

typedef struct task_npy {
    char type;      /* 'u', 'i', 'f', 'b' */
    int item_bytes; /* 1, 2, 4, 8 */
    int rank;
    size_t dim[TASK_NPY_RANK], n; /* n: product of dim */
    const unsigned char *data;
} task_npy;

int task_npy_parse(const char *path, const unsigned char *bytes, size_t n, task_npy *array, lopt_error *err);

double task_npy_number(const task_npy *array, size_t i);

/* Examples images[n, H, W], [n, H, W, C] of bytes or a table [n, d], and their labels[n] (whole
 * numbers) into raw, whose paths name the two files. */
int task_npy_examples(const task_npy *images, const task_npy *labels, task_raw *raw, lopt_error *err);

#endif
