/* SPDX-License-Identifier: Apache-2.0
 *
 * inner.c - inner steps of the recipe of the field, per optimizer, and what they are made of.
 *
 * The whole is mt_unroll_window, as meta-training runs it: windows of 50 inner steps of both twins,
 * on a 64-32-10 network, 8x8 Fashion-MNIST, batches of 64. Its parts are timed apart, in the same
 * rounds, on the same tensors: loss and gradient, the optimizer's step, a batch (which both twins
 * share). The three in turn, for two twins, take longer, because each finds in the first cache what
 * the others left there. What a window takes beyond that is the rest: noise, theta into the kernels,
 * starts of trajectories, copies of states, calls. Of the step, two of the kernels' three passes
 * (kernels.h) are timed apart: accumulators and the moments of features. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/progress.h"
#include "bench/bench.h"
#include "bench/peak.h"
#include "es/inner_step.h"
#include "es/unroll.h"
#include "kernels/job.h"

#define TURNS 500 /* inner steps of twins before they start anew */

static const char config[] = "particles: 1\n"
                             "estimator: {name: pes, window: 50}\n"
                             "tasks:\n"
                             "  - {task: image_mlp, dataset: fashion_mnist, image_size: 8,\n"
                             "     hidden: [32], activation: relu, batch_size: 64}\n";

/* ---- the passes of the kernels alone --------------------------------------------------------- */

/* Accumulators of small_fc for the tensors of a task; other kinds with these kernels have the same.
 */
typedef struct passes {
    const lopt__kernels *kernels;
    lopt_optimizer *opt;
    lopt_state *state;
    lopt__pipeline pipeline;
    lopt__decays decays;
    lopt__mlp mlp;
    double mean_square[LOPT__N_EXTENDED];
    float *scratch;
    lopt__io io;
} passes;

static int passes_open(passes *p, const task *t, float *params, const float *grads, lopt_error *err) {
    static const float beta[2 * LOPT__K + 1] = {0.9f, 0.99f, 0.999f, 0.999f, 0.9f, 0.99f, 0.999f};
    *p = (passes){.kernels = lopt__kernels_current(), .io = {.params = params, .grads = grads}};
    p->opt = lopt_create("small-fc", NULL, 0, err);
    p->state = p->opt ? lopt_state_create(p->opt, t->tensors, t->n_tensors, err) : NULL;
    if (!p->state) return 0;
    p->pipeline = (lopt__pipeline){
        .grad_limit = INFINITY, .rms_epsilon = 1e-6f, .momentum_epsilon = 1e-6f, .normalise_epsilon = 1e-5f};
    lopt__set_decays(&p->decays, beta, NULL, 0);
    p->mlp = (lopt__mlp){.layer[0] = {.out = 1}};
    p->scratch = aligned_alloc(64, 4 * lopt__kernel_scratch_most(p->state, 1));
    return p->scratch ? 1 : mt_error(err, LOPT_ENOMEM, "out of memory");
}

static void passes_close(passes *p) {
    lopt_state_destroy(p->state);
    lopt_destroy(p->opt);
    free(p->scratch);
}

static void run_passes(void *self) {
    passes *p = self;
    lopt__job job = {.pipeline = &p->pipeline,
                     .decays = &p->decays,
                     .mlp = &p->mlp,
                     .mean_square = p->mean_square,
                     .scratch = p->scratch};
    for (size_t i = 0; i < p->state->n_tensors; i++) {
        lopt__job_open(&job, &p->state->tensors[i], &p->io);
        p->kernels->accumulate(&job);
        p->kernels->moments(&job);
    }
}

/* ---- what is timed --------------------------------------------------------------------------- */

typedef struct inner {
    lopt_optimizer *opt;
    unsigned char *trained; /* as the recipes freeze theta */
    mt_unroller unroller;
    mt_particle particle;
    int64_t windows;
    /* the parts alone: gradients at fixed parameters, steps along a fixed gradient */
    const task *task;
    lopt_state *state;
    float *params, *grads, *stepped, *along;
    void *work;
    uint64_t batches;
    /* the parts in turn, as twins make inner steps */
    lopt_state *twin_state[2];
    float *twin_params[2];
    int64_t turns;
} inner;

static void run_window(void *self) {
    inner *in = self;
    mt_report report;
    mt_unroll_window(&in->unroller, &in->particle, in->windows++, &report, NULL);
}

static void run_gradient(void *self) {
    inner *in = self;
    task_compute_loss(in->task, NULL, in->work, in->params, in->grads);
}

static void run_step(void *self) {
    inner *in = self;
    lopt_step(in->opt, in->state, in->stepped, in->along, 2.3f, NULL);
}

static void run_batch(void *self) {
    inner *in = self;
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_BATCH, 0, 0, in->batches++});
    task_draw_batch(in->task, NULL, TASK_TRAIN, &r, in->work);
}

static void begin_turns(inner *in) {
    for (int twin = 0; twin < 2; twin++) {
        memcpy(in->twin_params[twin], in->params, in->task->n_params * sizeof(float));
        lopt_state_reset(in->opt, in->twin_state[twin], 2000);
    }
}

