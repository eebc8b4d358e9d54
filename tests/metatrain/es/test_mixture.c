/* SPDX-License-Identifier: Apache-2.0
 *
 * test_mixture.c - weights of tasks, sampled structures and when they are renewed. */
#include <criterion/criterion.h>
#include <math.h>

#include "es/task_sampler.h"

#define HEAD                                                                                                           \
    "seed: 4\noptimizer: {name: learnable-sgd}\n"                                                                      \
    "estimator: {window: 5, schedule: {min: 5, max: 9}}\ntasks:\n"

static const char quadratics[] = HEAD "- {task: quadratic, dim: 4, weight: 3}\n"
                                      "- {task: quadratic_family, sample: {dim: [2, 64], every: 10}}\n"
                                      "- {task: quadratic, dim: 5}\n";

static const char images[] = HEAD "- {task: image_mlp, sample: {hidden: [2, 8], layers: [0, 3], batch_size: [1, 16],\n"
                                  "   image_size: [2, 3]}}\n";

typedef struct setup {
    mt_config *cfg;
    lopt_optimizer *twin[2];
    mt_task_sampler mixture;
} setup;

static void open(setup *s, const char *text) {
    lopt_error err;
    s->cfg = mt_config_parse(text, "text", NULL, 0, &err);
    cr_assert(s->cfg, "%s", err.text);
    for (int k = 0; k < 2; k++) s->twin[k] = mt_optimizer_create(&s->cfg->optimizer, "text", &err);
    cr_assert(mt_sampler_open(&s->mixture, s->cfg, s->twin, &err), "%s", err.text);
}

static void shut(setup *s) {
    mt_sampler_close(&s->mixture);
    lopt_destroy(s->twin[0]);
    lopt_destroy(s->twin[1]);
    mt_config_free(s->cfg);
}

Test(mixture, trajectories_draw_tasks_by_weight) {
    setup s;
    open(&s, quadratics);
    int n = 20000, found[3] = {0};
    for (int i = 0; i < n; i++) found[mt_next_task(s.cfg, 0, i)]++;
    cr_assert(abs(found[0] - 12000) < 350 && abs(found[1] - 4000) < 290, "%d, %d, %d", found[0], found[1], found[2]);
    shut(&s);
}

Test(mixture, structures_are_drawn_in_their_ranges) {
    lopt_error err;
    mt_config *q = mt_config_parse(quadratics, "quadratics", NULL, 0, &err),
              *m = mt_config_parse(images, "images", NULL, 0, &err);
    int n = 4000, below = 0, layers[4] = {0}, widest = 0;
    for (int i = 0; i < n; i++) {
        task_spec dims = mt_draw_structure(q, 1, i % 7, i), net = mt_draw_structure(m, 0, i % 7, i);
        cr_assert(dims.dim >= 2 && dims.dim <= 64);
        below += dims.dim < 11; /* log(11/2) / log(64/2) = 0.492 */
        cr_assert(net.batch_size >= 1 && net.batch_size <= 16 && net.image_size >= 2 && net.image_size <= 3 &&
                  net.n_hidden >= 0 && net.n_hidden <= 3);
        layers[net.n_hidden]++;
        for (int k = 0; k < net.n_hidden; k++) {
            cr_assert(net.hidden[k] >= 2 && net.hidden[k] <= 8 && net.hidden[k] == net.hidden[0]);
            widest = net.hidden[k] > widest ? net.hidden[k] : widest;
        }
        task_spec again = mt_draw_structure(m, 0, i % 7, i);
        cr_assert(again.batch_size == net.batch_size && again.n_hidden == net.n_hidden);
    }
    cr_assert(fabs((double)below / n - 0.492) < 0.03, "%d of %d below 11", below, n);
    for (int k = 0; k < 4; k++) cr_assert(abs(layers[k] - n / 4) < 110, "%d layers: %d of %d", k, layers[k], n);
    cr_assert(widest >= 7);
    mt_config_free(q);
    mt_config_free(m);
}

static mt_particle particle_on(setup *s, int64_t number, int64_t entry) {
    mt_particle p;
    lopt_error err;
    cr_assert(mt_particle_open(&p, number, &s->mixture.sizes, &err));
    p.at.trajectory = 0;
    p.at.task = entry;
    p.at.inner_step = 3;
    p.at.length = 9;
    return p;
}

