/* SPDX-License-Identifier: Apache-2.0
 *
 * vector.c - the three passes of kernels.h, vectorised: compiled once per instruction set with LOPT_VL
 * floats a vector (16: AVX-512, 8: AVX2, 4: portable), without -ffast-math.
 *
 * A tensor is walked as view.h says. Vectors run along lanes; the state is padded to whole vectors, while
 * parameters and gradients are copied into a small buffer where lanes are strided or end inside a vector.
 *
 * What makes apply fast:
 *   - normalisation is a factor per feature, so it is folded into the first layer's weights;
 *   - time features are the same for every parameter, so they are folded into the bias;
 *   - features of a row are folded into the bias once per row, those of a lane once per lane, for a chunk
 *     of lanes at a time: 16 of the 39 features are left to multiply;
 *   - the network runs on tiles of N_VECTORS x VL parameters by N_UNITS units whose sums stay in registers.
 *
 * Sums over a tensor are kept as vectors for some hundred additions, then added up in double, always in
 * the same order. */
#include "normalise.h"
#include "simd.h"
#include "workspace.h"

#define N_VECTORS 2
#if VL == 16 || !defined(__SSE__)
#define N_UNITS 8 /* 32 registers */
#else
#define N_UNITS 4 /* 16 registers */
#endif
#define UNIT_VECTORS (LOPT__UNIT / VL)
#define BLOCK_VECTORS 256 /* additions into one vector before its sum goes to a double */

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* All ones in the first n lanes of a unit, n <= LOPT__UNIT; v counts vectors of the unit. */
INLINE vi lane_mask(int64_t n, int v)
{
    static const int32_t bits[2 * LOPT__UNIT] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                 -1, -1, -1, -1, -1, -1, -1, -1};
    int64_t valid = n < LOPT__UNIT ? n : LOPT__UNIT;
    vi mask;
    memcpy(&mask, bits + LOPT__UNIT - valid + v * VL, sizeof mask);
    return mask;
}

/* `width` lanes of a row of which n > 0 are left: where they lie, or a copy in buffer, padded with 0. */
INLINE const float *fetch(const float *from, int64_t stride, int64_t n, int width, float *buffer)
{
    if (stride == 1 && n >= width)
        return from;
    int valid = n < width ? (int)n : width;
    for (int i = 0; i < valid; i++)
        buffer[i] = from[i * stride];
    for (int i = valid; i < width; i++)
        buffer[i] = 0;
    return buffer;
}

INLINE void put(float *to, int64_t stride, int64_t n, int width, const float *values)
{
    int valid = n < width ? (int)n : width;
    for (int i = 0; i < valid; i++)
        to[i * stride] = values[i];
}

INLINE vf clip(vf x, vf limit)
{
    return at_most(at_least(x, -limit), limit);
}

INLINE int64_t element_offset(const lopt__view *v, int64_t outer, int64_t row, int64_t lane)
{
    return lopt__view_outer(v, outer) + row * v->row_stride + lane * v->lane_stride;
}

static lopt__workspace workspace(const lopt__job *job)
{
    return lopt__workspace_at(job->scratch, job->view, job->mlp->layer[0].out);
}

/* ---- accumulate --------------------------------------------------------------------------------- */

typedef struct rates {
    vf momentum[LOPT__K], one_minus_momentum[LOPT__K];
    vf rms, one_minus_rms;
    vf grad_limit;
} rates;

static rates splat_rates(const lopt__decays *d, float grad_limit)
{
    rates r = {.rms = splat(d->rms), .one_minus_rms = splat(d->one_minus_rms),
               .grad_limit = splat(grad_limit)};
    for (int k = 0; k < LOPT__K; k++) {
        r.momentum[k] = splat(d->momentum[k]);
        r.one_minus_momentum[k] = splat(d->one_minus_momentum[k]);
    }
    return r;
}

/* Momenta and rms of a vector of parameters; returns g^2. */
INLINE vf accumulate_vector(const rates *r, vf g, float *momentum, int64_t pitch, float *rms)
{
    g = clip(g, r->grad_limit);
    for (int k = 0; k < LOPT__K; k++)
        store(momentum + k * pitch,
              r->momentum[k] * load(momentum + k * pitch) + r->one_minus_momentum[k] * g);
    vf square = g * g;
    store(rms, r->rms * load(rms) + r->one_minus_rms * square);
    return square;
}

/* x[k][i] <- decay_k x[k][i] + (1 - decay_k) (square[i] / n + 1e-30), for whole vectors. */
static void decay_side(const lopt__decays *d, const float *square, float n, int64_t pitch, float *x)
{
    vf per = splat(1.0f / n);
    for (int64_t i = 0; i < pitch; i += VL) {
        vf mean = load(square + i) * per + LOPT__GRAD_SQUARE_FLOOR;
        for (int k = 0; k < LOPT__K; k++)
            store(x + k * pitch + i,
                  d->factored[k] * load(x + k * pitch + i) + d->one_minus_factored[k] * mean);
    }
}

