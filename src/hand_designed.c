/* SPDX-License-Identifier: Apache-2.0
 *
 * hand_designed.c - spans, norms, and how updates reach the parameters. */
#include "hand_designed.h"

#include <string.h>

#define BLOCK 512
#define N_SUMS 16

enum { FORM_DECOUPLED, FORM_GRADIENT };

static float gradient_decay(const lopt_optimizer *opt, const lopt__tensor *t)
{
    if (lopt__integer(opt, LOPT__WEIGHT_DECAY_FORM) == FORM_DECOUPLED)
        return 0;
    return lopt__tensor_decay(t, lopt__number(opt, LOPT__WEIGHT_DECAY));
}

float lopt__decoupled_decay(const lopt_optimizer *opt, const lopt__tensor *t)
{
    if (lopt__integer(opt, LOPT__WEIGHT_DECAY_FORM) == FORM_GRADIENT)
        return 0;
    return lopt__tensor_decay(t, lopt__number(opt, LOPT__WEIGHT_DECAY));
}

static const float *decayed(float decay, int64_t n, const float *restrict g,
                            const float *restrict p, float *restrict buffer)
{
    if (decay == 0)
        return g;
    for (int64_t i = 0; i < n; i++)
        buffer[i] = g[i] + decay * p[i];
    return buffer;
}

const float *lopt__decayed_gradient(const lopt_optimizer *opt, const lopt__tensor *t,
                                    const lopt__io *io, float *buffer)
{
    return decayed(gradient_decay(opt, t), t->view.size, io->grads + t->offset,
                   io->params + t->offset, buffer);
}

static void add(const lopt__io *io, int64_t offset, int64_t n, const float *restrict update)
{
    float *restrict p = io->params + offset;
    for (int64_t i = 0; i < n; i++)
        p[i] += update[i];
    if (io->updates)
        memcpy(io->updates + offset, update, (size_t)n * sizeof *update);
}

/* update: [size], or NULL to add block by block. */
static void run(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, float rate,
                lopt__rule *rule, const void *constants, float *update)
{
    float step[BLOCK], gradient[BLOCK], in_gradient = gradient_decay(opt, t);
    lopt__span s = {.rate = rate, .decay = lopt__decoupled_decay(opt, t), .size = t->view.size};
    for (int64_t at = 0; at < t->view.size; at += BLOCK) {
        s.n = t->view.size - at < BLOCK ? t->view.size - at : BLOCK;
        s.p = io->params + t->offset + at;
        s.g = decayed(in_gradient, s.n, io->grads + t->offset + at, s.p, gradient);
        s.data = t->data + at;
        s.update = update ? update + at : step;
        rule(&s, constants);
        if (!update)
            add(io, t->offset + at, s.n, step);
    }
}

void lopt__step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io,
                       float rate, lopt__rule *rule, const void *constants)
{
    run(opt, t, io, rate, rule, constants, NULL);
}

void lopt__run_rule(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io,
                    float rate, lopt__rule *rule, const void *constants, float *update)
{
    run(opt, t, io, rate, rule, constants, update);
}

void lopt__step_elementwise(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io,
                            lopt__rule *rule, const void *constants)
{
    float rate = lopt__rate(opt, state);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        lopt__step_tensor(opt, t, io, lopt__tensor_rate(t, rate), rule, constants);
    }
}

void lopt__add_update(const lopt__tensor *t, const lopt__io *io, float factor, const float *update)
{
    float scaled[BLOCK];
    for (int64_t at = 0; at < t->view.size; at += BLOCK) {
        int64_t n = t->view.size - at < BLOCK ? t->view.size - at : BLOCK;
        for (int64_t i = 0; i < n; i++)
            scaled[i] = factor * update[at + i];
        add(io, t->offset + at, n, scaled);
    }
}

/* Partial sums in a fixed order that vectors can follow; their total in double. */
float lopt__norm(const float *x, int64_t n)
{
    float sum[N_SUMS] = {0};
    int64_t i = 0;
    for (; i + N_SUMS <= n; i += N_SUMS)
        for (int k = 0; k < N_SUMS; k++)
            sum[k] += x[i + k] * x[i + k];
    double total = 0;
    for (; i < n; i++)
        total += (double)x[i] * x[i];
    for (int k = 0; k < N_SUMS; k++)
        total += sum[k];
    return (float)sqrt(total);
}

float lopt__trust_ratio(const lopt__tensor *t, const lopt__io *io, const float *update,
                        float coefficient, float epsilon)
{
    float p_norm = lopt__norm(io->params + t->offset, t->view.size);
    float update_norm = lopt__norm(update, t->view.size);
    return p_norm == 0 || update_norm == 0 ? 1 : coefficient * p_norm / (update_norm + epsilon);
}

void lopt__fill_arrays(lopt_state *state, int n_arrays, float value)
{
    for (size_t i = 0; i < state->n_tensors; i++)
        for (int64_t k = 0; k < n_arrays * state->tensors[i].view.size; k++)
            state->tensors[i].data[k] = value;
}

size_t lopt__one_array(const lopt_optimizer *opt, const lopt__view *view)
{
    (void)opt;
    return (size_t)view->size;
}

size_t lopt__two_arrays(const lopt_optimizer *opt, const lopt__view *view)
{
    (void)opt;
    return 2 * (size_t)view->size;
}

size_t lopt__largest_tensor(const lopt_optimizer *opt, const lopt_state *state)
{
    (void)opt;
    int64_t largest = 0;
    for (size_t i = 0; i < state->n_tensors; i++)
        if (state->tensors[i].view.size > largest)
            largest = state->tensors[i].view.size;
    return (size_t)largest;
}
