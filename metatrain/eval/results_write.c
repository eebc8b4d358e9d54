/* SPDX-License-Identifier: Apache-2.0
 *
 * results_write.c - results.json and timing.json. */
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "eval/results.h"

/* ---- JSON ---------------------------------------------------------------------------------------- */

static json_t *number_or_null(double value) {
    json_t *finite = json_real(value);
    return finite != NULL ? finite : json_null(); /* NaN, inf */
}

static json_t *final_losses(const mt_results *r, int task_index, int entry, task_split split) {
    const mt_result *o = mt_result_at(r, task_index, entry);
    mt_mean loss = mt_mean_loss(r, task_index, entry, split);
    mt_mean accuracy = mt_mean_accuracy(r, task_index, entry, split);
    size_t n_points = r->n_points;
    json_t *raw = json_array(), *bounded = json_array(), *accuracies = json_array();
    for (int64_t s = 0; s < r->seeds; s++) {
        const mt_point *last = &o->points[(size_t)(s + 1) * n_points - 1];
        json_array_append_new(raw, number_or_null(last->loss[split]));
        json_array_append_new(bounded, number_or_null(last->normalised[split]));
        json_array_append_new(accuracies, number_or_null(last->accuracy[split]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mean", number_or_null(loss.mean), "standard_error",
                     number_or_null(loss.error), "accuracy", number_or_null(accuracy.mean), "accuracy_standard_error",
                     number_or_null(accuracy.error), "losses", raw, "losses_normalised", bounded, "accuracies",
                     accuracies);
}

/* One list a seed, one number a point; offset: of the number of this split in mt_point. */
static json_t *list_curves(const mt_results *r, const mt_result *o, size_t offset) {
    json_t *seeds = json_array();
    for (int64_t s = 0; s < r->seeds; s++) {
        json_t *curve = json_array();
        for (size_t i = 0; i < r->n_points; i++) {
            const char *point = (const char *)&o->points[(size_t)s * r->n_points + i];
            json_array_append_new(curve, number_or_null(*(const double *)(const void *)(point + offset)));
        }
        json_array_append_new(seeds, curve);
    }
    return seeds;
}

/* By split: losses clipped to the task's bound; those of a diverged training as they were, too. */
static json_t *curves_json(const mt_results *r, const mt_result *o, size_t field) {
    return json_pack("{s:o, s:o, s:o}", "train", list_curves(r, o, field + TASK_TRAIN * sizeof(double)), "outer_valid",
                     list_curves(r, o, field + TASK_OUTER_VALID * sizeof(double)), "test",
                     list_curves(r, o, field + TASK_TEST * sizeof(double)));
}

static int is_clipped(const mt_results *r, const mt_result *o) {
    for (size_t i = 0; i < (size_t)r->seeds * r->n_points; i++)
        for (int split = 0; split < TASK_N_SPLITS; split++) {
            double loss = o->points[i].loss[split], clipped = o->points[i].normalised[split];
            if (loss != clipped && !(isnan(loss) && isnan(clipped))) return 1;
        }
    return 0;
}

static json_t *sweep_json(const mt_result *o) {
    json_t *trials = json_array();
    for (int i = 0; o->n_trials > 1 && i < o->n_trials; i++) /* of a search: row i */
        json_array_append_new(trials, json_pack("{s:o, s:o}", "learning_rate", number_or_null(o->trial_rate[i]),
                                                "inner_valid_loss", number_or_null(o->trial_loss[i])));
    return trials;
}

/* A number, or text where JSON readers would not keep all digits. */
static json_t *seed_json(uint64_t seed) {
    char text[32];
    if (seed <= INT64_MAX) return json_integer((json_int_t)seed);
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    return json_string(text);
}

/* null without a search */
static json_t *search_json(const mt_result_entry *e, const mt_result *o) {
    if (!e->searched) return json_null();
    json_t *settings = json_loads(o->settings, 0, NULL);
    return json_pack("{s:o, s:i, s:o}", "search_seed", seed_json(e->search_seed), "row", o->chosen, "settings",
                     settings ? settings : json_null());
}

static json_t *entry_json(const mt_results *r, int task_index, int entry) {
    const mt_result_entry *e = &r->entries[entry];
    const mt_result *o = mt_result_at(r, task_index, entry);
    json_t *json = json_pack(
        "{s:s, s:s, s:b, s:i, s:s, s:s, s:o, s:i, s:i, s:i, s:o, s:o, s:o, s:{s:o, s:o, s:o}, s:o}", "label", e->label,
        "optimizer", e->optimizer, "learned", e->learned, "n_theta", e->n_theta, "theta", e->theta_path, "digest",
        e->digest, "learning_rate", number_or_null(mt_chosen_rate(r, task_index, entry)), "trials", o->n_trials,
        "chosen", o->chosen, "at_end", o->at_end, "sweep", sweep_json(o), "search", search_json(e, o), "state_bytes",
        number_or_null(o->state_bytes), "final", "train", final_losses(r, task_index, entry, TASK_TRAIN), "outer_valid",
        final_losses(r, task_index, entry, TASK_OUTER_VALID), "test", final_losses(r, task_index, entry, TASK_TEST),
        "curves", curves_json(r, o, offsetof(mt_point, normalised)));
    if (is_clipped(r, o)) json_object_set_new(json, "raw_curves", curves_json(r, o, offsetof(mt_point, loss)));
    return json;
}

static json_t *task_results_json(const mt_results *r, int task_index) {
    const mt_result_task *t = &r->tasks[task_index];
    json_t *x = json_array(), *entries = json_array();
    for (size_t i = 0; i < r->n_points; i++) json_array_append_new(x, json_integer((json_int_t)r->x[i]));
    for (int e = 0; e < r->n_entries; e++) json_array_append_new(entries, entry_json(r, task_index, e));
    return json_pack("{s:s, s:I, s:f, s:o, s:o, s:o}", "task", t->name, "parameters", (json_int_t)t->n_params,
                     "flops_per_step", t->flops_per_step, "loss_bound", number_or_null(t->loss_bound), "x", x,
                     "entries", entries);
}

static json_t *results_json(const mt_results *r) {
    json_t *tasks = json_array();
    for (int t = 0; t < r->n_tasks; t++) json_array_append_new(tasks, task_results_json(r, t));
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "version", r->version, "kernels", r->kernels,
                     "seed", seed_json(r->seed), "steps", (json_int_t)r->steps, "seeds", (json_int_t)r->seeds,
                     "sweep_seeds", (json_int_t)r->sweep_seeds, "every", (json_int_t)r->every, "batches",
                     (json_int_t)r->batches, "last_batches", (json_int_t)r->last_batches, "tasks", tasks);
}

/* Times differ between runs and rank counts, so they have a file of their own. */
static json_t *timing_json(const mt_results *r) {
    json_t *tasks = json_array();
    for (int t = 0; t < r->n_tasks; t++) {
        json_t *entries = json_array();
        for (int e = 0; e < r->n_entries; e++) {
            double seconds = mt_median_seconds(r, t, e);
            json_t *all = json_array();
            for (int64_t s = 0; s < r->seeds; s++)
                json_array_append_new(all, number_or_null(mt_result_at(r, t, e)->seconds[s]));
            json_array_append_new(
                entries, json_pack("{s:s, s:o, s:o, s:o, s:o}", "label", r->entries[e].label, "microseconds_per_step",
                                   number_or_null(1e6 * seconds), "nanoseconds_per_parameter_step",
                                   number_or_null(1e9 * seconds / (double)r->tasks[t].n_params), "ratio_to_adam",
                                   number_or_null(seconds / mt_adam_seconds(r, t)), "seconds", all));
        }
        json_array_append_new(tasks, json_pack("{s:s, s:o}", "task", r->tasks[t].name, "entries", entries));
    }
    return json_pack("{s:s, s:s, s:o}", "kernels", r->kernels, "command", r->command, "tasks", tasks);
}

static int write_json(const char *dir, const char *name, json_t *root, lopt_error *err) {
    char path[1100];
    snprintf(path, sizeof path, "%.1000s/%s", dir, name);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(root);
    if (text == NULL) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    size_t n = strlen(text);
    text[n] = '\n'; /* in place of the closing zero */
    int ok = mt_write_atomically(path, text, n + 1, err);
    free(text);
    return ok;
}

int mt_results_write(const mt_results *r, const char *dir, lopt_error *err) {
    return write_json(dir, "timing.json", timing_json(r), err) && write_json(dir, "results.json", results_json(r), err);
}
