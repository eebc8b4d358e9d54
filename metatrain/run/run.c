/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c - what a rank needs before the first window, and the messages that bring it. See run.h. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "run/run.h"
#include "store/theta_file.h"

/* ---- one rank ------------------------------------------------------------------------------ */

/* Copies every block of a theta file into run->theta by name; blocks it lacks keep their random
 * start. */
static int start_from_file(mt_run *run, lopt_error *err) {
    mt_theta_file *file = mt_theta_file_read(run->cfg->init, err);
    if (!file) return 0;
    int ok = 1;
    size_t found = 0;
    for (size_t i = 0; ok && i < lopt_n_blocks(run->optimizer); i++) {
        const lopt_block *to = lopt_block_at(run->optimizer, i), *from = lopt_block_find(file->optimizer, to->name);
        if (!from) continue;
        found++;
        if (from->size != to->size || from->rank != to->rank ||
            memcmp(from->dim, to->dim, sizeof(int64_t) * (size_t)to->rank))
            ok = mt_error(err, LOPT_EARG,
                          "%s: optimizer.init: block %s of %s has another shape than %s of this "
                          "configuration",
                          run->cfg->file, from->name, run->cfg->init, lopt_info(run->optimizer)->name);
        else
            memcpy(run->theta + to->offset, lopt_theta(file->optimizer) + from->offset, to->size * sizeof(float));
    }
    if (ok && !found)
        ok = mt_error(err, LOPT_EARG, "%s: optimizer.init: %s (%s) has no block of %s", run->cfg->file, run->cfg->init,
                      lopt_info(file->optimizer)->name, lopt_info(run->optimizer)->name);
    mt_theta_file_free(file);
    return ok;
}

/* trained[i] = 0 where a pattern of optimizer.freeze matches the block's name. */
static int mark_frozen(mt_run *run, lopt_error *err) {
    for (size_t i = 0; i < lopt_n_theta(run->optimizer); i++) run->trained[i] = 1;
    for (int k = 0; k < run->cfg->n_freeze; k++) {
        int found = 0;
        for (size_t i = 0; i < lopt_n_blocks(run->optimizer); i++) {
            const lopt_block *b = lopt_block_at(run->optimizer, i);
            if (fnmatch(run->cfg->freeze[k], b->name, 0)) continue;
            found = 1;
            for (size_t j = 0; j < b->size; j++) run->trained[b->offset + j] = 0;
        }
        if (!found)
            return mt_error(err, LOPT_EARG, "%s: optimizer.freeze: no block of %s matches \"%s\"", run->cfg->file,
                            lopt_info(run->optimizer)->name, run->cfg->freeze[k]);
    }
    return 1;
}

static int open_theta(mt_run *run, int resumed, lopt_error *err) {
    run->optimizer = mt_optimizer_create(&run->cfg->optimizer, run->cfg->file, err);
    if (!run->optimizer) return 0;
    size_t n = lopt_n_theta(run->optimizer);
    if (n == 0)
        return mt_error(err, LOPT_EARG,
                        "%s: optimizer.name: %s has no theta to meta-train; `metatrain list "
                        "optimizers` shows those that have",
                        run->cfg->file, run->cfg->optimizer.name);
    run->theta = malloc(n * sizeof(float));
    run->trained = malloc(n);
    if (!run->theta || !run->trained) return mt_error(err, LOPT_ENOMEM, "out of memory for a theta of %zu numbers", n);
    lopt_init_theta(run->optimizer, run->cfg->seed, run->theta);
    return mark_frozen(run, err) && (resumed || run->cfg->init[0] == 0 || start_from_file(run, err));
}

static int open_coordinator(mt_run *run, lopt_error *err) {
    size_t n = (size_t)run->cfg->particles;
    run->report = calloc(n, sizeof *run->report);
    run->owner = calloc(n, sizeof *run->owner);
    run->placed = calloc(n, sizeof *run->placed);
    run->cost = calloc(n, sizeof *run->cost);
    run->asked = calloc(n, sizeof *run->asked);
    run->cpu = calloc((size_t)run->comm.size, sizeof *run->cpu);
    if (!run->report || !run->owner || !run->placed || !run->cost || !run->asked || !run->cpu)
        return mt_error(err, LOPT_ENOMEM, "out of memory for %zu reports", n);
    return mt_async_open(run, err) &&
           mt_es_gradient_open(&run->estimator, &run->cfg->estimator, run->unroller.noise, run->cfg->particles, err) &&
           mt_outer_open(&run->outer, run->cfg, run->trained, lopt_n_theta(run->optimizer), err);
}

