/* SPDX-License-Identifier: Apache-2.0
 *
 * packing.c - see packing.h. */
#include "kernels/packing.h"

#include <string.h>

enum { MOST_FLOATS = 1 << 16 }; /* of a copy, so that it stays in the L2 cache */

static int is_worth_packing(const lopt__view *v) {
    return v->lane_stride != 1 && lopt__view_padded(v) <= MOST_FLOATS;
}

size_t lopt__packing_floats(const lopt__view *view) {
    return is_worth_packing(view) ? 3 * (size_t)lopt__view_padded(view) : 0;
}

static lopt__view view_of_packed(const lopt__view *v) {
    lopt__view packed = *v;
    packed.outer_dim[0] = v->n_outer;
    packed.outer_dim[1] = 1;
    packed.outer_stride[0] = v->rows * v->pitch;
    packed.row_stride = v->pitch;
    packed.lane_stride = 1;
    return packed;
}

/* to[j][i] = from[j][i], i in the inner loop. */
static void copy_strided_matrix(int64_t n_j, int64_t n_i, const float *from, int64_t from_j, int64_t from_i, float *to,
                                int64_t to_j, int64_t to_i) {
    for (int64_t j = 0; j < n_j; j++)
        for (int64_t i = 0; i < n_i; i++) to[j * to_j + i * to_i] = from[j * from_j + i * from_i];
}

/* One slice. The inner loop runs along the axis with the smaller stride in the tensor. */
static void copy_slice_elements(const lopt__view *fv, const float *from, const lopt__view *tv, float *to) {
    const lopt__view *own = fv->lane_stride != 1 ? fv : tv;
    if (own->row_stride < own->lane_stride)
        copy_strided_matrix(fv->lanes, fv->rows, from, fv->lane_stride, fv->row_stride, to, tv->lane_stride,
                            tv->row_stride);
    else
        copy_strided_matrix(fv->rows, fv->lanes, from, fv->row_stride, fv->lane_stride, to, tv->row_stride,
                            tv->lane_stride);
}

static void copy_between_layouts(const lopt__view *from_view, const float *from, const lopt__view *to_view, float *to) {
    for (int64_t outer = 0; outer < from_view->n_outer; outer++)
        copy_slice_elements(from_view, from + lopt__view_outer(from_view, outer), to_view,
                            to + lopt__view_outer(to_view, outer));
}

void lopt__pack_job(lopt__packing *packing, lopt__job *job) {
    const lopt__view *v = job->view;
    packing->active = is_worth_packing(v) && job->slice == v->size && !job->steps;
    if (!packing->active) return;
    packing->original = *job;
    packing->view = view_of_packed(v);
    int64_t n = lopt__view_padded(v);
    float *grads = job->scratch, *params = grads + n, *updates = params + n;
    memset(grads, 0, 2 * (size_t)n * sizeof *grads); /* lanes beyond the last */
    copy_between_layouts(v, job->grads, &packing->view, grads);
    copy_between_layouts(v, job->params, &packing->view, params);
    job->view = &packing->view;
    job->grads = grads;
    job->params = params;
    job->updates = job->updates ? updates : NULL;
    job->scratch = updates + n;
}

void lopt__unpack_job(const lopt__packing *packing, lopt__job *job) {
    if (!packing->active) return;
    const lopt__job *original = &packing->original;
    copy_between_layouts(&packing->view, job->params, original->view, original->params);
    if (job->updates) copy_between_layouts(&packing->view, job->updates, original->view, original->updates);
    *job = *original;
}
