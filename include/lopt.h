/* SPDX-License-Identifier: Apache-2.0
 *
 * lopt.h - inference core for learned and hand-designed optimizers.
 *
 * An optimizer turns (theta, gradient, state) into a change of parameters. A learned one is a small
 * network whose weights, theta, were meta-trained; a hand-designed one (SGD, Adam, ...) has no theta.
 * Both are the same type here, so a training loop is written once:
 *
 *     lopt_error err;
 *     lopt_setting settings[] = {{"hidden_size", "32"}};
 *     lopt_optimizer *opt = lopt_create("small-fc", settings, 1, &err);
 *     lopt_set_theta(opt, theta);                              weights, lopt_n_theta(opt) floats
 *     lopt_tensor tensors[] = {lopt_tensor_make("w", 2, (int64_t[]){64, 32}), ...};
 *     lopt_state *state = lopt_state_create(opt, tensors, n_tensors, &err);
 *     lopt_state_reset(opt, state, num_steps);
 *     for (...) lopt_step(opt, state, params, grads, loss, NULL);
 *     lopt_state_destroy(state);
 *     lopt_destroy(opt);
 *
 * Shapes   float32, row-major. The tensors of one model lie back to back in one buffer `params`, in the
 *          order given to lopt_state_create; `grads` is laid out alike. P = sum of their sizes.
 * Owner    what *_create returns, *_destroy frees (NULL is fine). Everything else is borrowed for the
 *          call, except that names and shapes of tensors are copied.
 * Threads  an optimizer is read-only between lopt_set_theta calls and may be shared by threads; a state
 *          belongs to one thread at a time. A step runs on the thread that calls it, and on others only
 *          if asked (lopt_set_threads).
 * Errors   functions that can fail return NULL or a status other than LOPT_OK and write a message to
 *          *err (err may be NULL). lopt_step never allocates, never fails.
 * Bits     the same inputs give the same bits for one kernel table (lopt_kernels_name) and one build, on
 *          any number of threads; kernel tables agree with the reference within 1e-5 of the largest
 *          update of a tensor (where VeLO's weights cancel, less: docs/optimizers.md), except those whose
 *          names end in -bf16, which are never chosen by default.
 * Never    prints, exits, opens files, reads the clock, keeps globals besides the kernel choice.
 *
 * Formulas and sources are documented in src/optimizers/, one file per kind. */
#ifndef LOPT_H
#define LOPT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOPT_MAX_RANK 4
#define LOPT_MAX_THREADS 64

/* ---- errors ------------------------------------------------------------------------------------- */

#define LOPT_STATUS_MAP(X)                                                                                             \
    X(OK, "success")                                                                                                   \
    X(EARG, "bad argument")                                                                                            \
    X(ESHAPE, "shapes do not match")                                                                                   \
    X(ENOMEM, "out of memory")                                                                                         \
    X(EUNKNOWN, "unknown name")                                                                                        \
    X(EIO, "a file or device failed")

typedef enum lopt_status {
#define X(code, text) LOPT_##code,
    LOPT_STATUS_MAP(X)
#undef X
} lopt_status;

typedef struct lopt_error {
    lopt_status status;
    char text[512]; /* the message, one line */
} lopt_error;

const char *lopt_status_text(lopt_status status); /* never NULL, static storage */

/* ---- tensors ------------------------------------------------------------------------------------ */

/* The use of a tensor; Celo2 and Muon treat embeddings differently. */
typedef enum lopt_role { LOPT_ROLE_WEIGHT, LOPT_ROLE_EMBEDDING } lopt_role;

typedef struct lopt_tensor {
    char name[64];
    int32_t rank; /* 0..LOPT_MAX_RANK; rank 0 is a scalar */
    int64_t dim[LOPT_MAX_RANK];
    float lr_scale;     /* multiplies this tensor's learning rate (muP multipliers, groups); 1 */
    float weight_decay; /* this tensor's weight decay; negative: the optimizer's own; -1 */
    lopt_role role;
    int64_t hidden_fan_in; /* for muP: inputs of a weight between two hidden layers; 0: another tensor */
} lopt_tensor;

