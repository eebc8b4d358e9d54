/* SPDX-License-Identifier: Apache-2.0
 *
 * test_unroll.c - windows of particles against a plain re-enactment.
 *
 * The re-enactment knows the addresses of random numbers and the rules of estimator.h, keeps whole
 * trajectories in simple variables, and never saves or exchanges a state. Sums must agree bit for
 * bit. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "unroll.h"
#include "whole_noise.h"

static const char base[] = "seed: 5\n"
                           "optimizer: {name: small-fc, hidden_size: 3, step_mult: 0.05}\n"
                           "tasks:\n  - {task: quadratic, dim: 4}\n"
                           "particles: 3\n"
                           "estimator:\n  std: 0.1\n  window: 5\n"
                           "  schedule: {name: log_uniform, min: 6, max: 15}\n";

static mt_config *config(const char *estimator, const char *more) {
    lopt_error err;
    char name[64];
    snprintf(name, sizeof name, "estimator.name=%s", estimator);
    const char *sets[] = {name, more};
    mt_config *cfg = mt_config_parse(base, "base", sets, more ? 2 : 1, &err);
    cr_assert(cfg, "%s", err.text);
    return cfg;
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
    for (size_t i = 0; i < n; i++)
        s->trained[i] = 1;
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

static random_stream stream(const setup *s, random_purpose purpose, int64_t p, const actor *a,
                            int64_t step) {
    random_stream r;
    random_open(&r, (random_address){s->cfg->seed, purpose, (uint64_t)p, (uint64_t)a->trajectory,
                                     (uint64_t)step});
    return r;
}

static void perturb(setup *s, lopt_optimizer *twin, int64_t p, int64_t draw, float sign) {
    size_t n = lopt_n_theta(s->opt);
    float delta[512], theta[512];
    whole_noise(&s->unroller.noise, p, draw, delta);
    for (size_t i = 0; i < n; i++)
        theta[i] = s->theta[i] + sign * delta[i];
    lopt_set_theta(twin, theta);
}

static void act_reset(setup *s, lopt_optimizer *twin[2], actor *a, int64_t p) {
    a->trajectory++;
    a->step = 0;
    int64_t planned = mt_trajectory_length(s->cfg, p, a->trajectory);
    a->length = planned;
    random_stream r = stream(s, RANDOM_OFFSET, p, a, 0);
    if (a->trajectory == 0)
        a->length -= (int64_t)random_below(&r, (uint64_t)planned);
    if (s->cfg->estimator.name == MT_NRES || s->cfg->estimator.name == MT_GPES)
        a->noise = a->draws++;
    for (int k = 0; k < 2; k++)
        perturb(s, twin[k], p, a->noise, k ? -1 : 1);
    r = stream(s, RANDOM_TASK, p, a, 0);
    (void)random_uniform(&r); /* which task: there is one */
    task_sample(a->task, &r, a->tau);
    r = stream(s, RANDOM_INIT, p, a, 0);
    task_initial_params(a->task, a->tau, &r, a->params[0]);
    memcpy(a->params[1], a->params[0], sizeof a->params[0]);
    for (int k = 0; k < 2; k++)
        lopt_state_reset(twin[k], a->state[k], planned);
}

