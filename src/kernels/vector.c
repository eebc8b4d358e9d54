/* SPDX-License-Identifier: Apache-2.0
 *
 * vector.c - the three passes of kernels.h, vectorised: compiled once per instruction set with LOPT_VL
 * floats a vector (16: AVX-512, 8: AVX2, 4: portable), without -ffast-math.
 *
 * The layout is that of tensor_layout.h. Vectors run along lanes. The state is padded to whole vectors; parameters
 * and gradients are copied into a small buffer where lanes are strided or end inside a vector.
 *
 * What makes apply fast:
 *   - normalisation is a factor per feature, so it is folded into the first layer's weights;
 *   - time features are the same for every parameter, so they are folded into the bias;
 *   - features of a row are folded into the bias once per row, those of a lane once per lane, for a panel
 *     of lanes at a time, so that only 16 of the 39 features are multiplied per parameter;
 *   - the network runs on tiles of N_VECTORS vectors by N_UNITS units whose sums stay in registers. The
 *     vectors of a tile come from one row or several, so narrow tensors fill tiles too, and a tile is long
 *     enough to hide the latency of dependent instructions;
 *   - units of the last hidden layer go from registers into the outputs.
 *
 * With LOPT_BF16 the inputs of the hidden layers and their weights are rounded to bf16 and multiplied in
 * pairs; sums, biases, contributions of rows and lanes, and the output layer stay float. Two units, or features, of
 * a parameter share 32 bits.
 *
 * Sums over a tensor are kept in vectors for some hundred additions, then added in double, in a fixed order. A
 * pass runs chunk by chunk (tensor_chunks.h), on one or several threads. */
#include "kernels/normalise.h"
#include "kernels/simd.h"
#include "kernels/workspace.h"

#define N_UNITS 4
#if VL == 16 || !defined(__SSE__)
#define N_VECTORS 4 /* 16 sums, of 32 registers */
#else
#define N_VECTORS 2 /* 8 sums, of 16 registers */
#endif
#define UNIT_VECTORS (LOPT__UNIT / VL)
#define BLOCK_VECTORS 256 /* additions in float before the sum is added to a double */

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_GCC /* no gain here */
#else
#define UNROLL _Pragma("GCC unroll 32")
#define UNROLL_GCC _Pragma("GCC unroll 2")
#endif

INLINE vi all_lanes(void) {
    return (vi){0} - 1;
}

/* All ones in the first n lanes of a unit, n <= LOPT__UNIT; v counts vectors of the unit. */
INLINE vi lane_mask(int64_t n, int v) {
    static const int32_t bits[2 * LOPT__UNIT] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    int64_t valid = n < LOPT__UNIT ? n : LOPT__UNIT;
    vi mask;
    memcpy(&mask, bits + LOPT__UNIT - valid + v * VL, sizeof mask);
    return mask;
}

static __attribute__((noinline)) const float *copy_strided_lanes(const float *from, int64_t stride, int n, int width,
                                                                 float *buffer) {
    for (int i = 0; i < n; i++) buffer[i] = from[i * stride];
    for (int i = n; i < width; i++) buffer[i] = 0;
    return buffer;
}

/* `width` lanes of a row of which n > 0 are left: where they lie, or a copy in buffer, padded with 0. */
INLINE const float *fetch_lanes(const float *from, int64_t stride, int64_t n, int width, float *buffer) {
    if (__builtin_expect(stride == 1 && n >= width, 1)) return from;
    return copy_strided_lanes(from, stride, n < width ? (int)n : width, width, buffer);
}

static __attribute__((noinline)) void store_strided_lanes(float *to, int64_t stride, int n, vf x) {
    for (int i = 0; i < n; i++) to[i * stride] = x[i];
}

/* Writes x to lanes of a row of which n > 0 are left. */
INLINE void store_lanes(float *to, int64_t stride, int64_t n, vf x) {
    if (__builtin_expect(stride == 1 && n >= VL, 1))
        vf_store_unaligned(to, x);
    else
        store_strided_lanes(to, stride, n < VL ? (int)n : VL, x);
}

INLINE vf clip_vector(vf x, vf limit) {
    return vf_min(vf_max(x, -limit), limit);
}

