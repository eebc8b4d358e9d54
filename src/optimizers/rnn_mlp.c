/* SPDX-License-Identifier: Apache-2.0
 *
 * rnn_mlp.c - RNNMLPLOpt of learned_optimization (Metz et al. 2020, 2009.11243): a recurrent
 * network over tensors exchanges messages with a network per parameter.
 *
 *     g clipped to +-A, A = 10 times a running mean of the gradients' root mean square
 *     m_k, rms_k: momenta and second moments with five decays
 *     each tensor: 52 inputs: statistics, the losses, from_lstm, from_mlp -> LSTM -> hidden
 *     from_lstm <- mean over tensors of rnn_to_in(hidden),   message = rnn_to_ff(hidden)
 *     each parameter: 23 features, normalised over the tensor; 31 shared ones, with the message
 *         -> MLP -> o[18],  step = o0 exp(o1 exp_mult) step_mult
 *     p <- p - learning_rate (step + weight_decay p)
 *     from_mlp <- mean over the tensor of o2 .. o17
 *
 * The loss is given as its distance from a running mean in units of the running standard deviation; so is
 * the running mean of the validation losses (lopt_tell_valid_loss), which is 0 before the first of them.
 * Each validation loss advances the clock by one, as a step does.
 *
 * State: hidden, cell, from_mlp, a row for each tensor; from_lstm; the running means; of a tensor m
 * and rms, [5][size] each. */
#include <math.h>
#include <string.h>

#include "classical/apply_steps.h"
#include "classical/elementwise_update.h"
#include "classical/shared_hypers.h"
#include "kernels/param_features.h"
#include "learned/log_magnitude.h"
#include "learned/lstm.h"
#include "learned/per_parameter_net.h"
#include "learned/tensor_summary.h"

enum { LSTM_HIDDEN_SIZE, HIDDEN_SIZE, HIDDEN_LAYERS, LEARNING_RATE, STEP_MULT, EXP_MULT, WEIGHT_DECAY, DECAYS };

#define N_DECAYS 5
#define N_FROM_LSTM 18
#define N_FROM_MLP 16
#define N_MESSAGE 17
#define N_INPUTS (N_FROM_LSTM + N_FROM_MLP + 18) /* of the LSTM */
#define N_OWN (3 + 4 * N_DECAYS)                 /* features of a parameter */
#define N_SHARED (LOPT__N_TIME + 3 + N_MESSAGE)  /* features that a tensor's parameters share */
#define N_OUTPUTS (2 + N_FROM_MLP)
#define NETWORK "ffmod_params/mlp/~/linear"
#define TO_MESSAGE "rnn_to_ff_params/rnn_to_ff"
#define TO_INPUTS "rnn_to_in_params/rnn_to_in"
#define RMS_EPSILON 1e-6f
#define LOG_EPSILON 1e-8f

static const lopt__hyper hypers[] = {
    [LSTM_HIDDEN_SIZE] = LOPT__HYPER_LSTM_HIDDEN_SIZE("64"),
    [HIDDEN_SIZE] = LOPT__HYPER_HIDDEN_SIZE("32"),
    [HIDDEN_LAYERS] = LOPT__HYPER_HIDDEN_LAYERS("2"),
    [LEARNING_RATE] = LOPT__HYPER_LEARNING_RATE("1"),
    [STEP_MULT] = LOPT__HYPER_STEP_MULT("0.001"),
    [EXP_MULT] = LOPT__HYPER_EXP_MULT("0.001"),
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [DECAYS] = {"decays", LOPT__NUMBER, N_DECAYS, 0, 1, NULL, "[0.5, 0.9, 0.99, 0.999, 0.9999]",
                "decays of the momenta and of the second moments"},
};

static const lopt__preset presets[] = {
    {{"rnn-mlp", "rnn_mlp", "a recurrent network over tensors exchanges messages with a network per parameter",
      "Metz et al., 2020 (2009.11243)", 1},
     {{0}}},
};

/* ---- theta ----------------------------------------------------------------------------------- */

typedef struct prepared {
    lopt__lstm lstm;
    lopt__linear to_message, to_inputs;
    lopt__network network;
    const float *from_lstm, *from_mlp; /* initial */
} prepared;

/* Variance 1 / n after truncation: the standard deviation of the truncated normal is divided out. */
static void add_initial_state(lopt_optimizer *opt, const char *name, int n) {
    lopt__add_vector_block(opt, name, n, LOPT__INIT_TRUNCATED_NORMAL, (float)(1 / sqrt(n) / 0.87962566103423978));
}

