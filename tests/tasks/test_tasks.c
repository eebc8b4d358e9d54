/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tasks.c - tasks in float: against an independent network in double, against the double
 * build, initial distributions, names and errors, reparametrisation, and a short training.
 *
 * Gradients against finite differences are in test_tasks_double.c. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/declare.h"
#include "data/dataset.h"
#include "task.h"

/* The double build of the same functions (cmake/double_names.sh); struct task has one layout in
 * both. */
task *task_create_double(const task_spec *spec, lopt_error *err);
void task_destroy_double(task *t);
void task_draw_batch_double(const task *t, const double *tau, task_split split, lopt_rng_stream *r, void *work);
double task_compute_loss_double(const task *t, const double *tau, void *work, const double *params, double *grads);

static void *aligned(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    cr_assert(p != NULL);
    return memset(p, 0x5a, (bytes + 64) / 64 * 64); /* nothing may rest on what was there */
}

static lopt_rng_stream stream(uint64_t a, uint64_t b) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){11, LOPT_RNG_TEST, a, b, 0});
    return r;
}

/* A task with one sampled member, initial parameters and a batch. */
typedef struct probe {
    task *t;
    float *tau, *params, *grads;
    void *work;
} probe;

static probe start(const task_spec *spec, uint64_t member) {
    lopt_error err = {LOPT_OK, ""};
    probe p = {.t = task_create(spec, &err)};
    cr_assert(p.t != NULL, "%s", err.text);
    p.tau = aligned((p.t->n_tau + 1) * sizeof(float));
    p.params = aligned(p.t->n_params * sizeof(float));
    p.grads = aligned(p.t->n_params * sizeof(float));
    p.work = aligned(p.t->work_bytes);
    lopt_rng_stream r = stream(member, 0);
    task_sample_tau(p.t, &r, p.tau);
    task_initial_params(p.t, p.tau, &r, p.params);
    task_draw_batch(p.t, p.tau, TASK_TRAIN, &r, p.work);
    return p;
}

static void stop(probe *p) {
    task_destroy(p->t);
    free(p->tau), free(p->params), free(p->grads), free(p->work);
}

static task_spec spec_of(const char *name) {
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "%s", name);
    return spec;
}

/* ---- image_mlp against plain loops in double ------------------------------------------------- */

