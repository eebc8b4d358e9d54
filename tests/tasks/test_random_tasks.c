/* SPDX-License-Identifier: Apache-2.0
 *
 * test_random_tasks.c - random members of every parametric family, with VeLO's augmentations, on several data
 * sets: each is created, trained for three steps of Adam and destroyed.
 *
 *     RANDOM_TASKS=50000 build/asan/test_random_tasks         so many, in place of the default
 *     RANDOM_TASKS_FROM=1234 RANDOM_TASKS=1 ...               sample 1234 alone, which a message named
 *
 * Sample k is a pure function of k. Buffers are exactly as long as task.h says, so that the address sanitizer sees
 * what lies beyond; the training is made twice, with other rubbish in the buffers, and must give the same bits. A
 * sample that takes a minute counts as hanging. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "augment/augment.h"
#include "base/draws.h"
#include "data/text.h"
#include "task.h"

/* No transformer that the family draws is as cheap as the others. */
static double max_flops(const task_spec *spec) {
    return strstr(spec->task, "transformer") ? 5e8 : 2e7;
}

enum { STEPS = 3, DEFAULT_TASKS = 30, MAX_SECONDS = 60 };

typedef struct outcome {
    float loss[STEPS + 1], alone[STEPS + 1], accuracy; /* alone: without gradient; accuracy: at the end */
} outcome;

typedef const task_text *texts[4];

/* Held, so that not every draw opens them anew. */
static void open_texts(texts held) {
    for (int i = 0; i < 4; i++) {
        lopt_error err;
        held[i] = task_text_open(i / 2 ? "wikipedia" : "lm1b", "", i % 2 ? 259 : 32100, &err);
        cr_assert(held[i], "%s", err.text);
    }
}

static long number(const char *variable, long otherwise) {
    const char *text = getenv(variable);
    return text ? strtol(text, NULL, 10) : otherwise;
}

static void *room(size_t bytes, int rubbish) {
    void *p = NULL;
    cr_assert(posix_memalign(&p, 64, bytes > 0 ? bytes : 1) == 0);
    return memset(p, rubbish, bytes);
}

/* Images have few examples, as each size of them is made anew; which text it is the family draws. */
static int draw_spec(task_spec *spec, lopt_rng_stream *r, lopt_error *err) {
    static const char *const images[] = {"gaussians examples=200 size=9", "gaussians examples=200 channels=3 classes=7",
                                         "gaussians examples=200 classes=2"};
    int n = 0;
    while (task_family_at((size_t)n)) n++;
    *spec = task_spec_default();
    snprintf(spec->task, sizeof spec->task, "%s", task_family_at((size_t)task_draw_choice(r, n))->name);
    int set = task_draw_choice(r, 60); /* 0: Fashion-MNIST, read and resized anew */
    if (set > 0 && !strstr(spec->task, "_lm_")) snprintf(spec->dataset, sizeof spec->dataset, "%s", images[set % 3]);
    task_draw_augmentations(spec, r);
    return task_family_sample(spec, r, max_flops(spec), err);
}

static void check_sizes(const task *t, double most_flops) {
    size_t n = 0;
    for (size_t i = 0; i < t->n_tensors; i++) {
        int64_t size = lopt_tensor_size(&t->tensors[i]);
        cr_assert(size > 0 && t->tensors[i].name[0]);
        n += (size_t)size;
    }
    cr_assert(n == t->n_params && n > 0, "%s: %zu numbers in tensors, n_params %zu", t->name, n, t->n_params);
    cr_assert(t->work_bytes > 0 && t->work_bytes % 64 == 0, "%s: work_bytes %zu", t->name, t->work_bytes);
    cr_assert(t->flops_per_step > 0 && t->flops_per_step <= most_flops, "%s: %g FLOP", t->name, t->flops_per_step);
    cr_assert(memchr(t->name, 0, sizeof t->name) && t->name[0]);
}

