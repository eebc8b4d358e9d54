/* SPDX-License-Identifier: Apache-2.0
 *
 * outputs.c - see outputs.h. */
#include "run/outputs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "run/training_plot.h"
#include "store/theta_file.h"

double mt_total_seconds(const mt_outputs *o) {
    return o->seconds_before + mt_wall_seconds() - o->started;
}

/* "0.5 of image_mlp fashion_mnist 8x8 64-32-10 relu, batch 64; 0.5 of ..." */
static void describe_tasks(const mt_outputs *o, char *text, size_t bytes) {
    double total = 0;
    size_t used = 0;
    for (int i = 0; i < o->session->cfg->n_tasks; i++) total += o->session->cfg->tasks[i].weight;
    for (int i = 0; i < o->session->cfg->n_tasks && used < bytes; i++) {
        const task *t = o->sampler->fixed[i].task;
        const char *name = t ? t->name : o->session->cfg->tasks[i].spec.task;
        used +=
            (size_t)(o->session->cfg->n_tasks == 1 ? snprintf(text, bytes, "%s", name)
                                                   : snprintf(text + used, bytes - used, "%s%.3g of %s", i ? "; " : "",
                                                              o->session->cfg->tasks[i].weight / total, name));
    }
}

/* DIR/NAME.h5; score: what to say of the score, or "". */
static int write_theta_file(const mt_outputs *o, const char *name, const char *score, lopt_error *err) {
    char path[MT_PATH + 16], seed[32], step[32], inner[32], tasks[2048];
    if (!o->session->dir[0]) return 1;
    char *config = mt_config_text(o->session->cfg);
    snprintf(path, sizeof path, "%s/%s.h5", o->session->dir, name);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->session->cfg->seed);
    snprintf(step, sizeof step, "%lld", (long long)o->counters->step);
    snprintf(inner, sizeof inner, "%lld", (long long)o->counters->inner_steps);
    describe_tasks(o, tasks, sizeof tasks);
    mt_note notes[8] = {{"program", lopt_version()}, {"seed", seed},   {"outer_step", step},
                        {"inner_steps", inner},      {"tasks", tasks}, {"config", config ? config : ""}};
    int n_notes = 6;
    if (o->session->cfg->outer.mode == MT_ASYNCHRONOUS)
        notes[n_notes++] = (mt_note){"mode", "asynchronous: another run gives other bits"};
    if (score[0]) notes[n_notes++] = (mt_note){"score", score};
    int ok = mt_theta_file_write(path, o->theta->optimizer, o->theta->value, notes, n_notes, err);
    free(config);
    return ok;
}

int mt_write_theta(const mt_outputs *o, lopt_error *err) {
    return write_theta_file(o, "theta", "", err);
}

/* ---- the best so far ------------------------------------------------------------------------- */

int mt_write_best(const mt_outputs *o, lopt_error *err) {
    char score[256];
    snprintf(score, sizeof score,
             "%.17g: mean normalised outer_valid loss (%lld batches) after %lld inner steps, over "
             "%lld trainings of each of %d evaluated tasks; lower is better",
             o->validation->best, (long long)o->session->cfg->evaluate.batches,
             (long long)o->session->cfg->evaluate.steps, (long long)o->session->cfg->evaluate.seeds,
             o->validation->n_tasks);
    return write_theta_file(o, "best", score, err);
}

/* A resumed run goes on from the score in DIR/best.h5. It may be of a step that is yet to be repeated;
 * that will give the same theta and score again (not in the asynchronous mode). */
static void read_best(mt_outputs *o) {
    char path[MT_PATH + 16];
    lopt_error err;
    snprintf(path, sizeof path, "%s/best.h5", o->session->dir);
    if (o->validation->n_tasks == 0 || access(path, F_OK) != 0) return;
    mt_theta_file *best = mt_theta_file_read(path, &err);
    mt_warn_on_error(best != NULL, &err);
    for (int i = 0; best && i < best->n_notes; i++)
        if (strcmp(best->note_name[i], "score") == 0) o->validation->best = strtod(best->note_value[i], NULL);
    mt_theta_file_free(best);
}

/* ---- every outer step ------------------------------------------------------------------------ */

/* A history that cannot be written is given up: theta does not depend on it. */
static void write_history(mt_outputs *o, const mt_metrics_row *row) {
    mt_scalar scalars[MT_METRICS_SCALARS];
    size_t n = mt_metrics_scalars(row, scalars);
    lopt_error err;
    if (o->metrics && !mt_warn_on_error(mt_metrics_write(o->metrics, row, &err), &err)) {
        mt_metrics_close(o->metrics);
        o->metrics = NULL;
    }
    if (o->events && !mt_warn_on_error(mt_event_file_write(o->events, row->outer_step, scalars, n, &err), &err)) {
        mt_event_file_close(o->events);
        o->events = NULL;
    }
}