static void run_in_turn(void *self) {
    inner *in = self;
    mt_unroller *u = &in->unroller;
    if (in->turns++ % TURNS == 0) begin_turns(in);
    run_batch(in);
    for (int twin = 0; twin < 2; twin++) {
        mt_inner_training t = {
            in->task, NULL, in->work, u->optimizer[twin], in->twin_state[twin], in->twin_params[twin], u->grads};
        mt_take_inner_step(&t, NULL);
    }
}

static int open_parts(inner *in, lopt_error *err) {
    lopt_rng_stream r;
    in->task = in->unroller.sampler.fixed[0].task;
    in->state = lopt_state_create(in->opt, in->task->tensors, in->task->n_tensors, err);
    if (!in->state) return 0;
    in->params = mt_bench_block(in->task->n_params * sizeof(float));
    in->grads = mt_bench_block(in->task->n_params * sizeof(float));
    in->stepped = mt_bench_block(in->task->n_params * sizeof(float));
    in->along = mt_bench_block(in->task->n_params * sizeof(float));
    in->work = mt_bench_block(in->task->work_bytes);
    if (!in->params || !in->grads || !in->stepped || !in->along || !in->work)
        return mt_error(err, LOPT_ENOMEM, "out of memory");
    for (int twin = 0; twin < 2; twin++) {
        in->twin_state[twin] = lopt_state_create(in->opt, in->task->tensors, in->task->n_tensors, err);
        in->twin_params[twin] = mt_bench_block(in->task->n_params * sizeof(float));
        if (!in->twin_state[twin] || !in->twin_params[twin]) return mt_error(err, LOPT_ENOMEM, "out of memory");
    }
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_INIT, 0, 0, 0});
    task_initial_params(in->task, NULL, &r, in->params);
    lopt_state_reset(in->opt, in->state, 2000);
    run_batch(in);
    run_gradient(in);
    memcpy(in->stepped, in->params, in->task->n_params * sizeof(float));
    memcpy(in->along, in->grads, in->task->n_params * sizeof(float));
    return 1;
}

/* Celo is meta-trained in two phases: its network, then its schedule (configs/recipes/). */
static void mark_trained(const lopt_optimizer *opt, unsigned char *trained) {
    const char *name = lopt_info(opt)->name;
    int phase = strcmp(name, "celo-phase1") == 0 ? 1 : strcmp(name, "celo") == 0 ? 2 : 0;
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        int network = strncmp(b->name, "ff_mod_stack/", 13) == 0;
        for (size_t k = 0; k < b->size; k++) trained[b->offset + k] = phase == 0 || network == (phase == 1);
    }
}

static int inner_open(inner *in, const mt_config *cfg, const char *name, lopt_error *err) {
    *in = (inner){.opt = mt_bench_optimizer(name, err)};
    if (!in->opt) return 0;
    size_t n = lopt_n_theta(in->opt);
    in->trained = mt_bench_block(n);
    if (!in->trained) return mt_error(err, LOPT_ENOMEM, "out of memory");
    mark_trained(in->opt, in->trained);
    if (!mt_unroller_open(&in->unroller, cfg, in->opt, in->trained, err) ||
        !mt_particle_open(&in->particle, 0, &in->unroller.sampler.sizes, err))
        return 0;
    mt_unroller_set_theta(&in->unroller, lopt_theta(in->opt));
    return open_parts(in, err);
}

static void inner_close(inner *in) {
    mt_particle_close(&in->particle);
    mt_unroller_close(&in->unroller);
    for (int twin = 0; twin < 2; twin++) {
        lopt_state_destroy(in->twin_state[twin]);
        free(in->twin_params[twin]);
    }
    lopt_state_destroy(in->state);
    lopt_destroy(in->opt);
    free(in->trained);
    free(in->params);
    free(in->grads);
    free(in->stepped);
    free(in->along);
    free(in->work);
}

/* ---- rows ------------------------------------------------------------------------------------ */

enum { PEAK, WINDOW, IN_TURN, GRADIENT, STEP, BATCH, PASSES, N_ITEMS };

/* An inner step and its parts. */
enum { WHOLE, LOSS, OPTIMIZER, FEATURES, DATA, CACHES, REST, N_PARTS };

/* Seconds of each part in one round. */
static void split_times(const mt_timed *items, double inner_steps, int round, double part[N_PARTS]) {
    part[WHOLE] = items[WINDOW].seconds[round] / inner_steps;
    part[LOSS] = items[GRADIENT].seconds[round];
    part[OPTIMIZER] = items[STEP].seconds[round];
    part[FEATURES] = items[PASSES].run ? items[PASSES].seconds[round] : NAN;
    part[DATA] = items[BATCH].seconds[round] / 2;
    double in_turn = items[IN_TURN].seconds[round] / 2;
    part[CACHES] = in_turn - part[LOSS] - part[OPTIMIZER] - part[DATA];
    part[REST] = part[WHOLE] - in_turn;
}

