/* SPDX-License-Identifier: Apache-2.0
 *
 * test_unroll.c - windows of particles against a plain re-enactment.
 *
 * The re-enactment knows the addresses of random numbers and the rules of es_gradient.h, keeps whole
 * trajectories in simple variables, and never saves or exchanges a state. Sums must agree bit for
 * bit. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "es/schedules.h"
#include "es/unroll.h"
#include "whole_noise.h"

static const char base[] = "seed: 5\n"
                           "optimizer: {name: small-fc, hidden_size: 3, step_mult: 0.05}\n"
                           "tasks:\n  - {task: quadratic, dim: 4}\n"
                           "particles: 3\n"
                           "estimator:\n  std: 0.1\n  window: 5\n"
                           "  schedule: {name: log_uniform, min: 6, max: 15}\n";

static mt_config *config_from(const char *text, const char *estimator, const char *more) {
    lopt_error err;
    char name[64];
    snprintf(name, sizeof name, "estimator.name=%s", estimator);
    const char *sets[] = {name, more};
    mt_config *cfg = mt_config_parse(text, "base", sets, more ? 2 : 1, &err);
    cr_assert(cfg, "%s", err.text);
    return cfg;
}

static mt_config *config(const char *estimator, const char *more) {
    return config_from(base, estimator, more);
}

typedef struct setup {
    mt_config *cfg;
    lopt_optimizer *opt;
    mt_unroller unroller;
    float *theta;
    unsigned char *trained;
} setup;

static void open(setup *s, mt_config *cfg) {
    lopt_error err;
    s->cfg = cfg;
    s->opt = mt_optimizer_create(&cfg->optimizer, "base", &err);
    cr_assert(s->opt, "%s", err.text);
    size_t n = lopt_n_theta(s->opt);
    s->theta = calloc(n, sizeof(float));
    s->trained = calloc(n, 1);
    for (size_t i = 0; i < n; i++) s->trained[i] = 1;
    lopt_init_theta(s->opt, cfg->seed, s->theta);
    cr_assert(mt_unroller_open(&s->unroller, cfg, s->opt, s->trained, &err), "%s", err.text);
    mt_unroller_set_theta(&s->unroller, s->theta);
}

static void shut(setup *s) {
    mt_unroller_close(&s->unroller);
    lopt_destroy(s->opt);
    mt_config_free(s->cfg);
    free(s->theta);
    free(s->trained);
}

/* ---- the re-enactment ---------------------------------------------------------------------- */

typedef struct actor {
    task *task;
    lopt_state *state[2];
    float params[2][16], tau[16];
    void *work;
    int64_t trajectory, step, length, noise, draws;
} actor;

static lopt_rng_stream stream(const setup *s, lopt_rng_purpose purpose, int64_t p, const actor *a, int64_t step) {
    lopt_rng_stream r;
    lopt_rng_open_stream(
        &r, (lopt_rng_address){s->cfg->seed, purpose, (uint64_t)p, (uint64_t)a->trajectory, (uint64_t)step});
    return r;
}

static void perturb(setup *s, lopt_optimizer *twin, int64_t p, int64_t draw, float sign) {
    size_t n = lopt_n_theta(s->opt);
    float delta[512], theta[512];
    whole_noise(&s->unroller.noise, p, draw, delta);
    for (size_t i = 0; i < n; i++) theta[i] = s->theta[i] + sign * delta[i];
    lopt_set_theta(twin, theta);
}

