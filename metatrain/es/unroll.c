/* SPDX-License-Identifier: Apache-2.0
 *
 * unroll.c - see unroll.h. */
#include "es/unroll.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "es/inner_step.h"
#include "es/schedules.h"

/* ---- set-up -------------------------------------------------------------------------------- */

static void *allocate_block(size_t bytes) {
    return aligned_alloc(64, (bytes + 127) / 64 * 64);
}

int mt_unroller_open(mt_unroller *u, const mt_config *cfg, const lopt_optimizer *optimizer,
                     const unsigned char *trainable, lopt_error *err) {
    size_t n = lopt_n_theta(optimizer);
    *u = (mt_unroller){.cfg = cfg,
                       .rule = mt_estimator_rule(cfg->estimator.name),
                       .noise = {cfg->seed, (float)cfg->estimator.std, n, trainable},
                       .optimizer = {lopt_clone(optimizer), lopt_clone(optimizer)}};
    u->theta = allocate_block(n * sizeof(float));
    u->perturbed[0] = allocate_block(n * sizeof(float));
    u->perturbed[1] = allocate_block(n * sizeof(float));
    int ok = u->optimizer[0] && u->optimizer[1] && u->theta && u->perturbed[0] && u->perturbed[1];
    if (ok && !mt_sampler_open(&u->sampler, cfg, u->optimizer, err)) {
        mt_unroller_close(u);
        return 0;
    }
    u->grads = allocate_block(u->sampler.sizes.n_params * sizeof(float));
    if (ok && u->grads) return 1;
    mt_unroller_close(u);
    return mt_error(err, LOPT_ENOMEM, "out of memory for the unrolls of a theta of %zu parameters", n);
}

void mt_unroller_close(mt_unroller *u) {
    mt_sampler_close(&u->sampler);
    for (int twin = 0; twin < 2; twin++) {
        lopt_destroy(u->optimizer[twin]);
        free(u->perturbed[twin]);
    }
    free(u->theta);
    free(u->grads);
    *u = (mt_unroller){0};
}

void mt_unroller_set_theta(mt_unroller *u, const float *theta) {
    size_t bytes = u->noise.n * sizeof *theta;
    memcpy(u->theta, theta, bytes);
    memcpy(u->perturbed[0], theta, bytes);
    memcpy(u->perturbed[1], theta, bytes);
}

/* ---- addressed draws ----------------------------------------------------------------------- */

static lopt_rng_stream open_stream(const mt_unroller *u, lopt_rng_purpose purpose, const mt_particle *p, int64_t step) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){u->cfg->seed, purpose, (uint64_t)p->at.number,
                                                (uint64_t)p->at.trajectory, (uint64_t)step});
    return r;
}

/* ---- one particle -------------------------------------------------------------------------- */

/* Puts both optimizers at theta +- the particle's current noise. */
static void perturb_theta(mt_unroller *u, const mt_particle *p) {
    const mt_noise *noise = &u->noise;
    float delta[MT_NOISE_CHUNK];
    for (mt_chunk at = mt_noise_chunk(noise, 0); at.n > 0; at = mt_noise_chunk(noise, at.begin + at.n)) {
        const float *theta = u->theta + at.begin;
        float *plus = u->perturbed[0] + at.begin, *minus = u->perturbed[1] + at.begin;
        mt_draw_noise(noise, p->at.number, p->at.noise, at, delta);
        for (size_t i = 0; i < at.n; i++) {
            plus[i] = theta[i] + delta[i];
            minus[i] = theta[i] - delta[i];
        }
    }
    for (int twin = 0; twin < 2; twin++) lopt_set_theta(u->optimizer[twin], u->perturbed[twin]);
}

static void redraw_noise(mt_unroller *u, mt_particle *p) {
    p->at.noise = p->at.noise_draws++;
    perturb_theta(u, p);
}

static int is_published(const mt_unroller *u) {
    return u->cfg->estimator.compat == MT_REFERENCE;
}

