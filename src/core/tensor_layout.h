/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor_layout.h - the layout that kernels see a tensor in: outer x rows x lanes.
 *
 * Adafactor factors the second moments over the two largest axes of a tensor, d0 (largest) and d1 (stable
 * sort: the later axis wins a tie). `lanes` is the axis that vector instructions run along: the last axis
 * if it is factored and has at least 16 elements (contiguous in memory), else d0. `rows` is the other
 * factored axis; the remaining axes are `outer`. A tensor with fewer than two axes is not factored: one
 * outer, one row.
 *
 * Parameters and gradients are read through strides. State arrays are [outer][rows][pitch], where pitch
 * is lanes rounded up to 16 floats, so that kernels use whole vectors for every shape. */
#ifndef LOPT_TENSOR_LAYOUT_H
#define LOPT_TENSOR_LAYOUT_H

#include "lopt.h"

#define LOPT__UNIT 16 /* floats that a row of state is padded to: the widest vector of any kernel */

/* Which of two equally large axes is d0. */
typedef enum lopt__tie {
    LOPT__TIE_STABLE,   /* the later axis (NumPy's stable argsort) */
    LOPT__TIE_PYLO_VELO /* the earlier axis, except for axes (0, 1) of a tensor with four axes */
} lopt__tie;

typedef struct lopt__view {
    int32_t rank; /* of the tensor */
    lopt_role role;
    int factored;
    int lanes_are_d0;
    int64_t size;
    int64_t n_outer, outer_dim[2], outer_stride[2];
    int64_t first_outer;                 /* of a chunk (kernels/tensor_chunks.h): its first slice; else 0 */
    int64_t rows, row_stride, row_pitch; /* row_pitch: rows rounded up to LOPT__UNIT */
    int64_t lanes, lane_stride, pitch;
} lopt__view;

void lopt__make_view(lopt__view *view, const lopt_tensor *tensor, lopt__tie tie);

static inline int64_t lopt__round_up(int64_t n) {
    return (n + LOPT__UNIT - 1) / LOPT__UNIT * LOPT__UNIT;
}

/* Offset in the tensor of the first element of slice `outer`. */
static inline int64_t lopt__view_outer(const lopt__view *v, int64_t outer) {
    outer += v->first_outer;
    return outer / v->outer_dim[1] * v->outer_stride[0] + outer % v->outer_dim[1] * v->outer_stride[1];
}

/* Elements of a state array laid out [outer][rows][pitch]. */
static inline int64_t lopt__view_padded(const lopt__view *v) {
    return v->n_outer * v->rows * v->pitch;
}

#endif
