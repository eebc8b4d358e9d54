/* SPDX-License-Identifier: Apache-2.0
 *
 * sm3.c - SM3 (Anil et al. 2019, 1901.11150; optax.sm3).
 *
 * The sum of squares is stored as a cover: one value per index of every axis, mu_axis[index].
 *
 *     A = c g^2 + b2 min over axes of mu_axis,  c = 1 - b2, or 1 where b2 is 1
 *     nu <- momentum nu + (1 - momentum) g / sqrt(A + epsilon)                       0 where A is 0
 *     mu_axis[index] <- largest A at that index of that axis
 *     p <- p - learning_rate (nu + weight_decay p)
 *
 * A tensor is seen as [outer 0][outer 1][rows][lanes] (tensor_layout.h). Missing axes have length 1: their
 * only value is the maximum of A, which is never the minimum over axes, so one formula serves every rank.
 *
 * State of a tensor: nu [outer 0][outer 1][rows][lanes], then mu of these four axes. */
#include <string.h>

#include "classical/elementwise_update.h"

enum { MOMENTUM = LOPT__N_COMMON, B2, EPSILON };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.1", "0"),
    [MOMENTUM] = {"momentum", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the mean step"},
    [B2] = {"b2", LOPT__NUMBER, 1, 0, 1, NULL, "1", "decay of the squares; 1: their sum"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added inside the root"},
};

static const lopt__preset presets[] = {
    {{"sm3", "sm3", "AdaGrad with memory per axis instead of per parameter", "Anil et al., 2019 (1901.11150)", 0},
     {{0}}},
};

static int64_t sm3_cover_floats(const lopt__view *v) {
    return v->outer_dim[0] + v->outer_dim[1] + v->rows + v->lanes;
}

static size_t sm3_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return (size_t)(view->size + sm3_cover_floats(view));
}

/* Update, gradient, new cover, one row of A. */
static size_t sm3_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    int64_t cover = 0;
    for (size_t i = 0; i < state->n_tensors; i++)
        if (sm3_cover_floats(&state->tensors[i].view) > cover) cover = sm3_cover_floats(&state->tensors[i].view);
    return 2 * lopt__largest_tensor(opt, state) + 2 * (size_t)cover;
}

typedef struct sm3_constants {
    float momentum, one_minus_momentum, square, b2, epsilon;
} sm3_constants;

/* mu of the four axes. */
typedef struct cover {
    float *outer0, *outer1, *rows, *lanes;
} cover;

static cover sm3_cover_at(float *mu, const lopt__view *v) {
    cover c;
    c.outer0 = mu;
    c.outer1 = c.outer0 + v->outer_dim[0];
    c.rows = c.outer1 + v->outer_dim[1];
    c.lanes = c.rows + v->rows;
    return c;
}

/* One row: nu, direction and A from the cover; `least` is the minimum over the row's other axes. */
static void sm3_step_row(const sm3_constants *c, const lopt__view *v, float least, const float *restrict g,
                         const float *restrict lanes, float *restrict nu, float *restrict direction,
                         float *restrict a) {
    const int64_t stride = v->lane_stride;
    for (int64_t j = 0; j < v->lanes; j++) {
        float gradient = g[j * stride];
        a[j] = c->square * (gradient * gradient) + c->b2 * lopt__smaller_of(least, lanes[j]);
        float scaled = a[j] == 0 ? 0 : gradient / sqrtf(a[j] + c->epsilon);
        nu[j] = c->one_minus_momentum * scaled + c->momentum * nu[j];
        direction[j * stride] = nu[j];
    }
}

/* Updates the new cover with a row of A. */
static void extend_cover_by_row(const lopt__view *v, const float *restrict a, float *outer0, float *outer1, float *row,
                                float *restrict lanes) {
    float largest = 0;
    for (int64_t j = 0; j < v->lanes; j++) {
        lanes[j] = lopt__larger_of(lanes[j], a[j]);
        largest = lopt__larger_of(largest, a[j]);
    }
    *outer0 = lopt__larger_of(*outer0, largest);
    *outer1 = lopt__larger_of(*outer1, largest);
    *row = lopt__larger_of(*row, largest);
}

static void sm3_step_tensor(const sm3_constants *c, const lopt__tensor *t, const float *g, float *direction,
                            float *scratch) {
    const lopt__view *v = &t->view;
    int64_t n_cover = sm3_cover_floats(v);
    cover old = sm3_cover_at(t->data + v->size, v), next = sm3_cover_at(scratch, v);
    float *a = scratch + n_cover, *nu = t->data;
    memset(scratch, 0, (size_t)n_cover * sizeof *scratch);
    for (int64_t o = 0; o < v->n_outer; o++) {
        int64_t i0 = o / v->outer_dim[1], i1 = o % v->outer_dim[1], at = lopt__view_outer(v, o);
        float outer = lopt__smaller_of(old.outer0[i0], old.outer1[i1]);
        for (int64_t r = 0; r < v->rows; r++, at += v->row_stride, nu += v->lanes) {
            sm3_step_row(c, v, lopt__smaller_of(outer, old.rows[r]), g + at, old.lanes, nu, direction + at, a);
            extend_cover_by_row(v, a, &next.outer0[i0], &next.outer1[i1], &next.rows[r], next.lanes);
        }
    }
    memcpy(t->data + v->size, scratch, (size_t)n_cover * sizeof *scratch);
}

static void sm3_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    float rate = lopt__scheduled_rate(opt, state), b2 = lopt__read_number(opt, B2);
    size_t largest = lopt__largest_tensor(opt, state);
    float *direction = state->scratch, *gradient = direction + largest;
    sm3_constants c = {.momentum = lopt__read_number(opt, MOMENTUM),
                       .one_minus_momentum = (float)(1 - opt->value[MOMENTUM][0]),
                       .square = b2 == 1 ? 1 : (float)(1 - opt->value[B2][0]),
                       .b2 = b2,
                       .epsilon = lopt__read_number(opt, EPSILON)};
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        const float *g = lopt__decayed_gradient(opt, t, io, gradient), *p = io->params + t->offset;
        float decay = lopt__decoupled_decay(opt, t);
        sm3_step_tensor(&c, t, g, direction, gradient + largest);
        for (int64_t k = 0; k < t->view.size; k++) direction[k] += decay * p[k];
        lopt__add_update(t, io, -lopt__tensor_rate(t, rate), direction);
    }
}

const lopt__kind lopt__sm3 = {
    .name = "sm3",
    LOPT__TABLES,
    .tensor_floats = sm3_tensor_floats,
    .scratch_floats = sm3_scratch_floats,
    .step = sm3_step,
};