lopt_tensor lopt_tensor_make(const char *name, int rank, const int64_t *dim);
int64_t lopt_tensor_size(const lopt_tensor *t); /* number of elements, 1 for rank 0 */

/* muLO (Therien et al. 2024, 2406.00153): the muP factor of the learning rate of a tensor, with which a learned
 * optimizer that was meta-trained on narrow networks (preset mulo, theta unchanged) trains wide ones. For a weight
 * between two hidden layers it is hidden_lr_mult base_fan_in / fan_in, for all other tensors 1:
 *
 *     multilayer perceptron   hidden: all weights but the first and the last
 *     transformer             hidden: query, key, value and output projections (fan_in = d_model), both
 *                             weights of the MLP; not embeddings, normalisation, the readout, biases
 *
 * base_fan_in 1 and hidden_lr_mult 1 are the multipliers of the published JAX code. The mup package and
 * PyLO's MuLO measure width relative to a base network: base_fan_in is the fan_in of the same weight there.
 *
 * Optimizers with the settings mup_base_fan_in (0: off; 1 in preset mulo) and mup_hidden_lr_mult apply it to
 * tensors with a hidden_fan_in, in addition to lr_scale. Call this function only to set lr_scale yourself; fan_in
 * and base_fan_in are at least 1. */
float lopt_mup_lr_scale(int hidden, int64_t fan_in, int64_t base_fan_in, float hidden_lr_mult);

/* ---- what exists -------------------------------------------------------------------------------- */

/* A preset is a kind of optimizer with published hyperparameters: "small-fc", "elo", "adam". */
typedef struct lopt_preset_info {
    const char *name;
    const char *kind;    /* the file in src/optimizers/ */
    const char *summary; /* half a line */
    const char *source;  /* paper or code, year */
    int learned;         /* has a theta to meta-train */
} lopt_preset_info;

size_t lopt_n_presets(void);
const lopt_preset_info *lopt_preset(size_t i); /* NULL past the last */

/* One hyperparameter of a kind, for help texts and configuration checks. */
typedef struct lopt_hyper_info {
    const char *name;
    const char *type;    /* "integer", "number", "boolean", "choice" */
    int count;           /* 1, or the length of a list */
    double min, max;     /* inclusive */
    const char *choices; /* "a|b|c" for a choice, else NULL */
    const char *help;
} lopt_hyper_info;

/* Hyperparameters of a preset, i = 0, 1, ...; 0 past the last or if the preset is unknown. */
int lopt_hyper(const char *preset, size_t i, lopt_hyper_info *out);

/* ---- optimizers --------------------------------------------------------------------------------- */

typedef struct lopt_optimizer lopt_optimizer;

/* A hyperparameter as text: {"step_mult", "0.01"}, {"momentum_decays", "[0.9, 0.99, 0.999]"}. */
typedef struct lopt_setting {
    const char *name, *value;
} lopt_setting;

/* Creates an optimizer from a preset and settings that override it. theta is all zero until
 * lopt_init_theta / lopt_set_theta. If a name or value is wrong: NULL, and a message with the setting, what
 * was found and what is allowed. */
lopt_optimizer *lopt_create(const char *preset, const lopt_setting *settings, size_t n_settings, lopt_error *err);
lopt_optimizer *lopt_clone(const lopt_optimizer *opt); /* same settings and theta; NULL: out of memory */
void lopt_destroy(lopt_optimizer *opt);

const lopt_preset_info *lopt_info(const lopt_optimizer *opt);
/* Current value of a hyperparameter as text that lopt_create accepts and reads as the same float or double. Returns 0
 * and "" if there is no such name. */
int lopt_get(const lopt_optimizer *opt, const char *name, char *text, size_t text_bytes);
/* Current value (element i of a list, index of a choice); NaN if there is no such name. */
double lopt_get_number(const lopt_optimizer *opt, const char *name, int i);

/* ---- theta -------------------------------------------------------------------------------------- */

/* theta is one flat vector of named blocks (row-major, weights stored (in, out)). */
typedef struct lopt_block {
    char name[48];
    int32_t rank;
    int64_t dim[LOPT_MAX_RANK];
    size_t offset, size; /* in floats */
} lopt_block;

