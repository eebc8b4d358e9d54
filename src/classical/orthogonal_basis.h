/* SPDX-License-Identifier: Apache-2.0
 *
 * orthogonal_basis.h - eigenvectors of symmetric matrices and orthonormal bases, in double, for SOAP and Shampoo.
 *
 *     double work[lopt__basis_work(n)];
 *     lopt__decompose_symmetric(n, a, values, vectors, work);    a = sum over k of values[k] v_k v_k^T, v_k = vectors[k]
 *     lopt__orthonormalise_rows(n, x, work);                     Q of the QR decomposition of x^T, in rows
 *
 * Matrices are [n][n], row-major, and do not overlap. Both cost O(n^3). Eigenvalues are in no order. A row of x that
 * depends on those before it gives some vector orthogonal to the others. NaN gives NaN, in bounded time.
 *
 * Householder's reduction to a tridiagonal matrix, then QL with implicit shifts (Martin, Reinsch and Wilkinson 1968;
 * Dubrulle 1970); Householder's QR. */
#ifndef LOPT_ORTHOGONAL_BASIS_H
#define LOPT_ORTHOGONAL_BASIS_H

#include <stddef.h>
#include <stdint.h>

size_t lopt__basis_work(int64_t n); /* doubles */
/* a[n][n] is overwritten. */
void lopt__decompose_symmetric(int64_t n, double *a, double *values, double *vectors, double *work);
void lopt__orthonormalise_rows(int64_t n, double *x, double *work);

#endif