/* A new task, new initial parameters (the same for both twins) and fresh optimizer states. */
static void start_trajectory(mt_unroller *u, mt_particle *p) {
    lopt_rng_stream r;
    int unperturbed = is_published(u) && p->at.trajectory < 0 && u->rule->start != MT_NEW_TRAJECTORY;
    int64_t planned = mt_start_next_trajectory(u->cfg, &p->at, u->report.window, &r);
    if (u->rule->redraw != MT_EACH_WINDOW) redraw_noise(u, p);
    u->instance = mt_sampler_instance(&u->sampler, p);
    const task *t = u->instance->task;
    task_sample_tau(t, &r, p->tau);
    r = open_stream(u, LOPT_RNG_INIT, p, 0);
    task_initial_params(t, p->tau, &r, p->params[0]);
    memcpy(p->params[1], p->params[0], (t->n_params + t->n_aux) * sizeof(float));
    for (int twin = 0; twin < 2; twin++) {
        if (unperturbed) lopt_set_theta(u->optimizer[twin], u->theta);
        lopt_state_reset(u->optimizer[twin], u->instance->state[twin], planned);
    }
    if (unperturbed) perturb_theta(u, p);
}

/* The optimizers' states live in the unroller while a window runs and in the particle between
 * windows. */
static void exchange_states(mt_unroller *u, mt_particle *p, int save) {
    if (p->at.trajectory < 0) return;
    u->instance = mt_sampler_instance(&u->sampler, p);
    for (int twin = 0; twin < 2; twin++) {
        size_t bytes;
        void *data = lopt_state_data(u->instance->state[twin], &bytes);
        memcpy(save ? p->state[twin] : data, save ? data : p->state[twin], bytes);
    }
}

/* Truncated ES: the negative twin continues from where the positive one is. */
static void copy_positive_twin(mt_unroller *u, mt_particle *p) {
    if (p->at.trajectory < 0) return;
    const task *t = u->instance->task;
    size_t bytes;
    void *positive = lopt_state_data(u->instance->state[0], &bytes);
    memcpy(lopt_state_data(u->instance->state[1], &bytes), positive, bytes);
    memcpy(p->params[1], p->params[0], (t->n_params + t->n_aux) * sizeof(float));
}

/* What judges a twin on a batch, given its loss and accuracy. Parameters that diverged are wrong about
 * everything. */
static float judge_twin(const mt_unroller *u, float loss, float accuracy) {
    if (u->cfg->estimator.meta_value == MT_VALUE_LOSS) return loss;
    return isfinite(loss) ? 1 - accuracy : 1;
}

static float judge_batch(mt_unroller *u, const mt_particle *p, int twin) {
    const task *t = u->instance->task;
    float loss = task_compute_loss(t, p->tau, u->sampler.work, p->params[twin], NULL), accuracy = 0;
    if (u->cfg->estimator.meta_value != MT_VALUE_LOSS)
        accuracy = task_compute_accuracy(t, p->tau, u->sampler.work, p->params[twin]);
    return judge_twin(u, loss, accuracy);
}

/* A fresh batch of a split judges both twins as they are now. */
static void judge_on_split(mt_unroller *u, mt_particle *p, task_split split, int64_t batch, float value[2]) {
    lopt_rng_stream r = open_stream(u, LOPT_RNG_META_BATCH, p, batch);
    task_draw_batch(u->instance->task, p->tau, split, &r, u->sampler.work);
    for (int twin = 0; twin < 2; twin++) value[twin] = judge_batch(u, p, twin);
}

/* Both twins make one inner step on the same batch; value[2]: what judges them, not yet normalised. */
static void step_twins(mt_unroller *u, mt_particle *p, float value[2]) {
    static const task_split fresh_split[] = {[MT_LOSS_FRESH_TRAIN] = TASK_TRAIN,
                                             [MT_LOSS_INNER_VALID] = TASK_INNER_VALID,
                                             [MT_LOSS_OUTER_VALID] = TASK_OUTER_VALID,
                                             [MT_LOSS_TEST] = TASK_TEST};
    const task *t = u->instance->task;
    mt_meta_loss kind = u->cfg->estimator.meta_loss;
    int by_accuracy = kind == MT_LOSS_TRAIN && u->cfg->estimator.meta_value != MT_VALUE_LOSS;
    lopt_rng_stream r = open_stream(u, LOPT_RNG_BATCH, p, p->at.inner_step);
    task_draw_batch(t, p->tau, TASK_TRAIN, &r, u->sampler.work);
    for (int twin = 0; twin < 2; twin++) {
        mt_inner_training training = {
            t, p->tau, u->sampler.work, u->optimizer[twin], u->instance->state[twin], p->params[twin], u->grads};
        float accuracy = 0, loss = mt_take_inner_step(&training, by_accuracy ? &accuracy : NULL);
        if (kind == MT_LOSS_TRAIN) value[twin] = judge_twin(u, loss, accuracy);
        if (kind == MT_LOSS_SAME_DATA) value[twin] = judge_batch(u, p, twin);
    }
    p->at.inner_step++;
    if (kind != MT_LOSS_TRAIN && kind != MT_LOSS_SAME_DATA)
        judge_on_split(u, p, fresh_split[kind], p->at.inner_step, value);
}

