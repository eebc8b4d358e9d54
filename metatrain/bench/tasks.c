/* SPDX-License-Identifier: Apache-2.0
 *
 * tasks.c - loss and gradient of tasks of every architecture, as a share of what the core can do.
 *
 * Images are synthetic ones of the size and channels of the published set, so that nothing has to be there:
 * the time depends on shapes alone. A text that is missing leaves its tasks out. FLOP are those of the task
 * (task.h): a multiply-add is 2, the gradient with respect to the data is not computed and not counted. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/progress.h"
#include "bench/bench.h"
#include "bench/peak.h"
#include "task.h"

/* A kind or published name of the registry, and data of its shape or a text that Debian has. */
typedef struct measured {
    const char *label, *name, *dataset;
    int bytes; /* text as bytes, not as 32,100 tokens of which the last layer would be all there is to time */
} measured;

#define IMAGES(pixels, channels) "gaussians examples=1000 size=" #pixels " channels=" #channels

static const measured tasks[] = {
    {"ImageMLP 64-32-10, batch 64", "image_mlp", IMAGES(8, 1), 0},
    {"ImageMLP_Cifar10_128x128x128_Relu", "ImageMLP_Cifar10_128x128x128_Relu", IMAGES(32, 3), 0},
    {"ImageMLPAE_Cifar10_256x256x256_bs128", "ImageMLPAE_Cifar10_256x256x256_bs128", IMAGES(32, 3), 0},
    {"Conv_Cifar10_8_16x32", "Conv_Cifar10_8_16x32", IMAGES(8, 3), 0},
    {"Conv_Cifar10_32x64x64", "Conv_Cifar10_32x64x64", IMAGES(32, 3), 0},
    {"Conv_Cifar10_32x64x64_batchnorm", "Conv_Cifar10_32x64x64_batchnorm", IMAGES(32, 3), 0},
    {"Resnet_MultiRuntime_0", "Resnet_MultiRuntime_0", IMAGES(16, 3), 0},
    {"Resnet_MultiRuntime_3", "Resnet_MultiRuntime_3", IMAGES(16, 3), 0},
    {"TransformerLM_LM1B_MultiRuntime_9 of bytes", "TransformerLM_LM1B_MultiRuntime_9", "fortunes", 1},
    {"RNNLM_lm1bbytes_Patch32_LSTM256_Embed128", "RNNLM_lm1bbytes_Patch32_LSTM256_Embed128", "fortunes", 0},
    {"RNNLM_lm1bbytes_Patch32_GRU256_Embed128", "RNNLM_lm1bbytes_Patch32_GRU256_Embed128", "fortunes", 0},
    {"TransformerLM_LM1B_MultiRuntime_7", "TransformerLM_LM1B_MultiRuntime_7", "fortunes", 0},
    {"VIT_Cifar100_skinnydeep", "VIT_Cifar100_skinnydeep", IMAGES(32, 3), 0},
};
enum { N_TASKS = sizeof tasks / sizeof *tasks };

/* ---- what is timed --------------------------------------------------------------------------- */

typedef struct step {
    task *task;
    float *tau, *params, *grads;
    void *work;
} step;

static void run_step(void *self) {
    step *s = self;
    task_compute_loss(s->task, s->tau, s->work, s->params, s->grads);
}

static void step_close(step *s) {
    task_destroy(s->task);
    free(s->tau);
    free(s->params);
    free(s->grads);
    free(s->work);
}

static int step_open(step *s, const measured *m, lopt_error *err) {
    lopt_rng_stream r;
    task_spec spec = task_spec_default();
    *s = (step){0};
    snprintf(spec.task, sizeof spec.task, "%s", m->name);
    if (!task_spec_resolve(&spec, err)) return 0;
    snprintf(spec.dataset, sizeof spec.dataset, "%s", m->dataset);
    if (m->bytes) spec.sequence.tokens = 259;
    s->task = task_create(&spec, err);
    if (!s->task) return 0;
    s->tau = mt_bench_block(s->task->n_tau * sizeof *s->tau);
    s->params = mt_bench_block(s->task->n_params * sizeof *s->params);
    s->grads = mt_bench_block(s->task->n_params * sizeof *s->grads);
    s->work = mt_bench_block(s->task->work_bytes);
    if (!s->tau || !s->params || !s->grads || !s->work) return mt_error(err, LOPT_ENOMEM, "out of memory");
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TASK, 0, 0, 0});
    task_sample_tau(s->task, &r, s->tau);
    task_initial_params(s->task, s->tau, &r, s->params);
    task_draw_batch(s->task, s->tau, TASK_TRAIN, &r, s->work);
    return 1;
}

/* ---- rows ------------------------------------------------------------------------------------ */

enum { PEAK, STEP, N_ITEMS };

static json_t *kind_row(const measured *m, const task *t, const mt_timed *items, int rounds) {
    double share[MT_MAX_ROUNDS], scaled[MT_MAX_ROUNDS];
    for (int r = 0; r < rounds; r++) {
        double peak = mt_peak_flop() / items[PEAK].seconds[r];
        share[r] = t->flops_per_step / items[STEP].seconds[r] / peak;
        scaled[r] = 1e6 * items[STEP].seconds[r] * peak / MT_REFERENCE_PEAK;
    }
    return json_pack("{s:s, s:i, s:f, s:i, s:o, s:o, s:o}", "task", m->label, "parameters", (int)t->n_params,
                     "megaflop", t->flops_per_step / 1e6, "rounds", rounds, "microseconds",
                     mt_bench_spread(mt_spread_scaled(mt_seconds_of(&items[STEP], rounds), 1e6)), "at_250_gflops",
                     mt_bench_spread(mt_spread_of(scaled, rounds)), "share_of_peak",
                     mt_bench_spread(mt_spread_of(share, rounds)));
}

static json_t *measure_task(const mt_bench *b, const measured *m) {
    step s;
    lopt_error why;
    json_t *result;
    if (step_open(&s, m, &why)) {
        mt_timed items[N_ITEMS] = {[PEAK] = mt_peak_timed(), [STEP] = {.run = run_step, .self = &s}};
        result = kind_row(m, s.task, items, mt_time_of(items, N_ITEMS, &b->timing));
    } else
        result = mt_bench_skipped("task", m->label, why.text);
    step_close(&s);
    return result;
}

json_t *mt_bench_tasks(const mt_bench *b, lopt_error *err) {
    (void)err;
    mt_progress progress;
    json_t *rows = json_array();
    mt_progress_start(&progress, "tasks", 0, N_TASKS);
    for (int i = 0; i < N_TASKS; i++) {
        mt_progress_update(&progress, i, tasks[i].label);
        json_array_append_new(rows, measure_task(b, &tasks[i]));
    }
    mt_progress_clear(&progress);
    return rows;
}

void mt_bench_print_tasks(const json_t *rows, FILE *f) {
    static const mt_bench_column columns[] = {{"task", "task", MT_SHOW_TEXT},
                                              {"parameters", "parameters", MT_SHOW_COUNT},
                                              {"MFLOP", "megaflop", MT_SHOW_NUMBER},
                                              {"us", "microseconds", MT_SHOW_NUMBER},
                                              {"at 250", "at_250_gflops", MT_SHOW_NUMBER},
                                              {"of peak", "share_of_peak", MT_SHOW_PERCENT}};
    mt_bench_print(rows, columns, sizeof columns / sizeof *columns, f);
}
