/* SPDX-License-Identifier: Apache-2.0
 *
 * task_sampler.c - see task_sampler.h. */
#include "es/task_sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "augment/augment.h"
#include "base/error.h"

/* ---- draws --------------------------------------------------------------------------------- */

/* Log-uniform in the range, or what there is where the range is [0, 0]; draws in any case. */
static int log_integer(const int range[2], int otherwise, lopt_rng_stream *r) {
    double u = lopt_rng_draw_uniform(r);
    if (range[1] == 0) return otherwise;
    double low = log(range[0]), value = floor(exp(low + u * (log(range[1]) - low)));
    return (int)fmin(fmax(value, range[0]), range[1]);
}

static void set_layers(task_spec *spec, int layers, int width) {
    spec->n_hidden = layers;
    for (int i = 0; i < layers; i++) spec->hidden[i] = width;
}

static task_spec draw_sizes(const mt_task_config *t, lopt_rng_stream *r) {
    task_spec spec = t->spec;
    spec.batch_size = log_integer(t->sample.batch_size, spec.batch_size, r);
    spec.image_size = log_integer(t->sample.image_size, spec.image_size, r);
    spec.dim = log_integer(t->sample.dim, spec.dim, r);
    int width = log_integer(t->sample.hidden, 0, r), least = t->sample.layers[0];
    int choices = t->sample.layers[1] - least + 1;
    if (t->sample.hidden[1] > 0) set_layers(&spec, least + (int)lopt_rng_draw_below(r, (uint64_t)choices), width);
    return spec;
}

static lopt_rng_stream structure_stream(const mt_config *cfg, int64_t entry, int64_t particle, int64_t structure) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){cfg->seed, LOPT_RNG_STRUCTURE, (uint64_t)particle, (uint64_t)structure,
                                                (uint64_t)entry});
    return r;
}

task_spec mt_draw_structure(const mt_config *cfg, int64_t entry, int64_t particle, int64_t structure) {
    lopt_rng_stream r = structure_stream(cfg, entry, particle, structure);
    return draw_sizes(&cfg->tasks[entry], &r);
}

/* ---- families ------------------------------------------------------------------------------ */

static void close_instance(mt_task_instance *f) {
    for (int twin = 0; twin < 2; twin++) lopt_state_destroy(f->state[twin]);
    task_destroy(f->task);
    *f = (mt_task_instance){0};
}

/* The optimizer's states on f->task. */
static int open_states(mt_task_instance *f, const mt_task_sampler *m, lopt_error *err) {
    if (m->cfg->estimator.meta_value == MT_VALUE_ERROR && !task_has_accuracy(f->task))
        return mt_error(err, LOPT_EARG,
                        "%s: estimator.meta_value: found error, expected loss, as %s has no "
                        "classes",
                        m->cfg->file, f->task->name);
    for (int twin = 0; twin < 2; twin++) {
        f->state[twin] = lopt_state_create(m->optimizer[twin], f->task->tensors, f->task->n_tensors, err);
        if (!f->state[twin]) return 0;
    }
    return 1;
}

static int open_instance(mt_task_instance *f, const mt_task_sampler *m, const task_spec *spec, lopt_error *err) {
    *f = (mt_task_instance){.task = task_create(spec, err)};
    return f->task && open_states(f, m, err);
}

static size_t larger_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Numbers a particle keeps for a twin beside the optimizer's state. */
static size_t kept_by(const task *t) {
    return t->n_params + t->n_aux;
}

static void make_room(mt_task_sampler *m, const mt_task_instance *f) {
    size_t state_bytes;
    lopt_state_data(f->state[0], &state_bytes);
    m->sizes.n_tau = larger_size(m->sizes.n_tau, f->task->n_tau);
    m->sizes.n_params = larger_size(m->sizes.n_params, kept_by(f->task));
    m->sizes.state_bytes = larger_size(m->sizes.state_bytes, state_bytes);
    m->work_bytes = larger_size(m->work_bytes, f->task->work_bytes);
}

static int make_work(mt_task_sampler *m, size_t bytes, lopt_error *err) {
    if (m->work && bytes <= m->work_bytes) return 1;
    free(m->work);
    m->work_bytes = bytes;
    m->work = aligned_alloc(64, (bytes + 127) / 64 * 64);
    return m->work ? 1 : mt_error(err, LOPT_ENOMEM, "out of memory for the %zu bytes of a task", bytes);
}

