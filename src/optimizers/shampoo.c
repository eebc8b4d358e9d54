/* SPDX-License-Identifier: Apache-2.0
 *
 * shampoo.c - Shampoo in blocks, with grafting (Gupta et al. 2018, 1802.09568; Anil et al. 2020, 2002.09018). Tensors
 * with k >= 2 axes are cut into blocks of at most block_size along each axis; of a block b of g and each axis:
 *
 *     L <- beta2 L + (1 - beta2) b b^T,  from matrix_epsilon I         beta2 1: + b b^T
 *     every precondition_every steps: P = L^(-1/e),  e = exponent, or 2 k if that is 0
 *     s = product of every axis of b with its P;  P = I before
 *
 * Grafting: a is the step of another rule, and s of a tensor is scaled to the norm of its a (s = a for other tensors):
 *
 *     none                 a = g, s is not scaled
 *     sgd                  a = g
 *     adagrad, rmsprop     a = g / (sqrt(v) + diagonal_epsilon),  v <- v + g^2; v <- beta2 v + (1 - beta2) g^2
 *     adam                 rmsprop with v / (1 - beta2^T) in place of v
 *     rmsprop_normalized   rmsprop with g / (|g| + 1e-16) in place of g
 *
 *     m <- beta1 m + s,  n <- beta1 n + a
 *     p <- p - learning_rate (d + weight_decay p)
 *     d = m, Nesterov: beta1 m + s; n and a in their place before start_step
 *
 * T, counted from 1, is the step; statistics are from every step. Eigenvalues of L below matrix_epsilon times the
 * largest (or 1e-30) are raised to that: float32 does not resolve smaller ones. Axes are not merged.
 *
 * State of a tensor: m, n; v, if the grafting has it; L and P of each axis of the first block, of the next, ... Time:
 * O(block_size^3) a block and axis every precondition_every steps; besides, products of blocks with P in every step. */
#include <string.h>

#include "classical/axis_products.h"
#include "classical/moments.h"
#include "classical/orthogonal_basis.h"

enum {
    BETA1 = LOPT__N_COMMON,
    BETA2,
    NESTEROV,
    GRAFTING,
    DIAGONAL_EPSILON,
    MATRIX_EPSILON,
    EXPONENT,
    BLOCK_SIZE,
    START_STEP,
    PRECONDITION_EVERY
};
enum { GRAFT_NONE, GRAFT_SGD, GRAFT_ADAGRAD, GRAFT_RMSPROP, GRAFT_ADAM, GRAFT_RMSPROP_NORMALIZED };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.001", "0"),
    [BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the previous step"},
    [BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.999", "decay of the statistics; 1: sums"},
    [NESTEROV] = {"nesterov", LOPT__BOOLEAN, 1, 0, 1, NULL, "true", "look ahead along the momentum"},
    [GRAFTING] = {"grafting", LOPT__CHOICE, 1, 0, 0, "none|sgd|adagrad|rmsprop|adam|rmsprop_normalized", "rmsprop",
                  "the rule whose step has the length of the step of a tensor"},
    [DIAGONAL_EPSILON] = {"diagonal_epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-10", "added to the root in grafting"},
    [MATRIX_EPSILON] = {"matrix_epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-6",
                        "diagonal of the statistics at the start; least eigenvalue over the largest"},
    [EXPONENT] = {"exponent", LOPT__NUMBER, 1, 0, 1e6, NULL, "0",
                  "root of the statistics by which an axis is divided; 0: twice the number of axes"},
    [BLOCK_SIZE] = {"block_size", LOPT__INTEGER, 1, 1, 1e5, NULL, "512", "longest axis of a block"},
    [START_STEP] = {"start_step", LOPT__INTEGER, 1, 0, 1e12, NULL, "25", "first step that is not that of grafting"},
    [PRECONDITION_EVERY] = {"precondition_every", LOPT__INTEGER, 1, 1, 1e12, NULL, "20",
                            "steps between roots of the statistics"},
};

static const lopt__preset presets[] = {
    {{"shampoo", "shampoo", "gradients divided by roots of their second moments along each axis",
      "Anil et al., 2020 (2002.09018)", 0},
     {{0}}},
};

static int has_diagonal(const lopt_optimizer *opt) {
    return lopt__read_integer(opt, GRAFTING) >= GRAFT_ADAGRAD;
}

static int64_t blocks_along_axis(const lopt_optimizer *opt, int64_t dim) {
    int64_t longest = (int64_t)opt->value[BLOCK_SIZE][0];
    return (dim + longest - 1) / longest;
}

static int64_t shampoo_vectors(const lopt_optimizer *opt) {
    return 2 + has_diagonal(opt);
}

static size_t shampoo_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    const int64_t dims[] = {view->outer_dim[0], view->outer_dim[1], view->rows, view->lanes};
    const int64_t longest = (int64_t)opt->value[BLOCK_SIZE][0];
    int64_t floats = shampoo_vectors(opt) * view->size, n_blocks = 1;
    for (int a = 0; a < LOPT_MAX_RANK; a++) n_blocks *= blocks_along_axis(opt, dims[a]);
    /* Axes of one element beyond the tensor's rank are counted too: two floats a block. */
    for (int a = 0; a < LOPT_MAX_RANK && view->rank >= 2; a++) {
        int64_t whole = blocks_along_axis(opt, dims[a]) - 1, last = dims[a] - whole * longest;
        floats += 2 * (whole * longest * longest + last * last) * (n_blocks / (whole + 1));
    }
    return (size_t)floats;
}

