/* SPDX-License-Identifier: Apache-2.0
 *
 * variational.c - see variational.h. */
#include "layers/variational.h"

#include <math.h>

/* ---- the sample -------------------------------------------------------------------------------- */

typedef struct gaussian {
    task_layer base;
    size_t rows, latent, noise;
} gaussian;

static void gaussian_draw(const task_layer *l, const task_run *run, lopt_rng_stream *r) {
    enum { CHUNK = 256 };
    const gaussian *d = (const gaussian *)l;
    real *noise = task_work_at(run->work, d->noise);
    size_t n = d->rows * d->latent;
    float chunk[CHUNK];
    for (size_t i = 0; i < n; i++) {
        if (i % CHUNK == 0) lopt_rng_fill_normals(r, n - i < CHUNK ? n - i : CHUNK, chunk);
        noise[i] = chunk[i % CHUNK];
    }
}

static void gaussian_forward(const task_layer *l, const task_run *run) {
    const gaussian *d = (const gaussian *)l;
    const real *mean = task_layer_input(run, l, 0), *noise = task_work_at(run->work, d->noise);
    real *z = task_layer_output(run, l);
    for (size_t i = 0; i < d->rows; i++, mean += 2 * d->latent, noise += d->latent, z += d->latent) {
        const real *log_std = mean + d->latent;
        for (size_t j = 0; j < d->latent; j++) z[j] = mean[j] + (real)exp((double)log_std[j]) * noise[j];
    }
}

static void gaussian_backward(const task_layer *l, const task_run *run) {
    const gaussian *d = (const gaussian *)l;
    const real *mean = task_layer_input(run, l, 0), *noise = task_work_at(run->work, d->noise),
               *dz = task_layer_output_grad(run, l);
    real *dmean = task_layer_input_grad(run, l, 0);
    int adds = l->adds[0];
    size_t n = d->latent;
    for (size_t i = 0; i < d->rows; i++, mean += 2 * n, dmean += 2 * n, noise += n, dz += n) {
        for (size_t j = 0; j < n; j++) {
            real deviation = (real)exp((double)mean[n + j]) * noise[j];
            dmean[j] = (adds ? dmean[j] : 0) + dz[j];
            dmean[n + j] = (adds ? dmean[n + j] : 0) + dz[j] * deviation;
        }
    }
}

static const task_layer_kind gaussian_kind = {
    .name = "gaussian", .draw = gaussian_draw, .forward = gaussian_forward, .backward = gaussian_backward};

int task_add_gaussian(task_model *m, int stats) {
    if (stats < 0) return -1;
    task_shape s = *task_value_shape(m, stats);
    if (!task_value_has_grad(m, stats)) return task_model_fail(m, "a sample of what depends on no parameter");
    gaussian *d = task_add_layer(m, &gaussian_kind, sizeof *d, 1, &stats, 2, (int64_t[]){s.rows, s.cols / 2});
    if (!d) return -1;
    d->rows = (size_t)s.rows, d->latent = (size_t)s.cols / 2;
    d->noise = task_add_layer_work(m, d->rows * d->latent * sizeof(real));
    return d->base.out;
}

/* ---- the loss ---------------------------------------------------------------------------------- */

enum { STATS, OUT, TARGET };

typedef struct elbo {
    task_layer base;
    size_t rows, latent, pixels, noise;
    double scale; /* 1 / (batch [pixels]) */
} elbo;

static void elbo_draw(const task_layer *l, const task_run *run, lopt_rng_stream *r) {
    const elbo *d = (const elbo *)l;
    real *noise = task_work_at(run->work, d->noise);
    for (size_t i = 0; i < d->rows * d->pixels; i++) noise[i] = (real)((2 * lopt_rng_draw_uniform(r) - 1) / 510);
}

static double clip_log_std(real x) {
    return x < -10 ? -10 : x > 10 ? 10 : (double)x; /* NaN stays NaN */
}

static double sum_kl_divergence(size_t n, const real *mean) {
    double sum = 0;
    for (size_t j = 0; j < n; j++) {
        double log_std = (double)mean[n + j];
        sum += 0.5 * (exp(2 * log_std) + (double)mean[j] * (double)mean[j] - 1) - log_std;
    }
    return sum;
}

