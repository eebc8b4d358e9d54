/* SPDX-License-Identifier: Apache-2.0
 *
 * celo2.c - Celo2 (Moudgil et al. 2026, 2602.19142) in its four published forms: Celo2 and
 * Celo2Base of the Celo repository, CELO2 and ELO-CELO2 of PyLO.
 *
 *     each parameter: 30 features -> normalise -> network -> y = o0 exp(o1 exp_mult)
 *     y <- y sqrt(mean p^2 + 1e-9)                     if param_scale_mult
 *     y <- orthogonal matrix near y                    if orthogonalize, of two axes or more
 *     y <- rms_mult y rsqrt(mean y^2 + 1e-9)
 *     p <- p - learning_rate (y + weight_decay p)        learning_rate: with its schedule (schedule.h)
 *
 * Features and y are normalised over the last two axes, each such matrix on its own (features over
 * the whole tensor if the settings say so). A tensor with fewer than two axes has no features of rows and
 * columns.
 *
 * Tensors that `adam_for` selects are updated by Adam, with its own rate:
 *
 *     p <- p - learning_rate adam_lr_mult (m^ / (sqrt(v^) + adam_epsilon) + adam_weight_decay p)
 *
 * or m^ rsqrt(v^ + adam_epsilon); m^ and v^ are m and v, bias-corrected or not. adam_moments: own,
 * or shared with the features (the first momentum and rms). A tensor is a bias if the
 * last component of its name is b, or b and a number.
 *
 * Keys of PyLO's config -> settings here: lr, weight_decay, exp_mult, param_scale_mult,
 * orthogonalize, adam_lr_mult, adam_weight_decay (null: -1), adam_betas, clip_grad and clip_norm as
 * in small_fc.c; rmsmult -> rms_mult; adam_eps -> adam_epsilon; ns_iters, ns_eps, ns_coeffs,
 * grad_clip_val -> ns_steps, ns_epsilon, ns_coefficients, grad_limit; use_adamw_for_1d -> adam_for:
 * true is vectors, false is embeddings; net_ff_hidden_size, net_ff_hidden_layers -> hidden_size,
 * hidden_layers; net_activation -> activation. */
#include <math.h>
#include <string.h>

#include "classical/apply_steps.h"
#include "classical/newton_schulz.h"
#include "classical/schedule.h"
#include "kernels/job.h"
#include "kernels/normalise.h"
#include "learned/gradient_clipping.h"
#include "learned/weight_bank.h"

enum {
    HIDDEN_SIZE,
    HIDDEN_LAYERS,
    ACTIVATION,
    LEARNING_RATE,
    LAST_OF_SCHEDULE = LEARNING_RATE + LOPT__N_SCHEDULE - 1,
    EXP_MULT,
    RMS_MULT,
    PARAM_SCALE_MULT,
    NORMALISE_OVER,
    ORTHOGONALIZE,
    NS_STEPS,
    NS_EPSILON,
    NS_COEFFICIENTS,
    WEIGHT_DECAY,
    MOMENTUM_DECAYS,
    RMS_DECAYS,
    ADAFACTOR_DECAYS,
    CLIP_NORM,
    GRAD_LIMIT,
    ADAM_FOR,
    ADAM_MOMENTS,
    ADAM_BETAS,
    ADAM_EPSILON,
    ADAM_EPSILON_INSIDE,
    ADAM_BIAS_CORRECTION,
    ADAM_LR_MULT,
    ADAM_WEIGHT_DECAY,
    ADAM_GRAD_LIMIT,
    TIE_RULE
};
enum { OVER_MATRIX, OVER_TENSOR };
enum { FOR_NOTHING, FOR_BIASES, FOR_NAMED, FOR_EMBEDDINGS, FOR_VECTORS };
enum { MOMENTS_OWN, MOMENTS_SHARED };

