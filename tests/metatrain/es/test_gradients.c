/* SPDX-License-Identifier: Apache-2.0
 *
 * test_gradients.c - the whole way from windows to the gradient on a problem with a closed form; what twins
 * share; what judges an inner step.
 *
 * theta of learnable-sgd is ln lr. On the sum of squares of `dim` parameters a step multiplies them by
 * r = 1 - 2 lr, so the loss before step k is |x0|^2 r^2k and
 *
 *     d(loss_k)/d(ln lr) = |x0|^2 2 k r^(2k - 1) (-2 lr),   |x0|^2 = dim on average.
 *
 * A truncated estimator sees only the steps since its window began in place of k. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "es/unroll.h"

enum { DIM = 100, LENGTH = 20, WINDOW = 5, PARTICLES = 400, WARM = 4, WINDOWS = 60 };

typedef struct setup {
    mt_config *cfg;
    lopt_optimizer *opt;
    mt_unroller unroller;
    unsigned char *trained;
} setup;

static void open(setup *s, const char *text, const char *const *sets, int n_sets, int trained) {
    lopt_error err;
    s->cfg = mt_config_parse(text, "text", sets, n_sets, &err);
    cr_assert(s->cfg, "%s", err.text);
    s->opt = mt_optimizer_create(&s->cfg->optimizer, "text", &err);
    cr_assert(s->opt, "%s", err.text);
    size_t n = lopt_n_theta(s->opt);
    float *theta = calloc(n, sizeof *theta);
    s->trained = calloc(n, 1);
    memset(s->trained, trained, n);
    lopt_init_theta(s->opt, s->cfg->seed, theta);
    cr_assert(mt_unroller_open(&s->unroller, s->cfg, s->opt, s->trained, &err), "%s", err.text);
    mt_unroller_set_theta(&s->unroller, theta);
    free(theta);
}

/* While it is open, the data set that both configurations with images use stays in memory. */
static task *hold_images(void) {
    task_spec spec = task_spec_default();
    spec.image_size = 4;
    return task_create(&spec, NULL);
}

static void shut(setup *s) {
    mt_unroller_close(&s->unroller);
    lopt_destroy(s->opt);
    mt_config_free(s->cfg);
    free(s->trained);
}

/* ---- closed form --------------------------------------------------------------------------- */

static const char quadratic[] = "seed: 11\n"
                                "optimizer: {name: learnable-sgd}\n"
                                "tasks: [{task: quadratic, dim: 100}]\n"
                                "estimator: {window: 5, noise_every: 10, schedule: {name: constant, max: 20}}\n";

/* Mean gradient over windows, once trajectories have their full length. */
static double estimated(const char *estimator) {
    setup s;
    static mt_particle particle[PARTICLES];
    static mt_report report[PARTICLES];
    mt_es_gradient e;
    mt_outer_summary summary;
    lopt_error err;
    double sum = 0;
    open(&s, quadratic, &estimator, 1, 1);
    cr_assert(lopt_n_theta(s.opt) == 1);
    cr_assert(mt_es_gradient_open(&e, &s.cfg->estimator, s.unroller.noise, PARTICLES, &err));
    for (int p = 0; p < PARTICLES; p++) cr_assert(mt_particle_open(&particle[p], p, &s.unroller.sampler.sizes, &err));
    for (int window = -WARM; window < WINDOWS; window++) {
        for (int p = 0; p < PARTICLES; p++)
            mt_unroll_window(&s.unroller, &particle[p], window + WARM, &report[p], NULL);
        mt_compute_gradient(&e, report, &summary);
        sum += window >= 0 ? e.gradient[0] / WINDOWS : 0;
    }
    for (int p = 0; p < PARTICLES; p++) mt_particle_close(&particle[p]);
    mt_es_gradient_close(&e);
    shut(&s);
    return sum;
}

/* Mean over the steps of a trajectory and, where truncated, over places of a window's begin. */
static double closed_form(int truncated) {
    double lr = 0.01, r = 1 - 2 * lr, sum = 0;
    for (int k = 0; k < LENGTH; k++)
        for (int j = 0; j < WINDOW; j++) {
            int seen = truncated && j < k ? j : k;
            sum += DIM * 2 * seen * pow(r, 2 * k - 1) * -2 * lr / (LENGTH * WINDOW);
        }
    return sum;
}