static void act_reset(setup *s, lopt_optimizer *twin[2], actor *a, int64_t p) {
    int published = s->cfg->estimator.compat == MT_REFERENCE;
    a->trajectory++;
    a->step = 0;
    int64_t planned = mt_trajectory_length(s->cfg, p, a->trajectory, 0);
    a->length = planned;
    lopt_rng_stream r = stream(s, LOPT_RNG_OFFSET, p, a, 0);
    if (a->trajectory == 0) a->length -= (int64_t)lopt_rng_draw_below(&r, (uint64_t)planned);
    if (s->cfg->estimator.name == MT_NRES || s->cfg->estimator.name == MT_GPES) a->noise = a->draws++;
    for (int k = 0; k < 2; k++) perturb(s, twin[k], p, a->noise, k ? -1 : 1);
    r = stream(s, LOPT_RNG_TASK, p, a, 0);
    (void)lopt_rng_draw_uniform(&r); /* which task: there is one */
    task_sample_tau(a->task, &r, a->tau);
    r = stream(s, LOPT_RNG_INIT, p, a, 0);
    task_initial_params(a->task, a->tau, &r, a->params[0]);
    memcpy(a->params[1], a->params[0], sizeof a->params[0]);
    for (int k = 0; k < 2; k++)
        if (published && a->trajectory == 0) lopt_set_theta(twin[k], s->theta);
    for (int k = 0; k < 2; k++) lopt_state_reset(twin[k], a->state[k], planned);
    for (int k = 0; k < 2; k++) perturb(s, twin[k], p, a->noise, k ? -1 : 1);
}

static void redraw(setup *s, lopt_optimizer *twin[2], actor *a, int64_t p) {
    a->noise = a->draws++;
    for (int k = 0; k < 2; k++) perturb(s, twin[k], p, a->noise, k ? -1 : 1);
}

/* theta may have moved since the last window, and pes and tes draw noise. */
static void open_window(setup *s, lopt_optimizer *twin[2], actor *a, int64_t p) {
    if (s->cfg->estimator.name == MT_PES || s->cfg->estimator.name == MT_TES) a->noise = a->draws++;
    for (int k = 0; k < 2 && a->noise >= 0; k++) perturb(s, twin[k], p, a->noise, k ? -1 : 1);
}

/* An inner step of both twins; their normalised losses. */
static void take_step(const setup *s, lopt_optimizer *twin[2], actor *a, int64_t p, double loss[2]) {
    float grads[16];
    lopt_rng_stream r = stream(s, LOPT_RNG_BATCH, p, a, a->step++);
    task_draw_batch(a->task, a->tau, TASK_TRAIN, &r, a->work);
    for (int k = 0; k < 2; k++) {
        float raw = task_compute_loss(a->task, a->tau, a->work, a->params[k], grads);
        loss[k] = (double)task_normalise_loss(a->task, raw);
        lopt_step(twin[k], a->state[k], a->params[k], grads, raw, NULL);
    }
}

static void go_on_from_positive(actor *a) {
    size_t bytes;
    void *from = lopt_state_data(a->state[0], &bytes);
    memcpy(lopt_state_data(a->state[1], &bytes), from, bytes);
    memcpy(a->params[1], a->params[0], sizeof a->params[0]);
}

/* One window; sums[2] over all its steps and the number of resets. */
static int act(setup *s, lopt_optimizer *twin[2], actor *a, int64_t p, double sums[2]) {
    int resets = 0;
    open_window(s, twin, a, p);
    if (s->cfg->estimator.name == MT_TES && a->trajectory >= 0) go_on_from_positive(a);
    sums[0] = sums[1] = 0;
    for (int64_t i = 0; i < s->cfg->estimator.window; i++) {
        if (a->step >= a->length)
            act_reset(s, twin, a, p), resets++;
        else if (s->cfg->estimator.name == MT_GPES && a->step > 0 && a->step % s->cfg->estimator.noise_every == 0)
            redraw(s, twin, a, p);
        double loss[2];
        take_step(s, twin, a, p, loss);
        sums[0] += loss[0], sums[1] += loss[1];
    }
    return resets;
}

static void open_actor(const setup *s, actor *a) {
    lopt_error err;
    *a = (actor){.trajectory = -1, .noise = -1};
    a->task = task_create(&s->cfg->tasks[0].spec, &err);
    a->work = aligned_alloc(64, (a->task->work_bytes + 127) / 64 * 64);
    for (int k = 0; k < 2; k++) a->state[k] = lopt_state_create(s->opt, a->task->tensors, a->task->n_tensors, &err);
}

