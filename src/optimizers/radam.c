/* SPDX-License-Identifier: Apache-2.0
 *
 * radam.c - rectified Adam (Liu et al. 2020, 1908.03265; optax.radam).
 *
 *     rho_inf = 2 / (1 - beta2) - 1         rho = rho_inf - 2 T beta2^T / (1 - beta2^T)
 *     rho < threshold:  p <- p - learning_rate (m^ + weight_decay p)
 *     else: p <- p - learning_rate (r m^ / (sqrt(v^ + epsilon_root) + epsilon) + weight_decay p),
 *           r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
 *
 * rho is computed in float, as in optax: in the first tens of steps cancellation costs up to five
 * digits, and torch.optim.RAdam (double) differs visibly. State of a tensor: m, v. */
#include "classical/moments.h"

enum { THRESHOLD = LOPT__N_MOMENT };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.001", "0"),
    LOPT__MOMENT_HYPERS("0.9", "0.999", "1e-8", "0"),
    [THRESHOLD] = {"threshold", LOPT__NUMBER, 1, 0, 1e6, NULL, "5", "rho from which the variance is trusted"},
};

static const lopt__preset presets[] = {
    {{"radam", "radam", "Adam with a rectified adaptive learning rate", "Liu et al., 2020 (1908.03265)", 0}, {{0}}},
};

/* r, or 0 while rho is below the threshold. */
static float variance_rectifier(const lopt_optimizer *opt, const lopt_state *state) {
    double beta2 = opt->value[LOPT__BETA2][0], rho_inf = 2 / (1 - beta2) - 1;
    float count = (float)(state->header->step + 1), power = powf((float)beta2, count);
    float rho = (float)rho_inf - 2 * count * power / (1 - power);
    if (rho < lopt__read_number(opt, THRESHOLD)) return 0;
    return sqrtf((rho - 4) * (rho - 2) * (float)rho_inf / ((float)((rho_inf - 4) * (rho_inf - 2)) * rho));
}

typedef struct radam_constants {
    lopt__adam_constants adam;
    float rectifier;
} radam_constants;

static void radam_rule(const lopt__span *s, const void *constants) {
    const radam_constants *c = (const radam_constants *)constants;
    const lopt__moments k = c->adam.moments;
    const float epsilon = c->adam.epsilon, epsilon_root = c->adam.epsilon_root, rectifier_ = c->rectifier;
    const float rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict v = lopt__span_array(s, 1), *restrict update = s->update;
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (g[i] * g[i]);
        float mean = m[i] / k.correction1, root = sqrtf(v[i] / k.correction2 + epsilon_root) + epsilon;
        float direction = rectifier_ != 0 ? rectifier_ * mean / root : mean;
        update[i] = -rate * (direction + decay * p[i]);
    }
}

static void radam_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    radam_constants c = {lopt__adam_constants_of(opt, state), variance_rectifier(opt, state)};
    lopt__step_elementwise(opt, state, io, radam_rule, &c);
}

const lopt__kind lopt__radam = {
    .name = "radam",
    LOPT__TABLES,
    .tensor_floats = lopt__two_array_floats,
    .step = radam_step,
};