static void check(const char *estimator, double expected, double tolerance) {
    double found = estimated(estimator);
    cr_assert(fabs(found / expected - 1) < tolerance, "%s: %g, closed form %g", estimator, found, expected);
}

/* Tolerances are about four standard errors. */
Test(gradients, es) {
    check("estimator.name=es", closed_form(0), 0.04);
}
Test(gradients, pes) {
    check("estimator.name=pes", closed_form(0), 0.08);
}
Test(gradients, nres) {
    check("estimator.name=nres", closed_form(0), 0.05);
}
Test(gradients, gpes) {
    check("estimator.name=gpes", closed_form(0), 0.07);
}
Test(gradients, tes_is_short_sighted) {
    double expected = closed_form(1);
    cr_assert(expected / closed_form(0) < 0.3);
    check("estimator.name=tes", expected, 0.05);
}

/* ---- twins --------------------------------------------------------------------------------- */

static const char tasks_with_noise[] = "seed: 12\n"
                                       "optimizer: {name: small-fc, hidden_size: 3, step_mult: 0.05}\n"
                                       "tasks:\n"
                                       "- {task: noisy_quadratic, dim: 5, noise: 0.5}\n"
                                       "- {task: noisy_mean_quadratic, dim: 2, noise: 1}\n"
                                       "- {task: image_mlp, image_size: 4, batch_size: 3, hidden: [4],\n"
                                       "   augment: {reparam: {level: parameter}}}\n"
                                       "estimator: {window: 5, noise_every: 5, schedule: {min: 6, max: 15}}\n";

/* Twins under one theta, as nothing is trained, stay the same to the last bit: they share all that is
 * drawn. */
Test(gradients, twins_differ_in_theta_alone) {
    static const char *const estimators[] = {"estimator.name=es", "estimator.name=tes", "estimator.name=pes",
                                             "estimator.name=nres", "estimator.name=gpes"};
    static const char *const meta_losses[] = {"estimator.meta_loss=train",       "estimator.meta_loss=same_data",
                                              "estimator.meta_loss=fresh_train", "estimator.meta_loss=inner_valid",
                                              "estimator.meta_loss=outer_valid", "estimator.meta_loss=test"};
    task *held = hold_images();
    for (size_t i = 0; i < 5 * 6; i++) {
        const char *sets[] = {estimators[i % 5], meta_losses[i / 5],
                              i % 5 ? "estimator.reduction=mean" : "estimator.reduction=last_fresh"};
        setup s;
        mt_particle p;
        mt_report r;
        lopt_error err;
        int seen = 0;
        open(&s, tasks_with_noise, sets, 3, 0);
        cr_assert(mt_particle_open(&p, 3, &s.unroller.sampler.sizes, &err));
        for (int window = 0; window < 12; window++) {
            mt_unroll_window(&s.unroller, &p, window, &r, NULL);
            for (int k = 0; k < r.n_segments; k++) {
                const mt_segment *g = &r.segment[k];
                seen |= 1 << g->task;
                cr_assert(g->sum[0] == g->sum[1], "%s, %s, task %d: %.17g and %.17g", sets[0], sets[1], (int)g->task,
                          g->sum[0], g->sum[1]);
            }
        }
        cr_assert(seen == 7, "tasks seen: %d", seen);
        mt_particle_close(&p);
        shut(&s);
    }
    task_destroy(held);
}

/* ---- what judges an inner step --------------------------------------------------------------- */

static const char images[] = "seed: 13\n"
                             "optimizer: {name: small-fc, hidden_size: 3, step_mult: 0.5}\n"
                             "tasks: [{task: image_mlp, image_size: 4, batch_size: 40, hidden: [4]}]\n"
                             "estimator: {name: nres, window: 1, schedule: {name: constant, max: 9}}\n";