/* One row; square sums go to w->lane_sum, their total is returned. */
static double accumulate_row(const lopt__job *job, const lopt__workspace *w, const rates *r,
                             int64_t outer, int64_t row)
{
    const lopt__view *v = job->view;
    const float *grads = job->grads + element_offset(v, outer, row, 0);
    float *momentum = lopt__momentum_row(&job->acc, v, outer, row);
    float *rms = lopt__rms_row(&job->acc, v, outer, row);
    float buffer[LOPT__UNIT];
    double total = 0;
    for (int64_t block = 0; block < v->pitch; block += BLOCK_VECTORS * VL) {
        int64_t end = block + BLOCK_VECTORS * VL < v->pitch ? block + BLOCK_VECTORS * VL : v->pitch;
        vf sum = {0};
        for (int64_t unit = block; unit < end; unit += LOPT__UNIT) {
            const float *g = fetch(grads + unit * v->lane_stride, v->lane_stride, v->lanes - unit,
                                   LOPT__UNIT, buffer);
            for (int i = 0; i < UNIT_VECTORS; i++) {
                int64_t lane = unit + i * VL;
                vf square = accumulate_vector(r, load_unaligned(g + i * VL), momentum + lane, v->pitch,
                                              rms + lane);
                store(w->lane_sum + lane, load(w->lane_sum + lane) + square);
                sum += square;
            }
        }
        total += lane_sum(sum);
    }
    return total;
}

/* Adds the block's sums to the totals and clears them. */
static void end_block(const lopt__workspace *w, int64_t pitch)
{
    for (int64_t i = 0; i < pitch; i++) {
        w->lane_total[i] += w->lane_sum[i];
        w->lane_sum[i] = 0;
    }
}

/* Sum of x[n], x being readable to a whole unit. */
static double sum_of(const float *x, int64_t n)
{
    double total = 0;
    for (int64_t block = 0; block < n; block += BLOCK_VECTORS * VL) {
        int64_t end = block + BLOCK_VECTORS * VL < n ? block + BLOCK_VECTORS * VL : n;
        vf sum = {0};
        for (int64_t unit = block; unit < end; unit += LOPT__UNIT)
            for (int i = 0; i < UNIT_VECTORS; i++)
                sum += masked(load(x + unit + i * VL), lane_mask(n - unit, i));
        total += lane_sum(sum);
    }
    return total;
}

static void accumulate_slice(const lopt__job *job, const lopt__workspace *w, const rates *r, int64_t outer)
{
    const lopt__view *v = job->view;
    float *lane_side = job->acc.lane + outer * LOPT__K * v->pitch;
    float *row_side = job->acc.row + outer * LOPT__K * v->row_pitch;
    memset(w->lane_total, 0, (size_t)v->pitch * sizeof *w->lane_total);
    memset(w->lane_sum, 0, (size_t)v->pitch * sizeof *w->lane_sum);
    for (int64_t row = 0; row < v->rows; row++) {
        w->row_sum[row] = (float)accumulate_row(job, w, r, outer, row);
        if ((row + 1) % BLOCK_VECTORS == 0)
            end_block(w, v->pitch);
    }
    end_block(w, v->pitch);
    for (int64_t i = 0; i < v->pitch; i++)
        w->lane_sum[i] = (float)w->lane_total[i];
    decay_side(job->decays, w->lane_sum, (float)v->rows, v->pitch, lane_side);
    decay_side(job->decays, w->row_sum, (float)v->lanes, v->row_pitch, row_side);
    for (int k = 0; k < LOPT__K; k++) {
        double mean = v->lanes_are_d0 ? sum_of(row_side + k * v->row_pitch, v->rows) / (double)v->rows
                                      : sum_of(lane_side + k * v->pitch, v->lanes) / (double)v->lanes;
        w->inverse_mean[outer * LOPT__K + k] = 1.0f / ((float)mean + LOPT__FACTOR_EPSILON);
    }
}

/* A tensor that is not factored: V beside momenta and rms. */
static void accumulate_unfactored(const lopt__job *job, const rates *r)
{
    const lopt__view *v = job->view;
    float buffer[LOPT__UNIT];
    for (int64_t unit = 0; unit < v->pitch; unit += LOPT__UNIT) {
        const float *g = fetch(job->grads + unit, 1, v->lanes - unit, LOPT__UNIT, buffer);
        for (int i = 0; i < UNIT_VECTORS; i++) {
            int64_t lane = unit + i * VL;
            vf square = accumulate_vector(r, load_unaligned(g + i * VL), job->acc.momentum + lane,
                                          v->pitch, job->acc.rms + lane);
            vf with_floor = square + LOPT__GRAD_SQUARE_FLOOR;
            for (int k = 0; k < LOPT__K; k++) {
                float *V = job->acc.lane + k * v->pitch + lane;
                store(V, job->decays->factored[k] * load(V) +
                             job->decays->one_minus_factored[k] * with_floor);
            }
        }
    }
}