static const lopt__hyper hypers[] = {
    [HIDDEN_SIZE] = LOPT__HYPER_HIDDEN_SIZE("8"),
    [HIDDEN_LAYERS] = LOPT__HYPER_HIDDEN_LAYERS("2"),
    [ACTIVATION] = {"activation", LOPT__CHOICE, 1, 0, 0, "relu|tanh", "relu", "between layers"},
    LOPT__SCHEDULE_HYPERS(LEARNING_RATE, "0.001", LOPT__RATE_HELP),
    [EXP_MULT] = LOPT__HYPER_EXP_MULT("0"),
    [RMS_MULT] = {"rms_mult", LOPT__NUMBER, 1, 0, 1e6, NULL, "1", "root mean square of a step"},
    [PARAM_SCALE_MULT] = LOPT__HYPER_PARAM_SCALE_MULT("false"),
    [NORMALISE_OVER] = {"normalise_over", LOPT__CHOICE, 1, 0, 0, "matrix|tensor", "matrix",
                        "features are normalised over the last two axes or over all"},
    [ORTHOGONALIZE] = {"orthogonalize", LOPT__BOOLEAN, 1, 0, 1, NULL, "true",
                       "make steps of matrices nearly orthogonal (Newton-Schulz)"},
    [NS_STEPS] = {"ns_steps", LOPT__INTEGER, 1, 0, 100, NULL, "5", "Newton-Schulz steps"},
    [NS_EPSILON] = {"ns_epsilon", LOPT__NUMBER, 1, 0, 1, NULL, "1e-8", "added to the norm before them"},
    [NS_COEFFICIENTS] = {"ns_coefficients", LOPT__NUMBER, 3, -100, 100, NULL, "[3.4445, -4.775, 2.0315]",
                         "of X, A X and A A X, where A is X X^T"},
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [MOMENTUM_DECAYS] = LOPT__HYPER_MOMENTUM_DECAYS("[0.9, 0.99, 0.999]"),
    [RMS_DECAYS] = LOPT__HYPER_RMS_DECAYS("0.95"),
    [ADAFACTOR_DECAYS] = LOPT__HYPER_ADAFACTOR_DECAYS("[0.9, 0.99, 0.999]"),
    [CLIP_NORM] = {"clip_norm", LOPT__NUMBER, 1, 0, 1e30, NULL, "0",
                   "clip the gradient of all tensors together to this norm; 0: off"},
    [GRAD_LIMIT] = {"grad_limit", LOPT__NUMBER, 1, 0, 1e30, NULL, "1000",
                    "then clip each element of the gradient to +-this"},
    [ADAM_FOR] = {"adam_for", LOPT__CHOICE, 1, 0, 0, "nothing|biases|named|embeddings|vectors", "nothing",
                  "tensors for Adam: biases by name; named bias or embed; embeddings by role; these and "
                  "all with fewer than two axes"},
    [ADAM_MOMENTS] = {"adam_moments", LOPT__CHOICE, 1, 0, 0, "own|shared", "own",
                      "Adam's moments are its own, or the first momentum and rms"},
    [ADAM_BETAS] = {"adam_betas", LOPT__NUMBER, 2, 0, 1, NULL, "[0.9, 0.95]", "decays of Adam's own moments"},
    [ADAM_EPSILON] = {"adam_epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "Adam's epsilon"},
    [ADAM_EPSILON_INSIDE] = {"adam_epsilon_inside", LOPT__BOOLEAN, 1, 0, 1, NULL, "false",
                             "it is added inside the root"},
    [ADAM_BIAS_CORRECTION] = {"adam_bias_correction", LOPT__BOOLEAN, 1, 0, 1, NULL, "true",
                              "divide moments by 1 - beta^T"},
    [ADAM_LR_MULT] = {"adam_lr_mult", LOPT__NUMBER, 1, 0, 1e6, NULL, "1", "Adam's learning rate over learning_rate"},
    [ADAM_WEIGHT_DECAY] = {"adam_weight_decay", LOPT__NUMBER, 1, -1, 1e6, NULL, "-1",
                           "weight decay of Adam's tensors; -1: weight_decay"},
    [ADAM_GRAD_LIMIT] = {"adam_grad_limit", LOPT__BOOLEAN, 1, 0, 1, NULL, "true",
                         "grad_limit holds for Adam's tensors too"},
    [TIE_RULE] = LOPT__HYPER_TIE_RULE("stable"),
};

#define SOURCE "Moudgil et al., 2026 (2602.19142)"

static const lopt__preset presets[] = {
    {{"celo2", "celo2", "orthogonal steps from a per-parameter network; Adam for biases", SOURCE, 1},
     {{"adam_for", "biases"},
      {"adam_epsilon_inside", "true"},
      {"adam_bias_correction", "false"},
      {"adam_lr_mult", "20"},
      {"adam_grad_limit", "false"}}},
    {{"celo2-base", "celo2", "Celo2's network for every tensor, steps as they are", SOURCE, 1},
     {{"orthogonalize", "false"}}},
    {{"celo2-pylo", "celo2", "Celo2 as PyLO runs it", "PyLO CELO2, 2026", 1}, {{"adam_for", "vectors"}}},
    {{"elo-celo2", "celo2", "ELO's form of Celo2: clipped, decayed, shared moments", "PyLO ELO-CELO2, 2026", 1},
     {{"adam_for", "vectors"}, {"adam_moments", "shared"}, {"weight_decay", "0.1"}, {"clip_norm", "1"}}},
};

#define NORMALISE_EPSILON 1e-9f

typedef struct prepared {
    lopt__decays decays;
    lopt__pipeline pipeline;
    lopt__mlp matrix, vector;    /* vector: without features of rows and columns */
    _Alignas(64) float memory[]; /* packed, then both networks */
} prepared;

static lopt__bank_shape celo2_bank_shape(const lopt_optimizer *opt) {
    return (lopt__bank_shape){.n = 0,
                              .hidden = lopt__read_integer(opt, HIDDEN_SIZE),
                              .hidden_layers = lopt__read_integer(opt, HIDDEN_LAYERS),
                              .outputs = lopt__read_number(opt, EXP_MULT) == 0 ? 1 : 2};
}

/* ---- theta ----------------------------------------------------------------------------------- */

static void celo2_layout(lopt_optimizer *opt) {
    lopt__bank_shape shape = celo2_bank_shape(opt);
    lopt__bank_layout(opt, &shape);
}

typedef struct networks {
    float *packed, *matrix, *vector;
    size_t floats;
} networks;

static networks celo2_networks_at(const lopt_optimizer *opt, float *base) {
    networks n = {0};
    lopt__bank_shape shape = celo2_bank_shape(opt);
    n.packed = lopt__take_floats(base, &n.floats, lopt__bank_floats(&shape));
    n.matrix = lopt__take_floats(base, &n.floats, lopt__bank_mlp_floats(&shape));
    n.vector = lopt__take_floats(base, &n.floats, lopt__bank_mlp_floats(&shape));
    return n;
}

static size_t celo2_prepared_bytes(const lopt_optimizer *opt) {
    return sizeof(prepared) + celo2_networks_at(opt, NULL).floats * sizeof(float);
}

static void celo2_prepare(lopt_optimizer *opt) {
    prepared *ready = (prepared *)opt->prepared;
    lopt__bank_shape shape = celo2_bank_shape(opt);
    networks n = celo2_networks_at(opt, ready->memory);
    lopt__decays_from_settings(&ready->decays, opt, MOMENTUM_DECAYS, RMS_DECAYS, ADAFACTOR_DECAYS, 0);
    ready->pipeline = (lopt__pipeline){.n_features = LOPT__N_EXTENDED,
                                       .grad_limit = lopt__read_number(opt, GRAD_LIMIT),
                                       .rms_epsilon = 1e-8f,
                                       .normalise_epsilon = NORMALISE_EPSILON};
    lopt__bank_pack(&shape, opt, n.packed);
    lopt__bank_network(&shape, n.packed, 1, LOPT__ALL_GROUPS, &ready->matrix, n.matrix);
    lopt__bank_network(&shape, n.packed, 1, LOPT__NO_SIDES, &ready->vector, n.vector);
    ready->matrix.activation = ready->vector.activation = (lopt__activation)lopt__read_integer(opt, ACTIVATION);
}

/* ---- which tensors are Adam's ---------------------------------------------------------------- */

static int is_bias_name(const char *name) {
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name;
    return last[0] == 'b' && strspn(last + 1, "0123456789") == strlen(last + 1);
}

static int is_tensor_for_adam(const lopt_optimizer *opt, const lopt_tensor *t) {
    switch (lopt__read_integer(opt, ADAM_FOR)) {
    case FOR_BIASES:
        return is_bias_name(t->name);
    case FOR_NAMED:
        return strstr(t->name, "bias") || strstr(t->name, "embed");
    case FOR_EMBEDDINGS:
        return t->role == LOPT_ROLE_EMBEDDING;
    case FOR_VECTORS:
        return t->role == LOPT_ROLE_EMBEDDING || t->rank < 2;
    default:
        return 0;
    }
}

/* ---- state ----------------------------------------------------------------------------------- */

static lopt__tie celo2_tie(const lopt_optimizer *opt) {
    return (lopt__tie)lopt__read_integer(opt, TIE_RULE);
}

/* Room for accumulators, in which Adam's own moments fit, too. */
static size_t celo2_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    int rule = lopt__read_integer(opt, ADAM_FOR);
    int surely =
        (rule == FOR_VECTORS && view->rank < 2) || (rule >= FOR_EMBEDDINGS && view->role == LOPT_ROLE_EMBEDDING);
    if (surely && lopt__read_integer(opt, ADAM_MOMENTS) == MOMENTS_OWN) return 2 * (size_t)view->size;
    return lopt__accumulator_floats(opt, view);
}