/* A particle keeps a structure for 10 outer steps on average; taking another ends its trajectory. */
Test(mixture, structures_are_renewed) {
    setup s;
    open(&s, quadratics);
    lopt_error err;
    mt_particle p = particle_on(&s, 1, 1);
    int renewed = 0, changed = 0, n = 4000;
    for (int step = 1; step <= n; step++) {
        int64_t before = p.at.structure;
        size_t size = step > 1 ? mt_sampler_instance(&s.mixture, &p)->task->n_params : 0;
        cr_assert(mt_sampler_prepare(&s.mixture, &p, step, &err), "%s", err.text);
        size_t now = mt_sampler_instance(&s.mixture, &p)->task->n_params;
        cr_assert(now == (size_t)mt_draw_structure(s.cfg, 1, 1, p.at.structure).dim);
        if (p.at.structure != before) {
            renewed++;
            changed += now != size;
            cr_assert(p.at.structure == step && p.at.length == p.at.inner_step);
            p.at.length = 9;
        } else
            cr_assert(p.at.length == 9 && (step == 1 || now == size));
    }
    cr_assert(abs(renewed - n / 10) < 100 && changed > renewed / 2, "renewed %d, changed %d", renewed, changed);
    mt_particle_close(&p);
    shut(&s);
}

/* Whatever is drawn fits into a particle. */
Test(mixture, particles_have_room_for_every_structure) {
    setup s;
    open(&s, images);
    lopt_error err;
    for (int64_t i = 0; i < 60; i++) {
        mt_particle p = particle_on(&s, i, 0);
        p.at.structure = i;
        cr_assert(mt_sampler_prepare(&s.mixture, &p, 0, &err), "%s", err.text);
        mt_task_instance *f = mt_sampler_instance(&s.mixture, &p);
        size_t state_bytes;
        lopt_state_data(f->state[0], &state_bytes);
        cr_assert(f->task->n_params <= s.mixture.sizes.n_params && f->task->n_tau <= s.mixture.sizes.n_tau &&
                  f->task->work_bytes <= s.mixture.work_bytes && state_bytes <= s.mixture.sizes.state_bytes);
        mt_particle_close(&p);
    }
    cr_assert(s.mixture.n_sampled == 60);
    shut(&s);
}

static const char families[] = HEAD "- {task: image_mlp_family, dataset: spirals, weight: 2,\n"
                                    "   sample: {max_flops: 300000, max_params: 3000, augment: velo}}\n"
                                    "- {task: quadratic, dim: 5, sample: {augment: velo}}\n";

/* Whatever a family and the augmentations draw costs no more than the bounds and fits into a particle; another
 * rank, which has seen other particles, makes the same of it. */
Test(mixture, families_stay_within_their_bounds) {
    setup s, other;
    open(&s, families);
    open(&other, families);
    lopt_error err;
    int augmented = 0;
    for (int64_t i = 0; i < 80; i++) {
        mt_particle p = particle_on(&s, i, i % 2);
        p.at.structure = i;
        cr_assert(mt_sampler_prepare(&s.mixture, &p, 0, &err), "%s", err.text);
        task *t = mt_sampler_instance(&s.mixture, &p)->task;
        size_t n = t->n_params + t->n_aux;
        cr_assert(t->flops_per_step <= (i % 2 ? 2e7 : 300000) && n <= (i % 2 ? 100000 : 3000));
        cr_assert(n <= s.mixture.sizes.n_params && t->n_tau <= s.mixture.sizes.n_tau &&
                  t->work_bytes <= s.mixture.work_bytes);
        augmented += t->inner != NULL;
        if (i % 5 == 0) {
            cr_assert(mt_sampler_prepare(&other.mixture, &p, 0, &err), "%s", err.text);
            cr_assert_str_eq(mt_sampler_instance(&other.mixture, &p)->task->name, t->name);
            cr_assert_eq(mt_sampler_instance(&other.mixture, &p)->task->n_params, t->n_params);
        }
        mt_particle_close(&p);
    }
    cr_assert(augmented > 50 && augmented < 78, "%d of 80 augmented", augmented);
    shut(&s);
    shut(&other);
}

Test(mixture, bounds_that_nothing_keeps_are_said) {
    setup s;
    open(&s, HEAD "- {task: image_mlp_family, dataset: spirals, sample: {max_flops: 1}}\n");
    lopt_error err;
    mt_particle p = particle_on(&s, 0, 0);
    cr_assert(!mt_sampler_prepare(&s.mixture, &p, 0, &err));
    cr_assert(strstr(err.text, "sample.max_flops"), "%s", err.text);
    mt_particle_close(&p);
    shut(&s);
}