static void rnn_mlp_layout(lopt_optimizer *opt) {
    int size = lopt__read_integer(opt, LSTM_HIDDEN_SIZE);
    add_initial_state(opt, "initial_from_lstm", N_FROM_LSTM);
    add_initial_state(opt, "initial_from_mlp", N_FROM_MLP);
    lopt__lstm_layout(opt, N_INPUTS, size);
    lopt__linear_layout(opt, TO_MESSAGE, size, N_MESSAGE);
    lopt__linear_layout(opt, TO_INPUTS, size, N_FROM_LSTM);
    lopt__network_layout(opt, NETWORK, N_OWN + N_SHARED, lopt__read_integer(opt, HIDDEN_SIZE),
                         lopt__read_integer(opt, HIDDEN_LAYERS), N_OUTPUTS);
}

static size_t rnn_mlp_prepared_bytes(const lopt_optimizer *opt) {
    (void)opt;
    return sizeof(prepared);
}

static void rnn_mlp_prepare(lopt_optimizer *opt) {
    *(prepared *)opt->prepared = (prepared){
        .lstm = lopt__lstm_from_theta(opt),
        .to_message = lopt__linear_from_theta(opt, TO_MESSAGE),
        .to_inputs = lopt__linear_from_theta(opt, TO_INPUTS),
        .network = lopt__network_from_theta(opt, NETWORK, lopt__read_integer(opt, HIDDEN_LAYERS)),
        .from_lstm = opt->theta + lopt_block_find(opt, "initial_from_lstm")->offset,
        .from_mlp = opt->theta + lopt_block_find(opt, "initial_from_mlp")->offset,
    };
}

/* ---- running means --------------------------------------------------------------------------- */

/* Of the losses. */
typedef struct running_loss {
    float mean, variance;
} running_loss;

#define LOSS_DECAY 0.9f
#define LOSS_COMPLEMENT 0.1f /* (float)(1 - 0.9) */

static void update_running_loss(running_loss *r, float loss) {
    r->mean = LOSS_DECAY * r->mean + LOSS_COMPLEMENT * loss;
    float distance = r->mean - loss;
    r->variance = LOSS_DECAY * r->variance + LOSS_COMPLEMENT * distance * distance;
}

/* Distance of `loss` from the mean of n losses in standard deviations, at most 5. */
static float feature_of_loss(const running_loss *r, int64_t n, float loss) {
    float correction = 1.0f / (1.0f - powf(LOSS_DECAY, (float)n) + 1e-8f);
    float distance = loss - correction * r->mean;
    return lopt__clip_to_limit(distance / sqrtf(correction * r->variance + 1e-8f), 5);
}

/* Of the validation losses. */
typedef struct running_valid {
    float mean, n; /* n: how many; whole */
} running_valid;

#define VALID_DECAY 0.95f
#define VALID_COMPLEMENT 0.05f /* (float)(1 - 0.95) */

static float mean_valid_loss(const running_valid *v) {
    return v->mean / (1.0f - powf(VALID_DECAY, v->n) + 1e-8f);
}

/* Of the gradients' size. t = 1 at first. */
#define CLIP_DECAY 0.99f
#define CLIP_COMPLEMENT 0.01f
#define CLIP_FIRST 0.01f
#define CLIP_RATIO 10

static float gradient_clip_limit(float value, int64_t t) {
    return CLIP_RATIO * (value / (1.0f - powf(CLIP_DECAY, (float)t)));
}

static float next_clip_value(float value, float mean_square) {
    return CLIP_DECAY * value + CLIP_COMPLEMENT * sqrtf(1e-8f + mean_square);
}

/* ---- state ----------------------------------------------------------------------------------- */

typedef struct memory {
    running_loss *losses;
    float *clip; /* [1] */
    running_valid *valid;
    float *from_lstm;     /* [N_FROM_LSTM] */
    float *from_mlp;      /* [tensors][N_FROM_MLP] */
    float *hidden, *cell; /* [tensors][size] */
} memory;

#define N_RUNNING 5 /* losses, clip, valid */

