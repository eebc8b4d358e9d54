/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise_update.c - spans, norms, and how updates reach the parameters. */
#include "classical/elementwise_update.h"

#include <string.h>

#include "core/chunks.h"

#define BLOCK 512
#define N_SUMS 16

enum { FORM_DECOUPLED, FORM_GRADIENT };

static float decay_in_gradient(const lopt_optimizer *opt, const lopt__tensor *t) {
    if (lopt__read_integer(opt, LOPT__WEIGHT_DECAY_FORM) == FORM_DECOUPLED) return 0;
    return lopt__tensor_decay(t, lopt__read_number(opt, LOPT__WEIGHT_DECAY));
}

float lopt__decoupled_decay(const lopt_optimizer *opt, const lopt__tensor *t) {
    if (lopt__read_integer(opt, LOPT__WEIGHT_DECAY_FORM) == FORM_GRADIENT) return 0;
    return lopt__tensor_decay(t, lopt__read_number(opt, LOPT__WEIGHT_DECAY));
}

static const float *add_decay_to_gradient(float decay, int64_t n, const float *restrict g, const float *restrict p,
                                          float *restrict buffer) {
    if (decay == 0) return g;
    for (int64_t i = 0; i < n; i++) buffer[i] = g[i] + decay * p[i];
    return buffer;
}

/* A loop over a tensor, chunk by chunk. */
typedef struct sweep {
    const lopt__tensor *tensor;
    const lopt__io *io;
    lopt__rule *rule;
    const void *constants;
    lopt__span span; /* common to all blocks */
    float in_gradient, factor, *out;
    const float *in;
} sweep;

static void decay_gradient_chunk(void *sweep_, int64_t i, int thread) {
    (void)thread;
    const sweep *s = (const sweep *)sweep_;
    lopt__range r = lopt__chunk_range(s->tensor->view.size, i);
    int64_t at = s->tensor->offset + r.first;
    add_decay_to_gradient(s->in_gradient, r.n, s->io->grads + at, s->io->params + at, s->out + r.first);
}

const float *lopt__decayed_gradient(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io,
                                    float *buffer) {
    sweep s = {.tensor = t, .io = io, .in_gradient = decay_in_gradient(opt, t), .out = buffer};
    if (s.in_gradient == 0) return io->grads + t->offset;
    lopt__team_run_chunks(io->team, lopt__n_chunks(t->view.size), decay_gradient_chunk, &s);
    return buffer;
}

static void add_update_block(const lopt__io *io, int64_t offset, int64_t n, const float *restrict update) {
    float *restrict p = io->params + offset;
    for (int64_t i = 0; i < n; i++) p[i] += update[i];
    if (io->updates) memcpy(io->updates + offset, update, (size_t)n * sizeof *update);
}

static void run_rule_on_chunk(void *sweep_, int64_t i, int thread) {
    (void)thread;
    const sweep *w = (const sweep *)sweep_;
    const lopt__tensor *t = w->tensor;
    const lopt__io *io = w->io;
    lopt__span s = w->span;
    lopt__range r = lopt__chunk_range(s.size, i);
    float step[BLOCK], gradient[BLOCK];
    for (int64_t at = r.first; at < r.first + r.n; at += BLOCK) {
        s.n = r.first + r.n - at < BLOCK ? r.first + r.n - at : BLOCK;
        s.p = io->params + t->offset + at;
        s.g = add_decay_to_gradient(w->in_gradient, s.n, io->grads + t->offset + at, s.p, gradient);
        s.data = t->data + at;
        s.update = w->out ? w->out + at : step;
        w->rule(&s, w->constants);
        if (!w->out) add_update_block(io, t->offset + at, s.n, step);
    }
}

/* update: [size], or NULL to add block by block. */
static void run_rule_on_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, float rate,
                               lopt__rule *rule, const void *constants, float *update) {
    sweep s = {.tensor = t,
               .io = io,
               .rule = rule,
               .constants = constants,
               .span = {.rate = rate, .decay = lopt__decoupled_decay(opt, t), .size = t->view.size},
               .in_gradient = decay_in_gradient(opt, t),
               .out = update};
    lopt__team_run_chunks(io->team, lopt__n_chunks(t->view.size), run_rule_on_chunk, &s);
}