/* A particle's first step by hand, of a theta that nothing perturbs; its batches. */
static float first_step(setup *s, const mt_particle *p, mt_meta_loss kind, int error) {
    static const task_split split[] = {[MT_LOSS_FRESH_TRAIN] = TASK_TRAIN,
                                       [MT_LOSS_INNER_VALID] = TASK_INNER_VALID,
                                       [MT_LOSS_OUTER_VALID] = TASK_OUTER_VALID,
                                       [MT_LOSS_TEST] = TASK_TEST};
    lopt_error err;
    task *t = task_create(&s->cfg->tasks[0].spec, &err);
    void *work = aligned_alloc(64, (t->work_bytes + 127) / 64 * 64);
    float *params = calloc(t->n_params, sizeof *params), *grads = calloc(t->n_params, sizeof *grads);
    lopt_state *state = lopt_state_create(s->opt, t->tensors, t->n_tensors, &err);
    lopt_optimizer *opt = lopt_clone(s->opt);
    lopt_rng_stream r;
    uint64_t number = (uint64_t)p->at.number;
    lopt_set_theta(opt, s->unroller.theta);
    lopt_state_reset(opt, state, 9);
    lopt_rng_open_stream(&r, (lopt_rng_address){13, LOPT_RNG_INIT, number, 0, 0});
    task_initial_params(t, NULL, &r, params);
    lopt_rng_open_stream(&r, (lopt_rng_address){13, LOPT_RNG_BATCH, number, 0, 0});
    task_draw_batch(t, NULL, TASK_TRAIN, &r, work);
    float before = error ? 1 - task_compute_accuracy(t, NULL, work, params) : 0;
    float loss = task_compute_loss(t, NULL, work, params, grads);
    lopt_step(opt, state, params, grads, loss, NULL);
    if (kind > MT_LOSS_SAME_DATA) {
        lopt_rng_open_stream(&r, (lopt_rng_address){13, LOPT_RNG_META_BATCH, number, 0, 1});
        task_draw_batch(t, NULL, split[kind], &r, work);
    }
    float value = kind == MT_LOSS_TRAIN ? (error ? before : loss)
                  : error               ? 1 - task_compute_accuracy(t, NULL, work, params)
                                        : task_compute_loss(t, NULL, work, params, NULL);
    lopt_state_destroy(state);
    lopt_destroy(opt);
    task_destroy(t);
    free(work);
    free(params);
    free(grads);
    return value;
}

Test(gradients, meta_losses) {
    static const char *const names[] = {"train", "same_data", "fresh_train", "inner_valid", "outer_valid", "test"};
    float seen[12];
    task *held = hold_images();
    for (int i = 0; i < 12; i++) {
        char meta_loss[64];
        snprintf(meta_loss, sizeof meta_loss, "estimator.meta_loss=%s", names[i / 2]);
        const char *sets[] = {meta_loss, i % 2 ? "estimator.meta_value=error" : "estimator.meta_value=loss"};
        setup s;
        mt_particle p;
        mt_report r;
        lopt_error err;
        open(&s, images, sets, 2, 0);
        cr_assert(mt_particle_open(&p, 1, &s.unroller.sampler.sizes, &err));
        mt_unroll_window(&s.unroller, &p, 0, &r, NULL);
        seen[i] = first_step(&s, &p, s.cfg->estimator.meta_loss, i % 2);
        cr_assert(r.segment[0].sum[0] == (double)seen[i], "%s, %s: %g, by hand %g", sets[0], sets[1],
                  r.segment[0].sum[0], (double)seen[i]);
        for (int k = i % 2; k < i; k += 2)
            cr_assert(i % 2 || seen[k] != seen[i], "%s is as %s", names[k / 2], names[i / 2]);
        mt_particle_close(&p);
        shut(&s);
    }
    task_destroy(held);
}

/* Quadratics have no classes. */
Test(gradients, errors_need_classes) {
    lopt_error err;
    const char *sets[] = {"estimator.meta_value=error"};
    mt_config *cfg = mt_config_parse(quadratic, "quadratic.yaml", sets, 1, &err);
    lopt_optimizer *opt = mt_optimizer_create(&cfg->optimizer, "text", &err);
    unsigned char one = 1;
    mt_unroller u;
    cr_assert(!mt_unroller_open(&u, cfg, opt, &one, &err));
    cr_assert(strcmp(err.text, "quadratic.yaml: estimator.meta_value: found error, expected loss, as "
                               "quadratic dim 100 has no classes") == 0,
              "%s", err.text);
    lopt_destroy(opt);
    mt_config_free(cfg);
}
