/* SPDX-License-Identifier: Apache-2.0
 *
 * synthetic.c - see synthetic.h. */
#include "data/synthetic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"
#include "data/data_settings.h"
#include "data/resize.h"

#define PI 3.14159265358979323846
enum { COARSE = 4, MAX_SETTINGS = 7 };

typedef struct generator {
    task_synthetic_info info;
    int n_settings, as_numbers;
    task_data_setting settings[MAX_SETTINGS];
    void (*shape)(const task_data_setting *s, task_raw *raw);
    int (*fill)(const task_data_setting *s, task_raw *raw, lopt_rng_stream *r);
} generator;

#define EXAMPLES                                                                                                       \
    { "examples", 10000, 100, 10000000, 1 }
#define SEED                                                                                                           \
    { "seed", 0, 0, 9007199254740992.0, 1 }

/* ---- gaussians ------------------------------------------------------------------------------- */

enum { G_EXAMPLES, G_CLASSES, G_MODES, G_SIZE, G_CHANNELS, G_NOISE, G_SEED };

static void set_gaussian_shape(const task_data_setting *s, task_raw *raw) {
    raw->rows = raw->cols = (int)s[G_SIZE].value;
    raw->channels = (int)s[G_CHANNELS].value;
}

/* A smooth picture: 4 x 4 random points, interpolated. */
static void draw_mode_centre(const task_raw *raw, const task_tap *taps, lopt_rng_stream *r, real *centre) {
    unsigned char coarse[COARSE * COARSE * 4];
    for (int k = 0; k < COARSE * COARSE * raw->channels; k++) coarse[k] = (unsigned char)lopt_rng_draw_below(r, 256);
    task_resize_image(coarse, COARSE, raw->channels, taps, raw->rows, taps, raw->cols, centre);
}

static int fill_gaussian_clusters(const task_data_setting *s, task_raw *raw, lopt_rng_stream *r) {
    size_t modes = (size_t)s[G_MODES].value, n_centres = (size_t)raw->n_classes * modes;
    size_t size = (size_t)raw->rows * (size_t)raw->cols * (size_t)raw->channels;
    task_tap *taps = malloc((size_t)raw->rows * sizeof *taps);
    real *centres = malloc(n_centres * size * sizeof *centres);
    float *noise = malloc(size * sizeof *noise);
    int made = taps && centres && noise;
    if (made) task_resize_taps(COARSE, raw->rows, taps);
    for (size_t c = 0; made && c < n_centres; c++) draw_mode_centre(raw, taps, r, centres + c * size);
    for (size_t i = 0; made && i < raw->n; i++) {
        size_t mode = (size_t)raw->labels[i] * modes + (size_t)lopt_rng_draw_below(r, modes);
        lopt_rng_fill_normals(r, size, noise);
        for (size_t k = 0; k < size; k++) {
            double x = 255 * ((double)centres[mode * size + k] + s[G_NOISE].value * (double)noise[k]);
            raw->bytes[i * size + k] = (unsigned char)lrint(fmin(fmax(x, 0), 255));
        }
    }
    free(taps);
    free(centres);
    free(noise);
    return made;
}

/* ---- spirals --------------------------------------------------------------------------------- */

enum { S_EXAMPLES, S_CLASSES, S_TURNS, S_NOISE, S_SEED };

static void set_spiral_shape(const task_data_setting *s, task_raw *raw) {
    (void)s;
    raw->rows = raw->channels = 1;
    raw->cols = 2;
}

static int fill_spiral_points(const task_data_setting *s, task_raw *raw, lopt_rng_stream *r) {
    for (size_t i = 0; i < raw->n; i++) {
        double t = sqrt(lopt_rng_draw_uniform(r)); /* as many points on each piece of an arm */
        double angle = 2 * PI * (s[S_TURNS].value * t + (double)raw->labels[i] / raw->n_classes);
        raw->numbers[2 * i] = (float)(t * cos(angle) + s[S_NOISE].value * lopt_rng_draw_normal(r));
        raw->numbers[2 * i + 1] = (float)(t * sin(angle) + s[S_NOISE].value * lopt_rng_draw_normal(r));
    }
    return 1;
}

/* ---- teacher --------------------------------------------------------------------------------- */

enum { T_EXAMPLES, T_CLASSES, T_DIM, T_HIDDEN, T_SEED };