int mt_run_open(mt_run *run, int resumed, lopt_error *err) {
    size_t n = (size_t)run->cfg->particles;
    run->restart_step = MT_NO_RESTART;
    run->window = -1;
    run->particle = calloc(n, sizeof *run->particle);
    run->todo = calloc(n, sizeof *run->todo);
    run->unsent = calloc(MT_UNSENT, sizeof *run->unsent);
    if (!run->particle || !run->todo || !run->unsent)
        return mt_error(err, LOPT_ENOMEM, "out of memory for %zu particles", n);
    if (!open_theta(run, resumed, err) ||
        !mt_unroller_open(&run->unroller, run->cfg, run->optimizer, run->trained, err) ||
        !mt_snapshot_open(&run->snapshot, run->cfg, err))
        return 0;
    mt_listen(run);
    return run->comm.rank > 0 || open_coordinator(run, err);
}

void mt_run_close(mt_run *run) {
    mt_metrics_close(run->metrics);
    mt_event_file_close(run->events);
    mt_outer_close(&run->outer);
    mt_es_gradient_close(&run->estimator);
    mt_async_close(run);
    mt_board_close(&run->board);
    for (int64_t p = 0; run->particle && p < run->cfg->particles; p++) mt_particle_close(&run->particle[p]);
    mt_unroller_close(&run->unroller);
    mt_snapshot_close(&run->snapshot);
    lopt_destroy(run->optimizer);
    free(run->report);
    free(run->owner);
    free(run->placed);
    free(run->cost);
    free(run->asked);
    free(run->cpu);
    free(run->particle);
    free(run->todo);
    free(run->unsent);
    free(run->theta);
    free(run->trained);
    mt_crew_close(&run->crew);
    mt_config_free(run->cfg);
}

/* ---- all ranks ----------------------------------------------------------------------------- */

/* A SETUP message: step to resume from, folder, configuration, the strings each with its closing
 * zero. */
void mt_send_setup(mt_run *run, int64_t resume_step) {
    if (run->comm.size == 1) return;
    char *text = mt_config_text(run->cfg);
    if (!text) mt_comm_abort(&run->comm, MT_FAILED);
    size_t dir = strlen(run->dir) + 1, config = strlen(text) + 1, bytes = sizeof resume_step + dir + config;
    char *message = malloc(bytes);
    if (!message) mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, &resume_step, sizeof resume_step);
    memcpy(message + sizeof resume_step, run->dir, dir);
    memcpy(message + sizeof resume_step + dir, text, config);
    mt_crew_tell(&run->crew, &run->comm, MT_TAG_SETUP, message, bytes);
    free(message);
    free(text);
}

/* The next message that is no sign of life. */
static mt_message wait_for_message(mt_run *run) {
    mt_message m;
    for (int looks = 0;; looks++) {
        mt_crew_beat(&run->crew, &run->comm);
        if (!mt_comm_take(&run->comm, &m))
            mt_comm_rest(&run->comm, looks);
        else if (!mt_crew_heard(&run->crew, &run->comm, &m))
            return m;
    }
}

int mt_receive_setup(mt_run *run, int64_t *resume_step, int *status, lopt_error *err) {
    mt_message m = wait_for_message(run);
    const char *text = m.data;
    int begin = m.tag == MT_TAG_SETUP && m.n > sizeof *resume_step + 1 && text[m.n - 1] == 0;
    if (begin) {
        const char *dir = text + sizeof *resume_step;
        memcpy(resume_step, text, sizeof *resume_step);
        snprintf(run->dir, sizeof run->dir, "%s", dir);
        run->cfg = mt_config_parse(dir + strlen(dir) + 1, "the coordinator's configuration", NULL, 0, err);
    } else if (m.tag == MT_TAG_END && m.n >= sizeof(int32_t))
        *status = *(const int32_t *)m.data;
    free(m.data);
    return begin;
}

void mt_say_ready(mt_run *run, const lopt_error *err) {
    int64_t all = run->cfg && run->particle ? run->cfg->particles : 0;
    size_t bytes = sizeof *err;
    char *message = malloc(bytes + (size_t)all * sizeof(mt_particle_counters));
    if (!message) mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, err, sizeof *err);
    for (int64_t p = 0; p < all; p++)
        if (run->particle[p].memory) {
            memcpy(message + bytes, &run->particle[p].at, sizeof run->particle[p].at);
            bytes += sizeof run->particle[p].at;
        }
    mt_comm_send(&run->comm, 0, MT_TAG_READY, message, bytes);
    free(message);
}

int mt_ranks_are_ready(mt_run *run, int ok_here, lopt_error *err) {
    run->answer.status = LOPT_OK;
    run->n_missing = run->crew.n_live - 1;
    if (!mt_wait(run) && ok_here) return mt_error(err, LOPT_EIO, "a rank died while it was getting ready");
    if (ok_here && run->answer.status != LOPT_OK) *err = run->answer;
    return ok_here && run->answer.status == LOPT_OK;
}

void mt_dismiss(mt_run *run, int status) {
    int32_t end[2] = {status, run->crew.ever_lost > 0};
    mt_crew_tell(&run->crew, &run->comm, MT_TAG_END, end, sizeof end);
}