static void accumulate(lopt__job *job)
{
    lopt__workspace w = workspace(job);
    rates r = splat_rates(job->decays, job->pipeline->grad_limit);
    if (!job->view->factored) {
        accumulate_unfactored(job, &r);
        return;
    }
    for (int64_t outer = 0; outer < job->view->n_outer; outer++)
        accumulate_slice(job, &w, &r, outer);
}

/* ---- what a row or a lane contributes ------------------------------------------------------------- */

/* Factors and rsqrt features of all rows of a slice. */
static void prepare_rows(const lopt__job *job, const lopt__workspace *w, int64_t outer)
{
    const lopt__view *v = job->view;
    for (int k = 0; k < LOPT__K && v->factored; k++) {
        const float *side = job->acc.row + (outer * LOPT__K + k) * v->row_pitch;
        vf scale = splat(v->lanes_are_d0 ? w->inverse_mean[outer * LOPT__K + k] : 1.0f);
        for (int64_t row = 0; row < v->row_pitch; row += VL) {
            vf x = load(side + row);
            int64_t at = k * v->row_pitch + row;
            store(w->row_factor + at, rsqrt(at_least(x * scale, splat(LOPT__RSQRT_FLOOR))));
            store(w->row_rsqrt + at, rsqrt(x + LOPT__SIDE_EPSILON));
        }
    }
}

/* Factors and rsqrt features of lanes lane0 .. lane0 + n (n a multiple of LOPT__UNIT). */
static void prepare_lanes(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t lane0,
                          int64_t n)
{
    const lopt__view *v = job->view;
    for (int k = 0; k < LOPT__K; k++) {
        const float *side = job->acc.lane + (outer * LOPT__K + k) * v->pitch + lane0;
        int is_R = v->factored && !v->lanes_are_d0;
        vf scale = splat(is_R ? w->inverse_mean[outer * LOPT__K + k] : 1.0f);
        vf shift = splat(v->factored ? 0.0f : LOPT__FACTOR_EPSILON);
        for (int64_t i = 0; i < n; i += VL) {
            vf x = load(side + i);
            int64_t at = k * w->chunk + i;
            vf factor = rsqrt(at_least(x * scale + shift, splat(LOPT__RSQRT_FLOOR)));
            store(w->g_factor + at, factor);
            store(w->m_factor + at, v->factored ? factor : rsqrt(x + job->pipeline->momentum_epsilon));
            store(w->lane_rsqrt + at, rsqrt(x + LOPT__SIDE_EPSILON));
        }
    }
}

/* ---- moments ------------------------------------------------------------------------------------ */

/* First of the features that rows (or lanes) hold: R or C, by which of them is the row's. */
static int row_feature(const lopt__view *v)
{
    return v->lanes_are_d0 ? LOPT__F_ROW : LOPT__F_COL;
}

static int lane_feature(const lopt__view *v)
{
    return v->lanes_are_d0 ? LOPT__F_COL : LOPT__F_ROW;
}

enum { SIDE_RSQRT = LOPT__F_ROW_RSQRT - LOPT__F_ROW }; /* from a side's feature to its rsqrt */

static double sum_of_squares(const float *x, int64_t n)
{
    double total = 0;
    for (int64_t block = 0; block < n; block += BLOCK_VECTORS * VL) {
        int64_t end = block + BLOCK_VECTORS * VL < n ? block + BLOCK_VECTORS * VL : n;
        vf sum = {0};
        for (int64_t unit = block; unit < end; unit += LOPT__UNIT)
            for (int i = 0; i < UNIT_VECTORS; i++) {
                vf value = masked(load(x + unit + i * VL), lane_mask(n - unit, i));
                sum += value * value;
            }
        total += lane_sum(sum);
    }
    return total;
}

/* A side's features stand for `repeat` parameters each. */
static void add_side_moments(const float *side, int64_t side_pitch, const float *side_rsqrt,
                             int64_t rsqrt_pitch, int64_t n, double repeat, double *total)
{
    for (int k = 0; k < LOPT__K; k++) {
        total[k] += repeat * sum_of_squares(side + k * side_pitch, n);
        total[SIDE_RSQRT + k] += repeat * sum_of_squares(side_rsqrt + k * rsqrt_pitch, n);
    }
}