typedef struct matrix_shape {
    int64_t rows, cols; /* the last two axes; one row if there are fewer */
} matrix_shape;

static matrix_shape shape_of_matrices(const lopt_tensor *t) {
    if (t->rank >= 2) return (matrix_shape){t->dim[t->rank - 2], t->dim[t->rank - 1]};
    return (matrix_shape){1, t->rank == 1 ? t->dim[0] : 1};
}

static int64_t elements_of_slice(const lopt_optimizer *opt, const lopt__tensor *t) {
    matrix_shape m = shape_of_matrices(&t->spec);
    return lopt__read_integer(opt, NORMALISE_OVER) == OVER_TENSOR ? t->view.size : m.rows * m.cols;
}

typedef struct scratch {
    float *grads;       /* clipped, of all tensors */
    float *steps;       /* of one tensor */
    float *mean_square; /* room for doubles */
    float *newton_schulz;
    float *kernel;
    size_t floats;
} scratch;

/* base NULL: only the size means something. */
static scratch celo2_scratch_at(const lopt_optimizer *opt, const lopt_state *state, float *base) {
    scratch s = {0};
    int64_t size = 0, slices = 0;
    size_t newton_schulz = 0;
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        matrix_shape m = shape_of_matrices(&t->spec);
        int64_t n = t->view.size / elements_of_slice(opt, t);
        size_t needs = lopt__newton_schulz_scratch(m.rows, m.cols);
        size = t->view.size > size ? t->view.size : size;
        slices = n > slices ? n : slices;
        newton_schulz = needs > newton_schulz ? needs : newton_schulz;
    }
    s.grads = lopt__take_floats(base, &s.floats, lopt__read_number(opt, CLIP_NORM) > 0 ? state->n_params : 0);
    s.steps = lopt__take_floats(base, &s.floats, (size_t)size);
    s.mean_square = lopt__take_floats(base, &s.floats, 2 * LOPT__N_EXTENDED * (size_t)slices);
    s.newton_schulz = lopt__take_floats(base, &s.floats, lopt__read_integer(opt, ORTHOGONALIZE) ? newton_schulz : 0);
    s.kernel =
        lopt__take_floats(base, &s.floats, lopt__kernel_scratch_most(state, lopt__read_integer(opt, HIDDEN_SIZE)));
    return s;
}