static outcome train(const task *t, const lopt_optimizer *adam, long k, int rubbish) {
    lopt_error err;
    lopt_state *state = lopt_state_create(adam, t->tensors, t->n_tensors, &err);
    cr_assert(state, "%s", err.text);
    lopt_state_reset(adam, state, STEPS);
    float *tau = room(t->n_tau * sizeof *tau, rubbish), *grads = room(t->n_params * sizeof *grads, rubbish);
    float *params = room((t->n_params + t->n_aux) * sizeof *params, rubbish);
    void *work = room(t->work_bytes, rubbish);
    lopt_rng_stream r;
    outcome out = {.accuracy = 0};
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TEST, (uint64_t)k, 1, 0});
    task_sample_tau(t, &r, tau);
    task_initial_params(t, tau, &r, params);
    for (int s = 0; s <= STEPS; s++) {
        task_draw_batch(t, tau, s < STEPS ? TASK_TRAIN : TASK_TEST, &r, work);
        out.alone[s] = task_compute_loss(t, tau, work, params, NULL);
        out.loss[s] = task_compute_loss(t, tau, work, params, grads);
        lopt_step(adam, state, params, grads, out.loss[s], NULL);
        task_after_step(t, tau, params);
    }
    out.accuracy = task_has_accuracy(t) ? task_compute_accuracy(t, tau, work, params) : 0;
    lopt_state_destroy(state);
    free(tau), free(grads), free(params), free(work);
    return out;
}

static void check_normalised(const task *t, long k, float loss) {
    float y = task_normalise_loss(t, loss);
    if (!isfinite(t->loss_bound)) return;
    cr_assert(isfinite(y) && (double)y <= t->loss_bound, "sample %ld, %s: loss %g becomes %g, bound %g", k, t->name,
              (double)loss, (double)y, t->loss_bound);
}

/* 0 where the family has nothing so cheap. */
static int try_sample(const lopt_optimizer *adam, long k) {
    lopt_rng_stream r;
    lopt_error err;
    task_spec spec;
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TEST, (uint64_t)k, 0, 0});
    if (!draw_spec(&spec, &r, &err)) {
        cr_assert(strstr(err.text, "none of 512 draws"), "sample %ld, %s: %s", k, spec.task, err.text);
        return 0;
    }
    task *t = task_create(&spec, &err);
    cr_assert(t, "sample %ld, %s: %s", k, spec.task, err.text);
    check_sizes(t, max_flops(&spec));
    outcome a = train(t, adam, k, 0x5a), b = train(t, adam, k, 0xff);
    cr_assert(!memcmp(&a, &b, sizeof a), "sample %ld, %s: again it is another training", k, t->name);
    cr_assert(!memcmp(a.loss, a.alone, sizeof a.loss), "sample %ld, %s: the loss is another without gradient", k,
              t->name);
    cr_assert(a.accuracy >= 0 && a.accuracy <= 1, "sample %ld, %s: accuracy %g", k, t->name, (double)a.accuracy);
    for (int s = 0; s <= STEPS; s++) check_normalised(t, k, a.loss[s]);
    check_normalised(t, k, INFINITY);
    check_normalised(t, k, NAN);
    task_destroy(t);
    return 1;
}

Test(random_tasks, train_and_end) {
    lopt_error err;
    lopt_optimizer *adam = lopt_create("adam", NULL, 0, &err);
    cr_assert(adam, "%s", err.text);
    texts held;
    open_texts(held);
    long from = number("RANDOM_TASKS_FROM", 0), n = number("RANDOM_TASKS", DEFAULT_TASKS), made = 0;
    for (long k = from; k < from + n; k++) {
        alarm(MAX_SECONDS);
        made += try_sample(adam, k);
    }
    alarm(0);
    fprintf(stderr, "random tasks: %ld of %ld were cheap enough and trained\n", made, n);
    cr_assert(n == 1 || made > n / 2, "%ld of %ld", made, n);
    for (int i = 0; i < 4; i++) task_text_close(held[i]);
    lopt_destroy(adam);
}
