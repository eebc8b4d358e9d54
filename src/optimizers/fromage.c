/* SPDX-License-Identifier: Apache-2.0
 *
 * fromage.c - Fromage (Bernstein et al. 2020, 2002.03432; optax.fromage).
 *
 *     k = 1 / sqrt(1 + learning_rate^2)
 *     p <- k (p - learning_rate g max(|p|, min_norm) / max(|g|, min_norm))
 *          - learning_rate weight_decay p
 *
 * Norms are those of the tensor. No state. */
#include "classical/elementwise_update.h"

enum { MIN_NORM = LOPT__N_COMMON };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.01", "0"),
    [MIN_NORM] = {"min_norm", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-6", "norms are at least this"},
};

static const lopt__preset presets[] = {
    {{"fromage", "fromage", "relative steps on the Frobenius sphere", "Bernstein et al., 2020 (2002.03432)", 0}, {{0}}},
};

typedef struct fromage_constants {
    float gradient, shrink; /* update = gradient g + shrink p */
} fromage_constants;

static void fromage_rule(const lopt__span *s, const void *constants) {
    const fromage_constants c = *(const fromage_constants *)constants;
    const float decay = s->rate * s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) update[i] = c.gradient * g[i] + c.shrink * p[i] - decay * p[i];
}

/* max(|p|, min_norm) / max(|g|, min_norm); 1 if either is 0. */
static float clamped_norm_ratio(float min_norm, float p_norm, float g_norm) {
    p_norm = lopt__larger_of(p_norm, min_norm);
    g_norm = lopt__larger_of(g_norm, min_norm);
    return p_norm == 0 || g_norm == 0 ? 1 : p_norm / g_norm;
}

static void fromage_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    double rate = lopt__rate_at_step(opt, 0, state->header->step, state->header->num_steps);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        double scaled = rate * t->spec.lr_scale, k = 1 / sqrt(1 + scaled * scaled);
        const float *g = lopt__decayed_gradient(opt, t, io, state->scratch);
        float relative = clamped_norm_ratio(lopt__read_number(opt, MIN_NORM),
                                            lopt__norm_of(io->team, io->params + t->offset, t->view.size),
                                            lopt__norm_of(io->team, g, t->view.size));
        fromage_constants c = {-(float)(scaled * k) * relative, (float)(k - 1)};
        lopt__step_tensor(opt, t, io, (float)scaled, fromage_rule, &c);
    }
}

const lopt__kind lopt__fromage = {
    .name = "fromage",
    LOPT__TABLES,
    .scratch_floats = lopt__largest_tensor,
    .step = fromage_step,
};
