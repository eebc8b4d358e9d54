/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_apply.h - the part of vector.c that runs the network: folding normalisation, time, row and lane
 * features into the first layer; the layers; tiles of parameters. Included by vector.c alone, whose opening
 * comment says what makes it fast. */
#ifndef LOPT_VECTOR_APPLY_H
#define LOPT_VECTOR_APPLY_H

/* ---- weights ------------------------------------------------------------------------------------- */

/* to[] = scale * a row of first-layer weights. */
static void fold_feature_row(const lopt__layer *first, const float *scale, int feature, float *to) {
    const float *from = first->weight + feature * first->pitch;
    for (int j = 0; j < first->pitch; j += VL) vf_store(to + j, scale[feature] * vf_load(from + j));
}

/* Normalisation into the first layer's weights, time into its bias. */
static void fold_normalisation(const lopt__job *job, const lopt__workspace *w, const double *mean_square) {
    const lopt__view *v = job->view;
    const lopt__layer *first = &job->mlp->layer[0];
    int pitch = first->pitch;
    _Alignas(64) float scale[2 * LOPT__UNIT] = {0};
    int n_features = job->pipeline->n_features;
    int n_element = n_features == LOPT__N_EXTENDED ? LOPT__N_ELEMENT_EXTENDED : LOPT__N_ELEMENT;
    for (int i = 0; i < n_features; i++) scale[i] = (float)mean_square[i];
    for (int i = 0; i < 2 * LOPT__UNIT; i += VL)
        vf_store(scale + i, vf_rsqrt(vf_load(scale + i) + job->pipeline->normalise_epsilon));

    for (int i = 0; i < n_element; i++)
        fold_feature_row(first, scale, element_feature_index(i), w->element + i * pitch);
#if LOPT_BF16
    for (int i = 0; i < n_element / 2; i++)
        for (int j = 0; j < pitch; j += VL)
            vf_store(w->element + i * pitch + j, (vf)vf_pair_bf16(vf_load(w->element + 2 * i * pitch + j),
                                                                  vf_load(w->element + (2 * i + 1) * pitch + j)));
#endif
    for (int i = 0; i < LOPT__N_SIDE; i++) {
        int k = i % LOPT__K + (i < LOPT__K ? 0 : SIDE_RSQRT);
        fold_feature_row(first, scale, first_lane_feature(v) + k, w->lane + i * pitch);
        fold_feature_row(first, scale, first_row_feature(v) + k, w->row + i * pitch);
        for (int j = 0; j < pitch && !v->factored; j += VL) /* the lane holds V, which is both R and C */
            vf_store(w->lane + i * pitch + j, vf_load(w->lane + i * pitch + j) + vf_load(w->row + i * pitch + j));
    }
    for (int j = 0; j < pitch; j += VL) {
        vf bias = vf_load(first->bias + j);
        for (int i = 0; i < LOPT__N_TIME && job->time; i++)
            bias += job->time[i] * vf_load(first->weight + (n_features + i) * pitch + j);
        vf_store(w->bias + j, bias);
    }
}

/* The bias of the first layer for one row. */
static void fold_row_features(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t row, float *bias) {
    const lopt__view *v = job->view;
    int pitch = job->mlp->layer[0].pitch;
    if (!v->factored) {
        memcpy(bias, w->bias, (size_t)pitch * sizeof(float));
        return;
    }
    for (int j = 0; j < pitch; j += VL) {
        vf sum = vf_load(w->bias + j);
        for (int k = 0; k < LOPT__K; k++) {
            float side = job->acc.row[(outer * LOPT__K + k) * v->row_pitch + row];
            float side_rsqrt = w->row_rsqrt[k * v->row_pitch + row];
            sum += side * vf_load(w->row + k * pitch + j);
            sum += side_rsqrt * vf_load(w->row + (LOPT__K + k) * pitch + j);
        }
        vf_store(bias + j, sum);
    }
}

