/* SPDX-License-Identifier: Apache-2.0
 *
 * optimizer.h - the types behind lopt.h: kinds, presets, optimizers, states.
 *
 * A kind is one file in src/optimizers/: a table of hyperparameters, a list of presets and the functions
 * of `lopt__kind`. registry.c lists the kinds. To add one: write the file, add its line there.
 *
 *     lopt_create        parses settings into opt->value, then kind->layout adds theta's blocks
 *     lopt_set_theta     copies theta, then kind->prepare derives opt->prepared from it
 *     lopt_state_create  one allocation, by kind->{global,tensor,scratch}_floats
 *     lopt_state_reset   zeroes the state's data, then kind->reset may write an initial state
 *     lopt_step          kind->step, then counts the step
 *
 * Memory of a state, each array 64-byte aligned. Only `data` carries over between steps:
 *
 *     [lopt_state][tensors] | data: [header][global floats][floats of tensor 0][of tensor 1]... | scratch */
#ifndef LOPT_OPTIMIZER_H
#define LOPT_OPTIMIZER_H

#include "core/tensor_layout.h"
#include "core/thread_team.h"
#include "lopt.h"

#define LOPT__MAX_HYPERS 40
#define LOPT__MAX_LIST 8
#define LOPT__MAX_BLOCKS 64

/* Before a loop over arrays that do not overlap. clang ignores `restrict` of local variables and does not test five
 * arrays for overlap, so it would not vectorise. */
#if defined(__clang__)
#define LOPT__NO_OVERLAP _Pragma("clang loop vectorize(assume_safety)")
#else
#define LOPT__NO_OVERLAP
#endif

typedef enum lopt__type { LOPT__INTEGER, LOPT__NUMBER, LOPT__BOOLEAN, LOPT__CHOICE } lopt__type;

/* A hyperparameter as declared by a kind. `value` is the default, as text. */
typedef struct lopt__hyper {
    const char *name;
    lopt__type type;
    int count; /* 1, or the length of a list */
    double min, max;
    const char *choices; /* "a|b" for LOPT__CHOICE */
    const char *value;
    const char *help;
} lopt__hyper;

typedef struct lopt__preset {
    lopt_preset_info info;
    lopt_setting settings[LOPT__MAX_HYPERS]; /* what differs from the kind's defaults; name NULL ends */
} lopt__preset;

/* Initial values of a block of theta. */
typedef enum lopt__init {
    LOPT__INIT_ZERO,
    LOPT__INIT_TRUNCATED_NORMAL, /* scale x normal truncated to [-2, 2] */
    LOPT__INIT_VALUES            /* values[] */
} lopt__init;

typedef struct lopt__block {
    lopt_block info; /* first, so that a pointer to one is a pointer to the other */
    lopt__init init;
    float scale;
    float values[LOPT__MAX_LIST];
} lopt__block;

/* Arguments of one step, see lopt_step. */
typedef struct lopt__io {
    float *params;
    const float *grads;
    float loss;
    float *updates;   /* or NULL */
    lopt__team *team; /* or NULL */
} lopt__io;

typedef struct lopt__kind {
    const char *name;
    const lopt__hyper *hypers;
    int n_hypers;
    const lopt__preset *presets;
    int n_presets;
    /* All but `step` may be NULL. */
    void (*layout)(lopt_optimizer *opt); /* calls lopt__add_block */
    size_t (*prepared_bytes)(const lopt_optimizer *opt);
    void (*prepare)(lopt_optimizer *opt); /* opt->theta changed */
    lopt__tie (*tie)(const lopt_optimizer *opt);
    size_t (*global_floats)(const lopt_optimizer *opt, size_t n_tensors);
    size_t (*tensor_floats)(const lopt_optimizer *opt, const lopt__view *view);
    size_t (*scratch_floats)(const lopt_optimizer *opt, const lopt_state *state);
    void (*reset)(const lopt_optimizer *opt, lopt_state *state); /* data is zero, num_steps is set */
    void (*step)(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io);
    void (*eval_params)(const lopt_optimizer *opt, const lopt_state *state, const float *params, float *out);
    void (*valid_loss)(const lopt_optimizer *opt, lopt_state *state, float loss);
} lopt__kind;

struct lopt_optimizer {
    const lopt__kind *kind;
    const lopt__preset *preset;
    double value[LOPT__MAX_HYPERS][LOPT__MAX_LIST];
    lopt__block blocks[LOPT__MAX_BLOCKS];
    size_t n_blocks, n_theta;
    float *theta;   /* [n_theta] */
    void *prepared; /* kind-specific, 64-byte aligned; derived from value and theta */
    int n_threads;  /* of states to be created */
};

typedef struct lopt__header {
    int64_t step, num_steps;
} lopt__header;

typedef struct lopt__tensor {
    lopt_tensor spec;
    lopt__view view;
    int64_t offset; /* of its first element in params, grads, updates */
    float *data;    /* its state */
} lopt__tensor;

struct lopt_state {
    lopt__header *header; /* start of data */
    size_t data_bytes;
    float *global;
    lopt__tensor *tensors;
    size_t n_tensors, n_params;
    float *scratch;
    lopt__team *team;
    int n_threads; /* of the team; 1: no team */
};

const lopt__preset *lopt__preset_find(const char *name, const lopt__kind **kind); /* NULL if unknown; registry.c */

/* Add a block to theta; for kind->layout. */
lopt__block *lopt__add_block(lopt_optimizer *opt, const char *name, int rank, const int64_t *dim, lopt__init init,
                             float scale);
lopt__block *lopt__add_vector_block(lopt_optimizer *opt, const char *name, int64_t n, lopt__init init, float scale);
lopt__block *lopt__add_matrix_block(lopt_optimizer *opt, const char *name, int64_t rows, int64_t columns,
                                    lopt__init init, float scale);

static inline float lopt__read_number(const lopt_optimizer *opt, int hyper) {
    return (float)opt->value[hyper][0];
}

static inline int lopt__read_integer(const lopt_optimizer *opt, int hyper) {
    return (int)opt->value[hyper][0];
}

/* Learning rate and weight decay of one tensor. */
static inline float lopt__tensor_rate(const lopt__tensor *t, float learning_rate) {
    return learning_rate * t->spec.lr_scale;
}

static inline float lopt__tensor_decay(const lopt__tensor *t, float weight_decay) {
    return t->spec.weight_decay < 0 ? weight_decay : t->spec.weight_decay;
}

/* Takes the next n floats, 64-byte aligned, and adds them to *floats. With base NULL only *floats is meaningful; there
 * is no branch on NULL, which static analysis would follow into every use. */
static inline float *lopt__take_floats(float *base, size_t *floats, size_t n) {
    uintptr_t at = (uintptr_t)base + *floats * sizeof(float);
    *floats += (size_t)lopt__round_up((int64_t)n);
    return (float *)at;
}

#define LOPT__COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* The first members of a kind behind its name. */
#define LOPT__TABLES                                                                                                   \
    .hypers = hypers, .n_hypers = LOPT__COUNT(hypers), .presets = presets, .n_presets = LOPT__COUNT(presets)

#endif
