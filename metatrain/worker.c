/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c - what every rank does: hold particles, unroll windows, report, save. See run.h. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "commands.h"
#include "run.h"
#include "theta_file.h"

/* ---- set-up -------------------------------------------------------------------------------- */

/* Copies every block of a theta file into run->theta by name; blocks it lacks keep their random
 * start. */
static int start_from_file(mt_run *run, lopt_error *err) {
    mt_theta *file = mt_theta_read(run->cfg->init, err);
    if (!file)
        return 0;
    int ok = 1;
    size_t found = 0;
    for (size_t i = 0; ok && i < lopt_n_blocks(run->optimizer); i++) {
        const lopt_block *to = lopt_block_at(run->optimizer, i),
                         *from = lopt_block_find(file->optimizer, to->name);
        if (!from)
            continue;
        found++;
        if (from->size != to->size || from->rank != to->rank ||
            memcmp(from->dim, to->dim, sizeof(int64_t) * (size_t)to->rank))
            ok = mt_error(err, LOPT_EARG,
                          "%s: optimizer.init: block %s of %s has another shape than %s of this "
                          "configuration",
                          run->cfg->file, from->name, run->cfg->init,
                          lopt_info(run->optimizer)->name);
        else
            memcpy(run->theta + to->offset, lopt_theta(file->optimizer) + from->offset,
                   to->size * sizeof(float));
    }
    if (ok && !found)
        ok = mt_error(err, LOPT_EARG, "%s: optimizer.init: %s (%s) has no block of %s",
                      run->cfg->file, run->cfg->init, lopt_info(file->optimizer)->name,
                      lopt_info(run->optimizer)->name);
    mt_theta_free(file);
    return ok;
}

/* trained[i] = 0 where a pattern of optimizer.freeze matches the block's name. */
static int mark_frozen(mt_run *run, lopt_error *err) {
    for (size_t i = 0; i < lopt_n_theta(run->optimizer); i++)
        run->trained[i] = 1;
    for (int k = 0; k < run->cfg->n_freeze; k++) {
        int found = 0;
        for (size_t i = 0; i < lopt_n_blocks(run->optimizer); i++) {
            const lopt_block *b = lopt_block_at(run->optimizer, i);
            if (fnmatch(run->cfg->freeze[k], b->name, 0))
                continue;
            found = 1;
            for (size_t j = 0; j < b->size; j++)
                run->trained[b->offset + j] = 0;
        }
        if (!found)
            return mt_error(err, LOPT_EARG, "%s: optimizer.freeze: no block of %s matches \"%s\"",
                            run->cfg->file, lopt_info(run->optimizer)->name, run->cfg->freeze[k]);
    }
    return 1;
}

static int open_theta(mt_run *run, int resumed, lopt_error *err) {
    run->optimizer = mt_optimizer_create(&run->cfg->optimizer, run->cfg->file, err);
    if (!run->optimizer)
        return 0;
    size_t n = lopt_n_theta(run->optimizer);
    if (n == 0)
        return mt_error(err, LOPT_EARG,
                        "%s: optimizer.name: %s has no theta to meta-train; `metatrain list "
                        "optimizers` shows those that have",
                        run->cfg->file, run->cfg->optimizer.name);
    run->theta = malloc(n * sizeof(float));
    run->trained = malloc(n * sizeof(float));
    if (!run->theta || !run->trained)
        return mt_error(err, LOPT_ENOMEM, "out of memory for a theta of %zu numbers", n);
    lopt_init_theta(run->optimizer, run->cfg->seed, run->theta);
    return mark_frozen(run, err) &&
           (resumed || run->cfg->init[0] == 0 || start_from_file(run, err));
}

static int open_particles(mt_run *run, lopt_error *err) {
    int64_t all = run->cfg->particles, size = run->comm.size, rank = run->comm.rank;
    int64_t here = rank < all ? (all - rank + size - 1) / size : 0;
    run->particle = calloc((size_t)here + 1, sizeof *run->particle);
    run->report_here = calloc((size_t)here + 1, sizeof *run->report_here);
    if (!run->particle || !run->report_here)
        return mt_error(err, LOPT_ENOMEM, "out of memory for %lld particles", (long long)here);
    for (; run->n_here < here; run->n_here++)
        if (!mt_particle_open(&run->particle[run->n_here], rank + run->n_here * size,
                              &run->unroller.sizes, err))
            return 0;
    return 1;
}

static int open_coordinator(mt_run *run, lopt_error *err) {
    run->report = calloc((size_t)run->cfg->particles, sizeof *run->report);
    if (!run->report)
        return mt_error(err, LOPT_ENOMEM, "out of memory for %lld reports",
                        (long long)run->cfg->particles);
    return mt_estimator_open(&run->estimator, run->unroller.rule, run->unroller.noise,
                             run->cfg->particles, err) &&
           mt_outer_open(&run->outer, run->cfg, run->trained, lopt_n_theta(run->optimizer), err);
}

int mt_run_open(mt_run *run, int resumed, lopt_error *err) {
    return open_theta(run, resumed, err) &&
           mt_unroller_open(&run->unroller, run->cfg, run->optimizer, run->trained, err) &&
           open_particles(run, err) && (run->comm.rank > 0 || open_coordinator(run, err));
}

