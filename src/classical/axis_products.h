/* SPDX-License-Identifier: Apache-2.0
 *
 * axis_products.h - products of one axis of a tensor with a matrix, for SOAP and Shampoo. The tensor is seen as
 * x[outer][size][inner], and the matrix is [size][size]. Sums are in float. */
#ifndef LOPT_AXIS_PRODUCTS_H
#define LOPT_AXIS_PRODUCTS_H

#include "lopt.h"

typedef struct lopt__axis {
    int64_t outer, size, inner;
} lopt__axis;

/* Axis a of a tensor with these dimensions. */
lopt__axis lopt__axis_of(int rank, const int64_t *dim, int a);
/* y[o][j][i] = sum over k of matrix[j][k] x[o][k][i]; transposed: matrix[k][j]. x and y do not overlap. */
void lopt__multiply_axis(const lopt__axis *axis, const float *x, const float *matrix, int transposed, float *y);
/* gram <- decay gram + weight X, X[j][k] = sum over o and i of x[o][j][i] x[o][k][i] */
void lopt__average_gram(const lopt__axis *axis, const float *x, float decay, float weight, float *gram);

#endif