INLINE int64_t element_offset(const lopt__view *v, int64_t outer, int64_t row, int64_t lane) {
    return lopt__view_outer(v, outer) + row * v->row_stride + lane * v->lane_stride;
}

/* Prefetches the same lanes of the next row, too far away for the hardware prefetcher. Addresses past the last row are
 * allowed; params may be NULL. */
INLINE void prefetch_next_row(const lopt__view *v, const float *momentum, const float *rms, const float *grads,
                              const float *params) {
    for (int k = 0; k < LOPT__K; k++) __builtin_prefetch(momentum + (LOPT__K + k) * v->pitch);
    __builtin_prefetch(rms + v->pitch);
    __builtin_prefetch(grads + v->row_stride);
    if (params) __builtin_prefetch(params + v->row_stride);
}

static lopt__workspace workspace_of_job(const lopt__job *job) {
    return lopt__workspace_at(job->scratch, job->view, job->mlp->layer[0].out);
}

/* ---- chunks -------------------------------------------------------------------------------------- */

/* A pass over a tensor. Each thread has a workspace; shared arrays come before them. */
typedef struct pass {
    lopt__job *job;
    lopt__tensor_chunks chunks;
    lopt__shared shared;
    float *workspaces;
    size_t workspace_floats;
    double (*sums)[LOPT__N_EXTENDED]; /* of the chunks, or NULL */
} pass;

static pass pass_over_tensor(lopt__job *job) {
    pass p = {.job = job,
              .chunks = lopt__chunks_of_view(job->view, job->slice != job->view->size),
              .shared = lopt__shared_at(job->scratch, job->view)};
    p.workspaces = job->scratch + p.shared.floats;
    p.workspace_floats = lopt__workspace_at(NULL, job->view, job->mlp->layer[0].out).floats;
    job->inverse_mean = p.shared.inverse_mean;
    return p;
}

static void open_pass_chunk(const pass *p, int64_t i, int thread, lopt__tensor_chunk *chunk) {
    lopt__tensor_chunk_open(chunk, p->job, &p->chunks, i);
    chunk->job.scratch = p->workspaces + (size_t)thread * p->workspace_floats;
}

/* ---- accumulate --------------------------------------------------------------------------------- */

typedef struct rates {
    vf momentum[LOPT__K], one_minus_momentum[LOPT__K];
    vf rms, one_minus_rms;
    vf grad_limit;
} rates;

static rates splat_decay_rates(const lopt__decays *d, float grad_limit) {
    rates r = {
        .rms = vf_splat(d->rms), .one_minus_rms = vf_splat(d->one_minus_rms), .grad_limit = vf_splat(grad_limit)};
    for (int k = 0; k < LOPT__K; k++) {
        r.momentum[k] = vf_splat(d->momentum[k]);
        r.one_minus_momentum[k] = vf_splat(d->one_minus_momentum[k]);
    }
    return r;
}

/* Momenta and rms of a vector of parameters; returns g^2. */
INLINE vf accumulate_vector(const rates *r, vf g, float *momentum, int64_t pitch, float *rms) {
    g = clip_vector(g, r->grad_limit);
    for (int k = 0; k < LOPT__K; k++)
        vf_store(momentum + k * pitch, r->momentum[k] * vf_load(momentum + k * pitch) + r->one_minus_momentum[k] * g);
    vf square = g * g;
    vf_store(rms, r->rms * vf_load(rms) + r->one_minus_rms * square);
    return square;
}

/* x[k][i] <- decay_k x[k][i] + (1 - decay_k) (total[i] / count + 1e-30), i < n. square: scratch for the
 * totals, rounded. */
static void decay_factored_side(const lopt__decays *d, const double *total, float count, int64_t n, float *square,
                                int64_t pitch, float *x) {
    vf per = vf_splat(1.0f / count);
    for (int64_t i = 0; i < lopt__round_up(n); i++) square[i] = i < n ? (float)total[i] : 0;
    for (int64_t i = 0; i < n; i += VL) {
        vf mean = vf_load(square + i) * per + LOPT__GRAD_SQUARE_FLOOR;
        for (int k = 0; k < LOPT__K; k++)
            vf_store(x + k * pitch + i, d->factored[k] * vf_load(x + k * pitch + i) + d->one_minus_factored[k] * mean);
    }
}

