/* SPDX-License-Identifier: Apache-2.0
 *
 * results_read.c - results.json and timing.json of an evaluation. Every number of the header must agree with the lists:
 * nothing is allocated by a length that the file does not fill. */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/read_file.h"
#include "eval/results.h"

#define MAX_BYTES ((size_t)1 << 30)

static const struct {
    task_split split;
    const char *name;
} splits[] = {{TASK_TRAIN, "train"}, {TASK_OUTER_VALID, "outer_valid"}, {TASK_TEST, "test"}};
enum { N_SPLITS = sizeof splits / sizeof *splits };

/* What is being read, for messages, and how much more may be. */
typedef struct results_reader {
    const char *path;
    size_t bytes;
    lopt_error *err;
} results_reader;

/* ---- values -------------------------------------------------------------------------------------- */

/* "FILE: tasks[0].entries[1].label: found ..., expected ..."; value NULL: nothing was found */
static int refuse_value(const results_reader *in, const json_t *value, const char *expected, const char *key, ...) {
    char where[256], text[64] = "nothing";
    va_list arguments;
    va_start(arguments, key);
    vsnprintf(where, sizeof where, key, arguments);
    va_end(arguments);
    char *found = value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (found != NULL) snprintf(text, sizeof text, strlen(found) > 40 ? "%.40s..." : "%s", found);
    free(found);
    return mt_error(in->err, LOPT_EARG, "%s: %s: found %s, expected %s", in->path, where, text, expected);
}

/* A number; NaN for null, and for what is not there. */
static double read_real(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void copy_text(const json_t *value, char *text, size_t bytes) {
    snprintf(text, bytes, "%s", json_is_string(value) ? json_string_value(value) : "");
}

static int read_positive(const results_reader *in, const json_t *root, const char *key, int64_t *to) {
    const json_t *value = json_object_get(root, key);
    *to = json_integer_value(value);
    return json_is_integer(value) && *to >= 1 ? 1 : refuse_value(in, value, "a whole number above 0", "%s", key);
}

/* A seed beyond 63 bits is text. */
static uint64_t read_seed(const json_t *value) {
    if (json_is_string(value)) return strtoull(json_string_value(value), NULL, 10);
    return (uint64_t)json_integer_value(value);
}

static json_t *load_object(const char *path, lopt_error *err) {
    size_t n;
    json_error_t cause;
    char *text = mt_text_read(path, MAX_BYTES, &n, err);
    if (text == NULL) return NULL;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &cause);
    free(text);
    if (json_is_object(root)) return root;
    if (root == NULL)
        mt_error(err, LOPT_EARG, "%s:%d: %s", path, cause.line, cause.text);
    else
        mt_error(err, LOPT_EARG, "%s: found no JSON object, expected what metatrain eval --out writes", path);
    json_decref(root);
    return NULL;
}

/* ---- one result ---------------------------------------------------------------------------------- */

/* One number of mt_point, of every seed and point; offset: of it in mt_point. */
static int read_numbers(const results_reader *in, const json_t *curves, const mt_results *r, mt_result *result,
                        size_t offset, const char *key) {
    size_t seeds = (size_t)r->seeds;
    if (json_array_size(curves) != seeds) return refuse_value(in, curves, "a list for every seed", "%s", key);
    for (size_t s = 0; s < seeds; s++) {
        const json_t *curve = json_array_get(curves, s);
        if (json_array_size(curve) != r->n_points)
            return refuse_value(in, curve, "a number for every x", "%s[%zu]", key, s);
        for (size_t i = 0; i < r->n_points; i++) {
            char *point = (char *)&result->points[s * r->n_points + i];
            *(double *)(void *)(point + offset) = read_real(json_array_get(curve, i));
        }
    }
    return 1;
}