/* Particles have memory for max_params numbers in 64 vectors, which no optimizer here factorises. */
static int make_room_for_bound(mt_task_sampler *m, const mt_task_config *t, lopt_error *err) {
    enum { TENSORS = 64 };
    lopt_tensor tensors[TENSORS];
    int64_t each = ((int64_t)t->sample.max_params + TENSORS - 1) / TENSORS;
    for (int i = 0; i < TENSORS; i++) tensors[i] = lopt_tensor_make("bound", 1, &each);
    lopt_state *state = lopt_state_create(m->optimizer[0], tensors, TENSORS, err);
    if (!state) return 0;
    size_t state_bytes, n = (size_t)t->sample.max_params;
    lopt_state_data(state, &state_bytes);
    lopt_state_destroy(state);
    m->sizes.n_tau = larger_size(m->sizes.n_tau, n);
    m->sizes.n_params = larger_size(m->sizes.n_params, n);
    m->sizes.state_bytes = larger_size(m->sizes.state_bytes, state_bytes);
    return 1;
}

/* Sizes grow with every range but that of the depth: without hidden layers a network may be larger
 * than with narrow ones. One task is open while the next is made, so that they share their data. */
static int make_room_for_largest(mt_task_sampler *m, const mt_task_config *t, lopt_error *err) {
    task_spec spec = t->spec;
    mt_task_instance f, before = {0};
    int by_depth = t->sample.hidden[1] > 0, ok = 1;
    spec.batch_size = t->sample.batch_size[1] ? t->sample.batch_size[1] : spec.batch_size;
    spec.image_size = t->sample.image_size[1] ? t->sample.image_size[1] : spec.image_size;
    spec.dim = t->sample.dim[1] ? t->sample.dim[1] : spec.dim;
    int most = by_depth ? t->sample.layers[1] : 0;
    for (int layers = by_depth ? t->sample.layers[0] : 0; ok && layers <= most; layers++) {
        if (by_depth) set_layers(&spec, layers, t->sample.hidden[1]);
        ok = open_instance(&f, m, &spec, err);
        if (ok) make_room(m, &f);
        close_instance(&before);
        before = f;
    }
    close_instance(&before);
    return ok;
}

int mt_sampler_open(mt_task_sampler *m, const mt_config *cfg, lopt_optimizer *const optimizer[2], lopt_error *err) {
    *m = (mt_task_sampler){.cfg = cfg, .optimizer = {optimizer[0], optimizer[1]}};
    int ok = 1;
    for (int i = 0; ok && i < cfg->n_tasks; i++) {
        const mt_task_config *t = &cfg->tasks[i];
        if (mt_is_sampled(t)) {
            ok = mt_is_bounded(t) ? make_room_for_bound(m, t, err) : make_room_for_largest(m, t, err);
            continue;
        }
        ok = open_instance(&m->fixed[i], m, &cfg->tasks[i].spec, err);
        if (ok) make_room(m, &m->fixed[i]);
    }
    if (ok) ok = make_work(m, m->work_bytes, err);
    if (!ok) mt_sampler_close(m);
    return ok;
}

void mt_sampler_close(mt_task_sampler *m) {
    for (int i = 0; i < MT_MAX_TASKS; i++) close_instance(&m->fixed[i]);
    for (size_t i = 0; i < m->n_sampled; i++) close_instance(&m->sampled[i]);
    free(m->sampled);
    free(m->work);
    *m = (mt_task_sampler){0};
}

/* ---- sampled structures -------------------------------------------------------------------- */

static mt_task_instance *find_instance(mt_task_sampler *m, int64_t particle, int64_t entry) {
    for (size_t i = 0; i < m->n_sampled; i++)
        if (m->sampled[i].task && m->sampled[i].particle == particle && m->sampled[i].entry == entry)
            return &m->sampled[i];
    return NULL;
}

mt_task_instance *mt_sampler_instance(mt_task_sampler *m, const mt_particle *p) {
    mt_task_instance *fixed = &m->fixed[p->at.task];
    return fixed->task ? fixed : find_instance(m, p->at.number, p->at.task);
}

static mt_task_instance *add_instance(mt_task_sampler *m, lopt_error *err) {
    for (size_t i = 0; i < m->n_sampled; i++)
        if (!m->sampled[i].task) return &m->sampled[i];
    mt_task_instance *more = realloc(m->sampled, (m->n_sampled + 1) * sizeof *more);
    if (!more) {
        mt_error(err, LOPT_ENOMEM, "out of memory for %zu sampled tasks", m->n_sampled + 1);
        return NULL;
    }
    m->sampled = more;
    more[m->n_sampled] = (mt_task_instance){0};
    return &more[m->n_sampled++];
}