/* Sums of squares of the features that differ for every parameter, in the order of `element` weights. */
typedef struct element_sums {
    vf sum[LOPT__N_ELEMENT_EXTENDED];
    int n_vectors; /* added since the last flush */
    double total[LOPT__N_ELEMENT_EXTENDED];
} element_sums;

static void flush(element_sums *s)
{
    for (int i = 0; i < LOPT__N_ELEMENT_EXTENDED; i++) {
        s->total[i] += lane_sum(s->sum[i]);
        s->sum[i] = splat(0);
    }
    s->n_vectors = 0;
}

/* What features need that is the same for a row. */
typedef struct row_constants {
    vf factor[LOPT__K];
    vf grad_limit, rms_epsilon;
} row_constants;

static row_constants constants_of_row(const lopt__job *job, const lopt__workspace *w, int64_t row)
{
    const lopt__view *v = job->view;
    row_constants c = {.grad_limit = splat(job->pipeline->grad_limit),
                       .rms_epsilon = splat(job->pipeline->rms_epsilon)};
    for (int k = 0; k < LOPT__K; k++)
        c.factor[k] = splat(v->factored ? w->row_factor[k * v->row_pitch + row] : 1.0f);
    return c;
}

/* The n element features of one vector of parameters. Lanes outside `mask` are 0, g and p there being 0
 * and everything but the rsqrt a multiple of them. */
INLINE void element_features(int n, vf g, vf p, const float *momentum, int64_t pitch, vf rms,
                             const row_constants *c, const float *g_factor, const float *m_factor,
                             int64_t chunk, vi mask, vf *out)
{
    vf inverse = masked(rsqrt(rms + c->rms_epsilon), mask);
    g = clip(g, c->grad_limit);
    out[0] = g;
    out[1] = p;
    out[5] = rms;
    out[9] = inverse;
    for (int k = 0; k < LOPT__K; k++) {
        vf m = load(momentum + k * pitch);
        out[2 + k] = m;
        out[6 + k] = m * inverse;
        out[10 + k] = g * (c->factor[k] * load(g_factor + k * chunk));
        out[13 + k] = m * (c->factor[k] * load(m_factor + k * chunk));
    }
    if (n == LOPT__N_ELEMENT_EXTENDED) {
        out[16] = clip(g, splat(LOPT__CLIPPED_GRAD));
        out[17] = g * inverse;
    }
}

/* One row, lanes lane0 .. lane0 + n. */
INLINE void element_moments(int n_element, const lopt__job *job, const lopt__workspace *w, int64_t outer,
                            int64_t row, int64_t lane0, int64_t n, element_sums *s)
{
    const lopt__view *v = job->view;
    int64_t offset = element_offset(v, outer, row, lane0), stride = v->lane_stride;
    const float *momentum = lopt__momentum_row(&job->acc, v, outer, row) + lane0;
    const float *rms = lopt__rms_row(&job->acc, v, outer, row) + lane0;
    float g_buffer[LOPT__UNIT], p_buffer[LOPT__UNIT];
    row_constants constants = constants_of_row(job, w, row);
    vf sum[LOPT__N_ELEMENT_EXTENDED];
    for (int f = 0; f < n_element; f++)
        sum[f] = s->sum[f];
    for (int64_t unit = 0; unit < n; unit += LOPT__UNIT) {
        const float *g = fetch(job->grads + offset + unit * stride, stride, n - unit, LOPT__UNIT, g_buffer);
        const float *p = fetch(job->params + offset + unit * stride, stride, n - unit, LOPT__UNIT, p_buffer);
        for (int i = 0; i < UNIT_VECTORS; i++) {
            int64_t lane = unit + i * VL;
            vf x[LOPT__N_ELEMENT_EXTENDED];
            element_features(n_element, load_unaligned(g + i * VL), load_unaligned(p + i * VL),
                             momentum + lane, v->pitch, load(rms + lane), &constants, w->g_factor + lane,
                             w->m_factor + lane, w->chunk, lane_mask(n - unit, i), x);
            for (int f = 0; f < n_element; f++)
                sum[f] += x[f] * x[f];
        }
    }
    for (int f = 0; f < n_element; f++)
        s->sum[f] = sum[f];
    s->n_vectors += (int)(n / VL);
    if (s->n_vectors >= BLOCK_VECTORS)
        flush(s);
}