static size_t celo2_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return celo2_scratch_at(opt, state, NULL).floats;
}

/* ---- Adam's tensors -------------------------------------------------------------------------- */

typedef struct adam {
    float beta1, beta2, one_minus_beta1, one_minus_beta2, correction1, correction2;
    float grad_limit, epsilon, rate, decay;
    int epsilon_inside;
} adam;

/* Decays of own moments are in double, those of shared moments in float, as in the accumulators. */
static adam celo2_adam_constants(const lopt_optimizer *opt, const lopt__tensor *t, const lopt_state *state) {
    double count = (double)state->header->step + 1;
    int shared = lopt__read_integer(opt, ADAM_MOMENTS) == MOMENTS_SHARED;
    int corrected = lopt__read_integer(opt, ADAM_BIAS_CORRECTION);
    double beta1 = shared ? (float)opt->value[MOMENTUM_DECAYS][0] : opt->value[ADAM_BETAS][0];
    double beta2 = shared ? (float)opt->value[RMS_DECAYS][0] : opt->value[ADAM_BETAS][1];
    float decay = lopt__read_number(opt, ADAM_WEIGHT_DECAY);
    return (adam){
        .beta1 = (float)beta1,
        .beta2 = (float)beta2,
        .one_minus_beta1 = (float)(1 - beta1),
        .one_minus_beta2 = (float)(1 - beta2),
        .correction1 = corrected ? (float)(1 - pow(beta1, count)) : 1,
        .correction2 = corrected ? (float)(1 - pow(beta2, count)) : 1,
        .grad_limit = lopt__read_integer(opt, ADAM_GRAD_LIMIT) ? lopt__read_number(opt, GRAD_LIMIT) : INFINITY,
        .epsilon = lopt__read_number(opt, ADAM_EPSILON),
        .rate = lopt__tensor_rate(t, lopt__rate_of_update(opt, state, LEARNING_RATE)) *
                lopt__read_number(opt, ADAM_LR_MULT),
        .decay = decay < 0 ? lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY)) : decay,
        .epsilon_inside = lopt__read_integer(opt, ADAM_EPSILON_INSIDE),
    };
}

