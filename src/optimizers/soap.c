/* SPDX-License-Identifier: Apache-2.0
 *
 * soap.c - SOAP (Vyas et al. 2024, 2409.11321): Adam in the eigenbasis of Shampoo's preconditioner.
 *
 *     m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) (Q g)^2
 *     u = Q^T (Q m / (sqrt(v) + epsilon)) sqrt(1 - beta2^T) / (1 - beta1^T)             T updates done
 *     p <- (p - learning_rate u) (1 - learning_rate weight_decay)
 *     G <- shampoo_beta G + (1 - shampoo_beta) g g^T                                    for each axis of g
 *     every precondition_every updates: C = Q G, sorted by the diagonal of C Q^T, v along with it;  Q from QR of C^T
 *
 * Q x is the product of every axis of x, if it has 2 to max_precondition_dim elements, with its own matrix Q, whose rows
 * are orthonormal. Tensors with fewer than two axes have none: there, as along a longer axis, it is Adam. The first step
 * only sets G = (1 - shampoo_beta) g g^T and Q to its eigenvectors. Epsilon is added before the bias correction.
 *
 * Where G has equal eigenvalues, as for a gradient of low rank at the first step, Q is one of many: another program
 * gets another trajectory.
 *
 * State of a tensor: m, v; G and Q of its first such axis, the next, ... Time: O(n^3) every precondition_every
 * steps for an axis of n elements; besides, products of the tensor with its matrices in every step. */
#include <string.h>

#include "classical/axis_products.h"
#include "classical/moments.h"
#include "classical/orthogonal_basis.h"

enum { BETA1 = LOPT__N_COMMON, BETA2, SHAMPOO_BETA, EPSILON, PRECONDITION_EVERY, MAX_PRECONDITION_DIM };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.003", "0.01"),
    [BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.95", "decay of the mean gradient"},
    [BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.95", "decay of the mean square"},
    [SHAMPOO_BETA] = {"shampoo_beta", LOPT__NUMBER, 1, 0, 1, NULL, "0.95", "decay of the preconditioner's statistics"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added to the root"},
    [PRECONDITION_EVERY] = {"precondition_every", LOPT__INTEGER, 1, 1, 1e12, NULL, "10",
                            "steps between updates of the bases"},
    [MAX_PRECONDITION_DIM] = {"max_precondition_dim", LOPT__INTEGER, 1, 0, 1e5, NULL, "1024",
                              "longest axis that has a basis"},
};

static const lopt__preset presets[] = {
    {{"soap", "soap", "Adam in the eigenbasis of Shampoo", "Vyas et al., 2024 (2409.11321)", 0}, {{0}}},
};

static int has_basis(const lopt_optimizer *opt, int rank, int64_t dim) {
    return rank >= 2 && dim >= 2 && (double)dim <= opt->value[MAX_PRECONDITION_DIM][0];
}

static size_t soap_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    const int64_t dims[] = {view->outer_dim[0], view->outer_dim[1], view->rows, view->lanes};
    int64_t floats = 2 * view->size;
    for (int a = 0; a < LOPT_MAX_RANK; a++)
        if (has_basis(opt, view->rank, dims[a])) floats += 2 * dims[a] * dims[a];
    return (size_t)floats;
}

/* Longest axis with a basis. */
static int64_t longest_basis(const lopt_optimizer *opt, const lopt_state *state) {
    int64_t longest = 0;
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt_tensor *t = &state->tensors[i].spec;
        for (int a = 0; a < t->rank; a++)
            if (has_basis(opt, t->rank, t->dim[a]) && t->dim[a] > longest) longest = t->dim[a];
    }
    return longest;
}

/* Two matrices, two vectors and the work of one basis. */
static size_t soap_work_doubles(int64_t n) {
    return (size_t)(2 * n * n + 2 * n) + lopt__basis_work(n);
}

/* Those, then gradient, projection and two of its size. */
static size_t soap_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return soap_work_doubles(longest_basis(opt, state)) * (sizeof(double) / sizeof(float)) +
           4 * lopt__largest_tensor(opt, state);
}

/* An axis of a tensor with its G and Q; the next follows. */
typedef struct soap_axis {
    int a; /* past the last: rank */
    lopt__axis axis;
    float *gram, *basis;
} soap_axis;

static soap_axis next_soap_axis(const lopt_optimizer *opt, const lopt__tensor *t, soap_axis before) {
    const lopt_tensor *spec = &t->spec;
    soap_axis next = {.a = before.a + 1, .gram = t->data + 2 * t->view.size};
    if (before.basis) next.gram = before.basis + before.axis.size * before.axis.size;
    while (next.a < spec->rank && !has_basis(opt, spec->rank, spec->dim[next.a])) next.a++;
    if (next.a >= spec->rank) return next;
    next.axis = lopt__axis_of(spec->rank, spec->dim, next.a);
    next.basis = next.gram + next.axis.size * next.axis.size;
    return next;
}

#define FOR_EACH_SOAP_AXIS(s, opt, t)                                                                                  \
    for (soap_axis s = next_soap_axis(opt, t, (soap_axis){.a = -1}); (s).a < (t)->spec.rank;                           \
         s = next_soap_axis(opt, t, s))

/* y = Q x, back: Q^T x; other: scratch. All [size], none overlap. */
static void project_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const float *x, int back, float *y,
                           float *other) {
    size_t bytes = (size_t)t->view.size * sizeof *y;
    memcpy(y, x, bytes);
    FOR_EACH_SOAP_AXIS(s, opt, t) {
        lopt__multiply_axis(&s.axis, y, s.basis, back, other);
        memcpy(y, other, bytes);
    }
}