static double activation(task_activation_kind act, double x) {
    if (act == TASK_RELU) return x > 0 ? x : 0;
    if (act == TASK_TANH) return tanh(x);
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

/* Mean cross-entropy of the network in spec, and the share it gets right. */
static double plain_loss(const task_spec *spec, int n_pixels, const float *params, const float *images,
                         const int32_t *labels, double *right) {
    double loss = 0;
    *right = 0;
    for (int i = 0; i < spec->batch_size; i++) {
        double x[1024], y[1024];
        const float *w = params;
        int in = n_pixels;
        for (int j = 0; j < in; j++) x[j] = (double)images[i * n_pixels + j];
        for (int l = 0; l <= spec->n_hidden; l++) {
            int out = l < spec->n_hidden ? spec->hidden[l] : 10;
            for (int j = 0; j < out; j++) {
                y[j] = (double)w[in * out + j];
                for (int k = 0; k < in; k++) y[j] += x[k] * (double)w[k * out + j];
                if (l < spec->n_hidden) y[j] = activation(spec->activation, y[j]);
            }
            memcpy(x, y, (size_t)out * sizeof *x);
            w += in * out + out;
            in = out;
        }
        double sum = 0;
        int best = 0;
        for (int c = 0; c < 10; c++) sum += exp(x[c]);
        for (int c = 1; c < 10; c++) best = x[c] > x[best] ? c : best;
        loss += (log(sum) - x[labels[i]]) / spec->batch_size;
        *right += best == labels[i];
    }
    *right /= spec->batch_size;
    return loss;
}

static void check_against_plain(const task_spec *spec) {
    probe p = start(spec, 5);
    const task_dataset *data = task_dataset_open("fashion_mnist", "", spec->image_size, NULL);
    cr_assert(data != NULL);
    float *images = aligned((size_t)spec->batch_size * (size_t)data->n_pixels * sizeof *images);
    int32_t *labels = aligned((size_t)spec->batch_size * sizeof *labels);
    for (int split = 0; split < TASK_N_SPLITS; split++) {
        lopt_rng_stream a = stream(9, (uint64_t)split), b = a;
        task_dataset_draw(data, (task_split)split, &a, spec->batch_size, images, labels);
        task_draw_batch(p.t, p.tau, (task_split)split, &b, p.work);
        double share, right = plain_loss(spec, data->n_pixels, p.params, images, labels, &share);
        double loss = (double)task_compute_loss(p.t, p.tau, p.work, p.params, p.grads);
        cr_assert(fabs(loss - right) < 2e-6 * right, "%s: %.9g, plain loops: %.9g", p.t->name, loss, right);
        double found = (double)task_compute_accuracy(p.t, p.tau, p.work, p.params);
        cr_assert(fabs(found - share) < 1e-6, "%s: accuracy %g, plain loops: %g", p.t->name, found, share);
    }
    free(images), free(labels);
    task_dataset_close(data);
    stop(&p);
}

Test(image_mlp, agrees_with_plain_loops) {
    static const int shapes[][4] = {{64, 8, 1, 32}, {33, 8, 0}, {7, 11, 2, 19}, {128, 16, 2, 45}};
    for (int i = 0; i < 4; i++) {
        task_spec spec = spec_of("image_mlp");
        const task_dataset *kept = task_dataset_open(spec.dataset, "", shapes[i][1], NULL); /* read once */
        spec.batch_size = shapes[i][0];
        spec.image_size = shapes[i][1];
        spec.n_hidden = shapes[i][2];
        spec.hidden[0] = spec.hidden[1] = shapes[i][3];
        for (int act = TASK_RELU; act <= TASK_GELU; act++) {
            spec.activation = (task_activation_kind)act;
            check_against_plain(&spec);
        }
        task_dataset_close(kept);
    }
}

/* ---- float against double, every kind -------------------------------------------------------- */

static double *widen(const float *in, size_t n) {
    double *out = aligned((n + 1) * sizeof *out);
    for (size_t i = 0; i < n; i++) out[i] = (double)in[i];
    return out;
}

static void check_precisions(const task_spec *spec) {
    probe p = start(spec, 6);
    task *wide = task_create_double(spec, NULL);
    cr_assert(wide && wide->n_params == p.t->n_params && wide->n_tau == p.t->n_tau);
    double *tau = widen(p.tau, p.t->n_tau), *params = widen(p.params, p.t->n_params);
    double *grads = aligned(p.t->n_params * sizeof *grads);
    void *work = aligned(wide->work_bytes);
    lopt_rng_stream a = stream(8, 0), b = a;
    task_draw_batch(p.t, p.tau, TASK_TRAIN, &a, p.work);
    task_draw_batch_double(wide, tau, TASK_TRAIN, &b, work);
    double loss = (double)task_compute_loss(p.t, p.tau, p.work, p.params, p.grads);
    double right = task_compute_loss_double(wide, tau, work, params, grads);
    cr_assert(fabs(loss - right) < 3e-6 * (1 + fabs(right)), "%s: %.9g, in double: %.9g", p.t->name, loss, right);
    size_t i = 0;
    double whole = 0;
    for (size_t j = 0; j < p.t->n_params; j++) whole += pow(grads[j], 2);
    for (size_t k = 0; k < p.t->n_tensors; k++) {
        double difference = 0, size = 0;
        for (int64_t j = 0; j < lopt_tensor_size(&p.t->tensors[k]); j++, i++) {
            difference += pow((double)p.grads[i] - grads[i], 2);
            size += pow(grads[i], 2);
        }
        /* That of attention's key bias is zero: what is found is rounding of the others. */
        double allowed = size < 1e-20 * whole ? 1e-10 * whole : 1e-10 * size;
        cr_assert(difference <= allowed, "%s, gradient of %s: relative error %g", p.t->name, p.t->tensors[k].name,
                  sqrt(difference / size));
    }
    free(tau), free(params), free(grads), free(work);
    task_destroy_double(wide);
    stop(&p);
}

Test(tasks, float_agrees_with_double) {
    task_spec images = spec_of("image_mlp");
    task *kept[] = {task_create(&images, NULL), task_create_double(&images, NULL)}; /* images are read once */
    for (int k = 0; task_kinds[k]; k++) {
        task_spec spec = spec_of(task_kinds[k]->name);
        spec.noise = 0.5;
        for (int act = TASK_RELU; act < TASK_N_ACTIVATIONS; act++) {
            spec.activation = (task_activation_kind)act;
            spec.reparam = (task_reparam)(1 + act % 3); /* global, tensor, parameter */
            check_precisions(&spec);
            spec.reparam = TASK_REPARAM_NONE;
            check_precisions(&spec);
        }
    }
    task_destroy(kept[0]);
    task_destroy_double(kept[1]);
}

/* ---- a pure function of its arguments -------------------------------------------------------- */

Test(tasks, same_inputs_same_bits) {
    for (int k = 0; task_kinds[k]; k++) {
        task_spec spec = spec_of(task_kinds[k]->name);
        spec.noise = 0.5;
        spec.reparam = TASK_REPARAM_TENSOR;
        probe p = start(&spec, 1), q = start(&spec, 2), again = start(&spec, 1);
        size_t bytes = p.t->n_params * sizeof(float);
        cr_assert(memcmp(p.params, again.params, bytes) == 0, "%s: initial parameters differ", p.t->name);
        cr_assert(memcmp(p.params, q.params, bytes) != 0, "%s: streams do not matter", p.t->name);
        float first = task_compute_loss(p.t, p.tau, p.work, p.params, p.grads);
        /* Other batches and parameters through the same scratch, then the first batch again. */
        lopt_rng_stream other = stream(77, 0), r = stream(1, 0);
        task_draw_batch(again.t, again.tau, TASK_TEST, &other, again.work);
        task_compute_loss(again.t, again.tau, again.work, q.params, again.grads);
        task_sample_tau(again.t, &r, again.tau);
        task_initial_params(again.t, again.tau, &r, again.params);
        task_draw_batch(again.t, again.tau, TASK_TRAIN, &r, again.work);
        float second = task_compute_loss(again.t, again.tau, again.work, again.params, again.grads);
        cr_assert(memcmp(&first, &second, sizeof first) == 0, "%s: losses differ in bits", p.t->name);
        cr_assert(memcmp(p.grads, again.grads, bytes) == 0, "%s: gradients differ in bits", p.t->name);
        stop(&p), stop(&q), stop(&again);
    }
}

/* A batch is a function of its address: which batches were drawn before does not matter. */
Test(tasks, batches_are_addressed) {
    task_spec spec = spec_of("image_mlp");
    probe p = start(&spec, 1);
    float forward[6], backward[6];
    for (int i = 0; i < 6; i++) {
        lopt_rng_stream a = stream(100, (uint64_t)i), b = stream(100, (uint64_t)(5 - i));
        task_draw_batch(p.t, p.tau, TASK_TRAIN, &a, p.work);
        forward[i] = task_compute_loss(p.t, p.tau, p.work, p.params, NULL);
        task_draw_batch(p.t, p.tau, TASK_TRAIN, &b, p.work);
        backward[5 - i] = task_compute_loss(p.t, p.tau, p.work, p.params, NULL);
    }
    cr_assert(memcmp(forward, backward, sizeof forward) == 0);
    for (int i = 1; i < 6; i++) cr_assert(forward[i] != forward[0], "two batches have the same loss");
    stop(&p);
}

/* ---- initial distributions ------------------------------------------------------------------- */

Test(image_mlp, initial_weights) {
    task_spec spec = spec_of("image_mlp");
    spec.image_size = 28;
    spec.hidden[0] = 128;
    probe p = start(&spec, 4);
    double scale = 1 / sqrt(784), mean = 0, square = 0, tail = 0, n = 784 * 128;
    for (int i = 0; i < 784 * 128; i++) {
        double z = (double)p.params[i] / scale;
        cr_assert(fabs(z) <= 2.000001, "weight %d is %g scales", i, z);
        mean += z / n;
        square += z * z / n;
        tail += (fabs(z) > 1.5) / n;
    }
    cr_assert(fabs(mean) < 5 * 0.88 / sqrt(n), "mean %g", mean);
    cr_assert(fabs(sqrt(square) - 0.87962566) < 0.006, "standard deviation %g of the scale", sqrt(square));
    cr_assert(fabs(tail - 0.092306) < 5 * sqrt(0.0923 * 0.9077 / n), "beyond 1.5: %g, expected 0.0923", tail);
    for (int j = 0; j < 128; j++) cr_assert(p.params[784 * 128 + j] == 0, "bias %d is not 0", j);
    cr_assert(p.t->n_tensors == 4 && p.t->n_params == 784 * 128 + 128 + 1280 + 10);
    static const char *const names[] = {"w0", "b0", "w1", "b1"};
    for (int k = 0; k < 4; k++) cr_assert(strcmp(p.t->tensors[k].name, names[k]) == 0, "%s", p.t->tensors[k].name);
    cr_assert(p.t->tensors[0].dim[0] == 784 && p.t->tensors[0].dim[1] == 128, "weights are not (in, out)");
    stop(&p);
}

/* What muP needs: of 64-12-20-8-10, reparametrised or not, w1 and w2 lie between hidden layers. */
Test(image_mlp, says_which_weights_are_hidden) {
    static const int64_t expected[8] = {0, 0, 12, 0, 20, 0, 0, 0};
    for (int wrapped = 0; wrapped < 2; wrapped++) {
        task_spec spec = spec_of("image_mlp");
        spec.n_hidden = 3;
        spec.hidden[0] = 12;
        spec.hidden[1] = 20;
        spec.hidden[2] = 8;
        spec.reparam = wrapped ? TASK_REPARAM_TENSOR : TASK_REPARAM_NONE;
        task *t = task_create(&spec, NULL);
        cr_assert(t && t->n_tensors == 8);
        for (int k = 0; k < 8; k++)
            cr_assert(t->tensors[k].hidden_fan_in == expected[k], "%s: %d", t->tensors[k].name,
                      (int)t->tensors[k].hidden_fan_in);
        task_destroy(t);
    }
}

/* An untrained network guesses: ln 10 plus half the variance of its logits. */
Test(image_mlp, initial_loss) {
    task_spec spec = spec_of("image_mlp");
    const task_dataset *kept = task_dataset_open(spec.dataset, "", spec.image_size, NULL);
    double mean = 0, share = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        probe p = start(&spec, seed);
        mean += (double)task_compute_loss(p.t, p.tau, p.work, p.params, NULL) / 40;
        share += (double)task_compute_accuracy(p.t, p.tau, p.work, p.params) / 40;
        stop(&p);
    }
    task_dataset_close(kept);
    cr_assert(mean > log(10) && mean < log(10) + 0.25, "mean initial loss %g", mean);
    cr_assert(fabs(share - 0.1) < 0.05, "accuracy before training %g", share);
}