void mt_record_step(mt_outputs *o, const mt_step_record *record, mt_progress *progress) {
    char rate[16], line[160];
    const mt_outer_summary *sum = record->summary;
    const mt_outer_norms *norms = record->norms;
    const mt_validation *v = o->validation;
    int validated = v->step == o->counters->step, n_tasks = o->session->cfg->n_tasks;
    double busy = sum->seconds / (record->seconds * o->session->members.n_live);
    mt_metrics_row row = {.outer_step = o->counters->step,
                          .meta_loss = sum->meta_loss,
                          .meta_loss_std = sum->meta_loss_std,
                          .gradient_norm = norms->gradient,
                          .signal_to_noise = sum->signal_to_noise,
                          .update_norm = norms->update,
                          .theta_norm = norms->theta,
                          .learning_rate = norms->learning_rate,
                          .non_finite = sum->non_finite,
                          .dropped = sum->dropped,
                          .skipped = norms->update == 0 && !isfinite(norms->gradient),
                          .resets = sum->finished,
                          .trajectory_length = (double)sum->finished_length / (double)sum->finished,
                          .inner_steps = o->counters->inner_steps,
                          .inner_steps_per_second = (double)sum->inner_steps / record->seconds,
                          .idle_share = isnan(record->idle_share) ? fmin(fmax(1 - busy, 0), 1) : record->idle_share,
                          .staleness = sum->staleness,
                          .staleness_max = sum->staleness_max,
                          .stale_share = (double)sum->stale / (double)sum->reports,
                          .outside_share = record->overhead_share,
                          .seconds = mt_total_seconds(o),
                          .n_tasks = n_tasks > 1 ? n_tasks : 0,
                          .task = sum->task,
                          .n_eval = validated ? v->n_tasks : 0,
                          .eval_score = v->score,
                          .eval_best = v->best,
                          .eval_task_loss = v->task_loss};
    if (!o->session->dir[0]) return;
    write_history(o, &row);
    mt_format_count((double)o->counters->inner_steps / mt_total_seconds(o), rate, sizeof rate);
    if (isnan(sum->meta_loss))
        snprintf(line, sizeof line, "every window diverged  %s inner steps/s", rate);
    else
        snprintf(line, sizeof line, "meta-loss %.4f  %s inner steps/s", sum->meta_loss, rate);
    size_t n = strlen(line);
    if (v->step >= 0) snprintf(line + n, sizeof line - n, "  eval %.4f (best %.4f)", v->score, v->best);
    mt_progress_update(progress, o->counters->step, line);
}

int mt_write_status(const mt_outputs *o, mt_state state, int status, lopt_error *err) {
    if (!o->session->dir[0]) return 1;
    mt_status now = {.state = state, .status = status, .outer_step = o->counters->step};
    return mt_status_write(o->session->dir, &now, err);
}

void mt_finish_plot(mt_outputs *o) {
    char history[MT_PATH + 16], curve[MT_PATH + 16];
    lopt_error err;
    if (!o->session->dir[0]) return;
    mt_metrics_close(o->metrics);
    o->metrics = NULL;
    snprintf(history, sizeof history, "%s/metrics.jsonl", o->session->dir);
    snprintf(curve, sizeof curve, "%s/curve.svg", o->session->dir);
    if (mt_warn_on_error(mt_plot_training(history, curve, &err), &err)) printf("curve:  %s\n", curve);
}

void mt_print_summary(const mt_outputs *o, const char *reason, int saved) {
    char digest[33], seconds[32];
    if (!o->session->dir[0]) return;
    mt_theta_digest(o->theta->optimizer, o->theta->value, digest);
    mt_format_seconds(mt_total_seconds(o), seconds, sizeof seconds);
    printf("%s outer step %lld of %lld, %lld inner steps in %s\n",
           reason  ? "stopped at"
           : saved ? "done:"
                   : "failed at",
           (long long)o->counters->step, (long long)o->session->cfg->outer.steps, (long long)o->counters->inner_steps,
           seconds);
    if (reason)
        printf("stopped by %s; %s\n", reason,
               saved ? "state is saved: run again with --resume" : "its state could not be saved");
    if (o->counters->non_finite)
        printf(
            "%lld losses were not finite, %lld windows were discarded, %lld gradients skipped; theta is unaffected\n",
            (long long)o->counters->non_finite, (long long)o->counters->dropped, (long long)o->counters->skipped);
    printf("theta:  %s/theta.h5\ndigest: %s\n", o->session->dir, digest);
    if (o->session->cfg->outer.mode == MT_ASYNCHRONOUS)
        printf("asynchronous: another run of this configuration gives another digest\n");
    if (!isnan(o->validation->best))
        printf("best:   %s/best.h5, evaluated at %.4f\n", o->session->dir, o->validation->best);
}

int mt_flush_outputs(mt_outputs *o, lopt_error *err) {
    return !o->events || mt_event_file_flush(o->events, err);
}

void mt_close_outputs(mt_outputs *o) {
    mt_metrics_close(o->metrics);
    mt_event_file_close(o->events);
    o->metrics = NULL;
    o->events = NULL;
}

int mt_start_outputs(mt_outputs *o, int64_t resume_step, lopt_error *err) {
    char path[MT_PATH + 16];
    if (o->started == 0) o->started = mt_wall_seconds();
    if (!o->session->dir[0]) return 1;
    snprintf(path, sizeof path, "%s/metrics.jsonl", o->session->dir);
    mt_close_outputs(o);
    if (resume_step >= 0) read_best(o);
    o->metrics = mt_metrics_open(path, resume_step, err);
    o->events = o->metrics ? mt_event_file_open(o->session->dir, resume_step, err) : NULL;
    return o->events && mt_write_theta(o, err) && mt_write_status(o, MT_STATE_RUNNING, 0, err);
}
