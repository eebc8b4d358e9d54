/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise_update.h - the loop over elements that hand-designed optimizers share.
 *
 * An elementwise kind writes one rule over a span of elements:
 *
 *     static void rule(const lopt__span *s, const void *constants)
 *     {
 *         const float *restrict p = s->p, *restrict g = s->g;
 *         float *restrict b = lopt__span_array(s, 0), *restrict update = s->update;
 *         for (int64_t i = 0; i < s->n; i++) {
 *             b[i] = ...;
 *             update[i] = -s->rate * (b[i] + s->decay * p[i]);
 *         }
 *     }
 *
 * and steps with lopt__step_elementwise(opt, state, io, rule, &constants). The loop cuts tensors into
 * blocks that stay in the L1 cache, adds weight decay to the gradient if the settings ask for it, adds
 * updates to the parameters and stores them in io->updates. The compiler vectorises rules (compiled with
 * -O3 -fno-math-errno), so they call nothing but sqrtf. Kinds that need a whole tensor (norms) run a rule
 * into scratch (lopt__run_rule), scale, and call lopt__add_update. All of these use the threads of
 * io->team: rules get blocks in any order.
 *
 * State of a tensor: arrays of its size, one after the other. NaN gradients give NaN updates in
 * every rule, as in the published code: use lopt__larger_of and the like, not fmaxf. */
#ifndef LOPT_ELEMENTWISE_UPDATE_H
#define LOPT_ELEMENTWISE_UPDATE_H

#include <math.h>

#include "classical/schedule.h"

/* Contiguous elements of one tensor. g, p: inputs; update: output, to be added to p. */
typedef struct lopt__span {
    int64_t n;
    const float *p, *g;
    float *update;
    float rate, decay; /* of this tensor; decay is 0 if it is in g */
    float *data;       /* see lopt__span_array */
    int64_t size;      /* of the tensor */
} lopt__span;

typedef void lopt__rule(const lopt__span *s, const void *constants);

/* Array k of the state, from the span's first element on. */
static inline float *lopt__span_array(const lopt__span *s, int k) {
    return s->data + k * s->size;
}

/* Learning rate of this step, without a tensor's lr_scale. */
static inline float lopt__scheduled_rate(const lopt_optimizer *opt, const lopt_state *state) {
    return lopt__rate_of_update(opt, state, 0);
}

/* All tensors: update by the rule, add to params. */
void lopt__step_elementwise(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io, lopt__rule *rule,
                            const void *constants);
/* One tensor, with its learning rate (lr_scale included). */
void lopt__step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, float rate,
                       lopt__rule *rule, const void *constants);
/* One tensor into update[size]; params are unchanged. */
void lopt__run_rule(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, float rate, lopt__rule *rule,
                    const void *constants, float *update);

/* The gradient; with weight decay of the form "gradient" it is computed in buffer[size]. */
const float *lopt__decayed_gradient(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io,
                                    float *buffer);
/* Decoupled weight decay of a tensor; 0 if it is in the gradient. */
float lopt__decoupled_decay(const lopt_optimizer *opt, const lopt__tensor *t);

/* params += factor update, also stored in io->updates. */
void lopt__add_update(const lopt__tensor *t, const lopt__io *io, float factor, const float *update);

/* For kind->reset: sets the first n_arrays arrays of every tensor to value. */
void lopt__fill_arrays(lopt_state *state, int n_arrays, float value);
/* tensor_floats of kinds with one or two arrays. */
size_t lopt__one_array_floats(const lopt_optimizer *opt, const lopt__view *view);
size_t lopt__two_array_floats(const lopt_optimizer *opt, const lopt__view *view);
/* scratch_floats of kinds that need one tensor's update at a time. */
size_t lopt__largest_tensor(const lopt_optimizer *opt, const lopt_state *state);

/* Square root of the sum of squares. */
float lopt__norm_of(lopt__team *team, const float *x, int64_t n);
/* coefficient |params| / (|update| + epsilon) of a tensor; 1 if either norm is 0. */
float lopt__trust_ratio(const lopt__tensor *t, const lopt__io *io, const float *update, float coefficient,
                        float epsilon);

/* NaN if either is NaN, as in JAX and PyTorch. */
static inline float lopt__larger_of(float a, float b) {
    return a < b || b != b ? b : a;
}

static inline float lopt__smaller_of(float a, float b) {
    return a > b || b != b ? b : a;
}

static inline float lopt__sign_of(float x) {
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

#endif