void mt_run_close(mt_run *run) {
    mt_metrics_close(run->metrics);
    mt_event_file_close(run->events);
    mt_outer_close(&run->outer);
    mt_estimator_close(&run->estimator);
    for (int64_t i = 0; i < run->n_here; i++)
        mt_particle_close(&run->particle[i]);
    mt_unroller_close(&run->unroller);
    lopt_destroy(run->optimizer);
    free(run->report);
    free(run->report_here);
    free(run->particle);
    free(run->theta);
    free(run->trained);
    mt_config_free(run->cfg);
}

/* ---- particles ----------------------------------------------------------------------------- */

void mt_run_windows(mt_run *run, int64_t window) {
    mt_unroller_set_theta(&run->unroller, run->theta);
    for (int64_t i = 0; i < run->n_here; i++)
        mt_unroll_window(&run->unroller, &run->particle[i], window, &run->report_here[i]);
}

typedef int (*transfer)(mt_run *run, int64_t step, const mt_item *items, size_t n, lopt_error *err);

/* Names the memory of all particles here and hands it to `move`. */
static int move_particles(mt_run *run, int64_t step, transfer move, lopt_error *err) {
    size_t n = (size_t)run->n_here;
    mt_item *items = calloc(n * MT_PARTICLE_ITEMS + 1, sizeof *items);
    char(*names)[MT_PARTICLE_NAME] = calloc(n * MT_PARTICLE_ITEMS + 1, sizeof *names);
    int ok = items && names;
    if (!ok)
        mt_error(err, LOPT_ENOMEM, "out of memory for a checkpoint of %zu particles", n);
    for (size_t i = 0; ok && i < n; i++)
        mt_particle_items(&run->particle[i], &run->unroller.sizes, items + i * MT_PARTICLE_ITEMS,
                          names + i * MT_PARTICLE_ITEMS);
    ok = ok && move(run, step, items, n * MT_PARTICLE_ITEMS, err);
    free(items);
    free(names);
    return ok;
}

static int write_shard(mt_run *run, int64_t step, const mt_item *items, size_t n, lopt_error *err) {
    return mt_checkpoint_write_shard(run->dir, step, run->comm.rank, items, n, err);
}

static int read_particles(mt_run *run, int64_t step, const mt_item *items, size_t n,
                          lopt_error *err) {
    return mt_checkpoint_read_particles(run->dir, step, items, n, err);
}

int mt_run_save_particles(mt_run *run, int64_t step, lopt_error *err) {
    return move_particles(run, step, write_shard, err);
}

/* The file's digest was verified, but its numbers are used as indices and lengths here. */
static int check_counters(const mt_run *run, const mt_particle *p, int64_t number,
                          lopt_error *err) {
    const mt_particle_counters *c = &p->at;
    if (c->number == number && c->task >= 0 && c->task < run->cfg->n_tasks && c->trajectory >= -1 &&
        c->inner_step >= 0 && c->noise >= -1 && c->noise_draws >= 0)
        return 1;
    return mt_error(
        err, LOPT_EARG,
        "%s/checkpoints: the counters of particle %lld make no sense for this configuration",
        run->dir, (long long)number);
}

int mt_run_load_particles(mt_run *run, int64_t step, lopt_error *err) {
    if (!move_particles(run, step, read_particles, err))
        return 0;
    for (int64_t i = 0; i < run->n_here; i++)
        if (!check_counters(run, &run->particle[i], run->comm.rank + i * run->comm.size, err))
            return 0;
    return 1;
}

/* ---- serving the coordinator --------------------------------------------------------------- */

/* A WINDOW message is its number and theta. */
static void serve_window(mt_run *run, const void *message, size_t bytes) {
    int64_t window;
    size_t theta_bytes = lopt_n_theta(run->optimizer) * sizeof(float);
    if (bytes != sizeof window + theta_bytes)
        mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(&window, message, sizeof window);
    memcpy(run->theta, (const char *)message + sizeof window, theta_bytes);
    mt_run_windows(run, window);
    mt_comm_send(&run->comm, 0, MT_TAG_REPORTS, run->report_here,
                 (size_t)run->n_here * sizeof(mt_report));
}

static void serve_save(mt_run *run, const void *message, size_t bytes) {
    int64_t step;
    lopt_error err = {LOPT_OK, ""};
    if (bytes != sizeof step)
        mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(&step, message, sizeof step);
    mt_run_save_particles(run, step, &err);
    mt_comm_send(&run->comm, 0, MT_TAG_SAVED, &err, sizeof err);
}

int mt_work(mt_run *run) {
    for (;;) {
        int tag, status = MT_FAILED;
        size_t bytes;
        void *message = mt_comm_receive(&run->comm, 0, -1, NULL, &tag, &bytes);
        if (tag == MT_TAG_WINDOW)
            serve_window(run, message, bytes);
        if (tag == MT_TAG_SAVE)
            serve_save(run, message, bytes);
        if (tag == MT_TAG_END && bytes == sizeof status)
            memcpy(&status, message, bytes);
        free(message);
        if (tag == MT_TAG_END)
            return status;
    }
}