/* Means of initial losses in closed form, as E sum (s (c - p))^2 = dim E s^2 * 2. */
Test(quadratics, initial_loss) {
    static const struct {
        const char *kind;
        double mean, deviation; /* of one sample, generously */
    } known[] = {
        {"quadratic", 10, 4.5},          {"quadratic_family", 20, 9},
        {"sum_quadratic", 20, 9},        {"noisy_quadratic", 10 * 2 * 625.0 / 3, 2900},
        {"log_quadratic", 2.2004, 0.47}, /* digamma(5) + ln 2 */
    };
    enum { N = 2000 };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        task_spec spec = spec_of(known[k].kind);
        double mean = 0;
        for (uint64_t seed = 0; seed < N; seed++) {
            probe p = start(&spec, seed);
            mean += (double)task_compute_loss(p.t, p.tau, p.work, p.params, NULL) / N;
            stop(&p);
        }
        cr_assert(fabs(mean - known[k].mean) < 5 * known[k].deviation / sqrt(N), "%s: mean %g, expected %g",
                  known[k].kind, mean, known[k].mean);
    }
}

/* (p - n)' H (p - n): linear in H, so scaling p - n by 2 quadruples it; and H does not change. */
Test(quadratics, fixed_curvature) {
    task_spec spec = spec_of("NoisyMeanQuadratic");
    probe p = start(&spec, 1), q = start(&spec, 2);
    cr_assert(p.t->n_params == 2, "the published task has 2 parameters");
    spec = spec_of("noisy_mean_quadratic");
    spec.dim = 2;
    spec.noise = 0;
    stop(&p), stop(&q);
    p = start(&spec, 1);
    float x[3][2] = {{1, 0}, {0, 1}, {2, 2}}, loss[3];
    for (int i = 0; i < 3; i++) loss[i] = task_compute_loss(p.t, p.tau, p.work, x[i], p.grads);
    cr_assert(loss[0] > 0 && loss[1] > 0 && loss[2] >= 0, "H is not positive");
    float both[2] = {1, 1}, one = task_compute_loss(p.t, p.tau, p.work, both, p.grads);
    cr_assert(fabsf(loss[2] - 4 * one) < 1e-5f * loss[2]);
    stop(&p);
}