static memory rnn_mlp_memory_at(const lopt_optimizer *opt, const lopt_state *state) {
    int64_t n = (int64_t)state->n_tensors, size = lopt__read_integer(opt, LSTM_HIDDEN_SIZE);
    float *from_lstm = state->global + N_RUNNING, *from_mlp = from_lstm + N_FROM_LSTM;
    float *hidden = from_mlp + n * N_FROM_MLP;
    return (memory){(running_loss *)(void *)state->global,
                    state->global + 2,
                    (running_valid *)(void *)(state->global + 3),
                    from_lstm,
                    from_mlp,
                    hidden,
                    hidden + n * size};
}

static size_t rnn_mlp_global_floats(const lopt_optimizer *opt, size_t n_tensors) {
    size_t row = N_FROM_MLP + 2 * (size_t)lopt__read_integer(opt, LSTM_HIDDEN_SIZE);
    return N_RUNNING + N_FROM_LSTM + n_tensors * row;
}

static size_t rnn_mlp_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return 2 * N_DECAYS * (size_t)view->size;
}

static void rnn_mlp_reset(const lopt_optimizer *opt, lopt_state *state) {
    const prepared *ready = (const prepared *)opt->prepared;
    memory m = rnn_mlp_memory_at(opt, state);
    *m.clip = CLIP_FIRST;
    memcpy(m.from_lstm, ready->from_lstm, N_FROM_LSTM * sizeof(float));
    for (size_t i = 0; i < state->n_tensors; i++)
        memcpy(m.from_mlp + i * N_FROM_MLP, ready->from_mlp, N_FROM_MLP * sizeof(float));
    lopt__lstm_reset(&ready->lstm, (int64_t)state->n_tensors, m.hidden, m.cell);
}

/* ---- scratch --------------------------------------------------------------------------------- */

typedef struct scratch {
    float *grads;                         /* of one tensor, clipped */
    float *inputs, *messages, *to_inputs; /* a row for each tensor */
    float *norm;                          /* [tensors] of the parameters */
    float *lstm, *network, *bias;
    size_t floats;
} scratch;

/* base NULL: only the size means something. */
static scratch rnn_mlp_scratch_at(const lopt_optimizer *opt, const lopt_state *state, float *base) {
    const prepared *ready = (const prepared *)opt->prepared;
    size_t n = state->n_tensors;
    scratch s = {0};
    s.grads = lopt__take_floats(base, &s.floats, lopt__largest_tensor(opt, state));
    s.inputs = lopt__take_floats(base, &s.floats, n * N_INPUTS);
    s.messages = lopt__take_floats(base, &s.floats, n * N_MESSAGE);
    s.to_inputs = lopt__take_floats(base, &s.floats, n * N_FROM_LSTM);
    s.norm = lopt__take_floats(base, &s.floats, n);
    s.lstm = lopt__take_floats(base, &s.floats, n * lopt__lstm_scratch(&ready->lstm.gates));
    s.network = lopt__take_floats(base, &s.floats, lopt__network_scratch(&ready->network, state->n_threads));
    s.bias = lopt__take_floats(base, &s.floats, (size_t)ready->network.layer[0].out);
    return s;
}

static size_t rnn_mlp_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return rnn_mlp_scratch_at(opt, state, NULL).floats;
}

/* ---- one tensor: the LSTM's inputs ----------------------------------------------------------- */

static float *momenta_of_tensor(const lopt__tensor *t) {
    return t->data;
}

static float *second_moments_of_tensor(const lopt__tensor *t) {
    return t->data + N_DECAYS * t->view.size;
}

static void rnn_mlp_accumulate(const lopt_optimizer *opt, const lopt__tensor *t, const float *restrict g) {
    int64_t n = t->view.size;
    for (int k = 0; k < N_DECAYS; k++) {
        const float decay = (float)opt->value[DECAYS][k];
        float *restrict m = momenta_of_tensor(t) + k * n, *restrict rms = second_moments_of_tensor(t) + k * n;
        for (int64_t i = 0; i < n; i++) {
            m[i] = decay * m[i] + (1.0f - decay) * g[i];
            rms[i] = decay * rms[i] + (1.0f - decay) * (g[i] * g[i]);
        }
    }
}