/* What lanes lane0 .. lane0 + n add to the sums of the first layer. */
static void fold_lane_features(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t lane0,
                               int64_t n) {
    const lopt__view *v = job->view;
    int pitch = job->mlp->layer[0].pitch, units = job->mlp->layer[0].out;
    for (int64_t i = 0; i < n; i += VL) {
        vf x[LOPT__N_SIDE];
        for (int k = 0; k < LOPT__K; k++) {
            x[k] = vf_load(job->acc.lane + (outer * LOPT__K + k) * v->pitch + lane0 + i);
            x[LOPT__K + k] = vf_load(w->lane_rsqrt + k * w->chunk + i);
        }
        for (int j = 0; j < units; j++) {
            vf sum = {0};
            for (int k = 0; k < LOPT__N_SIDE; k++) sum += w->lane[k * pitch + j] * x[k];
            vf_store(w->lane_bias + j * w->chunk + i, sum);
        }
    }
}

/* ---- network ------------------------------------------------------------------------------------- */

/* sum[j][i] += over k of weight[k][j] * in[k][i]: N_UNITS x n_vectors sums in registers. */
#if LOPT_BF16
INLINE void multiply_units(int n_vectors, int n_in, const float *in, const float *pairs, int pitch,
                           vf sum[N_UNITS][N_VECTORS]) {
    for (int k = 0; k < n_in; k += 2, pairs += pitch, in += n_vectors * VL) {
        UNROLL for (int j = 0; j < N_UNITS; j++) {
            vu weight = splat_pair(pairs + j);
            UNROLL for (int i = 0; i < n_vectors; i++) sum[j][i] =
                add_products(sum[j][i], weight, (vu)vf_load(in + i * VL));
        }
    }
}
#else
INLINE void multiply_units(int n_vectors, int n_in, const float *in, const float *weight, int pitch,
                           vf sum[N_UNITS][N_VECTORS]) {
    UNROLL_GCC for (int k = 0; k < n_in; k++, weight += pitch, in += n_vectors * VL) {
        UNROLL for (int j = 0; j < N_UNITS; j++) UNROLL for (int i = 0; i < n_vectors; i++) sum[j][i] +=
            weight[j] * vf_load(in + i * VL);
    }
}
#endif

/* Inputs of the next layer, which is hidden or not. */
INLINE void store_rectified(int n_vectors, vf sum[N_UNITS][N_VECTORS], int is_hidden, int unit, float *out) {
#if LOPT_BF16
    if (is_hidden) {
        out += unit / 2 * n_vectors * VL;
        UNROLL for (int j = 0; j < N_UNITS; j += 2) UNROLL for (int i = 0; i < n_vectors; i++)
            vf_store(out + (j / 2 * n_vectors + i) * VL,
                     (vf)vf_pair_bf16(vf_max(sum[j][i], vf_splat(0)), vf_max(sum[j + 1][i], vf_splat(0))));
        return;
    }
#endif
    (void)is_hidden;
    out += unit * n_vectors * VL;
    UNROLL for (int j = 0; j < N_UNITS; j++) UNROLL for (int i = 0; i < n_vectors; i++)
        vf_store(out + (j * n_vectors + i) * VL, vf_max(sum[j][i], vf_splat(0)));
}

/* The first layer, for vectors i with row_bias[i] and lane_bias[i]. Surplus units of the last block have
 * weights 0 and are never read. */
INLINE void first_layer(int n_vectors, int n_in, const lopt__layer *s, const lopt__workspace *w, const float *in,
                        const float *const row_bias[N_VECTORS], const float *const lane_bias[N_VECTORS], int is_hidden,
                        float *out) {
    for (int j = 0; j < s->out; j += N_UNITS) {
        vf sum[N_UNITS][N_VECTORS];
        UNROLL for (int u = 0; u < N_UNITS; u++) UNROLL for (int i = 0; i < n_vectors; i++) sum[u][i] =
            row_bias[i][j + u] + vf_load(lane_bias[i] + (j + u) * w->chunk);
        multiply_units(n_vectors, n_in, in, w->element + j, s->pitch, sum);
        store_rectified(n_vectors, sum, is_hidden, j, out);
    }
}