/* ---- one window ---------------------------------------------------------------------------- */

/* The segment that the loss of a step belongs to: the last one, or a new one where the trajectory,
 * the noise or the task is another. */
static mt_segment *find_segment(mt_report *report, const mt_particle *p, int64_t trajectory) {
    mt_segment *s = &report->segment[report->n_segments];
    if (report->n_segments > 0 && s[-1].trajectory == trajectory && s[-1].noise == p->at.noise &&
        s[-1].task == p->at.task)
        return s - 1;
    report->n_segments++;
    *s = (mt_segment){.trajectory = trajectory, .noise = p->at.noise, .task = p->at.task};
    return s;
}

/* Starts a trajectory or draws noise where it is time. Returns 1 if that cost the inner step: the
 * published reset does, but for a particle's first. */
static int turn_trajectory(mt_unroller *u, mt_particle *p) {
    if (mt_trajectory_is_over(&p->at)) {
        int costs = is_published(u) && u->rule->redraw != MT_EVERY_K_STEPS && p->at.trajectory >= 0;
        start_trajectory(u, p);
        return costs;
    }
    if (u->rule->redraw == MT_EVERY_K_STEPS && p->at.inner_step > 0 &&
        p->at.inner_step % u->cfg->estimator.noise_every == 0)
        redraw_noise(u, p);
    return 0;
}

/* The published pes credits the last loss of a trajectory to the next. */
static int64_t credited_trajectory(const mt_unroller *u, const mt_particle *p) {
    int early = is_published(u) && u->rule->redraw == MT_EACH_WINDOW && u->rule->start == MT_OWN_STATE &&
                mt_trajectory_is_over(&p->at);
    return p->at.trajectory + early;
}

/* An error is bounded as it is; the published form normalises it all the same, but not at the end
 * of full ES. */
static float normalise_loss(const mt_unroller *u, float value, int at_end) {
    if (u->cfg->estimator.meta_value == MT_VALUE_ERROR && (at_end || !is_published(u))) return value;
    return task_normalise_loss(u->instance->task, value);
}

/* What a window takes depends on the tasks of its trajectories. */
static void count_step(const mt_particle *p, mt_report *report) {
    mt_task_steps *part = &report->task_steps[report->n_task_steps];
    if (report->n_task_steps > 0 && part[-1].trajectory == p->at.trajectory)
        part--;
    else if (report->n_task_steps < MT_MAX_SEGMENTS) {
        report->n_task_steps++;
        *part = (mt_task_steps){.trajectory = p->at.trajectory, .task = p->at.task};
    } else
        return;
    part->steps++;
}

/* Normalises the twins' meta-losses in place. One that is non-finite even then drops the window
 * and ends the trajectory, but for the published form; returns 0. */
static int bound_losses(const mt_unroller *u, mt_particle *p, float loss[2], mt_report *report) {
    report->inner_steps += 2;
    count_step(p, report);
    for (int twin = 0; twin < 2; twin++) {
        report->non_finite += !isfinite(loss[twin]);
        loss[twin] = normalise_loss(u, loss[twin], 0);
    }
    if (is_published(u) || (isfinite(loss[0]) && isfinite(loss[1]))) return 1;
    report->dropped = 1;
    p->at.length = p->at.inner_step;
    return 0;
}

static void finish_trajectory(const mt_particle *p, mt_report *report) {
    report->finished++;
    report->finished_length += p->at.length;
}