/* ---- normaliser ------------------------------------------------------------------------------ */

Test(image_mlp, normaliser_bounds_everything) {
    task_spec spec = spec_of("image_mlp");
    probe p = start(&spec, 1);
    float bound = (float)(1.5 * log(10));
    const float in[] = {NAN, INFINITY, 100, 3, 0.5f, 0, -1, -INFINITY};
    const float out[] = {bound, bound, bound, 3, 0.5f, 0, 0, 0};
    for (int i = 0; i < 8; i++)
        cr_assert(task_normalise_loss(p.t, in[i]) == out[i], "%g -> %g", (double)in[i],
                  (double)task_normalise_loss(p.t, in[i]));
    cr_assert((float)p.t->loss_bound == bound);
    for (size_t i = 0; i < p.t->n_params; i++) p.params[i] = i % 3 ? 1e38f : -1e38f;
    float loss = task_compute_loss(p.t, p.tau, p.work, p.params, p.grads);
    cr_assert(!isfinite(loss) && task_normalise_loss(p.t, loss) == bound, "diverged: %g", (double)loss);
    stop(&p);
    spec = spec_of("quadratic");
    p = start(&spec, 1);
    cr_assert(isnan(task_normalise_loss(p.t, NAN)) && task_normalise_loss(p.t, 7) == 7 && isinf(p.t->loss_bound));
    cr_assert(!task_has_accuracy(p.t) && isnan(task_compute_accuracy(p.t, p.tau, p.work, p.params)));
    stop(&p);
}

