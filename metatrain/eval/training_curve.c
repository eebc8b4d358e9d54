/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/training_curve.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/progress.h"
#include "rng/rng.h"

/* What a stream of an evaluation is for; part of "same seed, same bits": append, never renumber. */
enum { USE_SAMPLE, USE_INITIAL, USE_BATCH, USE_MEASURE /* + split */ };

/* One inner training and the memory that it takes. */
typedef struct training {
    const task *task;
    const lopt_optimizer *opt;
    const mt_curve_plan *plan;
    uint64_t task_key, seed_index;
    lopt_state *state;
    real *tau, *params, *grads;
    void *work;
} training;

size_t mt_curve_points(const mt_curve_plan *plan) {
    return (size_t)(plan->steps / plan->every) + 1 + (plan->steps % plan->every != 0);
}

int64_t mt_curve_x(const mt_curve_plan *plan, size_t point) {
    int64_t x = (int64_t)point * plan->every;
    return x < plan->steps ? x : plan->steps;
}

static lopt_rng_stream open_stream(const training *t, int use, int64_t step) {
    lopt_rng_stream r;
    uint64_t within = (uint64_t)use << 56 | (uint64_t)step;
    lopt_rng_open(&r, (lopt_rng_address){t->plan->seed, LOPT_RNG_EVAL, t->task_key, t->seed_index, within});
    return r;
}

static void measure_split(training *t, task_split split, int64_t step, mt_point *out) {
    lopt_rng_stream r = open_stream(t, USE_MEASURE + (int)split, step);
    int64_t batches = step == t->plan->steps ? t->plan->last_batches : t->plan->batches;
    int has_accuracy = task_has_accuracy(t->task);
    double loss = 0, normalised = 0, accuracy = 0;
    for (int64_t i = 0; i < batches; i++) {
        task_draw_batch(t->task, t->tau, split, &r, t->work);
        real one = task_compute_loss(t->task, t->tau, t->work, t->params, NULL);
        loss += one;
        normalised += task_normalise_loss(t->task, one);
        if (has_accuracy) accuracy += task_compute_accuracy(t->task, t->tau, t->work, t->params);
    }
    out->loss[split] = loss / (double)batches;
    out->normalised[split] = normalised / (double)batches;
    out->accuracy[split] = has_accuracy ? accuracy / (double)batches : NAN;
}

static void measure(training *t, int64_t step, mt_point *out) {
    for (int split = 0; split < TASK_N_SPLITS; split++) {
        if (t->plan->splits & MT_SPLIT(split))
            measure_split(t, (task_split)split, step, out);
        else
            out->loss[split] = out->normalised[split] = out->accuracy[split] = NAN;
    }
}

static void begin(training *t) {
    lopt_rng_stream r = open_stream(t, USE_SAMPLE, 0);
    task_sample_tau(t->task, &r, t->tau);
    r = open_stream(t, USE_INITIAL, 0);
    task_initial_params(t->task, t->tau, &r, t->params);
    lopt_state_reset(t->opt, t->state, t->plan->steps);
}

static void take_steps(training *t, int64_t from, int64_t to) {
    for (int64_t step = from; step < to; step++) {
        lopt_rng_stream r = open_stream(t, USE_BATCH, step);
        task_draw_batch(t->task, t->tau, TASK_TRAIN, &r, t->work);
        real loss = task_compute_loss(t->task, t->tau, t->work, t->params, t->grads);
        lopt_step(t->opt, t->state, t->params, t->grads, loss, NULL);
        task_after_step(t->task, t->tau, t->params);
        if (t->plan->between) t->plan->between(t->plan->listener);
    }
}

static size_t aligned_size(size_t bytes) {
    return (bytes + 63) / 64 * 64 + 64;
}

static int allocate(training *t, lopt_error *err) {
    t->state = lopt_state_create(t->opt, t->task->tensors, t->task->n_tensors, err);
    if (t->state == NULL) return 0;
    t->tau = aligned_alloc(64, aligned_size(t->task->n_tau * sizeof *t->tau));
    t->params = aligned_alloc(64, aligned_size((t->task->n_params + t->task->n_aux) * sizeof *t->params));
    t->grads = aligned_alloc(64, aligned_size(t->task->n_params * sizeof *t->grads));
    t->work = aligned_alloc(64, aligned_size(t->task->work_bytes));
    if (t->tau && t->params && t->grads && t->work) return 1;
    return mt_error(err, LOPT_ENOMEM, "out of memory for %zu parameters of %s", t->task->n_params, t->task->name);
}

static void release(training *t) {
    lopt_state_destroy(t->state);
    free(t->tau);
    free(t->params);
    free(t->grads);
    free(t->work);
}

int mt_compute_curve(const task *t, const lopt_optimizer *opt, const mt_curve_plan *plan, int64_t seed_index,
                     mt_point *points, double *seconds, lopt_error *err) {
    training run = {.task = t, .opt = opt, .plan = plan, .seed_index = (uint64_t)seed_index};
    run.task_key = XXH3_64bits(t->name, strlen(t->name));
    int ok = allocate(&run, err);
    if (ok) {
        begin(&run);
        *seconds = 0;
        size_t n = mt_curve_points(plan);
        for (size_t i = 0; i < n; i++) {
            measure(&run, mt_curve_x(plan, i), &points[i]);
            if (i + 1 == n) break;
            double start = mt_seconds();
            take_steps(&run, mt_curve_x(plan, i), mt_curve_x(plan, i + 1));
            *seconds += mt_seconds() - start;
        }
    }
    release(&run);
    return ok;
}