/* raw_curves are there where a loss was clipped; a file without them has the raw losses of the last point alone. */
static int read_split(const results_reader *in, const json_t *entry, const mt_results *r, int t, int e, int k) {
    mt_result *result = mt_result_at(r, t, e);
    task_split split = splits[k].split;
    const char *name = splits[k].name;
    char key[128];
    const json_t *clipped = json_object_get(json_object_get(entry, "curves"), name);
    const json_t *raw = json_object_get(json_object_get(entry, "raw_curves"), name);
    const json_t *last = json_object_get(json_object_get(entry, "final"), name);
    const json_t *losses = json_object_get(last, "losses"), *accuracies = json_object_get(last, "accuracies");
    size_t loss = offsetof(mt_point, loss) + split * sizeof(double),
           normalised = offsetof(mt_point, normalised) + split * sizeof(double);
    snprintf(key, sizeof key, "tasks[%d].entries[%d].curves.%s", t, e, name);
    if (!read_numbers(in, clipped, r, result, normalised, key) ||
        !read_numbers(in, raw != NULL ? raw : clipped, r, result, loss, key))
        return 0;
    for (size_t s = 0; s < (size_t)r->seeds; s++) {
        mt_point *end = &result->points[(s + 1) * r->n_points - 1];
        if (s < json_array_size(losses)) end->loss[split] = read_real(json_array_get(losses, s));
        end->accuracy[split] = s < json_array_size(accuracies) ? read_real(json_array_get(accuracies, s))
                                                               : read_real(json_object_get(last, "accuracy"));
    }
    return 1;
}

static int read_curves(const results_reader *in, const json_t *entry, const mt_results *r, int t, int e) {
    for (int k = 0; k < N_SPLITS; k++)
        if (!read_split(in, entry, r, t, e, k)) return 0;
    return 1;
}

/* Files that do not say which trial was chosen, or whether it ends the sweep: by its learning rate. */
static void find_chosen(mt_result *result, double rate) {
    int lower = 0, higher = 0;
    for (int i = 0; i < result->n_trials; i++) {
        if (result->trial_rate[i] == rate) result->chosen = i;
        lower |= result->trial_rate[i] < rate;
        higher |= result->trial_rate[i] > rate;
    }
    if (result->n_trials > 1 && isfinite(rate)) result->at_end = !higher - !lower;
}

static int read_trials(const results_reader *in, const json_t *entry, mt_result *result, int t, int e) {
    const json_t *sweep = json_object_get(entry, "sweep"), *search = json_object_get(entry, "search");
    size_t n = json_array_size(sweep);
    double rate = read_real(json_object_get(entry, "learning_rate"));
    if (n > MAX_BYTES) return refuse_value(in, NULL, "fewer trials", "tasks[%d].entries[%d].sweep", t, e);
    if (!mt_result_set_trials(result, n > 0 ? (int)n : 1, in->err)) return 0;
    result->trial_rate[0] = rate;
    result->trial_loss[0] = NAN;
    for (size_t i = 0; i < n; i++) {
        const json_t *trial = json_array_get(sweep, i);
        result->trial_rate[i] = read_real(json_object_get(trial, "learning_rate"));
        result->trial_loss[i] = read_real(json_object_get(trial, "inner_valid_loss"));
    }
    const json_t *row =
        json_object_get(json_is_object(search) ? search : entry, json_is_object(search) ? "row" : "chosen");
    const json_t *end = json_object_get(entry, "at_end");
    if (!json_is_object(search)) find_chosen(result, rate);
    if (json_is_integer(row)) {
        if (json_integer_value(row) < 0 || json_integer_value(row) >= result->n_trials)
            return refuse_value(in, row, "the number of a trial", "tasks[%d].entries[%d].chosen", t, e);
        result->chosen = (int)json_integer_value(row);
    }
    if (json_is_integer(end)) result->at_end = (json_integer_value(end) > 0) - (json_integer_value(end) < 0);
    char *settings =
        json_dumps(json_object_get(search, "settings"), JSON_REAL_PRECISION(15)); /* 0.9, not 0.90000000000000002 */
    snprintf(result->settings, sizeof result->settings, "%s", settings != NULL ? settings : "");
    free(settings);
    return 1;
}

