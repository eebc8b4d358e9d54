/* SPDX-License-Identifier: Apache-2.0
 *
 * newton_schulz.h - approximate orthogonalisation of a matrix, for Muon and Celo2 (Jordan
 * 2024; Bernstein and Newhouse 2024, 2409.20325).
 *
 *     X <- X / (|X| + epsilon), then `steps` times
 *     A = X X^T,  X <- a X + (b A + c A A) X
 *
 * A matrix with more rows than columns is transposed before and after. With the published
 * coefficients a, b, c = 3.4445, -4.775, 2.0315 singular values end between 0.68 and 1.14 after 5
 * steps, unless they were tiny compared with the largest; a zero matrix stays zero.
 *
 *     float scratch[lopt__newton_schulz_scratch(rows, cols)];
 *     lopt__newton_schulz(x, rows, cols, 5, lopt__newton_schulz_published, 1e-7f, scratch);
 *
 * x [rows][cols] is changed in place. */
#ifndef LOPT_NEWTON_SCHULZ_H
#define LOPT_NEWTON_SCHULZ_H

#include <stddef.h>
#include <stdint.h>

extern const float lopt__newton_schulz_published[3]; /* a, b, c above */

size_t lopt__newton_schulz_scratch(int64_t rows, int64_t cols); /* floats */
void lopt__newton_schulz(float *x, int64_t rows, int64_t cols, int steps, const float coefficient[3], float epsilon,
                         float *scratch);

#endif