static void moments_slice(const lopt__job *job, const lopt__workspace *w, int64_t outer, element_sums *s,
                          double *total)
{
    const lopt__view *v = job->view;
    prepare_rows(job, w, outer);
    if (v->factored)
        add_side_moments(job->acc.row + outer * LOPT__K * v->row_pitch, v->row_pitch, w->row_rsqrt,
                         v->row_pitch, v->rows, (double)v->lanes, total + row_feature(v));
    for (int64_t lane0 = 0; lane0 < v->lanes; lane0 += w->chunk) {
        int64_t n = v->lanes - lane0 < w->chunk ? v->lanes - lane0 : w->chunk;
        prepare_lanes(job, w, outer, lane0, lopt__round_up(n));
        add_side_moments(job->acc.lane + outer * LOPT__K * v->pitch + lane0, v->pitch, w->lane_rsqrt,
                         w->chunk, n, (double)v->rows, total + lane_feature(v));
        for (int64_t row = 0; row < v->rows; row++)
            if (job->pipeline->n_features == LOPT__N_EXTENDED)
                element_moments(LOPT__N_ELEMENT_EXTENDED, job, w, outer, row, lane0, n, s);
            else
                element_moments(LOPT__N_ELEMENT, job, w, outer, row, lane0, n, s);
    }
}

/* The element features are features 0-12, 25-27 and 28-29. */
INLINE int element_feature(int i)
{
    return i < LOPT__F_ROW ? i : i - LOPT__F_ROW + LOPT__F_FACTORED_MOMENTUM;
}

/* Mean squares from sums over `job->slice` parameters; total has the sides' sums already. */
static void end_moments(const lopt__job *job, element_sums *s, double *total, double *mean_square)
{
    flush(s);
    for (int i = 0; i < LOPT__N_ELEMENT_EXTENDED; i++) {
        total[element_feature(i)] = s->total[i];
        s->total[i] = 0;
    }
    for (int k = 0; k < LOPT__K && !job->view->factored; k++) { /* R = C = V */
        total[LOPT__F_COL + k] = total[LOPT__F_ROW + k];
        total[LOPT__F_COL_RSQRT + k] = total[LOPT__F_ROW_RSQRT + k];
    }
    for (int i = 0; i < LOPT__N_EXTENDED; i++)
        mean_square[i] = total[i] / (double)job->slice;
    memset(total, 0, LOPT__N_EXTENDED * sizeof *total);
}

/* Whether each outer slice is normalised by itself. */
static int slices_are_outer(const lopt__job *job)
{
    return job->slice == job->view->rows * job->view->lanes &&
           lopt__view_outer(job->view, job->view->n_outer - 1) / job->slice == job->view->n_outer - 1;
}

/* What is not worth a fast path: other slices, tanh. */
static int is_rare(const lopt__job *job)
{
    return (job->slice != job->view->size && !slices_are_outer(job)) || job->mlp->activation != LOPT__RELU;
}

static void moments(lopt__job *job)
{
    const lopt__view *v = job->view;
    if (is_rare(job)) {
        lopt__kernels_reference.moments(job);
        return;
    }
    lopt__workspace w = workspace(job);
    element_sums s = {0};
    double total[LOPT__N_EXTENDED] = {0};
    for (int64_t outer = 0; outer < v->n_outer; outer++) {
        moments_slice(job, &w, outer, &s, total);
        if (job->slice != v->size || outer == v->n_outer - 1)
            end_moments(job, &s, total,
                        job->mean_square + lopt__view_outer(v, outer) / job->slice * LOPT__N_EXTENDED);
    }
}

/* ---- apply: weights ------------------------------------------------------------------------------ */

/* to[] = scale * a row of first-layer weights (+ scale * another row). */
static void fold_row(const lopt__layer *first, const float *scale, int feature, float *to)
{
    const float *from = first->weight + feature * first->pitch;
    for (int j = 0; j < first->pitch; j += VL)
        store(to + j, scale[feature] * load(from + j));
}

/* Normalisation into the first layer's weights, time into its bias. */
static void fold_weights(const lopt__job *job, const lopt__workspace *w, const double *mean_square)
{
    const lopt__view *v = job->view;
    const lopt__layer *first = &job->mlp->layer[0];
    int pitch = first->pitch;
    _Alignas(64) float scale[2 * LOPT__UNIT] = {0};
    int n_features = job->pipeline->n_features;
    int n_element = n_features == LOPT__N_EXTENDED ? LOPT__N_ELEMENT_EXTENDED : LOPT__N_ELEMENT;
    for (int i = 0; i < n_features; i++)
        scale[i] = (float)mean_square[i];
    for (int i = 0; i < 2 * LOPT__UNIT; i += VL)
        store(scale + i, rsqrt(load(scale + i) + job->pipeline->normalise_epsilon));

    for (int i = 0; i < n_element; i++)
        fold_row(first, scale, element_feature(i), w->element + i * pitch);
    for (int i = 0; i < LOPT__N_SIDE; i++) {
        int k = i % LOPT__K + (i < LOPT__K ? 0 : SIDE_RSQRT);
        fold_row(first, scale, lane_feature(v) + k, w->lane + i * pitch);
        fold_row(first, scale, row_feature(v) + k, w->row + i * pitch);
        for (int j = 0; j < pitch && !v->factored; j += VL) /* the lane holds V, which is both R and C */
            store(w->lane + i * pitch + j, load(w->lane + i * pitch + j) + load(w->row + i * pitch + j));
    }
    for (int j = 0; j < pitch; j += VL) {
        vf bias = load(first->bias + j);
        for (int i = 0; i < LOPT__N_TIME && job->time; i++)
            bias += job->time[i] * load(first->weight + (n_features + i) * pitch + j);
        store(w->bias + j, bias);
    }
}