/* Truncated estimators. 0: a loss diverged, which ends the window. */
static int step_truncated(mt_unroller *u, mt_particle *p, mt_report *report) {
    float loss[2];
    if (turn_trajectory(u, p)) return 1;
    step_twins(u, p, loss);
    if (!bound_losses(u, p, loss, report)) return 0;
    mt_segment *s = find_segment(report, p, credited_trajectory(u, p));
    for (int twin = 0; twin < 2; twin++) s->sum[twin] += (double)loss[twin];
    s->count++;
    if (mt_trajectory_is_over(&p->at)) finish_trajectory(p, report);
    return 1;
}

/* Mean over fresh batches of the normalised meta-loss at the final parameters. */
static int average_fresh_losses(mt_unroller *u, mt_particle *p, mt_report *report) {
    int64_t batches = u->cfg->estimator.reduction_batches;
    float value[2];
    u->reduced[0].last = u->reduced[1].last = 0;
    for (int64_t b = 0; b < batches; b++) {
        judge_on_split(u, p, u->cfg->estimator.reduction_split, b, value);
        for (int twin = 0; twin < 2; twin++) {
            report->non_finite += !isfinite(value[twin]);
            u->reduced[twin].last += (double)normalise_loss(u, value[twin], 1) / (double)batches;
        }
    }
    return isfinite(u->reduced[0].last) && isfinite(u->reduced[1].last);
}

/* Full ES: the losses of a whole trajectory become one number a twin. 0: a loss diverged. */
static int step_whole_trajectory(mt_unroller *u, mt_particle *p, mt_report *report) {
    mt_reduction reduction = u->cfg->estimator.reduction;
    float loss[2];
    step_twins(u, p, loss);
    if (!bound_losses(u, p, loss, report)) return 0;
    for (int twin = 0; twin < 2; twin++) {
        mt_reduced_losses *to = &u->reduced[twin];
        to->last = (double)loss[twin];
        to->mean += to->last / (double)p->at.length;
        to->least = to->last < to->least || isnan(to->last) ? to->last : to->least;
    }
    if (!mt_trajectory_is_over(&p->at)) return 1;
    if (reduction == MT_LAST_FRESH && !average_fresh_losses(u, p, report)) report->dropped = 1;
    mt_segment *s = find_segment(report, p, p->at.trajectory);
    for (int twin = 0; twin < 2; twin++) {
        const mt_reduced_losses *of = &u->reduced[twin];
        s->sum[twin] = reduction == MT_MEAN ? of->mean : reduction == MT_MIN ? of->least : of->last;
    }
    s->count = 1;
    finish_trajectory(p, report);
    return 0;
}

int mt_begin_window(mt_unroller *u, mt_particle *p, int64_t outer_step, lopt_error *err) {
    u->cpu_start = mt_cpu_seconds();
    if (!mt_sampler_prepare(&u->sampler, p, outer_step, err)) return 0;
    u->particle = p;
    u->report = (mt_report){.particle = p->at.number, .window = outer_step};
    u->steps = 0;
    exchange_states(u, p, 0);
    if (u->rule->start == MT_NEW_TRAJECTORY) {
        redraw_noise(u, p);
        start_trajectory(u, p);
        find_segment(&u->report, p, p->at.trajectory);
        for (int twin = 0; twin < 2; twin++) u->reduced[twin] = (mt_reduced_losses){.least = INFINITY};
        return 1;
    }
    if (u->rule->redraw == MT_EACH_WINDOW)
        redraw_noise(u, p);
    else if (p->at.noise >= 0)
        perturb_theta(u, p);
    if (u->rule->start == MT_POSITIVE_STATE) copy_positive_twin(u, p);
    return 1;
}

int mt_step_window(mt_unroller *u) {
    if (u->rule->start == MT_NEW_TRAJECTORY) return step_whole_trajectory(u, u->particle, &u->report);
    return step_truncated(u, u->particle, &u->report) && ++u->steps < u->cfg->estimator.window;
}

void mt_finish_window(mt_unroller *u, mt_report *report) {
    exchange_states(u, u->particle, 1);
    u->report.at = u->particle->at;
    u->report.seconds = mt_cpu_seconds() - u->cpu_start;
    *report = u->report;
    u->particle = NULL;
}

int mt_unroll_window(mt_unroller *u, mt_particle *p, int64_t outer_step, mt_report *report, lopt_error *err) {
    if (!mt_begin_window(u, p, outer_step, err)) return 0;
    while (mt_step_window(u)) continue;
    mt_finish_window(u, report);
    return 1;
}