/* One part as a share of the whole step. */
static json_t *share_of_total(double parts[][N_PARTS], int part, int rounds) {
    double x[MT_MAX_ROUNDS] = {0};
    for (int r = 0; r < rounds; r++) x[r] = parts[r][part] / parts[r][WHOLE];
    return mt_bench_spread(mt_spread_of(x, rounds));
}

static json_t *inner_row(const inner *in, const mt_timed *items, int rounds) {
    char network[32];
    double part[MT_MAX_ROUNDS][N_PARTS];
    double rate[MT_MAX_ROUNDS], scaled[MT_MAX_ROUNDS], nominal[MT_MAX_ROUNDS];
    double inner_steps = 2 * (double)in->unroller.cfg->estimator.window;
    double network_flop = mt_bench_network_flop(in->opt) * (double)in->task->n_params;
    double flop = in->task->flops_per_step + (isfinite(network_flop) ? network_flop : 0);
    for (int r = 0; r < rounds; r++) {
        double peak = mt_peak_flop() / items[PEAK].seconds[r];
        split_times(items, inner_steps, r, part[r]);
        rate[r] = 1 / part[r][WHOLE];
        scaled[r] = rate[r] * MT_REFERENCE_PEAK / peak;
        nominal[r] = flop * rate[r] / peak;
    }
    mt_bench_network_text(in->opt, network, sizeof network);
    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "optimizer",
                     lopt_info(in->opt)->name, "network", network, "rounds", rounds, "steps_per_second",
                     mt_bench_spread(mt_spread_of(rate, rounds)), "at_250_gflops",
                     mt_bench_spread(mt_spread_of(scaled, rounds)), "nominal_share",
                     mt_bench_spread(mt_spread_of(nominal, rounds)), "nominal_flop", flop, "gradient",
                     share_of_total(part, LOSS, rounds), "optimizer_step", share_of_total(part, OPTIMIZER, rounds),
                     "features", share_of_total(part, FEATURES, rounds), "data", share_of_total(part, DATA, rounds),
                     "caches", share_of_total(part, CACHES, rounds), "rest", share_of_total(part, REST, rounds));
}

static json_t *measure_inner(const mt_bench *b, const mt_config *cfg, const char *name, lopt_error *err) {
    inner in;
    passes p = {0};
    json_t *result = NULL;
    if (inner_open(&in, cfg, name, err) && passes_open(&p, in.task, in.params, in.grads, err)) {
        p.pipeline.n_features = mt_bench_kernel_features(in.opt);
        mt_timed items[N_ITEMS] = {[PEAK] = mt_peak_timed(),
                                   [WINDOW] = {.run = run_window, .self = &in},
                                   [IN_TURN] = {.run = run_in_turn, .self = &in},
                                   [GRADIENT] = {.run = run_gradient, .self = &in},
                                   [STEP] = {.run = run_step, .self = &in},
                                   [BATCH] = {.run = run_batch, .self = &in},
                                   [PASSES] = {.run = p.pipeline.n_features ? run_passes : NULL, .self = &p}};
        int rounds = mt_time_of(items, N_ITEMS, &b->timing);
        result = inner_row(&in, items, rounds);
    }
    passes_close(&p);
    inner_close(&in);
    return result;
}

json_t *mt_bench_inner(const mt_bench *b, lopt_error *err) {
    const char *names[MT_BENCH_MAX_NAMES];
    size_t n = mt_bench_names(b, names);
    lopt_error why;
    mt_progress progress;
    mt_config *cfg = mt_config_parse(config, "the benchmark's configuration", NULL, 0, err);
    task *data = cfg ? task_create(&cfg->tasks[0].spec, err) : NULL; /* keeps the images in memory */
    json_t *rows = data ? json_array() : NULL;
    mt_progress_start(&progress, "inner steps", 0, (int64_t)n);
    for (size_t i = 0; rows && i < n; i++) {
        mt_progress_update(&progress, (int64_t)i, names[i]);
        json_t *result = measure_inner(b, cfg, names[i], &why);
        json_array_append_new(rows, result ? result : mt_bench_skipped("optimizer", names[i], why.text));
    }
    mt_progress_clear(&progress);
    task_destroy(data);
    mt_config_free(cfg);
    return rows;
}

void mt_bench_print_inner(const json_t *rows, FILE *f) {
    static const mt_bench_column columns[] = {{"optimizer", "optimizer", MT_SHOW_TEXT},
                                              {"network", "network", MT_SHOW_TEXT},
                                              {"steps/s", "steps_per_second", MT_SHOW_NUMBER},
                                              {"at 250", "at_250_gflops", MT_SHOW_NUMBER},
                                              {"of peak", "nominal_share", MT_SHOW_PERCENT},
                                              {"gradient", "gradient", MT_SHOW_PERCENT},
                                              {"optimizer", "optimizer_step", MT_SHOW_PERCENT},
                                              {"features", "features", MT_SHOW_PERCENT},
                                              {"data", "data", MT_SHOW_PERCENT},
                                              {"caches", "caches", MT_SHOW_PERCENT},
                                              {"rest", "rest", MT_SHOW_PERCENT}};
    mt_bench_print(rows, columns, sizeof columns / sizeof *columns, f);
}