/* One unit of a row, g readable to its end; returns the sum of squares. */
INLINE vf accumulate_unit(const rates *r, const float *g, float *momentum, int64_t pitch, float *rms,
                          float *square_sum) {
    vf sum = {0};
    UNROLL for (int i = 0; i < UNIT_VECTORS; i++) {
        vf square = accumulate_vector(r, vf_load_unaligned(g + i * VL), momentum + i * VL, pitch, rms + i * VL);
        vf_store(square_sum + i * VL, vf_load(square_sum + i * VL) + square);
        sum += square;
    }
    return sum;
}

/* One row; square sums go to w->lane_sum, their total is returned. */
static double accumulate_one_row(const lopt__job *job, const lopt__workspace *w, const rates *r, const float *grads,
                                 int64_t outer, int64_t row) {
    const lopt__view *v = job->view;
    float *momentum = lopt__momentum_row(&job->acc, v, outer, row);
    float *rms = lopt__rms_row(&job->acc, v, outer, row);
    float buffer[LOPT__UNIT];
    double total = 0;
    for (int64_t block = 0; block < v->lanes; block += BLOCK_VECTORS * VL) {
        int64_t end = block + BLOCK_VECTORS * VL < v->lanes ? block + BLOCK_VECTORS * VL : v->lanes;
        int64_t whole = v->lane_stride == 1 ? end / LOPT__UNIT * LOPT__UNIT : block;
        vf sum = {0};
        for (int64_t unit = block; unit < whole; unit += LOPT__UNIT) {
            sum += accumulate_unit(r, grads + unit, momentum + unit, v->pitch, rms + unit, w->lane_sum + unit);
            prefetch_next_row(v, momentum + unit, rms + unit, grads + unit, NULL);
        }
        for (int64_t unit = whole; unit < end; unit += LOPT__UNIT) {
            const float *g =
                fetch_lanes(grads + unit * v->lane_stride, v->lane_stride, v->lanes - unit, LOPT__UNIT, buffer);
            sum += accumulate_unit(r, g, momentum + unit, v->pitch, rms + unit, w->lane_sum + unit);
        }
        total += lane_sum(sum);
    }
    return total;
}

/* Adds the block's sums to the totals and clears them. */
static void add_block_sums(const lopt__workspace *w, int64_t pitch) {
    for (int64_t i = 0; i < pitch; i++) {
        w->lane_total[i] += w->lane_sum[i];
        w->lane_sum[i] = 0;
    }
}

/* Sum of x[n], x being readable to a whole unit. */
static double sum_of_floats(const float *x, int64_t n) {
    double total = 0;
    for (int64_t block = 0; block < n; block += BLOCK_VECTORS * VL) {
        int64_t end = block + BLOCK_VECTORS * VL < n ? block + BLOCK_VECTORS * VL : n;
        vf sum = {0};
        for (int64_t unit = block; unit < end; unit += LOPT__UNIT)
            for (int i = 0; i < UNIT_VECTORS; i++) sum += vf_masked(vf_load(x + unit + i * VL), lane_mask(n - unit, i));
        total += lane_sum(sum);
    }
    return total;
}

/* Rows of a slice: momenta and rms. Sums of g^2 go to w->lane_total and w->row_total. */
static void accumulate_slice_rows(const lopt__job *job, const lopt__workspace *w, const rates *r, int64_t outer) {
    const lopt__view *v = job->view;
    int64_t n = lopt__round_up(v->lanes);
    memset(w->lane_total, 0, (size_t)n * sizeof *w->lane_total);
    memset(w->lane_sum, 0, (size_t)n * sizeof *w->lane_sum);
    const float *grads = job->grads + element_offset(v, outer, 0, 0);
    for (int64_t row = 0; row < v->rows; row++, grads += v->row_stride) {
        w->row_total[row] = (float)accumulate_one_row(job, w, r, grads, outer, row);
        if ((row + 1) % BLOCK_VECTORS == 0) add_block_sums(w, n);
    }
    add_block_sums(w, n);
}