/* The bias of the first layer for one row. */
static void fold_row_features(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t row)
{
    const lopt__view *v = job->view;
    int pitch = job->mlp->layer[0].pitch;
    if (!v->factored) {
        memcpy(w->row_bias, w->bias, (size_t)pitch * sizeof(float));
        return;
    }
    for (int j = 0; j < pitch; j += VL) {
        vf sum = load(w->bias + j);
        for (int k = 0; k < LOPT__K; k++) {
            float side = job->acc.row[(outer * LOPT__K + k) * v->row_pitch + row];
            float side_rsqrt = w->row_rsqrt[k * v->row_pitch + row];
            sum += side * load(w->row + k * pitch + j);
            sum += side_rsqrt * load(w->row + (LOPT__K + k) * pitch + j);
        }
        store(w->row_bias + j, sum);
    }
}

/* What lanes lane0 .. lane0 + n add to the sums of the first layer. */
static void fold_lane_features(const lopt__job *job, const lopt__workspace *w, int64_t outer,
                               int64_t lane0, int64_t n)
{
    const lopt__view *v = job->view;
    int pitch = job->mlp->layer[0].pitch, units = job->mlp->layer[0].out;
    for (int64_t i = 0; i < n; i += VL) {
        vf x[LOPT__N_SIDE];
        for (int k = 0; k < LOPT__K; k++) {
            x[k] = load(job->acc.lane + (outer * LOPT__K + k) * v->pitch + lane0 + i);
            x[LOPT__K + k] = load(w->lane_rsqrt + k * w->chunk + i);
        }
        for (int j = 0; j < units; j++) {
            vf sum = {0};
            for (int k = 0; k < LOPT__N_SIDE; k++)
                sum += w->lane[k * pitch + j] * x[k];
            store(w->lane_bias + j * w->chunk + i, sum);
        }
    }
}

/* ---- apply: network ------------------------------------------------------------------------------ */

/* sum[j][i] += over k of weight[k][j] * in[k][i]: n_units x n_vectors sums in registers. */
INLINE void multiply(int n_units, int n_vectors, int n_in, const float *in, const float *weight, int pitch,
                     vf sum[N_UNITS][N_VECTORS])
{
    for (int k = 0; k < n_in; k++, weight += pitch, in += n_vectors * VL) {
        UNROLL for (int j = 0; j < n_units; j++)
            UNROLL for (int i = 0; i < n_vectors; i++)
                sum[j][i] += weight[j] * load(in + i * VL);
    }
}

/* n_units units of a hidden layer, from unit j on; lane_bias NULL but in the first layer. */
INLINE void hidden_units(int n_units, int n_vectors, int n_in, const float *in, const float *weight,
                         int pitch, const float *bias, const float *lane_bias, int64_t chunk, float *out)
{
    vf sum[N_UNITS][N_VECTORS];
    UNROLL for (int j = 0; j < n_units; j++)
        UNROLL for (int i = 0; i < n_vectors; i++) {
            sum[j][i] = splat(bias[j]);
            if (lane_bias)
                sum[j][i] += load(lane_bias + j * chunk + i * VL);
        }
    multiply(n_units, n_vectors, n_in, in, weight, pitch, sum);
    UNROLL for (int j = 0; j < n_units; j++)
        UNROLL for (int i = 0; i < n_vectors; i++)
            store(out + (j * n_vectors + i) * VL, at_least(sum[j][i], splat(0)));
}

/* A hidden layer of `units` units. Surplus units of the last block have weights 0 and are never read. */
INLINE void hidden_layer(int n_vectors, int units, int n_in, const float *in, const float *weight,
                         int pitch, const float *bias, const float *lane_bias, int64_t chunk, float *out)
{
    int j = 0;
    for (; j + 4 < units || (N_UNITS == 4 && j < units); j += N_UNITS)
        hidden_units(N_UNITS, n_vectors, n_in, in, weight + j, pitch, bias + j,
                     lane_bias ? lane_bias + j * chunk : NULL, chunk, out + j * n_vectors * VL);
    if (j < units)
        hidden_units(4, n_vectors, n_in, in, weight + j, pitch, bias + j,
                     lane_bias ? lane_bias + j * chunk : NULL, chunk, out + j * n_vectors * VL);
}

