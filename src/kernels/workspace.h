/* SPDX-License-Identifier: Apache-2.0
 *
 * workspace.h - scratch of the vectorised kernels for one tensor: the position of each array and the total size.
 * Independent of the instruction set, so that a state works with every kernel table.
 *
 *     [lopt__shared][lopt__workspace of thread 0][of thread 1]... */
#ifndef LOPT_WORKSPACE_H
#define LOPT_WORKSPACE_H

#include "kernels/tensor_chunks.h"

#define LOPT__PANEL_LANES 512     /* maximum lanes of a panel */
#define LOPT__LANE_BIAS (1 << 14) /* maximum floats of lane_bias */

/* Numbers of features that differ for every parameter (g, p, m, rms, normed m, rsqrt, factored g and m; extended:
 * clipped and normed g), and of features of a lane or a row (the second moment and its rsqrt). */
#define LOPT__N_ELEMENT 16
#define LOPT__N_ELEMENT_EXTENDED 18
#define LOPT__N_SIDE (2 * LOPT__K)

typedef struct lopt__workspace {
    int64_t panel;                 /* lanes processed together, a multiple of LOPT__TILE */
    double *lane_total;            /* [pitch] sums of g^2 over rows */
    float *lane_sum;               /* [pitch] the same over a block of rows */
    double *row_total;             /* [row_pitch] sums of g^2 over lanes */
    float *row_sum;                /* [row_pitch] the same, rounded */
    float *row_factor, *row_rsqrt; /* [K][row_pitch] */
    float *g_factor, *m_factor;    /* [K][panel] */
    float *lane_rsqrt;             /* [K][panel] */
    float *element, *lane, *row;   /* [N_ELEMENT_EXTENDED], [N_SIDE], [N_SIDE] rows of first-layer weights */
    float *bias, *row_bias;        /* [weight pitch], [rows of a tile][weight pitch] */
    float *lane_bias;              /* [hidden rounded up to 4][panel] */
    float *activation[2];          /* [hidden rounded up to 4][LOPT__TILE] */
    size_t floats;
} lopt__workspace;

static inline float *lopt__take_scratch(lopt__workspace *w, float *base, int64_t n) {
    float *at = base ? base + w->floats : NULL;
    w->floats += (size_t)lopt__round_up(n);
    return at;
}

/* Shared by the chunks of a tensor. With base NULL only the size is meaningful. */
typedef struct lopt__shared {
    float *inverse_mean; /* see lopt__job */
    double *sums;        /* [chunks][sums_pitch] of cut slices: sums of g^2 of a chunk, by lane or by row */
    int64_t sums_pitch;
    size_t floats;
} lopt__shared;

static inline lopt__shared lopt__shared_at(float *base, const lopt__view *v) {
    lopt__tensor_chunks chunks = lopt__chunks_of_view(v, 0);
    lopt__shared s = {.sums_pitch = chunks.by_lanes ? v->row_pitch : v->pitch};
    int is_cut = v->factored && chunks.cuts > 1;
    s.inverse_mean = lopt__take_floats(base, &s.floats, (size_t)(v->n_outer * LOPT__K));
    s.sums = (double *)(void *)lopt__take_floats(base, &s.floats, is_cut ? 2 * (size_t)(chunks.n * s.sums_pitch) : 0);
    return s;
}

/* Lanes of a panel: many, because hardware prefetches long runs of memory; few enough that factors [3 K][panel] stay
 * in L1 and lane_bias (64 kB, or [units][LOPT__TILE]) in L2. */
static inline int64_t lopt__panel_lanes(const lopt__view *v, int64_t units) {
    int64_t panel = LOPT__LANE_BIAS / units, lanes = v->pitch;
    panel = panel < LOPT__PANEL_LANES ? panel : LOPT__PANEL_LANES;
    panel = panel < lanes ? panel : lanes;
    return (panel + LOPT__TILE - 1) / LOPT__TILE * LOPT__TILE;
}

/* With base NULL only w.floats and w.panel are meaningful. */
static inline lopt__workspace lopt__workspace_at(float *base, const lopt__view *v, int hidden) {
    int64_t units = (hidden + 3) / 4 * 4, weights = lopt__round_up(hidden);
    lopt__workspace w = {.panel = lopt__panel_lanes(v, units)};
    int64_t rows = v->factored ? v->row_pitch : 0, lanes = v->factored ? v->pitch : 0;
    w.lane_total = (double *)(void *)lopt__take_scratch(&w, base, 2 * lanes);
    w.lane_sum = lopt__take_scratch(&w, base, lanes);
    w.row_total = (double *)(void *)lopt__take_scratch(&w, base, 2 * rows);
    w.row_sum = lopt__take_scratch(&w, base, rows);
    w.row_factor = lopt__take_scratch(&w, base, LOPT__K * rows);
    w.row_rsqrt = lopt__take_scratch(&w, base, LOPT__K * rows);
    w.g_factor = lopt__take_scratch(&w, base, LOPT__K * w.panel);
    w.m_factor = lopt__take_scratch(&w, base, LOPT__K * w.panel);
    w.lane_rsqrt = lopt__take_scratch(&w, base, LOPT__K * w.panel);
    w.element = lopt__take_scratch(&w, base, LOPT__N_ELEMENT_EXTENDED * weights);
    w.lane = lopt__take_scratch(&w, base, LOPT__N_SIDE * weights);
    w.row = lopt__take_scratch(&w, base, LOPT__N_SIDE * weights);
    w.bias = lopt__take_scratch(&w, base, weights);
    w.row_bias = lopt__take_scratch(&w, base, LOPT__TILE / LOPT__UNIT * weights);
    w.lane_bias = lopt__take_scratch(&w, base, units * w.panel);
    w.activation[0] = lopt__take_scratch(&w, base, units * LOPT__TILE);
    w.activation[1] = lopt__take_scratch(&w, base, units * LOPT__TILE);
    return w;
}

#endif