static int read_result(const results_reader *in, const json_t *entry, mt_results *r, int t, int e) {
    mt_result *result = mt_result_at(r, t, e);
    const char *label = json_string_value(json_object_get(entry, "label"));
    if (label == NULL || (t > 0 && strncmp(label, r->entries[e].label, sizeof r->entries[e].label - 1) != 0))
        return refuse_value(in, json_object_get(entry, "label"),
                            t > 0 ? "the label of the first task's entry" : "a text", "tasks[%d].entries[%d].label", t,
                            e);
    for (int64_t s = 0; s < r->seeds; s++) result->seconds[s] = NAN; /* timing.json */
    for (size_t i = 0; i < (size_t)r->seeds * r->n_points; i++)
        for (int k = 0; k < TASK_N_SPLITS; k++)
            result->points[i].loss[k] = result->points[i].normalised[k] = result->points[i].accuracy[k] = NAN;
    result->state_bytes = read_real(json_object_get(entry, "state_bytes"));
    return read_trials(in, entry, result, t, e) && read_curves(in, entry, r, t, e);
}

/* ---- results.json -------------------------------------------------------------------------------- */

/* The lines of the tables, as the first task has them. */
static void read_result_entry(const json_t *entry, mt_result_entry *to) {
    const json_t *learned = json_object_get(entry, "learned"), *search = json_object_get(entry, "search");
    copy_text(json_object_get(entry, "label"), to->label, sizeof to->label);
    copy_text(json_object_get(entry, "optimizer"), to->optimizer, sizeof to->optimizer);
    copy_text(json_object_get(entry, "theta"), to->theta_path, sizeof to->theta_path);
    copy_text(json_object_get(entry, "digest"), to->digest, sizeof to->digest);
    to->learned = json_is_boolean(learned) ? json_is_true(learned) : to->digest[0] != '\0';
    to->n_theta = (int)json_integer_value(json_object_get(entry, "n_theta"));
    to->searched = json_is_object(search);
    to->search_seed = read_seed(json_object_get(search, "search_seed"));
}

static int read_task(const results_reader *in, const json_t *json, mt_results *r, int t) {
    const json_t *entries = json_object_get(json, "entries"), *n_params = json_object_get(json, "parameters");
    double bound = read_real(json_object_get(json, "loss_bound"));
    copy_text(json_object_get(json, "task"), r->tasks[t].name, sizeof r->tasks[t].name);
    r->tasks[t].n_params = json_integer_value(n_params);
    r->tasks[t].flops_per_step = read_real(json_object_get(json, "flops_per_step"));
    r->tasks[t].loss_bound = isnan(bound) ? INFINITY : bound;
    if (r->tasks[t].n_params < 1)
        return refuse_value(in, n_params, "a whole number above 0", "tasks[%d].parameters", t);
    if (json_array_size(entries) != (size_t)r->n_entries)
        return refuse_value(in, entries, "as many entries as the first task has", "tasks[%d].entries", t);
    for (int e = 0; e < r->n_entries; e++)
        if (!read_result(in, json_array_get(entries, (size_t)e), r, t, e)) return 0;
    return 1;
}

/* Room for what the first task says. Each point stands in the file as a number and a comma, so an empty list that is
 * said to be long is refused before anything is allocated. */
static mt_results *make_results_room(const results_reader *in, const json_t *tasks, int64_t seeds) {
    const json_t *first = json_array_get(tasks, 0), *entries = json_object_get(first, "entries");
    size_t sizes[] = {json_array_size(tasks), json_array_size(entries), (size_t)seeds,
                      json_array_size(json_object_get(first, "x"))};
    static const char *const names[] = {"tasks", "tasks[0].entries", "seeds", "tasks[0].x"};
    size_t room = in->bytes / 2;
    for (int i = 0; i < 4; i++) {
        if (sizes[i] == 0) return refuse_value(in, NULL, "a list that is not empty", "%s", names[i]), NULL;
        room /= sizes[i];
    }
    if (room == 0) return refuse_value(in, NULL, "a number for every task, entry, seed and x", "tasks"), NULL;
    return mt_results_create((int)sizes[0], (int)sizes[1], seeds, sizes[3], in->err);
}