static void decay_lane_factors(const lopt__job *job, const lopt__workspace *w, int64_t outer) {
    const lopt__view *v = job->view;
    decay_factored_side(job->decays, w->lane_total, (float)v->rows, v->lanes, w->lane_sum, v->pitch,
                        job->acc.lane + outer * LOPT__K * v->pitch);
}

static void decay_row_factors(const lopt__job *job, const lopt__workspace *w, int64_t outer) {
    const lopt__view *v = job->view;
    decay_factored_side(job->decays, w->row_total, (float)v->lanes, v->rows, w->row_sum, v->row_pitch,
                        job->acc.row + outer * LOPT__K * v->row_pitch);
}

static void set_inverse_mean(const lopt__job *job, int64_t outer) {
    const lopt__view *v = job->view;
    const float *lane_side = job->acc.lane + outer * LOPT__K * v->pitch;
    const float *row_side = job->acc.row + outer * LOPT__K * v->row_pitch;
    for (int k = 0; k < LOPT__K; k++) {
        double mean = v->lanes_are_d0 ? sum_of_floats(row_side + k * v->row_pitch, v->rows) / (double)v->rows
                                      : sum_of_floats(lane_side + k * v->pitch, v->lanes) / (double)v->lanes;
        job->inverse_mean[outer * LOPT__K + k] = 1.0f / ((float)mean + LOPT__FACTOR_EPSILON);
    }
}

/* A tensor that is not factored: momenta, rms and V. */
static void accumulate_unfactored(const lopt__job *job, const rates *r) {
    const lopt__view *v = job->view;
    float buffer[LOPT__UNIT];
    for (int64_t unit = 0; unit < v->lanes; unit += LOPT__UNIT) {
        const float *g = fetch_lanes(job->grads + unit, 1, v->lanes - unit, LOPT__UNIT, buffer);
        for (int i = 0; i < UNIT_VECTORS; i++) {
            int64_t lane = unit + i * VL;
            vf square = accumulate_vector(r, vf_load_unaligned(g + i * VL), job->acc.momentum + lane, v->pitch,
                                          job->acc.rms + lane);
            vf with_floor = square + LOPT__GRAD_SQUARE_FLOOR;
            for (int k = 0; k < LOPT__K; k++) {
                float *V = job->acc.lane + k * v->pitch + lane;
                vf_store(V, job->decays->factored[k] * vf_load(V) + job->decays->one_minus_factored[k] * with_floor);
            }
        }
    }
}

/* A chunk of a cut slice has complete sums over one side, which it applies; it keeps its partial sums of the other. */
static void accumulate_cut_slice(const pass *p, const lopt__job *job, const lopt__workspace *w, int64_t i) {
    double *sums = p->shared.sums + i * p->shared.sums_pitch;
    if (p->chunks.by_lanes) {
        decay_lane_factors(job, w, 0);
        memcpy(sums, w->row_total, (size_t)job->view->rows * sizeof *sums);
    } else {
        decay_row_factors(job, w, 0);
        memcpy(sums, w->lane_total, (size_t)job->view->lanes * sizeof *sums);
    }
}

static void accumulate_pass_chunk(void *pass_, int64_t i, int thread) {
    const pass *p = (const pass *)pass_;
    lopt__tensor_chunk chunk;
    open_pass_chunk(p, i, thread, &chunk);
    const lopt__job *job = &chunk.job;
    lopt__workspace w = workspace_of_job(job);
    rates r = splat_decay_rates(job->decays, job->pipeline->grad_limit);
    if (!job->view->factored) {
        accumulate_unfactored(job, &r);
        return;
    }
    for (int64_t outer = 0; outer < job->view->n_outer; outer++) {
        accumulate_slice_rows(job, &w, &r, outer);
        if (p->chunks.cuts > 1) {
            accumulate_cut_slice(p, job, &w, i);
            continue;
        }
        decay_lane_factors(job, &w, outer);
        decay_row_factors(job, &w, outer);
        set_inverse_mean(job, outer);
    }
}

