/* SPDX-License-Identifier: Apache-2.0
 *
 * task_check.h - the gradient of a task against signed finite differences, in double.
 *
 *     check_task(&spec);      parameters near those that the task starts with, one batch
 *     probe p = start(&spec);  ...  stop(&p);      the same to look into
 *     check_names("Conv_", 11, named, shrink);     every published name that begins so, made small
 *     check_family("image_conv_family", named, shrink);    50 structures that a family draws, made small */
#ifndef TASK_CHECK_H
#define TASK_CHECK_H

#include "gradient_check.h"

typedef struct probe {
    task *t;
    real *tau, *params, *grads;
    void *work;
    lopt_rng_stream r;
} probe;

static inline probe start(const task_spec *spec) {
    lopt_error err = {LOPT_OK, ""};
    probe p = {.t = task_create(spec, &err)};
    cr_assert(p.t != NULL, "%s", err.text);
    size_t bytes = p.t->n_params * sizeof(real);
    p.tau = aligned((p.t->n_tau + 1) * sizeof(real));
    p.params = aligned(bytes), p.grads = aligned(bytes);
    p.work = aligned(p.t->work_bytes);
    lopt_rng_open_stream(&p.r, (lopt_rng_address){3, LOPT_RNG_TEST, 1, 0, 0});
    task_sample_tau(p.t, &p.r, p.tau);
    task_initial_params(p.t, p.tau, &p.r, p.params);
    for (size_t i = 0; i < p.t->n_params; i++) { /* away from zero biases */
        p.params[i] += 0.1 * fabs(p.params[i]) + 0.02 * lopt_rng_draw_normal(&p.r);
    }
    task_draw_batch(p.t, p.tau, TASK_TRAIN, &p.r, p.work);
    return p;
}

static inline void stop(probe *p) {
    task_destroy(p->t);
    free(p->tau), free(p->params), free(p->grads), free(p->work);
}

static inline real loss_of(void *self, const real *params, real *grads) {
    probe *p = self;
    return task_compute_loss(p->t, p->tau, p->work, params, grads);
}

static inline void check_task(const task_spec *spec) {
    probe p = start(spec);
    /* A mixer's bias of a position is the same for all channels, and every norm takes it away. */
    int may_be_zero = !strncmp(p.t->name, "mlp_mixer", 9);
    gradient_check c = {p.t->name, p.t->tensors, p.t->n_tensors, p.params, loss_of, &p, may_be_zero};
    check_gradient(&c, &p.r);
    stop(&p);
}

/* named gives the spec of a name; shrink makes a resolved one small. */
static inline void check_names(const char *prefix, int expected, task_spec (*named)(const char *name),
                               void (*shrink)(task_spec *spec)) {
    int n = 0;
    const task_info *info;
    for (size_t i = 0; (info = task_name_at(i)); i++) {
        if (strncmp(info->name, prefix, strlen(prefix)) != 0) continue;
        task_spec spec = named(info->name);
        lopt_error err;
        cr_assert(task_spec_resolve(&spec, &err), "%s", err.text);
        shrink(&spec);
        check_task(&spec);
        n++;
    }
    cr_assert(n == expected, "%d names begin with %s", n, prefix);
}

static inline void check_family(const char *name, task_spec (*named)(const char *name),
                                void (*shrink)(task_spec *spec)) {
    for (int i = 0; i < 50; i++) {
        task_spec spec = named(name);
        lopt_rng_stream r;
        lopt_error err;
        lopt_rng_open_stream(&r, (lopt_rng_address){4, LOPT_RNG_TEST, (uint64_t)i, 0, 0});
        cr_assert(task_family_sample(&spec, &r, 0, &err), "%s", err.text);
        shrink(&spec);
        check_task(&spec);
    }
}

#endif