/* ---- reparametrisation ----------------------------------------------------------------------- */

/* The same stream gives the inner task's member, scales, parameters / scales and batch. */
static void check_reparam(const char *kind, task_reparam level) {
    task_spec spec = spec_of(kind);
    spec.noise = 0.5;
    probe plain = start(&spec, 3);
    spec.reparam = level;
    probe p = start(&spec, 3);
    const float *scales = p.tau + plain.t->n_tau;
    size_t n_scales = p.t->n_tau - plain.t->n_tau, i = 0;
    cr_assert(n_scales == (level == TASK_REPARAM_GLOBAL   ? 1
                           : level == TASK_REPARAM_TENSOR ? p.t->n_tensors
                                                          : p.t->n_params));
    double least = 1e9, most = 0;
    for (size_t s = 0; s < n_scales; s++) {
        cr_assert(scales[s] >= 0.0099f && scales[s] <= 101.f, "scale %g", (double)scales[s]);
        least = fmin(least, (double)scales[s]), most = fmax(most, (double)scales[s]);
    }
    cr_assert(n_scales < 1000 || (least < 0.0105 && most > 95), "scales from %g to %g", least, most);
    /* At w = w0 / s the wrapped loss is the plain one at w0, and its gradient s times the plain
     * one. */
    lopt_rng_stream a = stream(40, 0), b = a;
    for (size_t k = 0; k < p.t->n_tensors; k++) {
        for (int64_t j = 0; j < lopt_tensor_size(&p.t->tensors[k]); j++, i++) {
            float s = scales[level == TASK_REPARAM_GLOBAL ? 0 : level == TASK_REPARAM_TENSOR ? k : i];
            p.params[i] = plain.params[i] / s;
        }
    }
    task_draw_batch(plain.t, p.tau, TASK_TRAIN, &a, plain.work);
    task_draw_batch(p.t, p.tau, TASK_TRAIN, &b, p.work);
    double right = (double)task_compute_loss(plain.t, p.tau, plain.work, plain.params, plain.grads);
    double loss = (double)task_compute_loss(p.t, p.tau, p.work, p.params, p.grads);
    cr_assert(fabs(loss - right) < 1e-5 * fabs(right) + 1e-6, "%s: %g, plain %g", p.t->name, loss, right);
    i = 0;
    for (size_t k = 0; k < p.t->n_tensors; k++) {
        for (int64_t j = 0; j < lopt_tensor_size(&p.t->tensors[k]); j++, i++) {
            double s = (double)scales[level == TASK_REPARAM_GLOBAL ? 0 : level == TASK_REPARAM_TENSOR ? k : i];
            double expected = s * (double)plain.grads[i];
            cr_assert(fabs((double)p.grads[i] - expected) < 1e-4 * fabs(expected) + 1e-6 * s * (1 + fabs(right)),
                      "%s: gradient %zu is %g, expected %g", p.t->name, i, (double)p.grads[i], expected);
        }
    }
    cr_assert(task_has_accuracy(p.t) == task_has_accuracy(plain.t));
    if (task_has_accuracy(p.t)) {
        cr_assert(task_compute_accuracy(p.t, p.tau, p.work, p.params) ==
                  task_compute_accuracy(plain.t, p.tau, plain.work, plain.params));
    }
    stop(&p), stop(&plain);
}

