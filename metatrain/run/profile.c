/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.c - see profile.h. */
#include "run/profile.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/read_file.h"

#define MAX_BYTES ((size_t)1 << 20)

int mt_profile_write(const char *path, const mt_profile *m, const mt_config *cfg, lopt_error *err) {
    json_t *tasks = json_array();
    for (int i = 0; i < cfg->n_tasks; i++)
        json_array_append_new(
            tasks, json_pack("{s:s, s:f}", "task", cfg->tasks[i].spec.task, "step_seconds", m->costs.step[i]));
    json_t *all = json_pack("{s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "tasks", tasks, "spread", m->spread,
                            "outside_share", m->overhead_fraction, "message_seconds", m->message, "serial_seconds",
                            m->coordinator_seconds, "draw_seconds", m->noise_seconds, "gradient_seconds",
                            m->gradient_seconds, "ship_seconds", m->costs.ship, "move_seconds", m->costs.move);
    char *text = all ? json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    int ok = text ? mt_write_atomically(path, text, strlen(text), err)
                  : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    free(text);
    json_decref(all);
    return ok;
}

/* A number from 0 to below `limit`. */
static int read_below(const char *path, const json_t *object, const char *key, double limit, double *value,
                      lopt_error *err) {
    const json_t *found = json_object_get(object, key);
    *value = json_number_value(found);
    if (json_is_number(found) && *value >= 0 && *value < limit) return 1;
    return mt_error(err, LOPT_EARG, "%s: expected a number in [0, %g) as \"%s\"", path, limit, key);
}

static int read_number(const char *path, const json_t *object, const char *key, double *value, lopt_error *err) {
    return read_below(path, object, key, 1e9, value, err);
}

static int read_tasks(const char *path, const json_t *tasks, mt_profile *m, const mt_config *cfg, lopt_error *err) {
    if ((int)json_array_size(tasks) != cfg->n_tasks)
        return mt_error(err, LOPT_EARG, "%s: lists %zu tasks, the configuration %d: it is of another run", path,
                        json_array_size(tasks), cfg->n_tasks);
    for (int i = 0; i < cfg->n_tasks; i++)
        if (!read_number(path, json_array_get(tasks, (size_t)i), "step_seconds", &m->costs.step[i], err)) return 0;
    return 1;
}

int mt_profile_read(const char *path, mt_profile *m, const mt_config *cfg, lopt_error *err) {
    size_t n;
    json_error_t where;
    char *text = mt_text_read(path, MAX_BYTES, &n, err);
    if (!text) return 0;
    json_t *all = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    free(text);
    *m = (mt_profile){.spread = 0};
    int ok = all ? read_tasks(path, json_object_get(all, "tasks"), m, cfg, err) &&
                       read_number(path, all, "spread", &m->spread, err) &&
                       read_below(path, all, "outside_share", 1, &m->overhead_fraction, err) &&
                       read_number(path, all, "message_seconds", &m->message, err) &&
                       read_number(path, all, "serial_seconds", &m->coordinator_seconds, err) &&
                       read_number(path, all, "draw_seconds", &m->noise_seconds, err) &&
                       read_number(path, all, "ship_seconds", &m->costs.ship, err) &&
                       read_number(path, all, "move_seconds", &m->costs.move, err)
                 : mt_error(err, LOPT_EARG, "%s: line %d: %s", path, where.line, where.text);
    json_decref(all);
    return ok;
}

/* ---- measuring ------------------------------------------------------------------------------- */

int mt_profiler_open(mt_profiler *p, int n_ranks, lopt_error *err) {
    *p = (mt_profiler){.n_ranks = n_ranks, .cpu = calloc((size_t)n_ranks, sizeof *p->cpu)};
    return p->cpu || mt_error(err, LOPT_ENOMEM, "out of memory for the times of %d ranks", n_ranks);
}

void mt_profiler_close(mt_profiler *p) {
    free(p->cpu);
    *p = (mt_profiler){0};
}

void mt_learn_window(mt_profiler *p, mt_cost_model *costs, const mt_report *r, double cost) {
    mt_learn_cost(costs, r);
    if (r->n_task_steps != 1) return;
    p->task_seconds[r->task_steps[0].task] += r->seconds;
    p->task_steps[r->task_steps[0].task] += (double)r->task_steps[0].steps;
    if (cost > 0) {
        p->squares += pow(fmin(r->seconds / cost - 1, 1), 2);
        p->windows++;
    }
}

void mt_start_coordinator_time(mt_profiler *p) {
    p->last_report = mt_wall_seconds();
}

void mt_stop_coordinator_time(mt_profiler *p) {
    double *usual = &p->profile.coordinator_seconds;
    if (p->last_report > 0) *usual += (*usual > 0 ? 0.05 : 1) * (mt_wall_seconds() - p->last_report - *usual);
    p->last_report = 0;
}

double mt_learn_overhead(mt_profiler *p, double windows, double gradient) {
    double cpu = 0, *usual = &p->profile.overhead_fraction;
    for (int r = 0; r < p->n_ranks; r++) cpu += p->cpu[r];
    double all = cpu - p->cpu_before, known = windows + gradient + p->profile.coordinator_seconds;
    double outside = p->cpu_before > 0 ? 1 - windows / all : NAN;
    if (p->cpu_before > 0 && all > 0) *usual += 0.05 * (fmax(1 - known / all, 0) - *usual);
    p->cpu_before = cpu + p->cpu_validation;
    p->cpu_validation = 0;
    return outside;
}

mt_profile mt_finish_profile(const mt_profiler *p, const mt_cost_model *costs) {
    mt_profile done = p->profile;
    done.costs = *costs;
    for (int t = 0; t < MT_MAX_TASKS; t++)
        if (p->task_steps[t] > 0) done.costs.step[t] = p->task_seconds[t] / p->task_steps[t];
    done.spread = p->windows > 0 ? sqrt(p->squares / p->windows) : 0;
    return done;
}