static void set_first_basis(const soap_axis *s, double *work) {
    int64_t n = s->axis.size;
    double *gram = work, *vectors = gram + n * n, *values = vectors + n * n;
    for (int64_t k = 0; k < n * n; k++) gram[k] = s->gram[k];
    lopt__decompose_symmetric(n, gram, values, vectors, values + n);
    for (int64_t k = 0; k < n * n; k++) s->basis[k] = (float)vectors[k];
}

/* order[k]: the index of the k-th largest key. */
static void sort_descending(int64_t n, const double *key, int64_t *order) {
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i;
        for (; at > 0 && key[order[at - 1]] < key[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

static void sort_axis(const lopt__axis *axis, const int64_t *order, float *v, float *other) {
    const int64_t n = axis->size, inner = axis->inner;
    memcpy(other, v, (size_t)(axis->outer * n * inner) * sizeof *v);
    for (int64_t o = 0; o < axis->outer; o++)
        for (int64_t j = 0; j < n; j++)
            memcpy(v + (o * n + j) * inner, other + (o * n + order[j]) * inner, (size_t)inner * sizeof *v);
}

/* One power iteration. */
static void update_basis(const soap_axis *s, float *v, float *other, double *work) {
    int64_t n = s->axis.size, *order = (int64_t *)(void *)work;
    double *estimate = work + n, *power = estimate + n, *sorted = power + n * n;
    for (int64_t j = 0; j < n; j++) {
        double *restrict row = power + j * n;
        memset(row, 0, (size_t)n * sizeof *row);
        for (int64_t k = 0; k < n; k++)
            for (int64_t i = 0; i < n; i++) row[i] += (double)s->basis[j * n + k] * s->gram[k * n + i];
        estimate[j] = 0;
        for (int64_t i = 0; i < n; i++) estimate[j] += row[i] * s->basis[j * n + i];
    }
    sort_descending(n, estimate, order);
    sort_axis(&s->axis, order, v, other);
    for (int64_t j = 0; j < n; j++) memcpy(sorted + j * n, power + order[j] * n, (size_t)n * sizeof *sorted);
    lopt__orthonormalise_rows(n, sorted, sorted + n * n);
    for (int64_t k = 0; k < n * n; k++) s->basis[k] = (float)sorted[k];
}

static void update_preconditioner(const lopt_optimizer *opt, const lopt__tensor *t, int64_t done, const float *g,
                                  float *other, double *work) {
    const float beta = lopt__read_number(opt, SHAMPOO_BETA), weight = (float)(1 - opt->value[SHAMPOO_BETA][0]);
    int due = done > 0 && done % (int64_t)opt->value[PRECONDITION_EVERY][0] == 0;
    FOR_EACH_SOAP_AXIS(s, opt, t) {
        lopt__average_gram(&s.axis, g, beta, weight, s.gram);
        if (done == 0) set_first_basis(&s, work);
        if (due) update_basis(&s, t->data + t->view.size, other, work);
    }
}

/* u without its correction; projected, other, u: [size]. */
static void soap_direction(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__moments *k, const float *g,
                           float *restrict projected, float *other, float *u) {
    const int64_t n = t->view.size;
    const float epsilon = lopt__read_number(opt, EPSILON);
    float *restrict m = t->data, *restrict v = m + n;
    project_tensor(opt, t, g, 0, projected, other);
    for (int64_t i = 0; i < n; i++) {
        m[i] = k->beta1 * m[i] + k->one_minus_beta1 * g[i];
        v[i] = k->beta2 * v[i] + k->one_minus_beta2 * (projected[i] * projected[i]);
    }
    project_tensor(opt, t, m, 0, projected, other);
    for (int64_t i = 0; i < n; i++) projected[i] /= sqrtf(v[i]) + epsilon;
    project_tensor(opt, t, projected, 1, u, other);
}

static void soap_step_tensor(const lopt_optimizer *opt, const lopt_state *state, const lopt__tensor *t,
                             const lopt__io *io, float rate, float *scratch) {
    const int64_t n = t->view.size, done = state->header->step;
    const float decay = lopt__decoupled_decay(opt, t);
    float *gradient = scratch, *projected = gradient + n, *other = projected + n, *restrict u = other + n;
    const float *restrict p = io->params + t->offset;
    const float *g = lopt__decayed_gradient(opt, t, io, gradient);
    memset(u, 0, (size_t)n * sizeof *u);
    if (done > 0) {
        lopt__moments k = lopt__moments_at_step(opt->value[BETA1][0], opt->value[BETA2][0], done - 1);
        float size = rate * sqrtf(k.correction2) / k.correction1;
        soap_direction(opt, t, &k, g, projected, other, u);
        for (int64_t i = 0; i < n; i++) u[i] = -size * u[i] * (1 - rate * decay) - rate * decay * p[i];
    }
    update_preconditioner(opt, t, done, g, other, (double *)(void *)state->scratch);
    lopt__add_update(t, io, 1, u);
}

static void soap_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    float rate = lopt__scheduled_rate(opt, state);
    size_t work = soap_work_doubles(longest_basis(opt, state)) * (sizeof(double) / sizeof(float));
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        soap_step_tensor(opt, state, t, io, lopt__tensor_rate(t, rate), state->scratch + work);
    }
}

const lopt__kind lopt__soap = {
    .name = "soap",
    LOPT__TABLES,
    .tensor_floats = soap_tensor_floats,
    .scratch_floats = soap_scratch_floats,
    .step = soap_step,
};