size_t lopt_n_theta(const lopt_optimizer *opt);
size_t lopt_n_blocks(const lopt_optimizer *opt);
const lopt_block *lopt_block_at(const lopt_optimizer *opt, size_t i);
const lopt_block *lopt_block_find(const lopt_optimizer *opt, const char *name); /* NULL if absent */

/* Draws theta[n_theta] from the published initial distribution; a pure function of seed. Does not
 * change the optimizer. */
void lopt_init_theta(const lopt_optimizer *opt, uint64_t seed, float *theta);
void lopt_set_theta(lopt_optimizer *opt, const float *theta); /* copies and prepares; no allocation */
const float *lopt_theta(const lopt_optimizer *opt);

/* ---- state -------------------------------------------------------------------------------------- */

typedef struct lopt_state lopt_state;

lopt_state *lopt_state_create(const lopt_optimizer *opt, const lopt_tensor *tensors, size_t n_tensors, lopt_error *err);
void lopt_state_destroy(lopt_state *state);

/* Back to step 0. num_steps: planned length of training (used by optimizers that schedule, else
 * ignored; 0 if unknown). Uses theta where it holds an initial state. */
void lopt_state_reset(const lopt_optimizer *opt, lopt_state *state, int64_t num_steps);

/* Everything that carries over between steps, as one block of memory to copy, save or send. It is valid for every
 * state with the same preset, settings and tensors. Borrowed. */
void *lopt_state_data(lopt_state *state, size_t *n_bytes);
int64_t lopt_state_step(const lopt_state *state); /* updates done since reset */

/* Threads that a step of states created from now on runs on, the caller's among them; 1 .. LOPT_MAX_THREADS.
 * 1 unless set here or by the environment variable LOPT_THREADS (read by lopt_create and
 * clamped to this range). Useful for deployment on large tensors: tensors of fewer than 32,768 elements and
 * optimizers whose step is not elementwise use one thread (docs/performance.md).
 *
 * The other threads belong to the state. They sleep between steps, block all signals, run where the system
 * places them (under mpirun that is the core of the rank, unless binding is off), and end with lopt_state_destroy.
 * After fork() a child may neither use nor destroy a state that has them. */
lopt_status lopt_set_threads(lopt_optimizer *opt, int n, lopt_error *err);
int lopt_threads(const lopt_optimizer *opt);

/* One inner step: params[P] and state change in place. loss is the loss at params before the step (only
 * some optimizers read it). updates: NULL, or [P] that receives what is added to params (before rounding
 * of that sum). */
void lopt_step(const lopt_optimizer *opt, lopt_state *state, float *params, const float *grads, float loss,
               float *updates);

/* The parameters to measure an optimizer at, out[P], which does not overlap params[P] (those after the last step). A
 * copy, except for schedule-free optimizers: they take gradients at one point, params, and are measured at another, the
 * average. Neither changes. */
void lopt_eval_params(const lopt_optimizer *opt, const lopt_state *state, const float *params, float *out);

/* Reports a validation loss at the current parameters: between steps, as often as it is measured, or never.
 * Only rnn-mlp uses it (RNNMLPLOpt's update with is_valid, which also advances its clock by a step). Never fails,
 * never allocates. */
void lopt_tell_valid_loss(const lopt_optimizer *opt, lopt_state *state, float loss);

/* ---- kernels ------------------------------------------------------------------------------------ */

/* The step of learned optimizers has a reference kernel and vectorised ones, chosen by instruction set at first
 * use. Environment LOPT_KERNELS=reference|portable|avx2|avx512 overrides; a name that is not available is
 * ignored there and an error of lopt_kernels_use.
 *
 * avx512-bf16 (CPUs with AVX512-BF16) is for deployment: the hidden layers of a network per parameter multiply
 * in bfloat16 and sum in float32. The relative error of updates is up to 1e-2; wide networks take 0.6 of the time
 * (docs/performance.md). portable-bf16 rounds the same way and is slow: it shows the effect of rounding on a
 * training on every machine. */
const char *lopt_kernels_name(void);
lopt_status lopt_kernels_use(const char *name, lopt_error *err); /* NULL: best here; not thread-safe */

const char *lopt_version(void);

#ifdef __cplusplus
}
#endif
#endif
