/* SPDX-License-Identifier: Apache-2.0
 *
 * outputs.c - what people see of a run: metrics, theta, status, summary. See run.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/svg_plot.h"
#include "run/run.h"
#include "run/training_plot.h"
#include "store/theta_file.h"

double mt_total_seconds(const mt_run *run) {
    return run->seconds_before + mt_seconds() - run->started;
}

/* "0.5 of image_mlp fashion_mnist 8x8 64-32-10 relu, batch 64; 0.5 of ..." */
static void describe_tasks(const mt_run *run, char *text, size_t bytes) {
    double total = 0;
    size_t used = 0;
    for (int i = 0; i < run->cfg->n_tasks; i++) total += run->cfg->tasks[i].weight;
    for (int i = 0; i < run->cfg->n_tasks && used < bytes; i++) {
        const task *t = run->unroller.mixture.fixed[i].task;
        const char *name = t ? t->name : run->cfg->tasks[i].spec.task;
        used += (size_t)(run->cfg->n_tasks == 1 ? snprintf(text, bytes, "%s", name)
                                                : snprintf(text + used, bytes - used, "%s%.3g of %s", i ? "; " : "",
                                                           run->cfg->tasks[i].weight / total, name));
    }
}

/* DIR/NAME.h5; score: what to say of the score, or "". */
static int write_theta_file(mt_run *run, const char *name, const char *score, lopt_error *err) {
    char path[MT_PATH + 16], seed[32], step[32], inner[32], tasks[2048];
    char *config = mt_config_text(run->cfg);
    snprintf(path, sizeof path, "%s/%s.h5", run->dir, name);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->cfg->seed);
    snprintf(step, sizeof step, "%lld", (long long)run->at.step);
    snprintf(inner, sizeof inner, "%lld", (long long)run->at.inner_steps);
    describe_tasks(run, tasks, sizeof tasks);
    mt_note notes[8] = {{"program", lopt_version()}, {"seed", seed},   {"outer_step", step},
                        {"inner_steps", inner},      {"tasks", tasks}, {"config", config ? config : ""}};
    int n_notes = 6;
    if (run->cfg->outer.mode == MT_ASYNCHRONOUS)
        notes[n_notes++] = (mt_note){"mode", "asynchronous: another run gives other bits"};
    if (score[0]) notes[n_notes++] = (mt_note){"score", score};
    int ok = mt_theta_file_write(path, run->optimizer, run->theta, notes, n_notes, err);
    free(config);
    return ok;
}

int mt_write_theta(mt_run *run, lopt_error *err) {
    return write_theta_file(run, "theta", "", err);
}

/* ---- the best so far ------------------------------------------------------------------------- */

int mt_write_best(mt_run *run, lopt_error *err) {
    char score[256];
    snprintf(score, sizeof score,
             "%.17g: mean normalised outer_valid loss (%lld batches) after %lld inner steps, over "
             "%lld trainings of each of %d evaluated tasks; lower is better",
             run->snapshot.best, (long long)run->cfg->evaluate.batches, (long long)run->cfg->evaluate.steps,
             (long long)run->cfg->evaluate.seeds, run->snapshot.n_tasks);
    return write_theta_file(run, "best", score, err);
}

/* A resumed run goes on from the score in DIR/best.h5. It may be of a step that is yet to be repeated;
 * that will give the same theta and score again. */
static void read_best(mt_run *run) {
    char path[MT_PATH + 16];
    lopt_error err;
    snprintf(path, sizeof path, "%s/best.h5", run->dir);
    if (run->snapshot.n_tasks == 0 || access(path, F_OK) != 0) return;
    mt_theta_file *best = mt_theta_file_read(path, &err);
    mt_warn_on_error(best != NULL, &err);
    for (int i = 0; best && i < best->n_notes; i++)
        if (strcmp(best->note_name[i], "score") == 0) run->snapshot.best = strtod(best->note_value[i], NULL);
    mt_theta_file_free(best);
}

/* ---- every outer step ------------------------------------------------------------------------ */

/* A history that cannot be written is given up: theta does not depend on it. */
static void write_history(mt_run *run, const mt_metrics_row *row) {
    mt_scalar scalars[MT_METRICS_SCALARS];
    size_t n = mt_metrics_scalars(row, scalars);
    lopt_error err;
    if (run->metrics && !mt_warn_on_error(mt_metrics_write(run->metrics, row, &err), &err)) {
        mt_metrics_close(run->metrics);
        run->metrics = NULL;
    }
    if (run->events && !mt_warn_on_error(mt_event_file_write(run->events, row->outer_step, scalars, n, &err), &err)) {
        mt_event_file_close(run->events);
        run->events = NULL;
    }
}

/* Outside windows, what measured.draw and measured.serial say left out. */
static void learn_outside(mt_run *run, double windows, double cpu) {
    double all = cpu - run->cpu_before, known = windows + mt_gradient_cpu(run) + run->measured.serial;
    if (run->cpu_before > 0 && all > 0)
        run->measured.outside += 0.05 * (fmax(1 - known / all, 0) - run->measured.outside);
}

