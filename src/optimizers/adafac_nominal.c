/* SPDX-License-Identifier: Apache-2.0
 *
 * adafac_nominal.c - AdafacNominal (MLPNomLOpt) of learned_optimization (Metz et al. 2022,
 * 2203.11860): small_fc_lopt that can also control a nominal (hand-designed) update and the
 * weight decay.
 *
 *     gradient -> accumulators -> 39 features -> normalise -> MLP -> (d, a, b, c)  as in small_fc.c
 *     step = d exp(a exp_mult[0]) step_mult
 *         normalize_blackbox: times rsqrt(rms + 1e-6); selfnormalize: times the mean of g
 *     nominal = nominal_stepsize exp(b exp_mult[1]) estimate    without nominal_controller b = 1
 *     shrink = weight_decay exp(c exp_mult[2])           without regularization_controller c = 0
 *     p <- p - learning_rate (step + nominal + shrink p)
 *
 * a, b and c may be replaced by their means over the tensor. The estimate is of the gradient:
 *
 *     sgd   g                              adam        m_2 rsqrt(rms + 1e-6)
 *     sgdm  m_2 (the slowest momentum)     adam-aggmo  mean over k of m_k rsqrt(rms + 1e-6)
 *     aggmo mean over k of m_k
 *
 * The kernels evaluate networks with at most two outputs, direction exp(magnitude): d and a are
 * evaluated together, the others one at a time, from the same features. theta is that of small_fc with
 * four outputs. */
#include <math.h>

#include "classical/apply_steps.h"
#include "classical/elementwise_update.h"
#include "classical/shared_hypers.h"
#include "kernels/job.h"
#include "kernels/normalise.h"

enum {
    HIDDEN_SIZE,
    HIDDEN_LAYERS,
    LEARNING_RATE,
    STEP_MULT,
    EXP_MULT,
    WEIGHT_DECAY,
    NOMINAL_STEPSIZE,
    NOMINAL_ESTIMATE,
    NOMINAL_CONTROLLER,
    REGULARIZATION_CONTROLLER,
    AGGREGATE_MAGNITUDE,
    AGGREGATE_NOMINAL,
    AGGREGATE_REGULARIZATION,
    NORMALIZE_BLACKBOX,
    SELFNORMALIZE,
    MOMENTUM_DECAYS,
    RMS_DECAYS,
    ADAFACTOR_DECAYS,
    TIE_RULE
};
enum { ESTIMATE_SGD, ESTIMATE_SGDM, ESTIMATE_AGGMO, ESTIMATE_ADAM, ESTIMATE_ADAM_AGGMO };

/* clang-format off */
#define FLAG(name, help) {name, LOPT__BOOLEAN, 1, 0, 1, NULL, "false", help}
/* clang-format on */

