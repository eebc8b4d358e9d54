/* SPDX-License-Identifier: Apache-2.0
 *
 * setup.c - what a rank needs before the first window, and the messages that bring it. See run.h. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "run.h"
#include "theta_file.h"

/* ---- one rank ------------------------------------------------------------------------------ */

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
    run->trained = malloc(n);
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
    return mt_estimator_open(&run->estimator, &run->cfg->estimator, run->unroller.noise,
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

/* ---- all ranks ----------------------------------------------------------------------------- */

/* A SETUP message: step to resume from, folder, configuration, the strings each with its closing
 * zero. */
void mt_send_setup(mt_run *run, int64_t resume_step) {
    if (run->comm.size == 1)
        return;
    char *text = mt_config_text(run->cfg);
    if (!text)
        mt_comm_abort(&run->comm, MT_FAILED);
    size_t dir = strlen(run->dir) + 1, config = strlen(text) + 1,
           bytes = sizeof resume_step + dir + config;
    char *message = malloc(bytes);
    if (!message)
        mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, &resume_step, sizeof resume_step);
    memcpy(message + sizeof resume_step, run->dir, dir);
    memcpy(message + sizeof resume_step + dir, text, config);
    for (int rank = 1; rank < run->comm.size; rank++)
        mt_comm_send(&run->comm, rank, MT_TAG_SETUP, message, bytes);
    free(message);
    free(text);
}

int mt_receive_setup(mt_run *run, int64_t *resume_step, int *status, lopt_error *err) {
    int tag;
    size_t bytes;
    char *message = mt_comm_receive(&run->comm, 0, -1, NULL, &tag, &bytes);
    int begin = tag == MT_TAG_SETUP && bytes > sizeof *resume_step + 1 && message[bytes - 1] == 0;
    if (begin) {
        const char *dir = message + sizeof *resume_step;
        memcpy(resume_step, message, sizeof *resume_step);
        snprintf(run->dir, sizeof run->dir, "%s", dir);
        run->cfg =
            mt_config_parse(dir + strlen(dir) + 1, "the coordinator's configuration", NULL, 0, err);
    } else if (tag == MT_TAG_END && bytes == sizeof *status)
        memcpy(status, message, bytes);
    free(message);
    return begin;
}

int mt_ranks_are_ready(mt_run *run, int ok_here, lopt_error *err) {
    int ready = ok_here;
    for (int rank = 1; rank < run->comm.size; rank++) {
        size_t bytes;
        lopt_error *theirs = mt_comm_receive(&run->comm, rank, MT_TAG_READY, NULL, NULL, &bytes);
        if (bytes == sizeof *theirs && theirs->status != LOPT_OK && ready)
            *err = *theirs;
        ready = ready && bytes == sizeof *theirs && theirs->status == LOPT_OK;
        free(theirs);
    }
    return ready;
}

void mt_dismiss(mt_run *run, int status) {
    for (int rank = 1; rank < run->comm.size; rank++)
        mt_comm_send(&run->comm, rank, MT_TAG_END, &status, sizeof status);
}