/* Longest axis of any block. */
static int64_t longest_block_axis(const lopt_optimizer *opt, const lopt_state *state) {
    int64_t longest = 0, limit = (int64_t)opt->value[BLOCK_SIZE][0];
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt_tensor *t = &state->tensors[i].spec;
        for (int a = 0; a < t->rank && t->rank >= 2; a++)
            if (t->dim[a] > longest) longest = t->dim[a];
    }
    return longest < limit ? longest : limit;
}

/* Two matrices, the eigenvalues and the work of one decomposition. */
static size_t shampoo_work_floats(int64_t n) {
    return ((size_t)(2 * n * n + n) + lopt__basis_work(n)) * (sizeof(double) / sizeof(float));
}

/* Those, then gradient, a, s, block, and another of its size. */
static size_t shampoo_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return shampoo_work_floats(longest_block_axis(opt, state)) + 5 * lopt__largest_tensor(opt, state);
}

/* A block of a tensor, whose axes are preceded by axes of one element. matrices: L, P of each of the tensor's axes. */
typedef struct shampoo_block {
    int64_t index, start[LOPT_MAX_RANK], dim[LOPT_MAX_RANK];
    float *matrices;
} shampoo_block;

static int64_t dim_of_padded(const lopt_tensor *t, int a) {
    int axis = a - (LOPT_MAX_RANK - t->rank);
    return axis < 0 ? 1 : t->dim[axis];
}

/* The block after that one; the first after index -1. Returns 0 past the last. */
static int next_shampoo_block(const lopt_optimizer *opt, const lopt__tensor *t, shampoo_block *b) {
    const int64_t longest = (int64_t)opt->value[BLOCK_SIZE][0];
    if (t->spec.rank < 2) return 0;
    if (b->index < 0) b->matrices = t->data + shampoo_vectors(opt) * t->view.size;
    for (int a = LOPT_MAX_RANK - t->spec.rank; a < LOPT_MAX_RANK && b->index >= 0; a++)
        b->matrices += 2 * b->dim[a] * b->dim[a];
    int64_t rest = ++b->index;
    for (int a = LOPT_MAX_RANK - 1; a >= 0; a--) {
        int64_t dim = dim_of_padded(&t->spec, a), n = blocks_along_axis(opt, dim);
        b->start[a] = rest % n * longest;
        b->dim[a] = dim - b->start[a] < longest ? dim - b->start[a] : longest;
        rest /= n;
    }
    return rest == 0;
}