void lopt__step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, float rate,
                       lopt__rule *rule, const void *constants) {
    run_rule_on_tensor(opt, t, io, rate, rule, constants, NULL);
}

void lopt__run_rule(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, float rate, lopt__rule *rule,
                    const void *constants, float *update) {
    run_rule_on_tensor(opt, t, io, rate, rule, constants, update);
}

void lopt__step_elementwise(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io, lopt__rule *rule,
                            const void *constants) {
    float rate = lopt__scheduled_rate(opt, state);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        lopt__step_tensor(opt, t, io, lopt__tensor_rate(t, rate), rule, constants);
    }
}

static void add_update_chunk(void *sweep_, int64_t i, int thread) {
    (void)thread;
    const sweep *s = (const sweep *)sweep_;
    lopt__range r = lopt__chunk_range(s->tensor->view.size, i);
    float scaled[BLOCK];
    for (int64_t at = r.first; at < r.first + r.n; at += BLOCK) {
        int64_t n = r.first + r.n - at < BLOCK ? r.first + r.n - at : BLOCK;
        for (int64_t k = 0; k < n; k++) scaled[k] = s->factor * s->in[at + k];
        add_update_block(s->io, s->tensor->offset + at, n, scaled);
    }
}

void lopt__add_update(const lopt__tensor *t, const lopt__io *io, float factor, const float *update) {
    sweep s = {.tensor = t, .io = io, .factor = factor, .in = update};
    lopt__team_run_chunks(io->team, lopt__n_chunks(t->view.size), add_update_chunk, &s);
}

/* Sums of squares of the chunks of an array. */
typedef struct squares {
    const float *x;
    int64_t n;
    double sum[LOPT__MAX_CHUNKS];
} squares;

/* Partial sums in a fixed, vectorisable order; their total in double. */
static void sum_squares_of_chunk(void *squares_, int64_t chunk, int thread) {
    (void)thread;
    squares *s = (squares *)squares_;
    lopt__range r = lopt__chunk_range(s->n, chunk);
    const float *x = s->x + r.first;
    float sum[N_SUMS] = {0};
    int64_t i = 0;
    for (; i + N_SUMS <= r.n; i += N_SUMS)
        for (int k = 0; k < N_SUMS; k++) sum[k] += x[i + k] * x[i + k];
    double total = 0;
    for (; i < r.n; i++) total += (double)x[i] * x[i];
    for (int k = 0; k < N_SUMS; k++) total += sum[k];
    s->sum[chunk] = total;
}

float lopt__norm_of(lopt__team *team, const float *x, int64_t n) {
    squares s = {.x = x, .n = n};
    double total = 0;
    lopt__team_run_chunks(team, lopt__n_chunks(n), sum_squares_of_chunk, &s);
    for (int64_t i = 0; i < lopt__n_chunks(n); i++) total += s.sum[i];
    return (float)sqrt(total);
}

float lopt__trust_ratio(const lopt__tensor *t, const lopt__io *io, const float *update, float coefficient,
                        float epsilon) {
    float p_norm = lopt__norm_of(io->team, io->params + t->offset, t->view.size);
    float update_norm = lopt__norm_of(io->team, update, t->view.size);
    return p_norm == 0 || update_norm == 0 ? 1 : coefficient * p_norm / (update_norm + epsilon);
}

void lopt__fill_arrays(lopt_state *state, int n_arrays, float value) {
    for (size_t i = 0; i < state->n_tensors; i++)
        for (int64_t k = 0; k < n_arrays * state->tensors[i].view.size; k++) state->tensors[i].data[k] = value;
}

size_t lopt__one_array_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return (size_t)view->size;
}

size_t lopt__two_array_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return 2 * (size_t)view->size;
}

size_t lopt__largest_tensor(const lopt_optimizer *opt, const lopt_state *state) {
    (void)opt;
    int64_t largest = 0;
    for (size_t i = 0; i < state->n_tensors; i++)
        if (state->tensors[i].view.size > largest) largest = state->tensors[i].view.size;
    return (size_t)largest;
}