/* The inputs after from_lstm and from_mlp, in the order of names in the published code. */
static void rnn_mlp_tensor_inputs(const lopt__tensor *t, const lopt__summary *g, const lopt__summary *p,
                                  const float loss[2], float *x) {
    lopt__summary m = lopt__summarise_tensor(momenta_of_tensor(t), N_DECAYS * t->view.size);
    lopt__summary rms = lopt__summarise_tensor(second_moments_of_tensor(t), N_DECAYS * t->view.size);
    *x++ = (float)lopt__log_magnitude(g->norm);
    *x++ = t->spec.rank == 0 ? 1 : -1;
    *x++ = (float)lopt__log_magnitude(m.mean);
    *x++ = lopt__sign_of(m.mean);
    *x++ = (float)lopt__log_magnitude(rms.mean);
    *x++ = lopt__sign_of(rms.mean);
    *x++ = (float)lopt__log_magnitude(p->mean);
    *x++ = lopt__sign_of(p->mean);
    *x++ = (float)lopt__log_magnitude(p->norm);
    for (int a = 0; a < LOPT_MAX_RANK; a++) *x++ = (a < t->spec.rank ? logf((float)t->spec.dim[a]) : 0) - 1.0f;
    *x++ = loss[0];
    *x++ = loss[1];
    *x++ = (float)lopt__log_magnitude(m.variance);
    *x++ = (float)lopt__log_magnitude(rms.variance);
    *x++ = (float)lopt__log_magnitude(p->variance);
}

/* Accumulators and inputs of all tensors; returns the mean over tensors of their mean squared
 * gradient. */
static float read_tensor_inputs(const lopt_optimizer *opt, const lopt_state *state, const lopt__io *io, float limit,
                                const float loss[2], const scratch *s) {
    memory past = rnn_mlp_memory_at(opt, state);
    double mean_square = 0;
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        float *x = s->inputs + i * N_INPUTS;
        for (int64_t k = 0; k < t->view.size; k++) s->grads[k] = lopt__clip_to_limit(io->grads[t->offset + k], limit);
        rnn_mlp_accumulate(opt, t, s->grads);
        lopt__summary g = lopt__summarise_tensor(s->grads, t->view.size);
        lopt__summary p = lopt__summarise_tensor(io->params + t->offset, t->view.size);
        memcpy(x, past.from_lstm, N_FROM_LSTM * sizeof(float));
        memcpy(x + N_FROM_LSTM, past.from_mlp + i * N_FROM_MLP, N_FROM_MLP * sizeof(float));
        rnn_mlp_tensor_inputs(t, &g, &p, loss, x + N_FROM_LSTM + N_FROM_MLP);
        mean_square += g.mean_square;
        s->norm[i] = p.norm;
    }
    return (float)(mean_square / (double)state->n_tensors);
}

static void run_rnn_mlp_lstm(const lopt_optimizer *opt, const lopt_state *state, const scratch *s) {
    const prepared *ready = (const prepared *)opt->prepared;
    memory past = rnn_mlp_memory_at(opt, state);
    int64_t n = (int64_t)state->n_tensors;
    lopt__lstm_step(&ready->lstm.gates, n, s->inputs, past.hidden, past.cell, s->lstm);
    lopt__linear_forward(&ready->to_message, n, past.hidden, s->messages);
    lopt__linear_forward(&ready->to_inputs, n, past.hidden, s->to_inputs);
    for (int j = 0; j < N_FROM_LSTM; j++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += s->to_inputs[i * N_FROM_LSTM + j];
        past.from_lstm[j] = (float)(sum / (double)n);
    }
}

/* ---- one tensor: its parameters -------------------------------------------------------------- */

/* A tensor in this step, for the functions of the network. */
typedef struct source {
    const lopt__tensor *tensor;
    const lopt__io *io;
    float grad_limit, rate, decay, step_mult, exp_mult;
    double from_mlp[LOPT__MAX_CHUNKS][N_FROM_MLP]; /* sums */
} source;

static void rnn_mlp_features(const void *source_, int64_t at, int64_t n, float *x) {
    const source *s = (const source *)source_;
    const lopt__tensor *t = s->tensor;
    const float *m = momenta_of_tensor(t), *rms = second_moments_of_tensor(t);
    for (int64_t i = at; i < at + n; i++, x += N_OWN) {
        float p = s->io->params[t->offset + i];
        x[0] = lopt__clip_to_limit(s->io->grads[t->offset + i], s->grad_limit);
        x[1] = p;
        x[2] = logf(fabsf(p) + LOG_EPSILON);
        for (int k = 0; k < N_DECAYS; k++) {
            float mk = m[k * t->view.size + i], rmsk = rms[k * t->view.size + i];
            float inverse = 1.0f / sqrtf(rmsk + RMS_EPSILON);
            x[3 + k] = mk;
            x[3 + N_DECAYS + k] = rmsk;
            x[3 + 2 * N_DECAYS + k] = mk * inverse;
            x[3 + 3 * N_DECAYS + k] = inverse;
        }
    }
}