static const lopt__hyper hypers[] = {
    [HIDDEN_SIZE] = LOPT__HYPER_HIDDEN_SIZE("4"),
    [HIDDEN_LAYERS] = LOPT__HYPER_HIDDEN_LAYERS("2"),
    [LEARNING_RATE] = LOPT__HYPER_LEARNING_RATE("1"),
    [STEP_MULT] = LOPT__HYPER_STEP_MULT("0.001"),
    [EXP_MULT] = {"exp_mult", LOPT__NUMBER, 3, 0, 1e6, NULL, "[0.001, 0.001, 0.001]",
                  "factors of the outputs a, b, c, inside exponentials"},
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [NOMINAL_STEPSIZE] = {"nominal_stepsize", LOPT__NUMBER, 1, 0, 1e6, NULL, "0", "factor of the nominal update"},
    [NOMINAL_ESTIMATE] = {"nominal_estimate", LOPT__CHOICE, 1, 0, 0, "sgd|sgdm|aggmo|adam|adam-aggmo", "adam-aggmo",
                          "direction of the nominal update"},
    [NOMINAL_CONTROLLER] = FLAG("nominal_controller", "the network scales the nominal update"),
    [REGULARIZATION_CONTROLLER] = FLAG("regularization_controller", "the network scales weight decay"),
    [AGGREGATE_MAGNITUDE] = FLAG("aggregate_magnitude", "a is its mean over the tensor"),
    [AGGREGATE_NOMINAL] = FLAG("aggregate_nominal", "b is its mean over the tensor"),
    [AGGREGATE_REGULARIZATION] = FLAG("aggregate_regularization", "c is its mean over the tensor"),
    [NORMALIZE_BLACKBOX] = FLAG("normalize_blackbox", "the step is in units of the gradients"),
    [SELFNORMALIZE] = FLAG("selfnormalize", "the step is multiplied by the tensor's mean gradient"),
    [MOMENTUM_DECAYS] = LOPT__HYPER_MOMENTUM_DECAYS("[0.9, 0.99, 0.999]"),
    [RMS_DECAYS] = LOPT__HYPER_RMS_DECAYS("0.999"),
    [ADAFACTOR_DECAYS] = LOPT__HYPER_ADAFACTOR_DECAYS("[0.9, 0.99, 0.999]"),
    [TIE_RULE] = LOPT__HYPER_TIE_RULE("stable"),
};

static const lopt__preset presets[] = {
    {{"adafac-nominal", "adafac_nominal", "small-fc plus a hand-designed update", "Metz et al., 2022 (2203.11860)", 1},
     {{0}}},
};

/* Outputs of the network, in theta's order. */
enum { DIRECTION, MAGNITUDE, NOMINAL, REGULARIZATION, N_OUTPUTS };

static const lopt__pipeline pipeline = {.n_features = LOPT__N_NORMALISED,
                                        .grad_limit = INFINITY,
                                        .rms_epsilon = 1e-6f,
                                        .momentum_epsilon = 1e-6f,
                                        .normalise_epsilon = LOPT__NORMALISE_EPSILON};

/* The network with two outputs (direction and magnitude), and with each output alone. */
typedef struct prepared {
    lopt__decays decays;
    lopt__mlp both, single[N_OUTPUTS];
    _Alignas(64) float weights[];
} prepared;

/* ---- theta ----------------------------------------------------------------------------------- */

static void adafac_nominal_layout(lopt_optimizer *opt) {
    lopt__mlp_layout(opt, LOPT__N_FEATURES, lopt__read_integer(opt, HIDDEN_SIZE),
                     lopt__read_integer(opt, HIDDEN_LAYERS), N_OUTPUTS);
    lopt__add_vector_block(opt, "momentum_decays", LOPT__K, LOPT__INIT_ZERO, 0);
    lopt__add_vector_block(opt, "rms_decays", 1, LOPT__INIT_ZERO, 0);
    lopt__add_vector_block(opt, "adafactor_decays", LOPT__K, LOPT__INIT_ZERO, 0);
}

static size_t floats_of_network(const lopt_optimizer *opt, int outputs) {
    size_t n = lopt__mlp_floats(LOPT__N_FEATURES, lopt__read_integer(opt, HIDDEN_SIZE),
                                lopt__read_integer(opt, HIDDEN_LAYERS), outputs);
    return (size_t)lopt__round_up((int64_t)n);
}

static size_t adafac_nominal_prepared_bytes(const lopt_optimizer *opt) {
    return sizeof(prepared) + sizeof(float) * (floats_of_network(opt, 2) + N_OUTPUTS * floats_of_network(opt, 1));
}

static float *pack_output_network(const lopt_optimizer *opt, lopt__mlp *mlp, int first, int count, float *memory) {
    lopt__mlp_pack_theta(mlp, opt, LOPT__N_FEATURES, lopt__read_integer(opt, HIDDEN_SIZE),
                         lopt__read_integer(opt, HIDDEN_LAYERS), N_OUTPUTS, first, count, memory);
    return memory + floats_of_network(opt, count);
}