/* Adds the partial sums of all chunks of a slice and applies them. */
static void join_slice_sums(const pass *p, int64_t outer) {
    lopt__workspace w = lopt__workspace_at(p->workspaces, p->job->view, p->job->mlp->layer[0].out);
    const lopt__view *v = p->job->view;
    int64_t n = p->chunks.by_lanes ? v->rows : v->lanes;
    double *total = p->chunks.by_lanes ? w.row_total : w.lane_total;
    const double *sums = p->shared.sums + outer * p->chunks.cuts * p->shared.sums_pitch;
    memcpy(total, sums, (size_t)n * sizeof *total);
    for (int64_t chunk = 1; chunk < p->chunks.cuts; chunk++) {
        sums += p->shared.sums_pitch;
        for (int64_t i = 0; i < n; i++) total[i] += sums[i];
    }
    if (p->chunks.by_lanes)
        decay_row_factors(p->job, &w, outer);
    else
        decay_lane_factors(p->job, &w, outer);
    set_inverse_mean(p->job, outer);
}

static void vector_accumulate(lopt__job *job) {
    pass p = pass_over_tensor(job);
    lopt__team_run_chunks(job->team, p.chunks.n, accumulate_pass_chunk, &p);
    for (int64_t outer = 0; outer < job->view->n_outer && job->view->factored && p.chunks.cuts > 1; outer++)
        join_slice_sums(&p, outer);
}

/* ---- what a row or a lane contributes ------------------------------------------------------------- */

/* Factors and rsqrt features of all rows of a slice. */
static void prepare_row_factors(const lopt__job *job, const lopt__workspace *w, int64_t outer) {
    const lopt__view *v = job->view;
    for (int k = 0; k < LOPT__K && v->factored; k++) {
        const float *side = job->acc.row + (outer * LOPT__K + k) * v->row_pitch;
        vf scale = vf_splat(v->lanes_are_d0 ? job->inverse_mean[outer * LOPT__K + k] : 1.0f);
        for (int64_t row = 0; row < v->rows; row += VL) {
            vf x = vf_load(side + row);
            int64_t at = k * v->row_pitch + row;
            vf_store(w->row_factor + at, vf_rsqrt(vf_max(x * scale, vf_splat(LOPT__RSQRT_FLOOR))));
            vf_store(w->row_rsqrt + at, vf_rsqrt(x + LOPT__SIDE_EPSILON));
        }
    }
}

/* Factors and rsqrt features of lanes lane0 .. lane0 + n (n a multiple of LOPT__UNIT). */
static void prepare_lane_factors(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t lane0,
                                 int64_t n) {
    const lopt__view *v = job->view;
    for (int k = 0; k < LOPT__K; k++) {
        const float *side = job->acc.lane + (outer * LOPT__K + k) * v->pitch + lane0;
        int is_R = v->factored && !v->lanes_are_d0;
        vf scale = vf_splat(is_R ? job->inverse_mean[outer * LOPT__K + k] : 1.0f);
        vf shift = vf_splat(v->factored ? 0.0f : LOPT__FACTOR_EPSILON);
        for (int64_t i = 0; i < n; i += VL) {
            vf x = vf_load(side + i);
            int64_t at = k * w->panel + i;
            vf factor = vf_rsqrt(vf_max(x * scale + shift, vf_splat(LOPT__RSQRT_FLOOR)));
            vf_store(w->g_factor + at, factor);
            vf_store(w->m_factor + at, v->factored ? factor : vf_rsqrt(x + job->pipeline->momentum_epsilon));
            vf_store(w->lane_rsqrt + at, vf_rsqrt(x + LOPT__SIDE_EPSILON));
        }
    }
}

/* ---- moments ------------------------------------------------------------------------------------ */

/* First of the features of rows (or lanes): R or C, depending on the layout. */
static int first_row_feature(const lopt__view *v) {
    return v->lanes_are_d0 ? LOPT__F_ROW : LOPT__F_COL;
}

static int first_lane_feature(const lopt__view *v) {
    return v->lanes_are_d0 ? LOPT__F_COL : LOPT__F_ROW;
}

enum { SIDE_RSQRT = LOPT__F_ROW_RSQRT - LOPT__F_ROW }; /* offset from a side's feature to its rsqrt */