static void rnn_mlp_outputs(void *source_, int64_t chunk, int64_t at, int64_t n, const float *y) {
    source *s = (source *)source_;
    float step[LOPT__ROWS];
    for (int64_t i = 0; i < n; i++, y += N_OUTPUTS) {
        step[i] = y[0] * expf(y[1] * s->exp_mult) * s->step_mult;
        for (int j = 0; j < N_FROM_MLP; j++) s->from_mlp[chunk][j] += y[2 + j];
    }
    lopt__apply_steps(s->io, s->tensor->offset + at, n, s->rate, s->decay, step);
}

static void rnn_mlp_step_tensor(const lopt_optimizer *opt, const lopt_state *state, size_t i, source *s,
                                const float time[LOPT__N_TIME], const scratch *work) {
    const prepared *ready = (const prepared *)opt->prepared;
    const lopt__tensor *t = &state->tensors[i];
    float shared[N_SHARED], *x = shared + LOPT__N_TIME;
    memcpy(shared, time, LOPT__N_TIME * sizeof(float));
    *x++ = logf((float)state->n_tensors) - 1.0f;
    *x++ = logf(work->norm[i] + LOG_EPSILON);
    *x++ = logf((float)t->view.size);
    memcpy(x, work->messages + i * N_MESSAGE, N_MESSAGE * sizeof(float));

    s->tensor = t;
    s->rate = lopt__tensor_rate(t, lopt__read_number(opt, LEARNING_RATE));
    s->decay = lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY));
    memset(s->from_mlp, 0, sizeof s->from_mlp);
    lopt__network net = lopt__network_sharing(&ready->network, N_SHARED, shared, work->bias);
    const lopt__elements elements = {t->view.size, s, rnn_mlp_features, rnn_mlp_outputs, s->io->team};
    lopt__network_run(&net, &elements, work->network);

    float *from_mlp = rnn_mlp_memory_at(opt, state).from_mlp + i * N_FROM_MLP;
    for (int j = 0; j < N_FROM_MLP; j++) {
        double sum = 0;
        for (int64_t k = 0; k < lopt__n_chunks(t->view.size); k++) sum += s->from_mlp[k][j];
        from_mlp[j] = (float)(sum / (double)t->view.size);
    }
}

static void rnn_mlp_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    memory past = rnn_mlp_memory_at(opt, state);
    scratch work = rnn_mlp_scratch_at(opt, state, state->scratch);
    int64_t n_losses = state->header->step + 1;
    float time[LOPT__N_TIME], limit = gradient_clip_limit(*past.clip, n_losses);
    update_running_loss(past.losses, io->loss);
    float loss[2] = {feature_of_loss(past.losses, n_losses, io->loss),
                     feature_of_loss(past.losses, n_losses, mean_valid_loss(past.valid))};
    float mean_square = read_tensor_inputs(opt, state, io, limit, loss, &work);
    *past.clip = next_clip_value(*past.clip, mean_square);
    run_rnn_mlp_lstm(opt, state, &work);

    lopt__time_features_sin(state->header->step + (int64_t)past.valid->n, time);
    source s = {.io = io,
                .grad_limit = limit,
                .step_mult = lopt__read_number(opt, STEP_MULT),
                .exp_mult = lopt__read_number(opt, EXP_MULT)};
    for (size_t i = 0; i < state->n_tensors; i++) rnn_mlp_step_tensor(opt, state, i, &s, time, &work);
}

static void rnn_mlp_valid_loss(const lopt_optimizer *opt, lopt_state *state, float loss) {
    running_valid *v = rnn_mlp_memory_at(opt, state).valid;
    v->mean = VALID_DECAY * v->mean + VALID_COMPLEMENT * loss;
    v->n++;
}

const lopt__kind lopt__rnn_mlp = {
    .name = "rnn_mlp",
    LOPT__TABLES,
    .layout = rnn_mlp_layout,
    .prepared_bytes = rnn_mlp_prepared_bytes,
    .prepare = rnn_mlp_prepare,
    .global_floats = rnn_mlp_global_floats,
    .tensor_floats = rnn_mlp_tensor_floats,
    .scratch_floats = rnn_mlp_scratch_floats,
    .reset = rnn_mlp_reset,
    .step = rnn_mlp_step,
    .valid_loss = rnn_mlp_valid_loss,
};
