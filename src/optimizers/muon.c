/* SPDX-License-Identifier: Apache-2.0
 *
 * muon.c - Muon (Jordan 2024): momentum, orthogonalised.
 *
 *     m <- momentum m + (1 - momentum) g
 *     d = momentum m + (1 - momentum) g if nesterov, else m
 *     p <- p - learning_rate (scale NewtonSchulz(d) + weight_decay p)               newton_schulz.h
 *
 * for tensors with two axes except embeddings; all others are updated by AdamW (moments.h) with
 * learning rate learning_rate adam_rate_mult. Its default is the ratio of Jordan's rates, 3e-4 / 0.02.
 *
 * scale  rows_over_cols    sqrt(max(1, rows / cols)), as published, for weights stored (out, in)
 *        cols_over_rows    the same for weights stored (in, out), as optax.contrib.muon has it
 *        match_rms_adamw   0.2 sqrt(max(rows, cols)) (Liu et al. 2025, 2502.16982)
 *        none              1
 * bias_correction: m and g in d are divided as in optax (nesterov of moments.h), which changes the
 * direction of d in the first steps. torch.optim.Muon is the published rule in bfloat16. State: m; of others
 * Adam's m, v. */
#include "classical/moments.h"
#include "classical/newton_schulz.h"

enum {
    MOMENTUM = LOPT__N_COMMON,
    NESTEROV,
    BIAS_CORRECTION,
    STEPS,
    EPSILON,
    SCALE,
    ADAM_RATE_MULT,
    ADAM_BETA1,
    ADAM_BETA2,
    ADAM_EPSILON
};
enum { SCALE_ROWS_OVER_COLS, SCALE_COLS_OVER_ROWS, SCALE_MATCH_RMS_ADAMW };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.02", "0"),
    [MOMENTUM] = {"momentum", LOPT__NUMBER, 1, 0, 1, NULL, "0.95", "decay of the mean gradient"},
    [NESTEROV] = {"nesterov", LOPT__BOOLEAN, 1, 0, 1, NULL, "true", "look ahead along the mean gradient"},
    [BIAS_CORRECTION] = {"bias_correction", LOPT__BOOLEAN, 1, 0, 1, NULL, "false",
                         "bias-correct the mean gradient, as optax does"},
    [STEPS] = {"newton_schulz_steps", LOPT__INTEGER, 1, 0, 100, NULL, "5", "steps of the iteration"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-7", "added to the norm before the iteration"},
    [SCALE] = {"scale", LOPT__CHOICE, 1, 0, 0, "rows_over_cols|cols_over_rows|match_rms_adamw|none", "rows_over_cols",
               "how the step of a matrix grows with its shape"},
    [ADAM_RATE_MULT] = {"adam_rate_mult", LOPT__NUMBER, 1, 0, 1e6, NULL, "0.015",
                        "factor of learning_rate for tensors that Adam updates"},
    [ADAM_BETA1] = {"adam_beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "of Adam: decay of the mean gradient"},
    [ADAM_BETA2] = {"adam_beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.95", "of Adam: decay of the mean square"},
    [ADAM_EPSILON] = {"adam_epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-10", "of Adam: added to the root"},
};

static const lopt__preset presets[] = {
    {{"muon", "muon", "orthogonalised momentum for matrices, AdamW for the rest", "Jordan, 2024", 0}, {{0}}},
};

static int is_matrix_view(const lopt__view *view) {
    return view->rank == 2 && view->role != LOPT_ROLE_EMBEDDING;
}

static size_t muon_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return (is_matrix_view(view) ? 1 : 2) * (size_t)view->size;
}

/* The direction, then the scratch of Newton-Schulz. */
static size_t muon_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    size_t largest = 0;
    (void)opt;
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt_tensor *t = &state->tensors[i].spec;
        if (!is_matrix_view(&state->tensors[i].view)) continue;
        size_t floats = (size_t)(t->dim[0] * t->dim[1]) + lopt__newton_schulz_scratch(t->dim[0], t->dim[1]);
        largest = floats > largest ? floats : largest;
    }
    return largest;
}