/* Sums of units j .. j + N_UNITS of a hidden layer. */
INLINE void hidden_units(int n_vectors, const lopt__layer *s, const float *in, int j, vf sum[N_UNITS][N_VECTORS]) {
#if LOPT_BF16
    const float *weight = (const float *)(const void *)s->pairs;
#else
    const float *weight = s->weight;
#endif
    UNROLL for (int u = 0; u < N_UNITS; u++) UNROLL for (int i = 0; i < n_vectors; i++) sum[u][i] =
        vf_splat(s->bias[j + u]);
    multiply_units(n_vectors, s->in, in, weight + j, s->pitch, sum);
}

INLINE void hidden_layer(int n_vectors, const lopt__layer *s, const float *in, int is_hidden, float *out) {
    for (int j = 0; j < s->out; j += N_UNITS) {
        vf sum[N_UNITS][N_VECTORS];
        hidden_units(n_vectors, s, in, j, sum);
        store_rectified(n_vectors, sum, is_hidden, j, out);
    }
}

INLINE void output_biases(int n_vectors, int n_out, const lopt__layer *s, vf out[2][N_VECTORS]) {
    UNROLL for (int j = 0; j < n_out; j++) UNROLL for (int i = 0; i < n_vectors; i++) out[j][i] = vf_splat(s->bias[j]);
}

/* The last hidden layer, of whole blocks of units, which go from registers into the outputs. */
INLINE void last_layers(int n_vectors, int n_out, const lopt__layer *s, const lopt__layer *output, const float *in,
                        vf out[2][N_VECTORS]) {
    output_biases(n_vectors, n_out, output, out);
    for (int j = 0; j < s->out; j += N_UNITS) {
        vf sum[N_UNITS][N_VECTORS];
        hidden_units(n_vectors, s, in, j, sum);
        UNROLL for (int u = 0; u < N_UNITS; u++) UNROLL for (int i = 0; i < n_vectors; i++) {
            vf x = vf_max(sum[u][i], vf_splat(0));
            UNROLL for (int o = 0; o < n_out; o++) out[o][i] += output->weight[(j + u) * n_out + o] * x;
        }
    }
}

INLINE void output_layer(int n_vectors, int n_out, const lopt__layer *s, const float *in, vf out[2][N_VECTORS]) {
    output_biases(n_vectors, n_out, s, out);
    for (int k = 0; k < s->in; k++) {
        UNROLL for (int j = 0; j < n_out; j++) UNROLL for (int i = 0; i < n_vectors; i++) out[j][i] +=
            s->weight[k * n_out + j] * vf_load(in + (k * n_vectors + i) * VL);
    }
}

/* ---- tiles -------------------------------------------------------------------------------------- */

/* One vector of parameters: a row, and lanes of it, counted from the chunk's first. */
typedef struct slot {
    int64_t row, lane;
} slot;

/* What the tiles of a chunk of lanes have in common. */
typedef struct chunk {
    const lopt__job *job;
    const lopt__workspace *w;
    int64_t outer, lane0, n; /* n lanes from lane0 on */
    int64_t offset;          /* of the slice's first parameter */
    vf exp_mult, rate, decay, use_updated;
} chunk;

static chunk chunk_of_lanes(const lopt__job *job, const lopt__workspace *w, int64_t outer, int64_t lane0) {
    int64_t left = job->view->lanes - lane0;
    return (chunk){
        .job = job,
        .w = w,
        .outer = outer,
        .lane0 = lane0,
        .n = left < w->chunk ? left : w->chunk,
        .offset = element_offset(job->view, outer, 0, 0),
        .exp_mult = vf_splat(job->exp_mult),
        .rate = vf_splat(job->steps ? job->step_mult : job->learning_rate * job->step_mult),
        .decay = vf_splat(job->learning_rate * job->weight_decay),
        .use_updated = vf_splat(job->decay_uses_updated ? 1.0f : 0.0f),
    };
}

/* Rows of a tile are consecutive, so N_VECTORS biases are enough. */
INLINE float *row_bias_of(const chunk *c, int64_t row) {
    return c->w->row_bias + row % N_VECTORS * c->job->mlp->layer[0].pitch;
}

