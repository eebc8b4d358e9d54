/* SPDX-License-Identifier: Apache-2.0
 *
 * orthogonal_basis.c - see orthogonal_basis.h. Vectors are rows, so that the inner loops are contiguous. */
#include "classical/orthogonal_basis.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MAX_SWEEPS 60 /* of QL for one eigenvalue; a few are usual */

size_t lopt__basis_work(int64_t n) {
    return (size_t)(n * n + 2 * n);
}

static double dot_of_rows(int64_t n, const double *restrict x, const double *restrict y) {
    double sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) sum[k] += x[i + k] * y[i + k];
    for (; i < n; i++) sum[0] += x[i] * y[i];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

static void add_scaled_row(int64_t n, double factor, const double *restrict x, double *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] += factor * x[i];
}

/* Overwrites x[n] with v such that (1 - beta v v^T) x = (alpha, 0, ...). Returns beta, 0 if x has nothing to remove. */
static double make_reflector(int64_t n, double *x, double *alpha) {
    double rest = dot_of_rows(n - 1, x + 1, x + 1);
    *alpha = x[0];
    if (rest == 0) return 0;
    *alpha = -copysign(sqrt(x[0] * x[0] + rest), x[0]);
    x[0] -= *alpha;
    return 2 / (x[0] * x[0] + rest);
}

/* x[n] <- (1 - beta v v^T) x */
static void reflect_row(int64_t n, double beta, const double *v, double *x) {
    add_scaled_row(n, -beta * dot_of_rows(n, v, x), v, x);
}

static void set_identity_rows(int64_t n, double *x) {
    memset(x, 0, (size_t)(n * n) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i * n + i] = 1;
}

/* a = Q T Q^T: diagonal and off[n - 1] of T. Row k of a keeps its reflector from column k + 1 on, beta[k] its factor. */
static void reduce_to_tridiagonal(int64_t n, double *a, double *diagonal, double *off, double *beta, double *work) {
    for (int64_t k = 0; k < n; k++) {
        diagonal[k] = a[k * n + k];
        if (k + 1 == n) return;
        int64_t m = n - k - 1;
        double *v = a + k * n + k + 1;
        beta[k] = make_reflector(m, v, &off[k]);
        if (beta[k] == 0) continue;
        for (int64_t i = 0; i < m; i++) work[i] = beta[k] * dot_of_rows(m, v + (i + 1) * n, v);
        add_scaled_row(m, -beta[k] / 2 * dot_of_rows(m, v, work), v, work);
        for (int64_t i = 0; i < m; i++) {
            add_scaled_row(m, -v[i], work, v + (i + 1) * n);
            add_scaled_row(m, -work[i], v, v + (i + 1) * n);
        }
    }
}

static void rotate_rows(int64_t n, double c, double s, double *restrict x, double *restrict y) {
    for (int64_t i = 0; i < n; i++) {
        double old = y[i];
        y[i] = s * x[i] + c * old;
        x[i] = c * x[i] - s * old;
    }
}

/* One sweep of QL on rows first .. last of T, where off[last] is 0. */
static void sweep_implicit_ql(int64_t n, int64_t first, int64_t last, double *d, double *off, double *vectors) {
    double g = (d[first + 1] - d[first]) / (2 * off[first]), s = 1, c = 1, p = 0;
    g = d[last] - d[first] + off[first] / (g + copysign(hypot(g, 1), g));
    for (int64_t i = last - 1; i >= first; i--) {
        double f = s * off[i], b = c * off[i], r = hypot(f, g);
        off[i + 1] = r;
        if (r == 0) { /* T splits here */
            d[i + 1] -= p;
            off[last] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        rotate_rows(n, c, s, vectors + i * n, vectors + (i + 1) * n);
    }
    d[first] -= p;
    off[first] = g;
    off[last] = 0;
}

/* The end of the unreduced block of T that begins at first. */
static int64_t end_of_block(int64_t n, int64_t first, const double *d, const double *off) {
    int64_t last = first;
    while (last + 1 < n && !(fabs(off[last]) <= DBL_EPSILON * (fabs(d[last]) + fabs(d[last + 1])))) last++;
    return last;
}

static int is_row_finite(int64_t n, const double *x) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += fabs(x[i]);
    return isfinite(sum);
}

void lopt__decompose_symmetric(int64_t n, double *a, double *values, double *vectors, double *work) {
    double *off = work, *beta = work + n, *row = work + 2 * n;
    memset(off, 0, (size_t)n * sizeof *off);
    reduce_to_tridiagonal(n, a, values, off, beta, row);
    set_identity_rows(n, vectors);
    for (int64_t k = n - 2; k >= 0; k--)
        for (int64_t i = k + 1; i < n && beta[k] != 0; i++)
            reflect_row(n - k - 1, beta[k], a + k * n + k + 1, vectors + i * n + k + 1);
    if (!is_row_finite(n, values) || !is_row_finite(n, off)) { /* QL would not end */
        for (int64_t i = 0; i < n * n; i++) vectors[i] = NAN;
        for (int64_t i = 0; i < n; i++) values[i] = NAN;
        return;
    }
    for (int64_t first = 0; first < n; first++)
        for (int sweeps = 0; sweeps < MAX_SWEEPS; sweeps++) {
            int64_t last = end_of_block(n, first, values, off);
            if (last == first) break;
            sweep_implicit_ql(n, first, last, values, off, vectors);
        }
}

void lopt__orthonormalise_rows(int64_t n, double *x, double *work) {
    double *beta = work, *q = work + n, alpha;
    for (int64_t k = 0; k < n; k++) {
        double *v = x + k * n + k;
        beta[k] = make_reflector(n - k, v, &alpha);
        for (int64_t i = k + 1; i < n && beta[k] != 0; i++) reflect_row(n - k, beta[k], v, x + i * n + k);
    }
    set_identity_rows(n, q);
    for (int64_t k = n - 1; k >= 0; k--)
        for (int64_t i = k; i < n && beta[k] != 0; i++) reflect_row(n - k, beta[k], x + k * n + k, q + i * n + k);
    memcpy(x, q, (size_t)(n * n) * sizeof *x);
}
