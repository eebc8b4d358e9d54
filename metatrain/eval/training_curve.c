/* SPDX-License-Identifier: Apache-2.0
 *
 * training_curve.c - see training_curve.h. */
#include "eval/training_curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/error.h"
#include "es/inner_step.h"
#include "rng/rng.h"

/* What a stream of an evaluation is for; part of "same seed, same bits": append, never renumber. */
enum { USE_SAMPLE, USE_INITIAL, USE_BATCH, USE_MEASURE /* + split */ };

struct mt_training {
    mt_inner_training inner;
    const mt_curve_plan *plan;
    uint64_t task_key, seed_index;
    int64_t step; /* inner steps done */
    size_t point; /* the next */
    mt_point *points;
    double seconds;
    float *tau;
    float *measured; /* the parameters that a point is measured at; as inner.params */
};

size_t mt_curve_points(const mt_curve_plan *plan) {
    return (size_t)(plan->steps / plan->every) + 1 + (plan->steps % plan->every != 0);
}

int64_t mt_curve_x(const mt_curve_plan *plan, size_t point) {
    int64_t x = (int64_t)point * plan->every;
    return x < plan->steps ? x : plan->steps;
}

static lopt_rng_stream open_curve_stream(const mt_training *c, int use, int64_t step) {
    lopt_rng_stream r;
    uint64_t within = (uint64_t)use << 56 | (uint64_t)step;
    lopt_rng_open_stream(&r, (lopt_rng_address){c->plan->seed, LOPT_RNG_EVAL, c->task_key, c->seed_index, within});
    return r;
}

static void measure_split(const mt_training *c, task_split split, mt_point *out) {
    const mt_inner_training *t = &c->inner;
    lopt_rng_stream r = open_curve_stream(c, USE_MEASURE + (int)split, c->step);
    int64_t batches = c->step == c->plan->steps ? c->plan->last_batches : c->plan->batches;
    int has_accuracy = task_has_accuracy(t->task);
    double loss = 0, normalised = 0, accuracy = 0;
    for (int64_t i = 0; i < batches; i++) {
        task_draw_batch(t->task, t->tau, split, &r, t->work);
        float one = task_compute_loss(t->task, t->tau, t->work, c->measured, NULL);
        loss += one;
        normalised += task_normalise_loss(t->task, one);
        if (has_accuracy) accuracy += task_compute_accuracy(t->task, t->tau, t->work, c->measured);
    }
    out->loss[split] = loss / (double)batches;
    out->normalised[split] = normalised / (double)batches;
    out->accuracy[split] = has_accuracy ? accuracy / (double)batches : NAN;
}

static void measure_point(const mt_training *c, mt_point *out) {
    const mt_inner_training *t = &c->inner;
    lopt_eval_params(t->optimizer, t->state, t->params, c->measured);
    memcpy(c->measured + t->task->n_params, t->params + t->task->n_params, t->task->n_aux * sizeof *c->measured);
    for (int split = 0; split < TASK_N_SPLITS; split++) {
        if (c->plan->splits & MT_SPLIT(split))
            measure_split(c, (task_split)split, out);
        else
            out->loss[split] = out->normalised[split] = out->accuracy[split] = NAN;
    }
}

static void start_training(mt_training *c) {
    const mt_inner_training *t = &c->inner;
    lopt_rng_stream r = open_curve_stream(c, USE_SAMPLE, 0);
    task_sample_tau(t->task, &r, c->tau);
    r = open_curve_stream(c, USE_INITIAL, 0);
    task_initial_params(t->task, t->tau, &r, t->params);
    lopt_state_reset(t->optimizer, t->state, c->plan->steps);
}

static void *allocate_floats(size_t n) {
    return aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64 + 64);
}

mt_training *mt_curve_open(const task *t, const lopt_optimizer *opt, const mt_curve_plan *plan, int64_t seed_index,
                           mt_point *points, lopt_error *err) {
    mt_training *c = calloc(1, sizeof *c);
    if (!c) return mt_error(err, LOPT_ENOMEM, "out of memory"), NULL;
    *c = (mt_training){.inner = {.task = t, .optimizer = opt}, .plan = plan, .points = points};
    c->task_key = XXH3_64bits(t->name, strlen(t->name));
    c->seed_index = (uint64_t)seed_index;
    c->inner.state = lopt_state_create(opt, t->tensors, t->n_tensors, err);
    if (!c->inner.state) return mt_curve_close(c), NULL;
    c->inner.tau = c->tau = allocate_floats(t->n_tau);
    c->inner.params = allocate_floats(t->n_params + t->n_aux);
    c->measured = allocate_floats(t->n_params + t->n_aux);
    c->inner.grads = allocate_floats(t->n_params);
    c->inner.work = allocate_floats(t->work_bytes / sizeof(float) + 1);
    if (c->tau && c->inner.params && c->measured && c->inner.grads && c->inner.work) {
        start_training(c);
        return c;
    }
    mt_curve_close(c);
    mt_error(err, LOPT_ENOMEM, "out of memory for %zu parameters of %s", t->n_params, t->name);
    return NULL;
}

double mt_curve_seconds(const mt_training *c) {
    return c->seconds;
}

void mt_curve_close(mt_training *c) {
    if (!c) return;
    lopt_state_destroy(c->inner.state);
    free(c->tau);
    free(c->inner.params);
    free(c->measured);
    free(c->inner.grads);
    free(c->inner.work);
    free(c);
}

int mt_step_curve(mt_training *c) {
    if (c->step == mt_curve_x(c->plan, c->point)) {
        measure_point(c, &c->points[c->point]);
        if (++c->point == mt_curve_points(c->plan)) return 0;
    }
    double start = mt_wall_seconds();
    lopt_rng_stream r = open_curve_stream(c, USE_BATCH, c->step);
    task_draw_batch(c->inner.task, c->tau, TASK_TRAIN, &r, c->inner.work);
    mt_take_inner_step(&c->inner, NULL);
    c->seconds += mt_wall_seconds() - start;
    c->step++;
    return 1;
}

int mt_compute_curve(const task *t, const lopt_optimizer *opt, const mt_curve_plan *plan, int64_t seed_index,
                     mt_point *points, double *seconds, lopt_error *err) {
    mt_training *c = mt_curve_open(t, opt, plan, seed_index, points, err);
    if (!c) return 0;
    while (mt_step_curve(c)) continue;
    *seconds = mt_curve_seconds(c);
    mt_curve_close(c);
    return 1;
}