static void celo2_adam_update(const adam *a, float m, float v, float *p, float *update) {
    m /= a->correction1;
    v /= a->correction2;
    float direction = a->epsilon_inside ? m / sqrtf(v + a->epsilon) : m / (sqrtf(v) + a->epsilon);
    float u = -a->rate * (direction + a->decay * *p);
    *p += u;
    if (update) *update = u;
}

static void step_with_own_moments(const adam *a, const lopt__tensor *t, const lopt__io *io) {
    const float *g = io->grads + t->offset;
    float *m = t->data, *v = t->data + t->view.size, *p = io->params + t->offset;
    for (int64_t i = 0; i < t->view.size; i++) {
        float clipped = lopt__clip_to_limit(g[i], a->grad_limit);
        m[i] = a->beta1 * m[i] + a->one_minus_beta1 * clipped;
        v[i] = a->beta2 * v[i] + a->one_minus_beta2 * (clipped * clipped);
        celo2_adam_update(a, m[i], v[i], p + i, io->updates ? io->updates + t->offset + i : NULL);
    }
}

static void step_with_shared_moments(const adam *a, const lopt__job *job) {
    const lopt__view *v = job->view;
    lopt__kernels_current()->accumulate((lopt__job *)job);
    for (int64_t outer = 0; outer < v->n_outer; outer++)
        for (int64_t row = 0; row < v->rows; row++) {
            const float *m = lopt__momentum_row(&job->acc, v, outer, row);
            const float *rms = lopt__rms_row(&job->acc, v, outer, row);
            for (int64_t lane = 0; lane < v->lanes; lane++) {
                int64_t i = lopt__view_outer(v, outer) + row * v->row_stride + lane * v->lane_stride;
                celo2_adam_update(a, m[lane], rms[lane], job->params + i, job->updates ? job->updates + i : NULL);
            }
        }
}

/* ---- the network's tensors ------------------------------------------------------------------- */