Test(reparam, rescales_every_kind) {
    for (int k = 0; task_kinds[k]; k++) {
        for (int level = TASK_REPARAM_GLOBAL; level <= TASK_REPARAM_PARAMETER; level++) {
            check_reparam(task_kinds[k]->name, (task_reparam)level);
        }
    }
}

/* Initial parameters are those of the inner task divided by the scales: scale times stored is TN
 * again. */
Test(reparam, initial_params_are_divided) {
    task_spec spec = spec_of("image_mlp");
    spec.reparam = TASK_REPARAM_PARAMETER;
    probe p = start(&spec, 3);
    double square = 0;
    for (int i = 0; i < 2048; i++) square += pow((double)p.params[i] * (double)p.tau[i] * 8, 2) / 2048;
    cr_assert(fabs(sqrt(square) - 0.8796) < 0.06, "standard deviation %g", sqrt(square));
    stop(&p);
}

/* ---- names and errors ------------------------------------------------------------------------ */

Test(names, every_name_resolves_to_a_kind) {
    size_t n = 0;
    const task_info *info;
    for (; (info = task_name_at(n)); n++) {
        task_spec spec = spec_of(info->name);
        cr_assert(task_spec_resolve(&spec, NULL), "%s is listed and unknown", info->name);
        cr_assert(info->summary && *info->summary, "%s has no summary", info->name);
        int found = 0;
        for (int k = 0; task_kinds[k]; k++) found += !strcmp(spec.task, task_kinds[k]->name);
        cr_assert(found == 1, "%s became %s", info->name, spec.task);
        for (size_t j = 0; j < n; j++)
            cr_assert(strcmp(info->name, task_name_at(j)->name) != 0, "%s twice", info->name);
    }
    cr_assert(n >= 17, "only %zu names", n);
}

/* A key that several kinds have lands in one field and has one default; a default is in every range. */
Test(names, settings_of_one_key_agree) {
    const task_setting *s;
    size_t i = 0;
    for (; (s = task_setting_at(i)); i++) {
        const task_setting *first = task_setting_at(task_setting_find(s->key));
        task_spec spec = task_spec_default();
        lopt_error err = {LOPT_OK, ""};
        cr_assert(s->at == first->at && s->type == first->type && s->bytes == first->bytes &&
                      s->max_n == first->max_n && s->n_at == first->n_at && strcmp(s->standard, first->standard) == 0,
                  "%s", s->key);
        cr_assert(task_is_standard(s, &spec), "%s", s->key);
        cr_assert(task_check_settings("x", s, 1, &spec, &err), "%s", err.text);
    }
    cr_assert(i > 100, "%zu settings", i);
}

Test(names, published_sizes_and_overrides) {
    task_spec spec = spec_of("ImageMLP_FashionMnist_Relu128x128");
    spec.activation = TASK_TANH;
    cr_assert(task_spec_resolve(&spec, NULL));
    cr_assert(spec.batch_size == 128 && spec.image_size == 28 && spec.n_hidden == 2 && spec.hidden[1] == 128);
    cr_assert(spec.activation == TASK_RELU && !strcmp(spec.dataset, "fashion_mnist"));
    spec.batch_size = 32;
    spec.image_size = 8;
    probe p = start(&spec, 1);
    cr_assert(strstr(p.t->name, "8x8 64-128-128-10 relu, batch 32"), "%s", p.t->name);
    stop(&p);
    spec = spec_of("ImageMLP_FashionMnist8_Relu32");
    p = start(&spec, 1);
    cr_assert(p.t->n_params == 2410 && strstr(p.t->name, "batch 128"), "%s", p.t->name);
    cr_assert(p.t->flops_per_step == 2 * 647168.0, "%g", p.t->flops_per_step); /* spec of the field, batch 64 */
    stop(&p);
}

static void expect(task_spec spec, const char *part) {
    lopt_error err = {LOPT_OK, ""};
    cr_assert(task_create(&spec, &err) == NULL, "created in spite of: %s", part);
    cr_assert(strstr(err.text, part), "found \"%s\", expected \"%s\"", err.text, part);
    cr_assert(!strchr(err.text, '\n') && err.status != LOPT_OK);
    cr_assert(task_create(&spec, NULL) == NULL);
}