/* One or two outputs; even and odd inputs are summed apart, for there are few sums to overlap. */
INLINE void output_layer(int n_out, int n_vectors, const lopt__layer *s, const float *in,
                         vf out[2][N_VECTORS])
{
    vf odd[2][N_VECTORS];
    UNROLL for (int j = 0; j < n_out; j++)
        UNROLL for (int i = 0; i < n_vectors; i++) {
            out[j][i] = splat(s->bias[j]);
            odd[j][i] = splat(0);
        }
    int k = 0;
    for (; k + 1 < s->in; k += 2) {
        UNROLL for (int j = 0; j < n_out; j++)
            UNROLL for (int i = 0; i < n_vectors; i++) {
                out[j][i] += s->weight[k * n_out + j] * load(in + (k * n_vectors + i) * VL);
                odd[j][i] += s->weight[(k + 1) * n_out + j] * load(in + ((k + 1) * n_vectors + i) * VL);
            }
    }
    UNROLL for (int j = 0; j < n_out; j++)
        UNROLL for (int i = 0; i < n_vectors; i++) {
            out[j][i] += odd[j][i];
            if (k < s->in)
                out[j][i] += s->weight[k * n_out + j] * load(in + (k * n_vectors + i) * VL);
        }
}

/* The network for one tile; in[n_element][n_vectors * VL], lane_bias at the tile's first lane. */
INLINE void network(int n_element, int n_out, int n_vectors, const lopt__mlp *mlp, const lopt__workspace *w,
                    const float *in, const float *lane_bias, vf out[2][N_VECTORS])
{
    const lopt__layer *s = &mlp->layer[0];
    float *to = w->activation[0];
    hidden_layer(n_vectors, s->out, n_element, in, w->element, s->pitch, w->row_bias, lane_bias,
                 w->chunk, to);
    for (int l = 1; l < mlp->n_layers - 1; l++) {
        const float *from = to;
        s = &mlp->layer[l];
        to = w->activation[l % 2];
        hidden_layer(n_vectors, s->out, s->in, from, s->weight, s->pitch, s->bias, NULL, 0, to);
    }
    output_layer(n_out, n_vectors, &mlp->layer[mlp->n_layers - 1], to, out);
}

/* ---- apply: tiles --------------------------------------------------------------------------------- */

/* What does not depend on the tile, for one row and chunk of lanes. */
typedef struct strip {
    int64_t n; /* lanes */
    int64_t stride, pitch;
    const float *grads;
    float *params, *updates;
    float *steps; /* instead of params, or NULL */
    const float *momentum, *rms;
    row_constants constants;
    vf exp_mult, rate, decay, use_updated;
} strip;

INLINE vf network_step(int n_out, const strip *s, vf out[2][N_VECTORS], int i)
{
    if (n_out == 1)
        return out[0][i] * s->rate;
    return out[0][i] * exponential(out[1][i] * s->exp_mult) * s->rate;
}

INLINE vf parameter_update(const strip *s, vf p, vf step)
{
    return -(step + s->decay * (p - s->use_updated * step));
}

/* n_vectors vectors of parameters from lane on. */
INLINE void apply_tile(int n_element, int n_out, int n_vectors, const lopt__mlp *mlp,
                       const lopt__workspace *w, const strip *s, int64_t lane)
{
    const int width = n_vectors * VL;
    int64_t left = s->n - lane, at = lane * s->stride;
    int whole = s->stride == 1 && left >= width;
    _Alignas(64) float in[LOPT__N_ELEMENT_EXTENDED * N_VECTORS * VL];
    float g_buffer[N_VECTORS * VL], p_buffer[N_VECTORS * VL];
    const float *g = fetch(s->grads + at, s->stride, left, width, g_buffer);
    const float *p = fetch(s->params + at, s->stride, left, width, p_buffer);
    UNROLL for (int i = 0; i < n_vectors; i++) {
        vf x[LOPT__N_ELEMENT_EXTENDED];
        int64_t l = lane + i * VL;
        element_features(n_element, load_unaligned(g + i * VL), load_unaligned(p + i * VL), s->momentum + l,
                         s->pitch, load(s->rms + l), &s->constants, w->g_factor + l, w->m_factor + l,
                         w->chunk, (vi){0} - 1, x);
        for (int f = 0; f < n_element; f++)
            store(in + (f * n_vectors + i) * VL, x[f]);
    }
    vf out[2][N_VECTORS];
    network(n_element, n_out, n_vectors, mlp, w, in, w->lane_bias + lane, out);
    float new_params[N_VECTORS * VL], updates[N_VECTORS * VL];
    if (s->steps) {
        UNROLL for (int i = 0; i < n_vectors; i++)
            store_unaligned(whole ? s->steps + at + i * VL : updates + i * VL, network_step(n_out, s, out, i));
        if (!whole)
            put(s->steps + at, s->stride, left, width, updates);
        return;
    }
    UNROLL for (int i = 0; i < n_vectors; i++) {
        vf old = load_unaligned(p + i * VL);
        vf update = parameter_update(s, old, network_step(n_out, s, out, i));
        store_unaligned(whole ? s->params + at + i * VL : new_params + i * VL, old + update);
        if (s->updates)
            store_unaligned(whole ? s->updates + at + i * VL : updates + i * VL, update);
    }
    if (!whole) {
        put(s->params + at, s->stride, left, width, new_params);
        if (s->updates)
            put(s->updates + at, s->stride, left, width, updates);
    }
}