static void adafac_nominal_prepare(lopt_optimizer *opt) {
    prepared *ready = (prepared *)opt->prepared;
    lopt__decays_from_settings(&ready->decays, opt, MOMENTUM_DECAYS, RMS_DECAYS, ADAFACTOR_DECAYS, 0);
    float *memory = pack_output_network(opt, &ready->both, DIRECTION, 2, ready->weights);
    for (int i = 0; i < N_OUTPUTS; i++) memory = pack_output_network(opt, &ready->single[i], i, 1, memory);
}

/* ---- state ----------------------------------------------------------------------------------- */

static lopt__tie adafac_nominal_tie(const lopt_optimizer *opt) {
    return (lopt__tie)lopt__read_integer(opt, TIE_RULE);
}

/* Three arrays of the size of the largest tensor, then the scratch of the kernels. */
static size_t floats_of_array(const lopt_optimizer *opt, const lopt_state *state) {
    return (size_t)lopt__round_up((int64_t)lopt__largest_tensor(opt, state));
}

static size_t adafac_nominal_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return 3 * floats_of_array(opt, state) + lopt__kernel_scratch_most(state, lopt__read_integer(opt, HIDDEN_SIZE));
}

/* ---- step ------------------------------------------------------------------------------------ */

static float mean_of_floats(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return (float)(sum / (double)n);
}

/* One output for every parameter. */
static void run_output_network(const lopt_optimizer *opt, lopt__job *job, int which, int aggregate, float *out) {
    const prepared *ready = (const prepared *)opt->prepared;
    int64_t n = job->view->size;
    job->mlp = &ready->single[which];
    job->step_mult = 1;
    job->steps = out;
    lopt__kernels_current()->apply(job);
    float mean = aggregate ? mean_of_floats(out, n) : 0;
    for (int64_t i = 0; i < n && aggregate; i++) out[i] = mean;
}

/* d exp(a exp_mult) step_mult. work: [size]. */
static void run_black_box(const lopt_optimizer *opt, lopt__job *job, float *step, float *work) {
    const prepared *ready = (const prepared *)opt->prepared;
    float step_mult = lopt__read_number(opt, STEP_MULT), exp_mult = (float)opt->value[EXP_MULT][0];
    if (lopt__read_integer(opt, AGGREGATE_MAGNITUDE)) {
        run_output_network(opt, job, DIRECTION, 0, step);
        run_output_network(opt, job, MAGNITUDE, 1, work);
        for (int64_t i = 0; i < job->view->size; i++) step[i] = step[i] * expf(work[i] * exp_mult) * step_mult;
        return;
    }
    job->mlp = &ready->both;
    job->exp_mult = exp_mult;
    job->step_mult = step_mult;
    job->steps = step;
    lopt__kernels_current()->apply(job);
}

static float nominal_estimate(int which, float g, const float m[LOPT__K], float inverse_rms) {
    float momentum = which == ESTIMATE_SGDM || which == ESTIMATE_ADAM ? m[LOPT__K - 1] : 0;
    for (int k = 0; k < LOPT__K && (which == ESTIMATE_AGGMO || which == ESTIMATE_ADAM_AGGMO); k++)
        momentum += m[k] / LOPT__K;
    if (which == ESTIMATE_SGD) return g;
    return which == ESTIMATE_SGDM || which == ESTIMATE_AGGMO ? momentum : momentum * inverse_rms;
}