static int read_steps(const results_reader *in, const json_t *first, mt_results *r) {
    const json_t *x = json_object_get(first, "x");
    for (size_t i = 0; i < r->n_points; i++) {
        const json_t *value = json_array_get(x, i);
        r->x[i] = json_integer_value(value);
        if (!json_is_integer(value) || r->x[i] < (i > 0 ? r->x[i - 1] + 1 : 0))
            return refuse_value(in, value, "a rising list of inner steps", "tasks[0].x[%zu]", i);
    }
    return 1;
}

static int fill_results(const results_reader *in, const json_t *root, mt_results *r) {
    static const char *const keys[] = {"steps", "every", "batches", "last_batches", "sweep_seeds"};
    int64_t *to[] = {&r->steps, &r->every, &r->batches, &r->last_batches, &r->sweep_seeds};
    const json_t *tasks = json_object_get(root, "tasks"), *first = json_array_get(tasks, 0);
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        if (!read_positive(in, root, keys[i], to[i])) return 0;
    copy_text(json_object_get(root, "version"), r->version, sizeof r->version);
    copy_text(json_object_get(root, "kernels"), r->kernels, sizeof r->kernels);
    copy_text(json_object_get(root, "command"), r->command, sizeof r->command);
    r->seed = read_seed(json_object_get(root, "seed"));
    for (int e = 0; e < r->n_entries; e++)
        read_result_entry(json_array_get(json_object_get(first, "entries"), (size_t)e), &r->entries[e]);
    if (!read_steps(in, first, r)) return 0;
    for (int t = 0; t < r->n_tasks; t++)
        if (!read_task(in, json_array_get(tasks, (size_t)t), r, t)) return 0;
    return 1;
}

static mt_results *parse_results(const results_reader *in, const json_t *root) {
    int64_t seeds;
    if (!read_positive(in, root, "seeds", &seeds)) return NULL;
    mt_results *r = make_results_room(in, json_object_get(root, "tasks"), seeds);
    if (r == NULL || fill_results(in, root, r)) return r;
    mt_results_free(r);
    return NULL;
}

/* ---- timing.json --------------------------------------------------------------------------------- */

/* Times that are missing, or are not as many as the seeds, stay NaN. */
static void read_times(const json_t *root, mt_results *r) {
    const json_t *tasks = json_object_get(root, "tasks");
    if (r->kernels[0] == '\0') copy_text(json_object_get(root, "kernels"), r->kernels, sizeof r->kernels);
    if (r->command[0] == '\0') copy_text(json_object_get(root, "command"), r->command, sizeof r->command);
    for (int t = 0; t < r->n_tasks; t++) {
        const json_t *entries = json_object_get(json_array_get(tasks, (size_t)t), "entries");
        for (int e = 0; e < r->n_entries; e++) {
            const json_t *entry = json_array_get(entries, (size_t)e), *seconds = json_object_get(entry, "seconds");
            double micros = read_real(json_object_get(entry, "microseconds_per_step"));
            for (size_t s = 0; s < (size_t)r->seeds; s++)
                mt_result_at(r, t, e)->seconds[s] =
                    json_is_array(seconds) ? read_real(json_array_get(seconds, s)) : 1e-6 * micros;
        }
    }
}

mt_results *mt_results_read(const char *path, lopt_error *err) {
    char file[4096], timing[4096];
    struct stat info;
    if (strlen(path) > sizeof file - 32) return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", path), NULL;
    int is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    snprintf(file, sizeof file, is_folder ? "%s/results.json" : "%s", path);
    const char *slash = strrchr(file, '/');
    snprintf(timing, sizeof timing, "%.*stiming.json", slash != NULL ? (int)(slash + 1 - file) : 0, file);
    json_t *root = load_object(file, err);
    if (root == NULL) return NULL;
    results_reader in = {file, stat(file, &info) == 0 ? (size_t)info.st_size : 0, err};
    mt_results *r = parse_results(&in, root);
    json_decref(root);
    if (r == NULL || stat(timing, &info) != 0) return r;
    root = load_object(timing, err);
    if (root != NULL) {
        read_times(root, r);
        json_decref(root);
        return r;
    }
    mt_results_free(r);
    return NULL;
}
