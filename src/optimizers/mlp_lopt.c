/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp_lopt.c - MLPLOpt of learned_optimization, the first of the per-parameter networks (Metz
 * et al. 2018, 1810.10180).
 *
 *     m_k <- decay_k m_k + (1 - decay_k) g                        six momenta
 *     features: g, p, m_0 .. m_5, normalised over the tensor; time (time_features.h)
 *     features -> MLP -> (o0, o1),  step = o0 exp(o1 exp_mult) step_mult
 *     p <- p - learning_rate (step + weight_decay p)
 *
 * State of a tensor: m [6][size]. Gradients are not clipped. */
#include <math.h>

#include "classical/apply_steps.h"
#include "classical/shared_hypers.h"
#include "kernels/time_features.h"
#include "learned/per_parameter_net.h"

enum { HIDDEN_SIZE, HIDDEN_LAYERS, LEARNING_RATE, STEP_MULT, EXP_MULT, WEIGHT_DECAY, DECAYS };

#define N_MOMENTA 6
#define N_OWN (2 + N_MOMENTA)
#define N_OUTPUTS 2
#define NETWORK "mlp/~/linear"

static const lopt__hyper hypers[] = {
    [HIDDEN_SIZE] = LOPT__HYPER_HIDDEN_SIZE("32"),
    [HIDDEN_LAYERS] = LOPT__HYPER_HIDDEN_LAYERS("2"),
    [LEARNING_RATE] = LOPT__HYPER_LEARNING_RATE("1"),
    [STEP_MULT] = LOPT__HYPER_STEP_MULT("0.001"),
    [EXP_MULT] = LOPT__HYPER_EXP_MULT("0.001"),
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [DECAYS] = {"decays", LOPT__NUMBER, N_MOMENTA, 0, 1, NULL, "[0.1, 0.5, 0.9, 0.99, 0.999, 0.9999]",
                "decays of the momenta"},
};

static const lopt__preset presets[] = {
    {{"mlp-lopt", "mlp_lopt", "per-parameter MLP on gradient, parameter and momenta", "Metz et al., 2018 (1810.10180)",
      1},
     {{0}}},
};

static void mlp_lopt_layout(lopt_optimizer *opt) {
    lopt__network_layout(opt, NETWORK, N_OWN + LOPT__N_TIME, lopt__read_integer(opt, HIDDEN_SIZE),
                         lopt__read_integer(opt, HIDDEN_LAYERS), N_OUTPUTS);
}

static size_t mlp_lopt_prepared_bytes(const lopt_optimizer *opt) {
    (void)opt;
    return sizeof(lopt__network);
}

static void mlp_lopt_prepare(lopt_optimizer *opt) {
    *(lopt__network *)opt->prepared = lopt__network_from_theta(opt, NETWORK, lopt__read_integer(opt, HIDDEN_LAYERS));
}

static size_t mlp_lopt_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return N_MOMENTA * (size_t)view->size;
}

/* The scratch of the network, then the bias of its first layer with the time features. */
static size_t mlp_lopt_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    const lopt__network *net = (const lopt__network *)opt->prepared;
    return lopt__network_scratch(net, state->n_threads) + (size_t)net->layer[0].out;
}

/* ---- step ------------------------------------------------------------------------------------ */

static void mlp_lopt_accumulate(const lopt_optimizer *opt, const lopt__tensor *t, const float *restrict g) {
    int64_t n = t->view.size;
    for (int k = 0; k < N_MOMENTA; k++) {
        const float decay = (float)opt->value[DECAYS][k];
        float *restrict m = t->data + k * n;
        for (int64_t i = 0; i < n; i++) m[i] = decay * m[i] + (1.0f - decay) * g[i];
    }
}

/* A tensor in this step, for the functions of the network. */
typedef struct source {
    const lopt__tensor *tensor;
    const lopt__io *io;
    float rate, decay, step_mult, exp_mult;
} source;

static void mlp_lopt_features(const void *source_, int64_t at, int64_t n, float *x) {
    const source *s = (const source *)source_;
    const lopt__tensor *t = s->tensor;
    for (int64_t i = at; i < at + n; i++) {
        *x++ = s->io->grads[t->offset + i];
        *x++ = s->io->params[t->offset + i];
        for (int k = 0; k < N_MOMENTA; k++) *x++ = t->data[k * t->view.size + i];
    }
}

static void mlp_lopt_outputs(void *source_, int64_t chunk, int64_t at, int64_t n, const float *y) {
    (void)chunk;
    const source *s = (const source *)source_;
    float step[LOPT__ROWS];
    for (int64_t i = 0; i < n; i++)
        step[i] = y[N_OUTPUTS * i] * expf(y[N_OUTPUTS * i + 1] * s->exp_mult) * s->step_mult;
    lopt__apply_steps(s->io, s->tensor->offset + at, n, s->rate, s->decay, step);
}

static void mlp_lopt_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const lopt__network *whole = (const lopt__network *)opt->prepared;
    float time[LOPT__N_TIME], *bias = state->scratch + lopt__network_scratch(whole, state->n_threads);
    lopt__time_features_tanh(state->header->step, time);
    lopt__network net = lopt__network_sharing(whole, LOPT__N_TIME, time, bias);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        source s = {.tensor = t,
                    .io = io,
                    .rate = lopt__tensor_rate(t, lopt__read_number(opt, LEARNING_RATE)),
                    .decay = lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY)),
                    .step_mult = lopt__read_number(opt, STEP_MULT),
                    .exp_mult = lopt__read_number(opt, EXP_MULT)};
        mlp_lopt_accumulate(opt, t, io->grads + t->offset);
        const lopt__elements elements = {t->view.size, &s, mlp_lopt_features, mlp_lopt_outputs, io->team};
        lopt__network_run(&net, &elements, state->scratch);
    }
}

const lopt__kind lopt__mlp_lopt = {
    .name = "mlp_lopt",
    LOPT__TABLES,
    .layout = mlp_lopt_layout,
    .prepared_bytes = mlp_lopt_prepared_bytes,
    .prepare = mlp_lopt_prepare,
    .tensor_floats = mlp_lopt_tensor_floats,
    .scratch_floats = mlp_lopt_scratch_floats,
    .step = mlp_lopt_step,
};