/* Scales the steps and adds the nominal update, both from the accumulators. nominal: [size], its factor. */
static void add_nominal_update(const lopt_optimizer *opt, const lopt__job *job, const float *nominal, float *step) {
    const lopt__view *v = job->view;
    int which = lopt__read_integer(opt, NOMINAL_ESTIMATE), normalize = lopt__read_integer(opt, NORMALIZE_BLACKBOX);
    float own = lopt__read_integer(opt, SELFNORMALIZE) ? mean_of_floats(job->grads, v->size) : 1;
    for (int64_t outer = 0; outer < v->n_outer; outer++)
        for (int64_t row = 0; row < v->rows; row++) {
            const float *momentum = lopt__momentum_row(&job->acc, v, outer, row);
            const float *rms = lopt__rms_row(&job->acc, v, outer, row);
            for (int64_t lane = 0; lane < v->lanes; lane++) {
                int64_t i = lopt__view_outer(v, outer) + row * v->row_stride + lane * v->lane_stride;
                float m[LOPT__K], inverse = 1.0f / sqrtf(rms[lane] + pipeline.rms_epsilon);
                for (int k = 0; k < LOPT__K; k++) m[k] = momentum[k * v->pitch + lane];
                step[i] *= normalize ? inverse * own : own;
                step[i] += nominal[i] * nominal_estimate(which, job->grads[i], m, inverse);
            }
        }
}

/* factor exp(x exp_mult) for every parameter; x is an output, or a constant without a controller. */
static void set_controlled_factor(const lopt_optimizer *opt, lopt__job *job, int which, float constant, float factor,
                                  float *out) {
    int i = which - NOMINAL; /* settings of the nominal update, then those of weight decay */
    float exp_mult = (float)opt->value[EXP_MULT][1 + i], same = factor * expf(constant * exp_mult);
    int controller = lopt__read_integer(opt, NOMINAL_CONTROLLER + i);
    if (controller) run_output_network(opt, job, which, lopt__read_integer(opt, AGGREGATE_NOMINAL + i), out);
    for (int64_t k = 0; k < job->view->size; k++) out[k] = controller ? factor * expf(out[k] * exp_mult) : same;
}

static void adafac_nominal_step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, lopt__job *job,
                                       const lopt__io *io, float *arrays[3]) {
    float *step = arrays[0], *nominal = arrays[1], *shrink = arrays[2];
    int64_t n = t->view.size;
    float decay = lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY));
    lopt__job_open(job, t, io);
    lopt__kernels_current()->accumulate(job);
    lopt__kernels_current()->moments(job);
    run_black_box(opt, job, step, nominal);
    set_controlled_factor(opt, job, NOMINAL, 1, lopt__read_number(opt, NOMINAL_STEPSIZE), nominal);
    add_nominal_update(opt, job, nominal, step);
    set_controlled_factor(opt, job, REGULARIZATION, 0, decay, shrink);
    for (int64_t i = 0; i < n; i++) step[i] += shrink[i] * io->params[t->offset + i];
    lopt__apply_steps(io, t->offset, n, lopt__tensor_rate(t, lopt__read_number(opt, LEARNING_RATE)), 0, step);
}

static void adafac_nominal_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const prepared *ready = (const prepared *)opt->prepared;
    float time[LOPT__N_TIME];
    double mean_square[LOPT__N_EXTENDED];
    size_t array = floats_of_array(opt, state);
    float *arrays[3] = {state->scratch, state->scratch + array, state->scratch + 2 * array};
    lopt__time_features_tanh(state->header->step, time);
    lopt__job job = {
        .pipeline = &pipeline,
        .decays = &ready->decays,
        .mlp = &ready->both,
        .time = time,
        .mean_square = mean_square,
        .scratch = state->scratch + 3 * array,
    };
    for (size_t i = 0; i < state->n_tensors; i++) adafac_nominal_step_tensor(opt, &state->tensors[i], &job, io, arrays);
}

const lopt__kind lopt__adafac_nominal = {
    .name = "adafac_nominal",
    LOPT__TABLES,
    .layout = adafac_nominal_layout,
    .prepared_bytes = adafac_nominal_prepared_bytes,
    .prepare = adafac_nominal_prepare,
    .tie = adafac_nominal_tie,
    .tensor_floats = lopt__accumulator_floats,
    .scratch_floats = adafac_nominal_scratch_floats,
    .step = adafac_nominal_step,
};
