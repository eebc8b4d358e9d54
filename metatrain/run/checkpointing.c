/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpointing.c - restart points of a run: every rank saves and restores its part. See run.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "run/run.h"
#include "store/checkpoint.h"

/* ---- particles of this rank ---------------------------------------------------------------- */

typedef int (*transfer)(mt_run *run, int64_t step, const mt_item *items, size_t n, lopt_error *err);

/* Names the memory of all particles here and hands it to `move`. */
static int move_particles(mt_run *run, int64_t step, transfer move, lopt_error *err) {
    size_t all = (size_t)run->cfg->particles, n = 0;
    mt_item *items = calloc(all * MT_PARTICLE_ITEMS + 1, sizeof *items);
    char(*names)[MT_PARTICLE_NAME] = calloc(all * MT_PARTICLE_ITEMS + 1, sizeof *names);
    int ok = items && names;
    if (!ok) mt_error(err, LOPT_ENOMEM, "out of memory for a checkpoint of %zu particles", all);
    for (size_t p = 0; ok && p < all; p++)
        if (run->particle[p].memory) {
            mt_particle_items(&run->particle[p], &run->unroller.mixture.sizes, items + n, names + n);
            n += MT_PARTICLE_ITEMS;
        }
    ok = ok && move(run, step, items, n, err);
    free(items);
    free(names);
    return ok;
}

static int write_shard(mt_run *run, int64_t step, const mt_item *items, size_t n, lopt_error *err) {
    return mt_checkpoint_write_shard(run->dir, step, run->save.attempt, run->crew.index[run->comm.rank], items, n, err);
}

static int read_particles(mt_run *run, int64_t step, const mt_item *items, size_t n, lopt_error *err) {
    return mt_checkpoint_read_particles(run->dir, step, items, n, err);
}

int mt_run_save_particles(mt_run *run, lopt_error *err) {
    return move_particles(run, run->save.step, write_shard, err);
}

/* The file's digest was verified, but its numbers are used as indices and lengths here. */
static int check_counters(const mt_run *run, const mt_particle *p, int64_t number, lopt_error *err) {
    const mt_particle_counters *c = &p->at;
    if (c->number == number && c->task >= 0 && c->task < run->cfg->n_tasks && c->trajectory >= -1 &&
        c->inner_step >= 0 && c->noise >= -1 && c->noise_draws >= 0 && c->structure >= 0)
        return 1;
    return mt_error(err, LOPT_EARG,
                    "%s/checkpoints: the counters of particle %lld make no sense for this configuration", run->dir,
                    (long long)number);
}

int mt_run_load_particles(mt_run *run, int64_t step, lopt_error *err) {
    if (!move_particles(run, step, read_particles, err)) return 0;
    for (int64_t p = 0; p < run->cfg->particles; p++)
        if (run->particle[p].memory && !check_counters(run, &run->particle[p], p, err)) return 0;
    return 1;
}

/* ---- the coordinator ----------------------------------------------------------------------- */

/* What run.h5 holds besides the configuration, which says whether the sums are there. */
enum { RUN_ITEMS = 12 };
static size_t run_items(mt_run *run, double *seconds, mt_item items[RUN_ITEMS]) {
    size_t n = lopt_n_theta(run->optimizer), particles = (size_t)run->cfg->particles, used = 0;
    items[used++] = (mt_item){"theta", MT_FLOATS, run->theta, n};
    items[used++] = (mt_item){"counters", MT_INTEGERS, &run->at, sizeof run->at / sizeof(int64_t)};
    items[used++] = (mt_item){"seconds", MT_DOUBLES, seconds, 1};
    items[used++] = (mt_item){"outer_m", MT_DOUBLES, run->outer.m, n};
    items[used++] = (mt_item){"outer_v", MT_DOUBLES, run->outer.v, n};
    if (run->outer.sum) items[used++] = (mt_item){"outer_sum", MT_DOUBLES, run->outer.sum, n + 2};
    items[used++] = (mt_item){"noise_trajectory", MT_INTEGERS, run->estimator.trajectory, particles};
    items[used++] = (mt_item){"noise_last", MT_INTEGERS, run->estimator.last_noise, particles};
    if (run->estimator.sum) items[used++] = (mt_item){"noise_sum", MT_FLOATS, run->estimator.sum, particles * n};
    return used;
}

/* A point that fails is reported and tried again when the next is due: the run is worth more than
 * one point of it. */
int mt_save(mt_run *run, lopt_error *err) {
    struct timespec now;
    int64_t step = run->at.step;
    mt_item items[RUN_ITEMS];
    double seconds = mt_total_seconds(run);
    size_t n = run_items(run, &seconds, items);
    char *text = mt_config_text(run->cfg);
    clock_gettime(CLOCK_REALTIME, &now);
    run->save = (mt_save_order){step, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
    int ok = text ? mt_checkpoint_begin(run->dir, step, run->save.attempt, err)
                  : mt_error(err, LOPT_ENOMEM, "out of memory for a restart point");
    if (ok) {
        run->answer.status = LOPT_OK;
        run->async.paused = 1;
        run->n_missing = run->crew.n_live - 1;
        mt_crew_tell(&run->crew, &run->comm, MT_TAG_SAVE, &run->save, sizeof run->save);
        ok = mt_run_save_particles(run, err);
        if (!mt_wait(run))
            ok = mt_error(err, LOPT_EIO, "a rank was lost while a restart point was written");
        else if (ok && run->answer.status != LOPT_OK) {
            *err = run->answer;
            ok = 0;
        }
        items[n++] = (mt_item){"config", MT_BYTES, text, strlen(text)};
        n += mt_async_items(run, items + n);
        ok = ok && mt_checkpoint_commit(run->dir, step, run->save.attempt, run->crew.n_live, items, n,
                                        run->cfg->checkpoint.keep, err);
    }
    free(text);
    return ok;
}

int mt_restore(mt_run *run, int64_t step, lopt_error *err) {
    mt_item items[RUN_ITEMS];
    size_t n = run_items(run, &run->seconds_before, items);
    if (!mt_checkpoint_read_run(run->dir, step, items, n, err)) return 0;
    if (run->at.step != step)
        return mt_error(err, LOPT_EARG, "%s: the point of outer step %lld says it is of step %lld", run->dir,
                        (long long)step, (long long)run->at.step);
    run->outer.updates = run->at.updates;
    run->outer.skipped = run->at.skipped;
    return mt_async_restore(run, step, err);
}