static void set_teacher_shape(const task_data_setting *s, task_raw *raw) {
    raw->rows = raw->channels = 1;
    raw->cols = (int)s[T_DIM].value;
}

/* The class with the largest of tanh(x w0) w1; h is scratch. */
static int32_t compute_teacher_label(const float *x, int dim, int hidden, int classes, const float *w0, const float *w1,
                                     double *h) {
    int32_t best = 0;
    double largest = -INFINITY;
    for (int j = 0; j < hidden; j++) {
        double sum = 0;
        for (int k = 0; k < dim; k++) sum += (double)x[k] * (double)w0[(size_t)j * (size_t)dim + (size_t)k];
        h[j] = tanh(sum * sqrt(2.0 / dim));
    }
    for (int c = 0; c < classes; c++) {
        double sum = 0;
        for (int j = 0; j < hidden; j++) sum += h[j] * (double)w1[(size_t)c * (size_t)hidden + (size_t)j];
        if (sum > largest) largest = sum, best = c;
    }
    return best;
}

static int fill_teacher_labels(const task_data_setting *s, task_raw *raw, lopt_rng_stream *r) {
    int dim = raw->cols, hidden = (int)s[T_HIDDEN].value;
    size_t n0 = (size_t)dim * (size_t)hidden, n1 = (size_t)hidden * (size_t)raw->n_classes;
    float *weights = malloc((n0 + n1) * sizeof *weights);
    double *h = malloc((size_t)hidden * sizeof *h);
    int made = weights && h;
    if (made) lopt_rng_fill_normals(r, n0 + n1, weights);
    for (size_t i = 0; made && i < raw->n; i++) {
        float *x = raw->numbers + i * (size_t)dim;
        lopt_rng_fill_normals(r, (size_t)dim, x);
        raw->labels[i] = compute_teacher_label(x, dim, hidden, raw->n_classes, weights, weights + n0, h);
    }
    free(weights);
    free(h);
    return made;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const generator generators[] = {
    {{"gaussians", "images: noise around smooth random pictures, a few for each class"},
     7,
     0,
     {EXAMPLES,
      {"classes", 10, 2, 1000, 1},
      {"modes", 2, 1, 100, 1},
      {"size", 8, 1, 128, 1},
      {"channels", 1, 1, 3, 1},
      {"noise", 0.3, 0, 10, 0},
      SEED},
     set_gaussian_shape,
     fill_gaussian_clusters},
    {{"spirals", "a table of 2 features: arms of a spiral"},
     5,
     1,
     {EXAMPLES, {"classes", 2, 2, 100, 1}, {"turns", 1.5, 0, 20, 0}, {"noise", 0.02, 0, 10, 0}, SEED},
     set_spiral_shape,
     fill_spiral_points},
    {{"teacher", "a table of normal features, labelled by a random network"},
     5,
     1,
     {EXAMPLES, {"classes", 10, 2, 1000, 1}, {"dim", 16, 1, 4096, 1}, {"hidden", 32, 1, 4096, 1}, SEED},
     set_teacher_shape,
     fill_teacher_labels},
};

enum { N_GENERATORS = sizeof generators / sizeof *generators };

const task_synthetic_info *task_synthetic_known(size_t i) {
    return i < N_GENERATORS ? &generators[i].info : NULL;
}

int task_synthetic_make(size_t i, const char *settings, task_raw *raw, lopt_error *err) {
    generator g = generators[i];
    task_data_setting *s = g.settings;
    if (!task_read_data_settings(g.info.name, settings, s, g.n_settings, err)) return 0;
    if (!raw) return 1;
    size_t n = (size_t)s[0].value;
    g.shape(s, raw);
    snprintf(raw->path, sizeof raw->path, "%s", g.info.name);
    if (!task_raw_reserve(raw, n, g.as_numbers, err)) return 0;
    raw->n = raw->n_labels = n;
    raw->n_classes = (int)s[1].value;
    for (size_t k = 0; k < n; k++) raw->labels[k] = (int32_t)(k % (size_t)raw->n_classes);
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){(uint64_t)s[g.n_settings - 1].value, LOPT_RNG_DATA, i, 0, 0});
    return g.fill(s, raw, &r) ? 1 : task_set_error(err, LOPT_ENOMEM, "data set %s: out of memory", g.info.name);
}