void mt_record(mt_run *run, const mt_outer_summary *sum, const mt_outer_norms *norms, double seconds,
               mt_progress *progress) {
    char rate[16], line[160];
    const mt_snapshot *snapshot = &run->snapshot;
    int evaluated = snapshot->step == run->at.step, async = run->cfg->outer.mode == MT_ASYNCHRONOUS;
    double busy = sum->seconds / (seconds * run->crew.n_live), cpu = 0;
    for (int r = 0; r < run->comm.size; r++) cpu += run->cpu[r];
    mt_metrics_row row = {.outer_step = run->at.step,
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
                          .inner_steps = run->at.inner_steps,
                          .inner_steps_per_second = (double)sum->inner_steps / seconds,
                          .idle_share = async ? run->async.idle : fmin(fmax(1 - busy, 0), 1),
                          .staleness = sum->staleness,
                          .staleness_max = sum->staleness_max,
                          .stale_share = (double)sum->stale / (double)sum->reports,
                          .outside_share = run->cpu_before > 0 ? 1 - sum->seconds / (cpu - run->cpu_before) : NAN,
                          .seconds = mt_total_seconds(run),
                          .n_tasks = run->cfg->n_tasks > 1 ? run->cfg->n_tasks : 0,
                          .task = sum->task,
                          .n_eval = evaluated ? snapshot->n_tasks : 0,
                          .eval_score = snapshot->score,
                          .eval_best = snapshot->best,
                          .eval_task_loss = snapshot->task_loss};
    learn_outside(run, sum->seconds, cpu);
    run->cpu_before = cpu + run->cpu_evaluating;
    run->cpu_evaluating = 0;
    write_history(run, &row);
    mt_format_count((double)run->at.inner_steps / mt_total_seconds(run), rate, sizeof rate);
    if (isnan(sum->meta_loss))
        snprintf(line, sizeof line, "every window diverged  %s inner steps/s", rate);
    else
        snprintf(line, sizeof line, "meta-loss %.4f  %s inner steps/s", sum->meta_loss, rate);
    size_t n = strlen(line);
    if (snapshot->step >= 0)
        snprintf(line + n, sizeof line - n, "  eval %.4f (best %.4f)", snapshot->score, snapshot->best);
    mt_progress_update(progress, run->at.step, line);
}

int mt_write_run_status(const mt_run *run, mt_state state, int status, lopt_error *err) {
    mt_status now = {.state = state, .status = status, .outer_step = run->at.step};
    return mt_status_write(run->dir, &now, err);
}

int mt_write_costs(mt_run *run, lopt_error *err) {
    char path[MT_PATH + 16];
    mt_profile now = run->measured;
    now.costs = run->costs;
    for (int t = 0; t < run->cfg->n_tasks; t++)
        if (run->task_steps[t] > 0) now.costs.step[t] = run->task_seconds[t] / run->task_steps[t];
    now.spread = run->windows > 0 ? sqrt(run->squares / run->windows) : 0;
    snprintf(path, sizeof path, "%s/costs.json", run->dir);
    return mt_profile_write(path, &now, run->cfg, err);
}

void mt_finish_plot(mt_run *run) {
    char history[MT_PATH + 16], curve[MT_PATH + 16];
    lopt_error err;
    mt_metrics_close(run->metrics);
    run->metrics = NULL;
    snprintf(history, sizeof history, "%s/metrics.jsonl", run->dir);
    snprintf(curve, sizeof curve, "%s/curve.svg", run->dir);
    if (mt_warn_on_error(mt_plot_training(history, curve, &err), &err)) printf("curve:  %s\n", curve);
}

void mt_print_summary(const mt_run *run, const char *reason, int saved) {
    char digest[33], seconds[32];
    mt_theta_digest(run->optimizer, run->theta, digest);
    mt_format_seconds(mt_total_seconds(run), seconds, sizeof seconds);
    printf("%s outer step %lld of %lld, %lld inner steps in %s\n",
           reason ? "stopped at" : "done:", (long long)run->at.step, (long long)run->cfg->outer.steps,
           (long long)run->at.inner_steps, seconds);
    if (reason)
        printf("stopped by %s; %s\n", reason,
               saved ? "state is saved: run again with --resume" : "its state could not be saved");
    if (run->at.non_finite)
        printf("%lld losses were not finite, %lld windows counted for nothing, %lld gradients were "
               "skipped; theta never saw them\n",
               (long long)run->at.non_finite, (long long)run->at.dropped, (long long)run->at.skipped);
    printf("theta:  %s/theta.h5\ndigest: %s\n", run->dir, digest);
    if (run->cfg->outer.mode == MT_ASYNCHRONOUS)
        printf("asynchronous: another run of this configuration gives another digest\n");
    if (!isnan(run->snapshot.best)) printf("best:   %s/best.h5, evaluated at %.4f\n", run->dir, run->snapshot.best);
}

int mt_open_outputs(mt_run *run, int64_t resume_step, lopt_error *err) {
    char path[MT_PATH + 16];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run->dir);
    mt_metrics_close(run->metrics);
    mt_event_file_close(run->events);
    if (resume_step >= 0) read_best(run);
    run->metrics = mt_metrics_open(path, resume_step, err);
    run->events = run->metrics ? mt_event_file_open(run->dir, resume_step, err) : NULL;
    return run->events && mt_write_theta(run, err) && mt_write_run_status(run, MT_STATE_RUNNING, 0, err);
}