static double sum_squares_of_floats(const float *x, int64_t n) {
    double total = 0;
    for (int64_t block = 0; block < n; block += BLOCK_VECTORS * VL) {
        int64_t end = block + BLOCK_VECTORS * VL < n ? block + BLOCK_VECTORS * VL : n;
        vf sum = {0};
        for (int64_t unit = block; unit < end; unit += LOPT__UNIT)
            for (int i = 0; i < UNIT_VECTORS; i++) {
                vf value = vf_masked(vf_load(x + unit + i * VL), lane_mask(n - unit, i));
                sum += value * value;
            }
        total += lane_sum(sum);
    }
    return total;
}

/* Each of a side's features counts for `repeat` parameters. */
static void add_side_moments(const float *side, int64_t side_pitch, const float *side_rsqrt, int64_t rsqrt_pitch,
                             int64_t n, double repeat, double *total) {
    for (int k = 0; k < LOPT__K; k++) {
        total[k] += repeat * sum_squares_of_floats(side + k * side_pitch, n);
        total[SIDE_RSQRT + k] += repeat * sum_squares_of_floats(side_rsqrt + k * rsqrt_pitch, n);
    }
}

/* Sums of squares of the features that differ for every parameter, in the order of `element` weights. */
typedef struct element_sums {
    vf sum[LOPT__N_ELEMENT_EXTENDED];
    int64_t n_vectors; /* added since the last flush */
    double total[LOPT__N_ELEMENT_EXTENDED];
} element_sums;

static void flush_element_sums(element_sums *s) {
    for (int i = 0; i < LOPT__N_ELEMENT_EXTENDED; i++) {
        s->total[i] += lane_sum(s->sum[i]);
        s->sum[i] = vf_splat(0);
    }
    s->n_vectors = 0;
}

/* Lanes of one row, and what their features have in common. */
typedef struct strip {
    int64_t at; /* offset in the tensor */
    const float *momentum, *rms;
    vf factor[LOPT__K];
} strip;

/* offset: of the slice's first parameter. */
INLINE strip strip_at_lane(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t offset, int64_t row,
                           int64_t lane) {
    const lopt__view *v = job->view;
    strip s = {.at = offset + row * v->row_stride + lane * v->lane_stride,
               .momentum = lopt__momentum_row(&job->acc, v, outer, row) + lane,
               .rms = lopt__rms_row(&job->acc, v, outer, row) + lane};
    for (int k = 0; k < LOPT__K; k++)
        s.factor[k] = vf_splat(v->factored ? w->row_factor[k * v->row_pitch + row] : 1.0f);
    return s;
}

/* The n element features of a vector of parameters, `lane` in the strip and `panel_lane` in the panel. Lanes
 * outside `mask` are 0, g and p there being 0 and everything but the rsqrt a multiple of them. */
INLINE void element_features(int n, const lopt__job *job, const lopt__workspace *w, const strip *s, int64_t lane,
                             int64_t panel_lane, vf g, vf p, vi mask, vf *out) {
    int64_t pitch = job->view->pitch;
    vf rms = vf_load(s->rms + lane), inverse = vf_masked(vf_rsqrt(rms + job->pipeline->rms_epsilon), mask);
    if (n == LOPT__N_ELEMENT_EXTENDED) g = clip_vector(g, vf_splat(job->pipeline->grad_limit));
    out[0] = g;
    out[1] = p;
    out[5] = rms;
    out[9] = inverse;
    for (int k = 0; k < LOPT__K; k++) {
        vf m = vf_load(s->momentum + k * pitch + lane);
        out[2 + k] = m;
        out[6 + k] = m * inverse;
        out[10 + k] = g * (s->factor[k] * vf_load(w->g_factor + k * w->panel + panel_lane));
        out[13 + k] = m * (s->factor[k] * vf_load(w->m_factor + k * w->panel + panel_lane));
    }
    if (n == LOPT__N_ELEMENT_EXTENDED) {
        out[16] = clip_vector(g, vf_splat(LOPT__CLIPPED_GRAD));
        out[17] = g * inverse;
    }
}

/* Adds one unit of a strip; g and p are readable to its end. */
INLINE void add_unit_moments(int n_element, const lopt__job *job, const lopt__workspace *w, const strip *s,
                             int64_t unit, int64_t left, const float *g, const float *p, vf *sum) {
    UNROLL for (int i = 0; i < UNIT_VECTORS; i++) {
        vf x[LOPT__N_ELEMENT_EXTENDED];
        int64_t lane = unit + i * VL;
        vi mask = all_lanes();
        if (left < LOPT__UNIT) mask = lane_mask(left, i);
        element_features(n_element, job, w, s, lane, lane, vf_load_unaligned(g + i * VL), vf_load_unaligned(p + i * VL),
                         mask, x);
        UNROLL for (int f = 0; f < n_element; f++) sum[f] += x[f] * x[f];
    }
}