/* -ln p without its constant part. */
static double sum_negative_log_density(size_t n, const real *out, const real *target, const real *noise) {
    double sum = 0;
    for (size_t j = 0; j < n; j++) {
        double log_std = clip_log_std(out[n + j]);
        double z = ((double)target[j] + (double)noise[j] - clip_log_std(out[j])) * exp(-log_std);
        sum += log_std + 0.5 * z * z;
    }
    return sum;
}

static void elbo_forward(const task_layer *l, const task_run *run) {
    const elbo *d = (const elbo *)l;
    const real *noise = task_work_at(run->work, d->noise);
    const double constant = 0.91893853320467274 + 5.5412635451584262; /* ln(2 pi) / 2 + ln 255 */
    double sum = 0;
    for (size_t i = 0; i < d->rows; i++) {
        sum += sum_kl_divergence(d->latent, task_layer_input(run, l, STATS) + i * 2 * d->latent);
        sum += sum_negative_log_density(d->pixels, task_layer_input(run, l, OUT) + i * 2 * d->pixels,
                                        task_layer_input(run, l, TARGET) + i * d->pixels, noise + i * d->pixels);
        sum += constant * (double)d->pixels;
    }
    *task_layer_output(run, l) = (real)(sum * d->scale);
}

static void set_log_density_grad(const elbo *d, const real *out, const real *target, const real *noise, real *dout) {
    for (size_t j = 0; j < d->pixels; j++) {
        real mean = out[j], log_std = out[d->pixels + j];
        double inverse = exp(-clip_log_std(log_std));
        double z = ((double)target[j] + (double)noise[j] - clip_log_std(mean)) * inverse;
        dout[j] = fabs((double)mean) > 10 ? 0 : (real)(-z * inverse * d->scale);
        dout[d->pixels + j] = fabs((double)log_std) > 10 ? 0 : (real)((1 - z * z) * d->scale);
    }
}

static void elbo_backward(const task_layer *l, const task_run *run) {
    const elbo *d = (const elbo *)l;
    const real *noise = task_work_at(run->work, d->noise), *mean = task_layer_input(run, l, STATS);
    real *dmean = task_layer_input_grad(run, l, STATS);
    for (size_t i = 0; i < d->rows; i++, mean += 2 * d->latent, dmean += 2 * d->latent) {
        for (size_t j = 0; j < d->latent; j++) {
            dmean[j] = (real)((double)mean[j] * d->scale);
            dmean[d->latent + j] = (real)((exp(2 * (double)mean[d->latent + j]) - 1) * d->scale);
        }
        set_log_density_grad(d, task_layer_input(run, l, OUT) + i * 2 * d->pixels,
                             task_layer_input(run, l, TARGET) + i * d->pixels, noise + i * d->pixels,
                             task_layer_input_grad(run, l, OUT) + i * 2 * d->pixels);
    }
}

static const task_layer_kind elbo_kind = {
    .name = "elbo", .draw = elbo_draw, .forward = elbo_forward, .backward = elbo_backward};

int task_add_elbo(task_model *m, int stats, int out, int target, int per_pixel) {
    if (stats < 0 || out < 0 || target < 0) return -1;
    task_shape s = *task_value_shape(m, stats), o = *task_value_shape(m, out), x = *task_value_shape(m, target);
    if (o.cols != 2 * x.cols || o.rows != x.rows || s.rows != x.rows || !task_value_has_grad(m, stats) ||
        !task_value_has_grad(m, out))
        return task_model_fail(m, "the shapes of a variational auto-encoder do not fit");
    elbo *d = task_add_layer(m, &elbo_kind, sizeof *d, 3, (int[]){stats, out, target}, 0, NULL);
    if (!d) return -1;
    d->rows = (size_t)s.rows, d->latent = (size_t)s.cols / 2, d->pixels = (size_t)x.cols;
    d->scale = 1 / ((double)d->rows * (per_pixel ? (double)d->pixels : 1));
    d->noise = task_add_layer_work(m, d->rows * d->pixels * sizeof(real));
    return d->base.out;
}