static void shampoo_reset(const lopt_optimizer *opt, lopt_state *state) {
    for (size_t i = 0; i < state->n_tensors; i++) {
        shampoo_block b = {.index = -1};
        while (next_shampoo_block(opt, &state->tensors[i], &b)) {
            float *matrix = b.matrices;
            for (int a = LOPT_MAX_RANK - state->tensors[i].spec.rank; a < LOPT_MAX_RANK; a++) {
                int64_t n = b.dim[a];
                for (int64_t k = 0; k < n; k++) matrix[k * n + k] = lopt__read_number(opt, MATRIX_EPSILON);
                for (int64_t k = 0; k < n; k++) matrix[n * n + k * n + k] = 1;
                matrix += 2 * n * n;
            }
        }
    }
}

/* block[] <- its part of x, or back. */
static void copy_block(const lopt_tensor *t, const shampoo_block *b, float *x, float *block, int back) {
    const int64_t *d = b->dim, *s = b->start;
    const size_t bytes = (size_t)d[3] * sizeof *x;
    for (int64_t i = 0; i < d[0]; i++)
        for (int64_t j = 0; j < d[1]; j++)
            for (int64_t k = 0; k < d[2]; k++, block += d[3]) {
                int64_t row = ((s[0] + i) * dim_of_padded(t, 1) + s[1] + j) * dim_of_padded(t, 2) + s[2] + k;
                float *part = x + row * dim_of_padded(t, 3) + s[3];
                memcpy(back ? part : block, back ? block : part, bytes);
            }
}

/* root = matrix^(-1/e) */
static void set_inverse_root(const lopt_optimizer *opt, int64_t n, double e, const float *matrix, float *root,
                             double *work) {
    double *power = work, *vectors = power + n * n, *values = vectors + n * n, largest = 0;
    for (int64_t k = 0; k < n * n; k++) power[k] = matrix[k];
    lopt__decompose_symmetric(n, power, values, vectors, values + n);
    for (int64_t k = 0; k < n; k++) largest = fmax(largest, values[k]);
    double least = fmax(opt->value[MATRIX_EPSILON][0] * largest, 1e-30);
    memset(power, 0, (size_t)(n * n) * sizeof *power);
    for (int64_t k = 0; k < n; k++) {
        const double *restrict v = vectors + k * n;
        double factor = pow(values[k] < least ? least : values[k], -1 / e);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) power[i * n + j] += factor * v[i] * v[j];
    }
    for (int64_t k = 0; k < n * n; k++) root[k] = (float)power[k];
}

/* block <- s of it; other: scratch of its size. */
static void precondition_block(const lopt_optimizer *opt, int rank, const shampoo_block *b, int due, float *block,
                               float *other, double *work) {
    const double beta2 = opt->value[BETA2][0], exponent = opt->value[EXPONENT][0];
    float *matrix = b->matrices, weight = (float)(beta2 == 1 ? 1 : 1 - beta2);
    size_t bytes = (size_t)(b->dim[0] * b->dim[1] * b->dim[2] * b->dim[3]) * sizeof *block;
    for (int a = LOPT_MAX_RANK - rank; a < LOPT_MAX_RANK; matrix += 2 * b->dim[a] * b->dim[a], a++) {
        lopt__axis axis = lopt__axis_of(LOPT_MAX_RANK, b->dim, a);
        lopt__average_gram(&axis, block, (float)beta2, weight, matrix);
    }
    matrix = b->matrices;
    for (int a = LOPT_MAX_RANK - rank; a < LOPT_MAX_RANK; matrix += 2 * b->dim[a] * b->dim[a], a++) {
        lopt__axis axis = lopt__axis_of(LOPT_MAX_RANK, b->dim, a);
        float *root = matrix + axis.size * axis.size;
        if (due) set_inverse_root(opt, axis.size, exponent > 0 ? exponent : 2 * rank, matrix, root, work);
        lopt__multiply_axis(&axis, block, root, 0, other);
        memcpy(block, other, bytes);
    }
}