void mt_sampler_forget(mt_task_sampler *m, int64_t particle) {
    for (size_t i = 0; i < m->n_sampled; i++)
        if (m->sampled[i].particle == particle) close_instance(&m->sampled[i]);
}

static int has_room(const mt_task_sampler *m, const mt_task_instance *f) {
    size_t state_bytes;
    lopt_state_data(f->state[0], &state_bytes);
    return f->task->n_tau <= m->sizes.n_tau && kept_by(f->task) <= m->sizes.n_params &&
           state_bytes <= m->sizes.state_bytes;
}

/* Particles were made for the largest structure; an optimizer whose state is not largest there must not
 * write past them. */
static int check_room(const mt_task_sampler *m, const mt_task_instance *f, lopt_error *err) {
    if (has_room(m, f) && f->task->work_bytes <= m->work_bytes) return 1;
    return mt_error(err, LOPT_EARG,
                    "%s: tasks: the sampled %s needs more memory than the largest structure of its "
                    "ranges",
                    m->cfg->file, f->task->name);
}

static int is_within(const task *t, const mt_task_config *entry) {
    double most = entry->sample.max_params;
    return t->flops_per_step <= entry->sample.max_flops && (double)kept_by(t) <= most && (double)t->n_tau <= most;
}

/* The first draw within the bounds: the same on every rank, as nothing but the configuration decides. */
static int open_within_bounds(mt_task_instance *f, mt_task_sampler *m, const mt_task_config *t, lopt_rng_stream *r,
                              lopt_error *err) {
    enum { DRAWS = 512 };
    for (int i = 0; i < DRAWS; i++) {
        task_spec spec = draw_sizes(t, r);
        if (t->sample.family && !task_family_sample(&spec, r, 0, err)) return 0;
        if (t->sample.augment == MT_AUGMENT_VELO) task_draw_augmentations(&spec, r);
        lopt_error why = {LOPT_OK, ""};
        *f = (mt_task_instance){.task = task_create(&spec, &why)};
        if (!f->task && why.status == LOPT_ESHAPE) /* too large for any bound */
            continue;
        if (!f->task) return mt_error(err, why.status, "%s", why.text);
        int fits = is_within(f->task, t);
        if (fits && !open_states(f, m, err)) return 0;
        if (fits && has_room(m, f)) return make_work(m, f->task->work_bytes, err);
        close_instance(f);
    }
    return mt_error(err, LOPT_EARG,
                    "%s: tasks: %s: %d draws, none of at most %g FLOP a step (sample.max_flops) and %g "
                    "parameters (sample.max_params)",
                    m->cfg->file, t->spec.task, DRAWS, t->sample.max_flops, t->sample.max_params);
}

static int open_structure(mt_task_instance *f, mt_task_sampler *m, int64_t entry, int64_t particle, int64_t structure,
                          lopt_error *err) {
    const mt_task_config *t = &m->cfg->tasks[entry];
    lopt_rng_stream r = structure_stream(m->cfg, entry, particle, structure);
    if (mt_is_bounded(t)) return open_within_bounds(f, m, t, &r, err);
    task_spec spec = draw_sizes(t, &r);
    return open_instance(f, m, &spec, err) && check_room(m, f, err);
}

static int bring_up_to_date(mt_task_sampler *m, const mt_particle *p, int64_t entry, lopt_error *err) {
    int64_t number = p->at.number, structure = p->at.structure;
    mt_task_instance *f = find_instance(m, number, entry);
    if (f && f->structure == structure) return 1;
    if (!f && !(f = add_instance(m, err))) return 0;
    close_instance(f);
    if (!open_structure(f, m, entry, number, structure, err)) {
        close_instance(f);
        return 0;
    }
    f->particle = number;
    f->entry = entry;
    f->structure = structure;
    return 1;
}

/* A window sees the current trajectory and the next; a particle's first, which may be short, and the
 * two that follow it. */
int mt_sampler_prepare(mt_task_sampler *m, mt_particle *p, int64_t outer_step, lopt_error *err) {
    mt_renew_structure(m->cfg, &p->at, outer_step);
    int64_t first = p->at.trajectory, last = first < 1 ? first + 2 : first + 1;
    for (int64_t t = first < 0 ? 0 : first; t <= last; t++) {
        int64_t entry = t == first ? p->at.task : mt_next_task(m->cfg, p->at.number, t);
        if (mt_is_sampled(&m->cfg->tasks[entry]) && !bring_up_to_date(m, p, entry, err)) return 0;
    }
    return 1;
}