/* One window; sums[2] over all its steps and the number of resets. */
static int act(setup *s, lopt_optimizer *twin[2], actor *a, int64_t p, double sums[2]) {
    float grads[16];
    int resets = 0;
    int each_window = s->cfg->estimator.name == MT_PES || s->cfg->estimator.name == MT_TES;
    if (each_window)
        a->noise = a->draws++;
    for (int k = 0; k < 2 && a->noise >= 0; k++)
        perturb(s, twin[k], p, a->noise, k ? -1 : 1);
    if (s->cfg->estimator.name == MT_TES && a->trajectory >= 0) {
        size_t bytes;
        void *from = lopt_state_data(a->state[0], &bytes);
        memcpy(lopt_state_data(a->state[1], &bytes), from, bytes);
        memcpy(a->params[1], a->params[0], sizeof a->params[0]);
    }
    sums[0] = sums[1] = 0;
    for (int64_t i = 0; i < s->cfg->estimator.window; i++) {
        if (a->step >= a->length)
            act_reset(s, twin, a, p), resets++;
        else if (s->cfg->estimator.name == MT_GPES && a->step > 0 &&
                 a->step % s->cfg->estimator.noise_every == 0) {
            a->noise = a->draws++;
            for (int k = 0; k < 2; k++)
                perturb(s, twin[k], p, a->noise, k ? -1 : 1);
        }
        random_stream r = stream(s, RANDOM_BATCH, p, a, a->step);
        task_draw_batch(a->task, a->tau, TASK_TRAIN, &r, a->work);
        for (int k = 0; k < 2; k++) {
            float loss = task_loss(a->task, a->tau, a->work, a->params[k], grads);
            sums[k] += (double)task_normalise(a->task, loss);
            lopt_step(twin[k], a->state[k], a->params[k], grads, loss, NULL);
        }
        a->step++;
    }
    return resets;
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
        cr_assert(mt_particle_open(&particle[p], p, &s.unroller.sizes, &err));
        a[p].task = task_create(&s.cfg->tasks[0].spec, &err);
        a[p].work = aligned_alloc(64, (a[p].task->work_bytes + 127) / 64 * 64);
        a[p].trajectory = a[p].noise = -1;
        for (int k = 0; k < 2; k++)
            a[p].state[k] =
                lopt_state_create(s.opt, a[p].task->tensors, a[p].task->n_tensors, &err);
    }
    int resets = 0, finished = 0;
    for (int window = 0; window < 12; window++) {
        for (int p = 0; p < 3; p++) {
            mt_report r;
            double sums[2], got[2] = {0, 0};
            int64_t count = 0;
            mt_unroll_window(&s.unroller, &particle[p], window, &r);
            resets += act(&s, twin, &a[p], p, sums);
            finished += (int)r.finished;
            /* the re-enactment has one sum, the report one a segment: add in the same order only if
             * there is one */
            for (int k = 0; k < r.n_segments; k++)
                got[0] += r.segment[k].sum[0], got[1] += r.segment[k].sum[1],
                    count += r.segment[k].count;
            const mt_segment *last = &r.segment[r.n_segments - 1];
            cr_assert(count == s.cfg->estimator.window && r.inner_steps == 2 * count);
            for (int k = 0; k < 2; k++) {
                double tolerance = r.n_segments == 1 ? 0 : 1e-12 * fabs(sums[k]);
                cr_assert(fabs(got[k] - sums[k]) <= tolerance,
                          "%s, window %d, particle %d, twin %d: sum %.17g, re-enacted %.17g",
                          estimator, window, p, k, got[k], sums[k]);
            }
            cr_assert(last->noise == a[p].noise && last->trajectory == a[p].trajectory,
                      "%s: noise %d, trajectory %d", estimator, (int)last->noise,
                      (int)last->trajectory);
        }
        for (size_t i = 0; i < lopt_n_theta(s.opt); i++)
            s.theta[i] *= 1.01f;
        mt_unroller_set_theta(&s.unroller, s.theta);
    }
    cr_assert(resets > 8 && finished >= resets - 3,
              "%d resets, %d finished: the test should see both", resets, finished);
    for (int p = 0; p < 3; p++) {
        mt_particle_close(&particle[p]);
        for (int k = 0; k < 2; k++)
            lopt_state_destroy(a[p].state[k]);
        task_destroy(a[p].task);
        free(a[p].work);
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

/* Full ES: the mean over one whole trajectory, the same length for all particles of an outer step.
 */
Test(unroll, es_reduces_a_whole_trajectory) {
    setup s;
    lopt_error err;
    mt_particle p[2];
    mt_report r[2];
    open(&s, config("es", NULL));
    for (int i = 0; i < 2; i++) {
        cr_assert(mt_particle_open(&p[i], i, &s.unroller.sizes, &err));
        mt_unroll_window(&s.unroller, &p[i], 0, &r[i]);
        cr_assert(r[i].n_segments == 1 && r[i].segment[0].count == 1 && r[i].finished == 1);
    }
    cr_assert(r[0].inner_steps == r[1].inner_steps &&
              r[0].inner_steps == 2 * mt_trajectory_length(s.cfg, -1, 0));
    cr_assert(r[0].segment[0].sum[0] != r[0].segment[0].sum[1] &&
              r[0].segment[0].sum[0] != r[1].segment[0].sum[0]);
    for (int i = 0; i < 2; i++)
        mt_particle_close(&p[i]);
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
    cr_assert(mt_particle_open(&p, 0, &s.unroller.sizes, &err));
    int dropped = 0;
    for (int window = 0; window < 40; window++) {
        int64_t trajectory = p.at.trajectory;
        mt_unroll_window(&s.unroller, &p, window, &r);
        if (!r.dropped)
            continue;
        dropped++;
        cr_assert(r.non_finite > 0);
        trajectory = p.at.trajectory;
        mt_unroll_window(&s.unroller, &p, ++window, &r);
        cr_assert(r.segment[0].trajectory == trajectory + 1, "trajectory %d after %d",
                  (int)r.segment[0].trajectory, (int)trajectory);
    }
    cr_assert(dropped > 0, "nothing diverged");
    mt_particle_close(&p);
    shut(&s);
}

Test(unroll, lengths_are_log_uniform) {
    mt_config *cfg = config("nres", "estimator.schedule.max=600");
    int below = 0, n = 4000;
    for (int i = 0; i < n; i++) {
        int64_t length = mt_trajectory_length(cfg, 1, i);
        cr_assert(length >= 6 && length <= 600);
        below += length < 60; /* the middle on a logarithmic scale */
    }
    cr_assert(fabs((double)below / n - 0.5) < 0.04, "share below the geometric mean %g",
              (double)below / n);
    mt_config_free(cfg);
}