/* a[n] of the gradient g, v updated. */
static void graft_direction(const lopt_optimizer *opt, lopt__team *team, int64_t done, int64_t n, const float *g,
                            float *restrict v, float *restrict a) {
    const int kind = lopt__read_integer(opt, GRAFTING);
    const lopt__moments k = lopt__moments_at_step(0, opt->value[BETA2][0], done);
    const float kept = kind == GRAFT_ADAGRAD ? 1 : k.beta2, weight = kind == GRAFT_ADAGRAD ? 1 : k.one_minus_beta2;
    const float epsilon = lopt__read_number(opt, DIAGONAL_EPSILON), correction = kind == GRAFT_ADAM ? k.correction2 : 1;
    const float norm = kind == GRAFT_RMSPROP_NORMALIZED ? lopt__norm_of(team, g, n) + 1e-16f : 1;
    for (int64_t i = 0; i < n; i++) a[i] = g[i] / norm;
    for (int64_t i = 0; i < n && has_diagonal(opt); i++) {
        v[i] = kept * v[i] + weight * (a[i] * a[i]);
        a[i] /= sqrtf(v[i] / correction) + epsilon;
    }
}

/* s[n] of the gradient, scaled to the norm of a. */
static void shampoo_direction(const lopt_optimizer *opt, const lopt_state *state, const lopt__tensor *t,
                              lopt__team *team, const float *g, const float *a, float *restrict s, float *blocks) {
    const int64_t n = t->view.size;
    int due = (state->header->step + 1) % (int64_t)opt->value[PRECONDITION_EVERY][0] == 0;
    memcpy(s, t->spec.rank < 2 ? a : g, (size_t)n * sizeof *s);
    shampoo_block b = {.index = -1};
    while (next_shampoo_block(opt, t, &b)) {
        copy_block(&t->spec, &b, s, blocks, 0);
        precondition_block(opt, t->spec.rank, &b, due, blocks, blocks + n, (double *)(void *)state->scratch);
        copy_block(&t->spec, &b, s, blocks, 1);
    }
    if (t->spec.rank < 2 || lopt__read_integer(opt, GRAFTING) == GRAFT_NONE) return;
    float scale = lopt__norm_of(team, a, n) / (lopt__norm_of(team, s, n) + 1e-16f);
    for (int64_t i = 0; i < n; i++) s[i] *= scale;
}

static void shampoo_step_tensor(const lopt_optimizer *opt, const lopt_state *state, const lopt__tensor *t,
                                const lopt__io *io, float rate, float *scratch) {
    const int64_t size = t->view.size, done = state->header->step;
    const float beta1 = lopt__read_number(opt, BETA1), decay = lopt__decoupled_decay(opt, t);
    float *gradient = scratch, *a = gradient + size, *s = a + size, *blocks = s + size;
    float *restrict m = t->data, *restrict n = m + size, *v = n + size; /* v: if has_diagonal */
    const float *restrict p = io->params + t->offset;
    const float *g = lopt__decayed_gradient(opt, t, io, gradient);
    graft_direction(opt, io->team, done, size, g, v, a);
    shampoo_direction(opt, state, t, io->team, g, a, s, blocks);
    int grafted = (double)(done + 1) < opt->value[START_STEP][0], ahead = lopt__read_integer(opt, NESTEROV);
    for (int64_t i = 0; i < size; i++) {
        m[i] = beta1 * m[i] + s[i];
        n[i] = beta1 * n[i] + a[i];
        float momentum = grafted ? n[i] : m[i], now = grafted ? a[i] : s[i];
        s[i] = -rate * ((ahead ? beta1 * momentum + now : momentum) + decay * p[i]);
    }
    lopt__add_update(t, io, 1, s);
}

static void shampoo_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    float rate = lopt__scheduled_rate(opt, state);
    float *scratch = state->scratch + shampoo_work_floats(longest_block_axis(opt, state));
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        shampoo_step_tensor(opt, state, t, io, lopt__tensor_rate(t, rate), scratch);
    }
}

const lopt__kind lopt__shampoo = {
    .name = "shampoo",
    LOPT__TABLES,
    .tensor_floats = shampoo_tensor_floats,
    .scratch_floats = shampoo_scratch_floats,
    .reset = shampoo_reset,
    .step = shampoo_step,
};
