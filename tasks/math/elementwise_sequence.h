/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise_sequence.h - the part of elementwise.c that recurrent cells and attention need; included there
 * alone, for each instruction set. Formulas: recurrent.h, attention.h. */

static inline real sigmoid_of_real(real x) {
    return 1 / (1 + exp_of_real(-x));
}

static void elementwise_lstm(int rows, int n, const real *restrict bias, real *restrict z,
                             const real *restrict c_before, real *restrict c, real *restrict h) {
    for (int row = 0; row < rows; row++, z += 4 * n, c_before += n, c += n, h += n) {
        real *restrict i = z, *restrict g = z + n, *restrict f = z + 2 * n, *restrict o = z + 3 * n;
        for (int j = 0; j < n; j++) {
            i[j] = sigmoid_of_real(i[j] + bias[j]);
            g[j] = tanh_of_real(g[j] + bias[n + j]);
            f[j] = sigmoid_of_real(f[j] + bias[2 * n + j] + 1);
            o[j] = sigmoid_of_real(o[j] + bias[3 * n + j]);
            c[j] = f[j] * c_before[j] + i[j] * g[j];
            h[j] = o[j] * tanh_of_real(c[j]);
        }
    }
}

static void elementwise_lstm_grad(int rows, int n, real *restrict z, const real *restrict c_before,
                                  const real *restrict c, const real *restrict dh, real *restrict dc) {
    for (int row = 0; row < rows; row++, z += 4 * n, c_before += n, c += n, dh += n, dc += n) {
        real *restrict i = z, *restrict g = z + n, *restrict f = z + 2 * n, *restrict o = z + 3 * n;
        for (int j = 0; j < n; j++) {
            real tanh_c = tanh_of_real(c[j]), all = dc[j] + dh[j] * o[j] * (1 - tanh_c * tanh_c);
            dc[j] = all * f[j];
            real di = all * g[j] * i[j] * (1 - i[j]), dg = all * i[j] * (1 - g[j] * g[j]);
            i[j] = di;
            g[j] = dg;
            f[j] = all * c_before[j] * f[j] * (1 - f[j]);
            o[j] = dh[j] * tanh_c * o[j] * (1 - o[j]);
        }
    }
}

static void elementwise_gru_gates(int rows, int n, const real *restrict bias, real *restrict zr,
                                  const real *restrict h_before, real *restrict rh) {
    for (int row = 0; row < rows; row++, zr += 2 * n, h_before += n, rh += n) {
        for (int j = 0; j < 2 * n; j++) zr[j] = sigmoid_of_real(zr[j] + bias[j]);
        for (int j = 0; j < n; j++) rh[j] = zr[n + j] * h_before[j];
    }
}

static void elementwise_gru(int rows, int n, const real *restrict bias, const real *restrict zr,
                            const real *restrict h_before, real *restrict a, real *restrict h) {
    for (int row = 0; row < rows; row++, zr += 2 * n, h_before += n, a += n, h += n) {
        for (int j = 0; j < n; j++) {
            a[j] = tanh_of_real(a[j] + bias[j]);
            h[j] = (1 - zr[j]) * h_before[j] + zr[j] * a[j];
        }
    }
}

static void elementwise_gru_grad(int rows, int n, real *restrict zr, real *restrict a, const real *restrict h_before,
                                 const real *restrict dh, real *restrict dh_before) {
    for (int row = 0; row < rows; row++, zr += 2 * n, a += n, h_before += n, dh += n, dh_before += n) {
        for (int j = 0; j < n; j++) {
            real gate = zr[j];
            dh_before[j] += dh[j] * (1 - gate);
            zr[j] = dh[j] * (a[j] - h_before[j]) * gate * (1 - gate);
            a[j] = dh[j] * gate * (1 - a[j] * a[j]);
        }
    }
}

static void elementwise_gru_gates_grad(int rows, int n, real *restrict zr, const real *restrict h_before,
                                       const real *restrict drh, real *restrict dh_before) {
    for (int row = 0; row < rows; row++, zr += 2 * n, h_before += n, drh += n, dh_before += n) {
        for (int j = 0; j < n; j++) {
            real reset = zr[n + j];
            dh_before[j] += drh[j] * reset;
            zr[n + j] = drh[j] * h_before[j] * reset * (1 - reset);
        }
    }
}

static void elementwise_softmax_columns(int rows, int cols, real *restrict p, real *restrict scratch) {
    real *restrict max = scratch, *restrict sum = scratch + cols;
    for (int j = 0; j < cols; j++) max[j] = p[j], sum[j] = 0;
    for (int i = 1; i < rows; i++) {
        const real *restrict row = p + (size_t)i * (size_t)cols;
        for (int j = 0; j < cols; j++) max[j] = row[j] > max[j] ? row[j] : max[j];
    }
    for (int i = 0; i < rows; i++) {
        real *restrict row = p + (size_t)i * (size_t)cols;
        for (int j = 0; j < cols; j++) {
            row[j] = exp_of_real(row[j] - max[j]);
            sum[j] += row[j];
        }
    }
    for (int j = 0; j < cols; j++) sum[j] = 1 / sum[j];
    for (int i = 0; i < rows; i++) {
        real *restrict row = p + (size_t)i * (size_t)cols;
        for (int j = 0; j < cols; j++) row[j] *= sum[j];
    }
}

static void elementwise_softmax_columns_grad(int rows, int cols, const real *restrict p, real *restrict dp,
                                             real *restrict scratch) {
    for (int j = 0; j < cols; j++) scratch[j] = 0;
    for (int i = 0; i < rows; i++) {
        size_t at = (size_t)i * (size_t)cols;
        for (int j = 0; j < cols; j++) scratch[j] += p[at + (size_t)j] * dp[at + (size_t)j];
    }
    for (int i = 0; i < rows; i++) {
        size_t at = (size_t)i * (size_t)cols;
        for (int j = 0; j < cols; j++) dp[at + (size_t)j] = p[at + (size_t)j] * (dp[at + (size_t)j] - scratch[j]);
    }
}