/* Lanes lane0 .. lane0 + n of rows row0 .. row1. */
INLINE void add_element_moments(int n_element, const lopt__job *job, const lopt__workspace *w, int64_t outer,
                                int64_t row0, int64_t row1, int64_t lane0, int64_t n, element_sums *total) {
    int64_t stride = job->view->lane_stride, offset = element_offset(job->view, outer, 0, 0);
    int64_t whole = stride == 1 ? n / LOPT__UNIT * LOPT__UNIT : 0;
    float g_buffer[LOPT__UNIT], p_buffer[LOPT__UNIT];
    vf sum[LOPT__N_ELEMENT_EXTENDED];
    UNROLL for (int f = 0; f < n_element; f++) sum[f] = total->sum[f];
    for (int64_t row = row0; row < row1; row++) {
        strip s = strip_at_lane(job, w, outer, offset, row, lane0);
        const float *grads = job->grads + s.at, *params = job->params + s.at;
        for (int64_t unit = 0; unit < whole; unit += LOPT__UNIT) {
            add_unit_moments(n_element, job, w, &s, unit, LOPT__UNIT, grads + unit, params + unit, sum);
            prefetch_next_row(job->view, s.momentum + unit, s.rms + unit, grads + unit, params + unit);
        }
        for (int64_t unit = whole; unit < n; unit += LOPT__UNIT) {
            const float *g = fetch_lanes(grads + unit * stride, stride, n - unit, LOPT__UNIT, g_buffer);
            const float *p = fetch_lanes(params + unit * stride, stride, n - unit, LOPT__UNIT, p_buffer);
            add_unit_moments(n_element, job, w, &s, unit, n - unit, g, p, sum);
        }
    }
    UNROLL for (int f = 0; f < n_element; f++) total->sum[f] = sum[f];
}

/* All rows of a panel of lanes, in blocks that are small enough to sum in float. */
static void add_panel_moments(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t lane0, int64_t n,
                              element_sums *s) {
    int64_t vectors = lopt__round_up(n) / VL, block = vectors < BLOCK_VECTORS ? BLOCK_VECTORS / vectors : 1;
    for (int64_t row = 0; row < job->view->rows; row += block) {
        int64_t end = row + block < job->view->rows ? row + block : job->view->rows;
        if (job->pipeline->n_features == LOPT__N_EXTENDED)
            add_element_moments(LOPT__N_ELEMENT_EXTENDED, job, w, outer, row, end, lane0, n, s);
        else
            add_element_moments(LOPT__N_ELEMENT, job, w, outer, row, end, lane0, n, s);
        s->n_vectors += (end - row) * vectors;
        if (s->n_vectors >= BLOCK_VECTORS / 2) flush_element_sums(s);
    }
}

static void add_slice_moments(const lopt__job *job, const lopt__workspace *w, int64_t outer, element_sums *s,
                              double *total) {
    const lopt__view *v = job->view;
    prepare_row_factors(job, w, outer);
    if (v->factored)
        add_side_moments(job->acc.row + outer * LOPT__K * v->row_pitch, v->row_pitch, w->row_rsqrt, v->row_pitch,
                         v->rows, (double)v->lanes, total + first_row_feature(v));
    for (int64_t lane0 = 0; lane0 < v->lanes; lane0 += w->panel) {
        int64_t n = v->lanes - lane0 < w->panel ? v->lanes - lane0 : w->panel;
        prepare_lane_factors(job, w, outer, lane0, lopt__round_up(n));
        add_side_moments(job->acc.lane + outer * LOPT__K * v->pitch + lane0, v->pitch, w->lane_rsqrt, w->panel, n,
                         (double)v->rows, total + first_lane_feature(v));
        add_panel_moments(job, w, outer, lane0, n, s);
    }
}