INLINE void apply_strip(int n_element, int n_out, const lopt__mlp *mlp, const lopt__workspace *w,
                        const strip *s)
{
    int64_t lane = 0, padded = lopt__round_up(s->n);
    for (; lane < s->n && lane + N_VECTORS * VL <= padded; lane += N_VECTORS * VL)
        apply_tile(n_element, n_out, N_VECTORS, mlp, w, s, lane);
#if N_VECTORS * VL > LOPT__UNIT
    if (lane < s->n)
        apply_tile(n_element, n_out, 1, mlp, w, s, lane);
#endif
}

static void apply_row(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t row,
                      int64_t lane0, int64_t n)
{
    const lopt__view *v = job->view;
    int64_t offset = element_offset(v, outer, row, lane0);
    strip s = {
        .n = n,
        .stride = v->lane_stride,
        .pitch = v->pitch,
        .grads = job->grads + offset,
        .params = job->params + offset,
        .updates = job->updates ? job->updates + offset : NULL,
        .steps = job->steps ? job->steps + offset : NULL,
        .momentum = lopt__momentum_row(&job->acc, v, outer, row) + lane0,
        .rms = lopt__rms_row(&job->acc, v, outer, row) + lane0,
        .exp_mult = splat(job->exp_mult),
        .constants = constants_of_row(job, w, row),
        .rate = splat(job->steps ? job->step_mult : job->learning_rate * job->step_mult),
        .decay = splat(job->learning_rate * job->weight_decay),
        .use_updated = splat(job->decay_uses_updated ? 1.0f : 0.0f),
    };
    fold_row_features(job, w, outer, row);
    int n_out = job->mlp->layer[job->mlp->n_layers - 1].out;
    int extended = job->pipeline->n_features == LOPT__N_EXTENDED;
    if (!extended && n_out == 2)
        apply_strip(LOPT__N_ELEMENT, 2, job->mlp, w, &s);
    else if (!extended)
        apply_strip(LOPT__N_ELEMENT, 1, job->mlp, w, &s);
    else if (n_out == 2)
        apply_strip(LOPT__N_ELEMENT_EXTENDED, 2, job->mlp, w, &s);
    else
        apply_strip(LOPT__N_ELEMENT_EXTENDED, 1, job->mlp, w, &s);
}

static void apply(lopt__job *job)
{
    const lopt__view *v = job->view;
    if (is_rare(job)) {
        lopt__kernels_reference.apply(job);
        return;
    }
    lopt__workspace w = workspace(job);
    for (int64_t outer = 0; outer < v->n_outer; outer++) {
        if (outer == 0 || job->slice != v->size)
            fold_weights(job, &w, job->mean_square + lopt__view_outer(v, outer) / job->slice * LOPT__N_EXTENDED);
        prepare_rows(job, &w, outer);
        for (int64_t lane0 = 0; lane0 < v->lanes; lane0 += w.chunk) {
            int64_t n = v->lanes - lane0 < w.chunk ? v->lanes - lane0 : w.chunk;
            prepare_lanes(job, &w, outer, lane0, lopt__round_up(n));
            fold_lane_features(job, &w, outer, lane0, lopt__round_up(n));
            for (int64_t row = 0; row < v->rows; row++)
                apply_row(job, &w, outer, row, lane0, n);
        }
    }
}

#include "vector_controller.h"

#if VL == 16
const lopt__kernels lopt__kernels_avx512 = {"avx512", accumulate, moments, apply, statistics, multiply_matrices};
#elif VL == 8
const lopt__kernels lopt__kernels_avx2 = {"avx2", accumulate, moments, apply, statistics, multiply_matrices};
#else
const lopt__kernels lopt__kernels_portable = {"portable", accumulate, moments, apply, statistics, multiply_matrices};
#endif
