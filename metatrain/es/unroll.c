/* SPDX-License-Identifier: Apache-2.0
 *
 * unroll.c - see unroll.h. */
#include "es/unroll.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/progress.h"
#include "es/schedules.h"

/* ---- set-up -------------------------------------------------------------------------------- */

static void *block(size_t bytes) {
    return aligned_alloc(64, (bytes + 127) / 64 * 64);
}

int mt_unroller_open(mt_unroller *u, const mt_config *cfg, const lopt_optimizer *optimizer,
                     const unsigned char *trained, lopt_error *err) {
    size_t n = lopt_n_theta(optimizer);
    *u = (mt_unroller){.cfg = cfg,
                       .rule = mt_estimator_rule(cfg->estimator.name),
                       .noise = {cfg->seed, (float)cfg->estimator.std, n, trained},
                       .optimizer = {lopt_clone(optimizer), lopt_clone(optimizer)}};
    u->theta = block(n * sizeof(float));
    u->perturbed[0] = block(n * sizeof(float));
    u->perturbed[1] = block(n * sizeof(float));
    int ok = u->optimizer[0] && u->optimizer[1] && u->theta && u->perturbed[0] && u->perturbed[1];
    if (ok && !mt_sampler_open(&u->mixture, cfg, u->optimizer, err)) {
        mt_unroller_close(u);
        return 0;
    }
    u->grads = block(u->mixture.sizes.n_params * sizeof(float));
    if (ok && u->grads) return 1;
    mt_unroller_close(u);
    return mt_error(err, LOPT_ENOMEM, "out of memory for the unrolls of a theta of %zu numbers", n);
}