static void close_actor(actor *a) {
    for (int k = 0; k < 2; k++) lopt_state_destroy(a->state[k]);
    task_destroy(a->task);
    free(a->work);
}

/* `theta` drifts between windows as an outer optimizer would make it, so a stale theta would be
 * seen. */
static void compare(const char *estimator, const char *more) {
    setup s;
    lopt_error err;
    open(&s, config(estimator, more));
    lopt_optimizer *twin[2] = {lopt_clone(s.opt), lopt_clone(s.opt)};
    mt_particle particle[3];
    actor a[3] = {0};
    for (int p = 0; p < 3; p++) {
        cr_assert(mt_particle_open(&particle[p], p, &s.unroller.sampler.sizes, &err));
        open_actor(&s, &a[p]);
    }
    int resets = 0, finished = 0;
    for (int window = 0; window < 12; window++) {
        for (int p = 0; p < 3; p++) {
            mt_report r;
            double sums[2], got[2] = {0, 0};
            int64_t count = 0;
            mt_unroll_window(&s.unroller, &particle[p], window, &r, NULL);
            resets += act(&s, twin, &a[p], p, sums);
            finished += (int)r.finished;
            /* the re-enactment has one sum, the report one a segment: add in the same order only if
             * there is one */
            for (int k = 0; k < r.n_segments; k++)
                got[0] += r.segment[k].sum[0], got[1] += r.segment[k].sum[1], count += r.segment[k].count;
            const mt_segment *last = &r.segment[r.n_segments - 1];
            cr_assert(count == s.cfg->estimator.window && r.inner_steps == 2 * count);
            for (int k = 0; k < 2; k++) {
                double tolerance = r.n_segments == 1 ? 0 : 1e-12 * fabs(sums[k]);
                cr_assert(fabs(got[k] - sums[k]) <= tolerance,
                          "%s, window %d, particle %d, twin %d: sum %.17g, re-enacted %.17g", estimator, window, p, k,
                          got[k], sums[k]);
            }
            cr_assert(last->noise == a[p].noise && last->trajectory == a[p].trajectory, "%s: noise %d, trajectory %d",
                      estimator, (int)last->noise, (int)last->trajectory);
        }
        for (size_t i = 0; i < lopt_n_theta(s.opt); i++) s.theta[i] *= 1.01f;
        mt_unroller_set_theta(&s.unroller, s.theta);
    }
    cr_assert(resets > 8 && finished >= resets - 3, "%d resets, %d finished: the test should see both", resets,
              finished);
    for (int p = 0; p < 3; p++) {
        mt_particle_close(&particle[p]);
        close_actor(&a[p]);
    }
    lopt_destroy(twin[0]);
    lopt_destroy(twin[1]);
    shut(&s);
}

Test(unroll, nres) {
    compare("nres", NULL);
}
Test(unroll, pes) {
    compare("pes", NULL);
}
Test(unroll, tes) {
    compare("tes", NULL);
}
Test(unroll, gpes) {
    compare("gpes", "estimator.noise_every=5");
}

/* ---- the published implementations, as their papers' code steps through a window ------------- */

enum { WINDOW = 5, MAX_THETA = 512 };

/* Per slot of a window: the twins' difference, whether there was a loss, whether the trajectory
 * finished, the noise. */
typedef struct slots {
    double d[WINDOW];
    int valid[WINDOW], done[WINDOW];
    int64_t noise[WINDOW], trajectory[WINDOW];
} slots;

/* What the noise since the reset has come to; gpes: whose and which draw is the last in it. */
typedef struct carried {
    double acc[MAX_THETA];
    int64_t trajectory, noise;
} carried;