/* Features of the tile's vectors into in[n_element][n_vectors * VL], parameters into p. */
INLINE void gather_tile_features(int n_vectors, int n_element, const chunk *c, const slot *slots, const strip *s,
                                 float *in, vf *p) {
    const lopt__job *job = c->job;
    float g_buffer[VL], p_buffer[VL];
    UNROLL for (int i = 0; i < n_vectors; i++) {
        int64_t stride = job->view->lane_stride, left = c->n - slots[i].lane;
        vf x[LOPT__N_ELEMENT_EXTENDED];
        vf g = vf_load_unaligned(fetch_lanes(job->grads + s[i].at, stride, left, VL, g_buffer));
        p[i] = vf_load_unaligned(fetch_lanes(job->params + s[i].at, stride, left, VL, p_buffer));
        element_features(n_element, job, c->w, &s[i], 0, slots[i].lane, g, p[i], all_lanes(), x);
#if LOPT_BF16
        UNROLL for (int f = 0; f < n_element; f += 2)
            vf_store(in + (f / 2 * n_vectors + i) * VL, (vf)vf_pair_bf16(x[f], x[f + 1]));
#else
        UNROLL for (int f = 0; f < n_element; f++) vf_store(in + (f * n_vectors + i) * VL, x[f]);
#endif
    }
}

/* The network; returns its step, times chunk->rate. */
INLINE void run_network_tile(int n_vectors, int n_element, int n_out, const chunk *c, const slot *slots,
                             const float *in, vf *step) {
    const lopt__mlp *mlp = c->job->mlp;
    const float *row_bias[N_VECTORS], *lane_bias[N_VECTORS];
    UNROLL for (int i = 0; i < n_vectors; i++) {
        row_bias[i] = row_bias_of(c, slots[i].row);
        lane_bias[i] = c->w->lane_bias + slots[i].lane;
    }
    const lopt__layer *output = &mlp->layer[mlp->n_layers - 1], *last = output - 1;
    int is_fused = mlp->n_layers > 2 && last->out % N_UNITS == 0;
    float *to = c->w->activation[0];
    first_layer(n_vectors, n_element, &mlp->layer[0], c->w, in, row_bias, lane_bias, mlp->n_layers > 2, to);
    for (int l = 1; l < mlp->n_layers - 1 - is_fused; l++) {
        const float *from = to;
        to = c->w->activation[l % 2];
        hidden_layer(n_vectors, &mlp->layer[l], from, l < mlp->n_layers - 2, to);
    }
    vf out[2][N_VECTORS];
    if (is_fused)
        last_layers(n_vectors, n_out, last, output, to, out);
    else
        output_layer(n_vectors, n_out, output, to, out);
    UNROLL for (int i = 0; i < n_vectors; i++) step[i] =
        n_out == 1 ? out[0][i] * c->rate : out[0][i] * vf_exp(out[1][i] * c->exp_mult) * c->rate;
}

INLINE void apply_tile(int n_vectors, int n_element, int n_out, const chunk *c, const slot *slots) {
    const lopt__job *job = c->job;
    _Alignas(64) float in[LOPT__N_ELEMENT_EXTENDED * N_VECTORS * VL];
    strip s[N_VECTORS];
    vf p[N_VECTORS], step[N_VECTORS];
    UNROLL for (int i = 0; i < n_vectors; i++) {
        s[i] = strip_at_lane(job, c->w, c->outer, c->offset, slots[i].row, c->lane0 + slots[i].lane);
        prefetch_next_row(job->view, s[i].momentum, s[i].rms, job->grads + s[i].at, job->params + s[i].at);
    }
    gather_tile_features(n_vectors, n_element, c, slots, s, in, p);
    run_network_tile(n_vectors, n_element, n_out, c, slots, in, step);
    UNROLL for (int i = 0; i < n_vectors; i++) {
        int64_t stride = job->view->lane_stride, left = c->n - slots[i].lane;
        if (job->steps) {
            store_lanes(job->steps + s[i].at, stride, left, step[i]);
            continue;
        }
        vf update = -(step[i] + c->decay * (p[i] - c->use_updated * step[i]));
        store_lanes(job->params + s[i].at, stride, left, p[i] + update);
        if (job->updates) store_lanes(job->updates + s[i].at, stride, left, update);
    }
}

/* A tile of n_vectors slots: N_VECTORS, or 1 for what is left over. */
typedef void tile_function(const chunk *c, const slot *slots);