void mt_unroller_close(mt_unroller *u) {
    mt_sampler_close(&u->mixture);
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

static lopt_rng_stream stream(const mt_unroller *u, lopt_rng_purpose purpose, const mt_particle *p, int64_t step) {
    lopt_rng_stream r;
    lopt_rng_open(&r, (lopt_rng_address){u->cfg->seed, purpose, (uint64_t)p->at.number, (uint64_t)p->at.trajectory,
                                         (uint64_t)step});
    return r;
}

void mt_predict_steps(const mt_config *cfg, const mt_particle_counters *at, int64_t window,
                      int64_t steps[MT_MAX_TASKS]) {
    int whole = mt_estimator_rule(cfg->estimator.name)->start == MT_NEW_TRAJECTORY;
    int64_t all = whole ? mt_trajectory_length(cfg, -1, at->trajectory + 1, window) : cfg->estimator.window;
    int64_t left = whole ? 0 : at->length - at->inner_step;
    memset(steps, 0, MT_MAX_TASKS * sizeof *steps);
    if (left > 0) steps[at->task] = left < all ? left : all;
    if (left < all) steps[mt_next_task(cfg, at->number, at->trajectory + 1)] += all - (left > 0 ? left : 0);
}

/* ---- one particle -------------------------------------------------------------------------- */

/* Puts both optimizers at theta +- the particle's current noise. */
static void perturb(mt_unroller *u, const mt_particle *p) {
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

static void redraw(mt_unroller *u, mt_particle *p) {
    p->at.noise = p->at.noise_draws++;
    perturb(u, p);
}

/* Full ES gives all particles of an outer step the same length; the others draw one for each
 * trajectory. */
static void draw_length(const mt_unroller *u, mt_particle *p, int64_t *planned) {
    int shared = u->rule->start == MT_NEW_TRAJECTORY;
    *planned = mt_trajectory_length(u->cfg, shared ? -1 : p->at.number, p->at.trajectory, u->outer_step);
    p->at.length = shared || p->at.trajectory > 0 ? *planned : mt_first_length(u->cfg, p->at.number, *planned);
}

static int published(const mt_unroller *u) {
    return u->cfg->estimator.compat == MT_REFERENCE;
}

/* A new task, new initial parameters (the same for both twins) and fresh optimizer states. */
static void start_trajectory(mt_unroller *u, mt_particle *p) {
    int64_t planned;
    int unperturbed = published(u) && p->at.trajectory < 0 && u->rule->start != MT_NEW_TRAJECTORY;
    p->at.trajectory++;
    p->at.inner_step = 0;
    draw_length(u, p, &planned);
    if (u->rule->redraw != MT_EACH_WINDOW) redraw(u, p);
    lopt_rng_stream r = stream(u, LOPT_RNG_TASK, p, 0);
    p->at.task = mt_draw_task(u->cfg, &r);
    u->now = mt_sampler_instance(&u->mixture, p);
    const task *t = u->now->task;
    task_sample_tau(t, &r, p->tau);
    r = stream(u, LOPT_RNG_INIT, p, 0);
    task_initial_params(t, p->tau, &r, p->params[0]);
    memcpy(p->params[1], p->params[0], (t->n_params + t->n_aux) * sizeof(float));
    for (int twin = 0; twin < 2; twin++) {
        if (unperturbed) lopt_set_theta(u->optimizer[twin], u->theta);
        lopt_state_reset(u->optimizer[twin], u->now->state[twin], planned);
    }
    if (unperturbed) perturb(u, p);
}

/* The optimizers' states live in the unroller while a window runs and in the particle between
 * windows. */
static void exchange_states(mt_unroller *u, mt_particle *p, int save) {
    if (p->at.trajectory < 0) return;
    u->now = mt_sampler_instance(&u->mixture, p);
    for (int twin = 0; twin < 2; twin++) {
        size_t bytes;
        void *data = lopt_state_data(u->now->state[twin], &bytes);
        memcpy(save ? p->state[twin] : data, save ? data : p->state[twin], bytes);
    }
}

/* Truncated ES: the negative twin continues from where the positive one is. */
static void copy_positive_twin(mt_unroller *u, mt_particle *p) {
    if (p->at.trajectory < 0) return;
    const task *t = u->now->task;
    size_t bytes;
    void *positive = lopt_state_data(u->now->state[0], &bytes);
    memcpy(lopt_state_data(u->now->state[1], &bytes), positive, bytes);
    memcpy(p->params[1], p->params[0], (t->n_params + t->n_aux) * sizeof(float));
}

/* What judges a twin on the batch at hand, given its loss (spec B.3). Parameters that diverged are
 * wrong about everything. */
static float judge(const mt_unroller *u, const mt_particle *p, int twin, float loss) {
    const task *t = u->now->task;
    if (u->cfg->estimator.meta_value == MT_VALUE_LOSS) return loss;
    return isfinite(loss) ? 1 - task_compute_accuracy(t, p->tau, u->mixture.work, p->params[twin]) : 1;
}

/* A fresh batch of a split judges both twins as they are now. */
static void judge_on(mt_unroller *u, mt_particle *p, task_split split, int64_t batch, float value[2]) {
    const task *t = u->now->task;
    lopt_rng_stream r = stream(u, LOPT_RNG_META_BATCH, p, batch);
    task_draw_batch(t, p->tau, split, &r, u->mixture.work);
    for (int twin = 0; twin < 2; twin++)
        value[twin] = judge(u, p, twin, task_compute_loss(t, p->tau, u->mixture.work, p->params[twin], NULL));
}

/* Both twins make one inner step on the same batch; value[2]: what judges them, not yet
 * normalised. */
static void step_twins(mt_unroller *u, mt_particle *p, float value[2]) {
    static const task_split fresh_split[] = {[MT_LOSS_FRESH_TRAIN] = TASK_TRAIN,
                                             [MT_LOSS_INNER_VALID] = TASK_INNER_VALID,
                                             [MT_LOSS_OUTER_VALID] = TASK_OUTER_VALID,
                                             [MT_LOSS_TEST] = TASK_TEST};
    const task *t = u->now->task;
    mt_meta_loss kind = u->cfg->estimator.meta_loss;
    if (u->between) u->between(u->listener);
    lopt_rng_stream r = stream(u, LOPT_RNG_BATCH, p, p->at.inner_step);
    task_draw_batch(t, p->tau, TASK_TRAIN, &r, u->mixture.work);
    for (int twin = 0; twin < 2; twin++) {
        float loss = task_compute_loss(t, p->tau, u->mixture.work, p->params[twin], u->grads);
        if (kind == MT_LOSS_TRAIN) value[twin] = judge(u, p, twin, loss);
        lopt_step(u->optimizer[twin], u->now->state[twin], p->params[twin], u->grads, loss, NULL);
        task_after_step(t, p->tau, p->params[twin]);
        if (kind == MT_LOSS_SAME_DATA)
            value[twin] = judge(u, p, twin, task_compute_loss(t, p->tau, u->mixture.work, p->params[twin], NULL));
    }
    p->at.inner_step++;
    if (kind != MT_LOSS_TRAIN && kind != MT_LOSS_SAME_DATA) judge_on(u, p, fresh_split[kind], p->at.inner_step, value);
}

/* ---- one window ---------------------------------------------------------------------------- */

/* The segment that the loss of a step belongs to: the last one, or a new one where the trajectory,
 * the noise or the task is another. */
static mt_segment *segment_of(mt_report *report, const mt_particle *p, int64_t trajectory) {
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
static int turn(mt_unroller *u, mt_particle *p) {
    if (p->at.inner_step >= p->at.length) {
        int costs = published(u) && u->rule->redraw != MT_EVERY_K_STEPS && p->at.trajectory >= 0;
        start_trajectory(u, p);
        return costs;
    }
    if (u->rule->redraw == MT_EVERY_K_STEPS && p->at.inner_step > 0 &&
        p->at.inner_step % u->cfg->estimator.noise_every == 0)
        redraw(u, p);
    return 0;
}

/* The published pes credits the last loss of a trajectory to the next. */
static int64_t credited(const mt_unroller *u, const mt_particle *p) {
    int early = published(u) && u->rule->redraw == MT_EACH_WINDOW && u->rule->start == MT_OWN_STATE &&
                p->at.inner_step >= p->at.length;
    return p->at.trajectory + early;
}

/* An error is bounded as it is; the published form normalises it all the same, but not at the end
 * of full ES. */
static float normalised(const mt_unroller *u, float value, int at_end) {
    if (u->cfg->estimator.meta_value == MT_VALUE_ERROR && (at_end || !published(u))) return value;
    return task_normalise_loss(u->now->task, value);
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
        loss[twin] = normalised(u, loss[twin], 0);
    }
    if (published(u) || (isfinite(loss[0]) && isfinite(loss[1]))) return 1;
    report->dropped = 1;
    p->at.length = p->at.inner_step;
    return 0;
}

static void finish_trajectory(const mt_particle *p, mt_report *report) {
    report->finished++;
    report->finished_length += p->at.length;
}

static void run_truncated_window(mt_unroller *u, mt_particle *p, mt_report *report) {
    float loss[2];
    if (u->rule->redraw == MT_EACH_WINDOW)
        redraw(u, p);
    else if (p->at.noise >= 0)
        perturb(u, p);
    if (u->rule->start == MT_POSITIVE_STATE) copy_positive_twin(u, p);
    for (int64_t k = 0; k < u->cfg->estimator.window; k++) {
        if (turn(u, p)) continue;
        step_twins(u, p, loss);
        if (!bound_losses(u, p, loss, report)) break;
        mt_segment *s = segment_of(report, p, credited(u, p));
        for (int twin = 0; twin < 2; twin++) s->sum[twin] += (double)loss[twin];
        s->count++;
        if (p->at.inner_step >= p->at.length) finish_trajectory(p, report);
    }
}

/* Mean over fresh batches of the normalised meta-loss at the final parameters. */
static int fresh_losses(mt_unroller *u, mt_particle *p, mt_report *report, double mean[2]) {
    int64_t batches = u->cfg->estimator.reduction_batches;
    float value[2];
    mean[0] = mean[1] = 0;
    for (int64_t b = 0; b < batches; b++) {
        judge_on(u, p, u->cfg->estimator.reduction_split, b, value);
        for (int twin = 0; twin < 2; twin++) {
            report->non_finite += !isfinite(value[twin]);
            mean[twin] += (double)normalised(u, value[twin], 1) / (double)batches;
        }
    }
    return isfinite(mean[0]) && isfinite(mean[1]);
}

/* Full ES: a whole trajectory, reduced to one number a twin (spec A.2). */
static void run_whole_trajectory(mt_unroller *u, mt_particle *p, mt_report *report) {
    mt_reduction reduction = u->cfg->estimator.reduction;
    double mean[2] = {0, 0}, least[2] = {INFINITY, INFINITY}, last[2] = {0, 0};
    float loss[2];
    redraw(u, p);
    start_trajectory(u, p);
    mt_segment *s = segment_of(report, p, p->at.trajectory);
    double length = (double)p->at.length;
    while (p->at.inner_step < p->at.length) {
        step_twins(u, p, loss);
        if (!bound_losses(u, p, loss, report)) return;
        for (int twin = 0; twin < 2; twin++) {
            last[twin] = (double)loss[twin];
            mean[twin] += last[twin] / length;
            least[twin] = last[twin] < least[twin] || isnan(last[twin]) ? last[twin] : least[twin];
        }
    }
    if (reduction == MT_LAST_FRESH && !fresh_losses(u, p, report, last)) report->dropped = 1;
    for (int twin = 0; twin < 2; twin++)
        s->sum[twin] = reduction == MT_MEAN ? mean[twin] : reduction == MT_MIN ? least[twin] : last[twin];
    s->count = 1;
    finish_trajectory(p, report);
}

void mt_unroll_window(mt_unroller *u, mt_particle *p, int64_t window, mt_report *report) {
    double start = mt_cpu_seconds();
    *report = (mt_report){.particle = p->at.number, .window = window};
    u->outer_step = window;
    exchange_states(u, p, 0);
    if (u->rule->start == MT_NEW_TRAJECTORY)
        run_whole_trajectory(u, p, report);
    else
        run_truncated_window(u, p, report);
    exchange_states(u, p, 1);
    report->at = p->at;
    report->seconds = mt_cpu_seconds() - start;
}
