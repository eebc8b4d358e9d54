/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor_layout.c - chooses the factored axes and the axis of lanes. */
#include "core/tensor_layout.h"

/* The two largest axes, by stable ascending sort: *d0 the last of the order, *d1 the one before. */
static void find_largest_axes(const lopt_tensor *t, lopt__tie tie, int *d0, int *d1) {
    int first = 0;
    for (int a = 1; a < t->rank; a++)
        if (t->dim[a] >= t->dim[first]) first = a;
    int second = first == 0 ? 1 : 0;
    for (int a = second + 1; a < t->rank; a++)
        if (a != first && t->dim[a] >= t->dim[second]) second = a;
    int swap =
        tie == LOPT__TIE_PYLO_VELO && t->dim[first] == t->dim[second] && !(t->rank == 4 && second == 0 && first == 1);
    *d0 = swap ? second : first;
    *d1 = swap ? first : second;
}

static void set_axis_strides(const lopt_tensor *t, int64_t stride[LOPT_MAX_RANK]) {
    int64_t s = 1;
    for (int a = t->rank - 1; a >= 0; a--) {
        stride[a] = s;
        s *= t->dim[a];
    }
}

void lopt__make_view(lopt__view *v, const lopt_tensor *t, lopt__tie tie) {
    *v = (lopt__view){.rank = t->rank,
                      .role = t->role,
                      .size = lopt_tensor_size(t),
                      .n_outer = 1,
                      .outer_dim = {1, 1},
                      .rows = 1,
                      .lane_stride = 1};
    v->lanes = v->size;
    if (t->rank >= 2) {
        int d0, d1, last = t->rank - 1;
        int64_t stride[LOPT_MAX_RANK];
        find_largest_axes(t, tie, &d0, &d1);
        set_axis_strides(t, stride);
        int lane_axis = (last == d0 || last == d1) && t->dim[last] >= LOPT__UNIT ? last : d0;
        int row_axis = lane_axis == d0 ? d1 : d0;
        v->factored = 1;
        v->lanes_are_d0 = lane_axis == d0;
        v->lanes = t->dim[lane_axis];
        v->lane_stride = stride[lane_axis];
        v->rows = t->dim[row_axis];
        v->row_stride = stride[row_axis];
        for (int a = 0, n = 2 - (t->rank - 2); a < t->rank; a++) {
            if (a == d0 || a == d1) continue;
            v->outer_dim[n] = t->dim[a];
            v->outer_stride[n++] = stride[a];
        }
        v->n_outer = v->outer_dim[0] * v->outer_dim[1];
    }
    v->pitch = lopt__round_up(v->lanes);
    v->row_pitch = lopt__round_up(v->rows);
}