/* y <- rms_mult y rsqrt(mean y^2 + 1e-9), of one matrix. */
static void normalise_matrix_step(float rms_mult, float *y, int64_t n) {
    float mean_square = (float)(lopt__sum_of_squares(y, n) / (double)n);
    float scale = rms_mult * lopt__normalising_factor(NORMALISE_EPSILON, mean_square);
    for (int64_t i = 0; i < n; i++) y[i] *= scale;
}

static void orthogonalise_steps(const lopt_optimizer *opt, const lopt__tensor *t, const scratch *s) {
    matrix_shape m = shape_of_matrices(&t->spec);
    float coefficients[3];
    for (int i = 0; i < 3; i++) coefficients[i] = (float)opt->value[NS_COEFFICIENTS][i];
    for (int64_t at = 0; at < t->view.size; at += m.rows * m.cols) {
        if (lopt__read_integer(opt, ORTHOGONALIZE) && t->spec.rank >= 2)
            lopt__newton_schulz(s->steps + at, m.rows, m.cols, lopt__read_integer(opt, NS_STEPS), coefficients,
                                lopt__read_number(opt, NS_EPSILON), s->newton_schulz);
        normalise_matrix_step(lopt__read_number(opt, RMS_MULT), s->steps + at, m.rows * m.cols);
    }
}

static void celo2_step_network(const lopt_optimizer *opt, const lopt__tensor *t, const lopt_state *state,
                               lopt__job *job, const lopt__io *io, const scratch *s) {
    const lopt__kernels *kernels = lopt__kernels_current();
    kernels->accumulate(job);
    kernels->moments(job);
    job->step_mult = lopt__read_integer(opt, PARAM_SCALE_MULT) ? lopt__parameter_scale(job) : 1;
    kernels->apply(job);
    orthogonalise_steps(opt, t, s);
    float rate = lopt__tensor_rate(t, lopt__rate_of_update(opt, state, LEARNING_RATE));
    float decay = lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY));
    lopt__apply_steps(io, t->offset, t->view.size, rate, decay, s->steps);
}

/* ---- step ------------------------------------------------------------------------------------ */

static void celo2_step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt_state *state, lopt__job *job,
                              const lopt__io *io, const scratch *s) {
    const prepared *ready = (const prepared *)opt->prepared;
    lopt__job_open(job, t, io);
    job->slice = elements_of_slice(opt, t);
    job->mlp = t->view.factored ? &ready->matrix : &ready->vector;
    if (!is_tensor_for_adam(opt, &t->spec)) {
        celo2_step_network(opt, t, state, job, io, s);
        return;
    }
    adam a = celo2_adam_constants(opt, t, state);
    if (lopt__read_integer(opt, ADAM_MOMENTS) == MOMENTS_SHARED)
        step_with_shared_moments(&a, job);
    else
        step_with_own_moments(&a, t, io);
}

static void celo2_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const prepared *ready = (const prepared *)opt->prepared;
    scratch s = celo2_scratch_at(opt, state, state->scratch);
    lopt__io clipped = *io;
    lopt__clipping condition = {.clip_norm = lopt__read_number(opt, CLIP_NORM)};
    if (lopt__has_clipping(&condition)) {
        lopt__clip_gradients(&condition, state, io->grads, s.grads);
        clipped.grads = s.grads;
    }
    lopt__job job = {
        .pipeline = &ready->pipeline,
        .decays = &ready->decays,
        .steps = s.steps,
        .exp_mult = lopt__read_number(opt, EXP_MULT),
        .mean_square = (double *)(void *)s.mean_square,
        .scratch = s.kernel,
    };
    for (size_t i = 0; i < state->n_tensors; i++) celo2_step_tensor(opt, &state->tensors[i], state, &job, &clipped, &s);
}

const lopt__kind lopt__celo2 = {
    .name = "celo2",
    LOPT__TABLES,
    .layout = celo2_layout,
    .prepared_bytes = celo2_prepared_bytes,
    .prepare = celo2_prepare,
    .tie = celo2_tie,
    .tensor_floats = celo2_tensor_floats,
    .scratch_floats = celo2_scratch_floats,
    .step = celo2_step,
};