static void publish(setup *s, lopt_optimizer *twin[2], actor *a, int64_t p, slots *out) {
    *out = (slots){0};
    open_window(s, twin, a, p);
    if (a->trajectory < 0) act_reset(s, twin, a, p); /* made before the first window */
    if (s->cfg->estimator.name == MT_TES) go_on_from_positive(a);
    for (int i = 0; i < WINDOW; i++) {
        int resets = a->step >= a->length, gpes = s->cfg->estimator.name == MT_GPES;
        if (resets) act_reset(s, twin, a, p);
        if (resets && !gpes) continue; /* this slot has no loss */
        if (gpes && a->step > 0 && a->step % s->cfg->estimator.noise_every == 0) redraw(s, twin, a, p);
        double loss[2];
        take_step(s, twin, a, p, loss);
        out->d[i] = loss[0] - loss[1];
        out->valid[i] = 1;
        out->noise[i] = a->noise;
        out->trajectory[i] = a->trajectory;
        out->done[i] = a->step >= a->length;
    }
}

/* Adds a slot's part of the published gradient, whose losses are divided by `count`; `ended`: a
 * trajectory did, in this window. */
static void add_slot(const setup *s, int64_t p, const slots *o, int i, int ended, double count, carried *c,
                     double *gradient) {
    mt_estimator name = s->cfg->estimator.name;
    double scale = 2 * pow((double)s->unroller.noise.std, 2) * count;
    int another = name == MT_GPES && (c->trajectory != o->trajectory[i] || c->noise != o->noise[i]);
    float delta[MAX_THETA];
    whole_noise(&s->unroller.noise, p, o->noise[i], delta);
    for (size_t j = 0; o->valid[i] && j < lopt_n_theta(s->opt); j++) {
        double v = (double)delta[j];
        if (name == MT_PES && !ended) v += c->acc[j];
        if (another) c->acc[j] = v + (c->trajectory == o->trajectory[i] ? c->acc[j] : 0);
        gradient[j] += o->d[i] * (name == MT_GPES ? c->acc[j] : v) / scale;
    }
    c->trajectory = o->valid[i] ? o->trajectory[i] : c->trajectory;
    c->noise = o->valid[i] ? o->noise[i] : c->noise;
}

/* A particle's part; all: the losses of all particles. */
static void add_published(const setup *s, int64_t p, const slots *o, double all, carried *c, double *gradient) {
    int together = s->cfg->estimator.name == MT_NRES || s->cfg->estimator.name == MT_GPES;
    double valid = 0;
    int ended = 0;
    float delta[MAX_THETA];
    for (int i = 0; i < WINDOW; i++) valid += o->valid[i];
    for (int i = 0; i < WINDOW; i++) {
        ended |= o->done[i];
        add_slot(s, p, o, i, ended, together ? all : 3 * valid, c, gradient);
    }
    if (s->cfg->estimator.name != MT_PES) return;
    whole_noise(&s->unroller.noise, p, o->noise[o->valid[0] ? 0 : 1], delta);
    for (size_t j = 0; j < lopt_n_theta(s->opt); j++) c->acc[j] = (double)delta[j] + (ended ? 0 : c->acc[j]);
}

/* An optimizer whose theta says where its state begins, so that it shows under which theta the
 * first states are made. */
static const char with_initial_state[] = "seed: 5\n"
                                         "optimizer: {name: celo, lstm_hidden_size: 2, step_mult: 0.05}\n"
                                         "tasks:\n  - {task: quadratic, dim: 4}\n"
                                         "particles: 3\n"
                                         "estimator:\n  compat: reference\n  std: 0.1\n  window: 5\n"
                                         "  schedule: {name: log_uniform, min: 6, max: 15}\n";