typedef struct momentum_constants {
    float beta, one_minus_beta;
    float of_m, of_g; /* d = of_m m + of_g g */
} momentum_constants;

static momentum_constants muon_momentum_at(const lopt_optimizer *opt, int64_t updates_done) {
    lopt__moments k = lopt__moments_at_step(opt->value[MOMENTUM][0], 0, updates_done);
    int correct = lopt__read_integer(opt, BIAS_CORRECTION);
    float of_g = correct ? k.correction1 : 1, of_m = correct ? k.nesterov_correction : 1;
    if (lopt__read_integer(opt, NESTEROV))
        return (momentum_constants){k.beta1, k.one_minus_beta1, k.beta1 / of_m, k.one_minus_beta1 / of_g};
    return (momentum_constants){k.beta1, k.one_minus_beta1, 1 / of_g, 0};
}

static void muon_direction_rule(const lopt__span *s, const void *constants) {
    const momentum_constants c = *(const momentum_constants *)constants;
    const float *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict direction = s->update;
    for (int64_t i = 0; i < s->n; i++) {
        m[i] = c.beta * m[i] + c.one_minus_beta * g[i];
        direction[i] = c.of_m * m[i] + c.of_g * g[i];
    }
}

static float muon_shape_scale(const lopt_optimizer *opt, double rows, double cols) {
    switch (lopt__read_integer(opt, SCALE)) {
    case SCALE_ROWS_OVER_COLS:
        return (float)sqrt(fmax(1, rows / cols));
    case SCALE_COLS_OVER_ROWS:
        return (float)sqrt(fmax(1, cols / rows));
    case SCALE_MATCH_RMS_ADAMW:
        return (float)(0.2 * sqrt(fmax(rows, cols)));
    default:
        return 1;
    }
}

static void muon_step_matrix(const lopt_optimizer *opt, const lopt_state *state, const lopt__tensor *t,
                             const lopt__io *io, float rate, const momentum_constants *c) {
    int64_t rows = t->spec.dim[0], cols = t->spec.dim[1], size = t->view.size;
    float *restrict x = state->scratch;
    lopt__run_rule(opt, t, io, rate, muon_direction_rule, c, x);
    lopt__newton_schulz(x, rows, cols, lopt__read_integer(opt, STEPS), lopt__newton_schulz_published,
                        lopt__read_number(opt, EPSILON), x + size);
    const float *restrict p = io->params + t->offset;
    float scale = muon_shape_scale(opt, (double)rows, (double)cols), decay = lopt__decoupled_decay(opt, t);
    for (int64_t i = 0; i < size; i++) x[i] = scale * x[i] + decay * p[i];
    lopt__add_update(t, io, -rate, x);
}

static void muon_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    int64_t done = state->header->step;
    float rate = lopt__scheduled_rate(opt, state), adam_rate = rate * lopt__read_number(opt, ADAM_RATE_MULT);
    momentum_constants momentum = muon_momentum_at(opt, done);
    lopt__adam_constants adam = {.moments =
                                     lopt__moments_at_step(opt->value[ADAM_BETA1][0], opt->value[ADAM_BETA2][0], done),
                                 .epsilon = lopt__read_number(opt, ADAM_EPSILON)};
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        if (is_matrix_view(&t->view))
            muon_step_matrix(opt, state, t, io, lopt__tensor_rate(t, rate), &momentum);
        else
            lopt__step_tensor(opt, t, io, lopt__tensor_rate(t, adam_rate), lopt__adam_rule, &adam);
    }
}

const lopt__kind lopt__muon = {
    .name = "muon",
    LOPT__TABLES,
    .tensor_floats = muon_tensor_floats,
    .scratch_floats = muon_scratch_floats,
    .step = muon_step,
};