/* The element features are features 0-12, 25-27 and 28-29. */
INLINE int element_feature_index(int i) {
    return i < LOPT__F_ROW ? i : i - LOPT__F_ROW + LOPT__F_FACTORED_MOMENTUM;
}

/* Mean squares from sums over `job->slice` parameters; total has the sides' sums already. */
static void finish_slice_moments(const lopt__job *job, element_sums *s, double *total, double *mean_square) {
    flush_element_sums(s);
    for (int i = 0; i < LOPT__N_ELEMENT_EXTENDED; i++) {
        total[element_feature_index(i)] = s->total[i];
        s->total[i] = 0;
    }
    for (int k = 0; k < LOPT__K && !job->view->factored; k++) { /* R = C = V */
        total[LOPT__F_COL + k] = total[LOPT__F_ROW + k];
        total[LOPT__F_COL_RSQRT + k] = total[LOPT__F_ROW_RSQRT + k];
    }
    for (int i = 0; i < LOPT__N_EXTENDED; i++) mean_square[i] = total[i] / (double)job->slice;
    memset(total, 0, LOPT__N_EXTENDED * sizeof *total);
}

/* Whether each outer slice is normalised on its own. */
static int slices_are_outer(const lopt__job *job) {
    return job->slice == job->view->rows * job->view->lanes &&
           lopt__view_outer(job->view, job->view->n_outer - 1) / job->slice == job->view->n_outer - 1;
}

/* Cases without a vectorised path: other slices, tanh, clipping without the extended features. */
static int needs_reference(const lopt__job *job) {
    return (job->slice != job->view->size && !slices_are_outer(job)) || job->mlp->activation != LOPT__RELU ||
           (job->pipeline->n_features != LOPT__N_EXTENDED && isfinite(job->pipeline->grad_limit));
}

static void compute_moments_chunk(void *pass_, int64_t i, int thread) {
    const pass *p = (const pass *)pass_;
    lopt__tensor_chunk chunk;
    open_pass_chunk(p, i, thread, &chunk);
    lopt__job *job = &chunk.job;
    const lopt__view *v = job->view;
    if (p->sums) job->mean_square = p->sums[i];
    lopt__workspace w = workspace_of_job(job);
    element_sums s = {0};
    double total[LOPT__N_EXTENDED] = {0};
    for (int64_t outer = 0; outer < v->n_outer; outer++) {
        add_slice_moments(job, &w, outer, &s, total);
        if (job->slice != v->size || outer == v->n_outer - 1)
            finish_slice_moments(job, &s, total, lopt__mean_square_at(job, lopt__view_outer(v, outer)));
    }
}

static void vector_moments(lopt__job *job) {
    double sums[LOPT__MAX_TENSOR_CHUNKS][LOPT__N_EXTENDED];
    if (needs_reference(job)) {
        lopt__kernels_reference.moments(job);
        return;
    }
    pass p = pass_over_tensor(job);
    int is_joined = job->slice == job->view->size && p.chunks.n > 1;
    p.sums = is_joined ? sums : NULL;
    lopt__team_run_chunks(job->team, p.chunks.n, compute_moments_chunk, &p);
    for (int i = 0; i < LOPT__N_EXTENDED && is_joined; i++) {
        job->mean_square[i] = sums[0][i];
        for (int64_t chunk = 1; chunk < p.chunks.n; chunk++) job->mean_square[i] += sums[chunk][i];
    }
}

#include "kernels/vector_apply.inc"
#include "kernels/vector_controller.inc"

#if VL == 16 && LOPT_BF16
#define TABLE lopt__kernels_avx512_bf16
#define NAME "avx512-bf16"
#elif VL == 16
#define TABLE lopt__kernels_avx512
#define NAME "avx512"
#elif VL == 8
#define TABLE lopt__kernels_avx2
#define NAME "avx2"
#elif LOPT_BF16
#define TABLE lopt__kernels_portable_bf16
#define NAME "portable-bf16"
#else
#define TABLE lopt__kernels_portable
#define NAME "portable"
#endif
const lopt__kernels TABLE = {NAME,
                             vector_accumulate,
                             vector_moments,
                             vector_apply,
                             vector_statistics,
                             vector_multiply,
                             vector_lstm_cell,
                             vector_newton_schulz_step};