#define TILE_FUNCTION(name, n_vectors, n_element, n_out)                                                               \
    static void name(const chunk *c, const slot *slots) {                                                              \
        apply_tile(n_vectors, n_element, n_out, c, slots);                                                             \
    }

TILE_FUNCTION(plain_tile, N_VECTORS, LOPT__N_ELEMENT, 2)
TILE_FUNCTION(plain_vector, 1, LOPT__N_ELEMENT, 2)
TILE_FUNCTION(plain_direction_tile, N_VECTORS, LOPT__N_ELEMENT, 1)
TILE_FUNCTION(plain_direction_vector, 1, LOPT__N_ELEMENT, 1)
TILE_FUNCTION(extended_tile, N_VECTORS, LOPT__N_ELEMENT_EXTENDED, 2)
TILE_FUNCTION(extended_vector, 1, LOPT__N_ELEMENT_EXTENDED, 2)
TILE_FUNCTION(extended_direction_tile, N_VECTORS, LOPT__N_ELEMENT_EXTENDED, 1)
TILE_FUNCTION(extended_direction_vector, 1, LOPT__N_ELEMENT_EXTENDED, 1)

/* All rows of a chunk. */
INLINE void apply_to_chunk(tile_function *tile, tile_function *vector, const chunk *c) {
    slot slots[N_VECTORS];
    int filled = 0;
    for (int64_t row = 0; row < c->job->view->rows; row++) {
        fold_row_features(c->job, c->w, c->outer, row, row_bias_of(c, row));
        for (int64_t lane = 0; lane < c->n; lane += VL) {
            slots[filled++] = (slot){row, lane};
            if (filled < N_VECTORS) continue;
            tile(c, slots);
            filled = 0;
        }
    }
    for (int i = 0; i < filled; i++) vector(c, &slots[i]);
}

static void apply_to_slice(const lopt__job *job, const lopt__workspace *w, int64_t outer) {
    int extended = job->pipeline->n_features == LOPT__N_EXTENDED;
    int n_out = job->mlp->layer[job->mlp->n_layers - 1].out;
    prepare_row_factors(job, w, outer);
    for (int64_t lane0 = 0; lane0 < job->view->lanes; lane0 += w->chunk) {
        chunk c = chunk_of_lanes(job, w, outer, lane0);
        prepare_lane_factors(job, w, outer, lane0, lopt__round_up(c.n));
        fold_lane_features(job, w, outer, lane0, lopt__round_up(c.n));
        if (extended)
            apply_to_chunk(n_out == 1 ? extended_direction_tile : extended_tile,
                           n_out == 1 ? extended_direction_vector : extended_vector, &c);
        else
            apply_to_chunk(n_out == 1 ? plain_direction_tile : plain_tile,
                           n_out == 1 ? plain_direction_vector : plain_vector, &c);
    }
}

/* Nothing is summed up here, so the last quarter of the parts may be cut further: threads end together. */
enum { FINE = 4 };

static int64_t whole_parts(const pass *p) {
    return p->parts.cuts > 1 && !p->parts.by_lanes ? p->parts.n - p->parts.n / 4 : p->parts.n;
}

static void apply_pass_part(void *pass_, int64_t i, int thread) {
    const pass *p = pass_;
    int64_t whole = whole_parts(p);
    lopt__part part;
    open_pass_part(p, i < whole ? i : whole + (i - whole) / FINE, thread, &part);
    if (i >= whole && lopt__part_narrow(&part, (i - whole) % FINE, FINE) == 0) return;
    const lopt__job *job = &part.job;
    lopt__workspace w = workspace_of_job(job);
    for (int64_t outer = 0; outer < job->view->n_outer; outer++) {
        if (outer == 0 || job->slice != job->view->size)
            fold_normalisation(job, &w, lopt__mean_square_at(job, lopt__view_outer(job->view, outer)));
        apply_to_slice(job, &w, outer);
    }
}

static void vector_apply(lopt__job *job) {
    if (needs_reference(job)) {
        lopt__kernels_reference.apply(job);
        return;
    }
    pass p = pass_over_tensor(job);
    lopt__team_run_parts(job->team, whole_parts(&p) + FINE * (p.parts.n - whole_parts(&p)), apply_pass_part, &p);
}

#endif