#define BAD(kind, field, value, part)                                                                                  \
    do {                                                                                                               \
        task_spec bad = spec_of(kind);                                                                                 \
        bad.field = value;                                                                                             \
        expect(bad, part);                                                                                             \
    } while (0)

Test(names, bad_specs_get_a_sentence) {
    expect(spec_of("image_mpl"), "there is no task \"image_mpl\" (did you mean image_mlp?): "
                                 "`metatrain list tasks` prints all");
    BAD("image_mlp", batch_size, 0, "batch_size is 0, allowed: [1, 65536]");
    BAD("image_mlp", batch_size, -3, "batch_size is -3");
    BAD("image_mlp", hidden[0], 0, "hidden is 0");
    BAD("image_mlp", n_hidden, 9, "hidden has 9 values, allowed: 0 to 8");
    BAD("image_mlp", image_size, -1, "image_size is -1");
    BAD("image_mlp", activation, (task_activation_kind)70, "activation is 70");
    BAD("image_mlp", reparam, (task_reparam)9, "augment.reparam.level is 9, allowed: none|global|tensor|parameter");
    BAD("quadratic", dim, 0, "dim is 0");
    BAD("noisy_quadratic", noise, -1, "noise is -1");
    BAD("noisy_quadratic", noise, NAN, "noise is ");
    BAD("noisy_mean_quadratic", dim, 1000, "dim is 1000, allowed: [1, 512]");
    task_spec spec = spec_of("quadratic");
    spec.reparam = TASK_REPARAM_GLOBAL;
    spec.reparam_range[0] = 0;
    expect(spec, "augment.reparam.range is 0");
    spec.reparam_range[0] = 10;
    spec.reparam_range[1] = 1;
    expect(spec, "augment.reparam.range.1 is 1, allowed: 10");
    spec = spec_of("image_mlp");
    snprintf(spec.dataset, sizeof spec.dataset, "/nowhere");
    expect(spec, "/nowhere: no file train-images-idx3-ubyte");
}

/* ---- training -------------------------------------------------------------------------------- */

static double mean_over_batches(probe *p, task_split split, int what_accuracy) {
    double mean = 0;
    for (uint64_t k = 0; k < 20; k++) {
        lopt_rng_stream r = stream(500, k);
        task_draw_batch(p->t, p->tau, split, &r, p->work);
        mean += (double)(what_accuracy ? task_compute_accuracy(p->t, p->tau, p->work, p->params)
                                       : task_compute_loss(p->t, p->tau, p->work, p->params, NULL)) /
                20;
    }
    return mean;
}

static void train_with_adam(probe *p, int steps, float rate) {
    float *m = calloc(2 * p->t->n_params, sizeof *m), *v = m + p->t->n_params;
    for (int k = 1; k <= steps; k++) {
        lopt_rng_stream r = stream(600, (uint64_t)k);
        task_draw_batch(p->t, p->tau, TASK_TRAIN, &r, p->work);
        task_compute_loss(p->t, p->tau, p->work, p->params, p->grads);
        for (size_t i = 0; i < p->t->n_params; i++) {
            m[i] += 0.1f * (p->grads[i] - m[i]);
            v[i] += 0.001f * (p->grads[i] * p->grads[i] - v[i]);
            p->params[i] -=
                rate * (m[i] / (1 - powf(0.9f, (float)k))) / (sqrtf(v[i] / (1 - powf(0.999f, (float)k))) + 1e-8f);
        }
    }
    free(m);
}

Test(training, adam_learns_fashion_mnist) {
    for (int act = TASK_RELU; act <= TASK_GELU; act++) {
        task_spec spec = spec_of("image_mlp");
        spec.activation = (task_activation_kind)act;
        probe p = start(&spec, 2);
        double before = mean_over_batches(&p, TASK_INNER_VALID, 0);
        train_with_adam(&p, 300, 0.01f);
        double after = mean_over_batches(&p, TASK_INNER_VALID, 0), share = mean_over_batches(&p, TASK_INNER_VALID, 1);
        cr_assert(before > 2.2 && after < 0.8, "activation %d: loss %g, then %g", act, before, after);
        cr_assert(share > 0.7, "activation %d: accuracy %g", act, share);
        stop(&p);
    }
}