static void compare_published(const char *estimator, const char *more) {
    static double gradient[MAX_THETA];
    static carried c[3];
    setup s;
    mt_particle particle[3];
    actor a[3];
    mt_report report[3];
    slots o[3];
    mt_es_gradient e;
    mt_outer_summary summary;
    lopt_error err;
    open(&s, config_from(with_initial_state, estimator, more));
    size_t n = lopt_n_theta(s.opt);
    cr_assert(n <= MAX_THETA);
    cr_assert(mt_es_gradient_open(&e, &s.cfg->estimator, s.unroller.noise, 3, &err));
    lopt_optimizer *twin[2] = {lopt_clone(s.opt), lopt_clone(s.opt)};
    for (int p = 0; p < 3; p++) {
        cr_assert(mt_particle_open(&particle[p], p, &s.unroller.sampler.sizes, &err));
        open_actor(&s, &a[p]);
        c[p] = (carried){.trajectory = -1};
    }
    int resets_at_the_end = 0;
    for (int window = 0; window < 40; window++) {
        double all = 0;
        memset(gradient, 0, sizeof gradient);
        for (int p = 0; p < 3; p++) {
            mt_unroll_window(&s.unroller, &particle[p], window, &report[p], NULL);
            publish(&s, twin, &a[p], p, &o[p]);
            for (int i = 0; i < WINDOW; i++) all += o[p].valid[i];
            resets_at_the_end += o[p].done[WINDOW - 1];
        }
        for (int p = 0; p < 3; p++) add_published(&s, p, &o[p], all, &c[p], gradient);
        mt_compute_gradient(&e, report, &summary);
        double largest = 0;
        for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(gradient[i]));
        for (size_t i = 0; i < n; i++)
            cr_assert(fabs(e.gradient[i] - gradient[i]) <= 1e-6 * largest,
                      "%s, window %d, component %zu: %.12g, published %.12g", estimator, window, i, e.gradient[i],
                      gradient[i]);
    }
    cr_assert(resets_at_the_end > 3, "the test should see trajectories end with their window");
    for (int p = 0; p < 3; p++) {
        mt_particle_close(&particle[p]);
        close_actor(&a[p]);
    }
    lopt_destroy(twin[0]);
    lopt_destroy(twin[1]);
    mt_es_gradient_close(&e);
    shut(&s);
}

Test(unroll, published_pes) {
    compare_published("pes", NULL);
}
Test(unroll, published_tes) {
    compare_published("tes", NULL);
}
Test(unroll, published_nres) {
    compare_published("nres", NULL);
}
Test(unroll, published_gpes) {
    compare_published("gpes", "estimator.noise_every=5");
}

/* Full ES: the mean over one whole trajectory, the same length for all particles of an outer step.
 */
Test(unroll, es_reduces_a_whole_trajectory) {
    setup s;
    lopt_error err;
    mt_particle p[2];
    mt_report r[2];
    open(&s, config("es", NULL));
    for (int i = 0; i < 2; i++) {
        cr_assert(mt_particle_open(&p[i], i, &s.unroller.sampler.sizes, &err));
        mt_unroll_window(&s.unroller, &p[i], 0, &r[i], NULL);
        cr_assert(r[i].n_segments == 1 && r[i].segment[0].count == 1 && r[i].finished == 1);
    }
    cr_assert(r[0].inner_steps == r[1].inner_steps && r[0].inner_steps == 2 * mt_trajectory_length(s.cfg, -1, 0, 0));
    cr_assert(r[0].segment[0].sum[0] != r[0].segment[0].sum[1] && r[0].segment[0].sum[0] != r[1].segment[0].sum[0]);
    for (int i = 0; i < 2; i++) mt_particle_close(&p[i]);
    shut(&s);
}

/* A quadratic has no bounded normaliser: when it diverges, the window is dropped and a new
 * trajectory starts. */
Test(unroll, divergence_drops_the_window) {
    setup s;
    lopt_error err;
    mt_particle p;
    mt_report r;
    open(&s, config("nres", "optimizer.exp_mult=100000"));
    cr_assert(mt_particle_open(&p, 0, &s.unroller.sampler.sizes, &err));
    int dropped = 0;
    for (int window = 0; window < 40; window++) {
        int64_t trajectory = p.at.trajectory;
        mt_unroll_window(&s.unroller, &p, window, &r, NULL);
        if (!r.dropped) continue;
        dropped++;
        cr_assert(r.non_finite > 0);
        trajectory = p.at.trajectory;
        mt_unroll_window(&s.unroller, &p, ++window, &r, NULL);
        cr_assert(r.segment[0].trajectory == trajectory + 1, "trajectory %d after %d", (int)r.segment[0].trajectory,
                  (int)trajectory);
    }
    cr_assert(dropped > 0, "nothing diverged");
    mt_particle_close(&p);
    shut(&s);
}
