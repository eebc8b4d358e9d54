/* SPDX-License-Identifier: Apache-2.0 */
#include "run/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/read_file.h"

#define MAX_BYTES ((size_t)1 << 32)

struct mt_metrics {
    int fd;
    char path[PATH_MAX];
};

/* The fields of a row, in the order of a line, with their groups in TensorBoard. */
static const struct {
    const char *name;
    size_t offset;
    int integer;
    const char *group; /* NULL: the step, which is no curve */
} field[] = {
#define INTEGER(name, group)                                                                                           \
    { #name, offsetof(mt_metrics_row, name), 1, group }
#define NUMBER(name, group)                                                                                            \
    { #name, offsetof(mt_metrics_row, name), 0, group }
    INTEGER(outer_step, NULL),
    NUMBER(meta_loss, "loss"),
    NUMBER(meta_loss_std, "loss"),
    NUMBER(gradient_norm, "gradient"),
    NUMBER(signal_to_noise, "gradient"),
    NUMBER(update_norm, "theta"),
    NUMBER(theta_norm, "theta"),
    NUMBER(learning_rate, "theta"),
    INTEGER(non_finite, "divergence"),
    INTEGER(dropped, "divergence"),
    INTEGER(skipped, "divergence"),
    INTEGER(resets, "trajectories"),
    NUMBER(trajectory_length, "trajectories"),
    INTEGER(inner_steps, "speed"),
    NUMBER(inner_steps_per_second, "speed"),
    NUMBER(idle_share, "speed"),
    NUMBER(outside_share, "speed"),
    NUMBER(staleness, "staleness"),
    INTEGER(staleness_max, "staleness"),
    NUMBER(stale_share, "staleness"),
    NUMBER(seconds, "speed"),
#undef INTEGER
#undef NUMBER
};
static const size_t n_fields = sizeof field / sizeof *field;
_Static_assert(sizeof field / sizeof *field + 2 + 2 * MT_MAX_TASKS <= MT_METRICS_SCALARS, "room in mt_metrics_scalars");

static json_t *number_or_null(double value) {
    json_t *finite = json_real(value);
    return finite != NULL ? finite : json_null();
}

static void add_task_columns(json_t *object, const mt_metrics_row *row) {
    json_t *loss = json_array(), *std = json_array(), *particles = json_array();
    for (int i = 0; i < row->n_tasks; i++) {
        json_array_append_new(loss, number_or_null(row->task[i].meta_loss));
        json_array_append_new(std, number_or_null(row->task[i].meta_loss_std));
        json_array_append_new(particles, json_integer(row->task[i].particles));
    }
    json_object_set_new(object, "task_meta_loss", loss);
    json_object_set_new(object, "task_meta_loss_std", std);
    json_object_set_new(object, "task_particles", particles);
}

static void add_evaluation(json_t *object, const mt_metrics_row *row) {
    json_t *loss = json_array();
    for (int i = 0; i < row->n_eval; i++) json_array_append_new(loss, number_or_null(row->eval_task_loss[i]));
    json_object_set_new(object, "eval_score", number_or_null(row->eval_score));
    json_object_set_new(object, "eval_best", number_or_null(row->eval_best));
    json_object_set_new(object, "eval_task_loss", loss);
}

/* The line of a row with its newline; the caller frees. */
static char *row_line(const mt_metrics_row *row, size_t *n) {
    json_t *object = json_object();
    for (size_t i = 0; i < n_fields; i++) {
        const char *at = (const char *)row + field[i].offset;
        json_t *value = field[i].integer ? json_integer(*(const int64_t *)at) : number_or_null(*(const double *)at);
        json_object_set_new(object, field[i].name, value);
    }
    if (row->n_tasks > 0) add_task_columns(object, row);
    if (row->n_eval > 0) add_evaluation(object, row);
    char *line = json_dumps(object, JSON_REAL_PRECISION(9));
    json_decref(object);
    if (line == NULL) return NULL;
    *n = strlen(line);
    line[(*n)++] = '\n'; /* in place of the closing zero */
    return line;
}

static double number_or_nan(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* 0 if the line is not an object with an outer step; other fields that are absent or null become NaN or 0. */
static int parse_line(const char *line, size_t n, mt_metrics_row *row) {
    json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    int ok = json_is_integer(json_object_get(object, "outer_step"));
    for (size_t i = 0; i < n_fields && ok; i++) {
        char *at = (char *)row + field[i].offset;
        const json_t *value = json_object_get(object, field[i].name);
        if (field[i].integer)
            *(int64_t *)at = json_integer_value(value);
        else
            *(double *)at = number_or_nan(value);
    }
    row->eval_score = number_or_nan(json_object_get(object, "eval_score"));
    row->eval_best = number_or_nan(json_object_get(object, "eval_best"));
    json_decref(object);
    return ok;
}

/* Keeps the readable lines up to outer step `keep`; returns the length of what is kept, moved to the front. */
static size_t keep_lines(char *text, size_t n, int64_t keep) {
    size_t kept = 0;
    for (char *line = text, *end; (end = memchr(line, '\n', n - (size_t)(line - text))); line = end + 1) {
        size_t length = (size_t)(end - line) + 1;
        mt_metrics_row row;
        if (!parse_line(line, length, &row) || row.outer_step > keep) continue;
        memmove(text + kept, line, length);
        kept += length;
    }
    return kept;
}

static int start_file(const char *path, int64_t keep, lopt_error *err) {
    if (keep < 0 || access(path, F_OK) != 0) return mt_write_atomically(path, "", 0, err);
    size_t n;
    char *text = mt_text_read(path, MAX_BYTES, &n, err);
    if (text == NULL) return 0;
    int ok = mt_write_atomically(path, text, keep_lines(text, n, keep), err);
    free(text);
    return ok;
}

mt_metrics *mt_metrics_open(const char *path, int64_t keep_through, lopt_error *err) {
    if (!start_file(path, keep_through, err)) return NULL;
    mt_metrics *m = calloc(1, sizeof *m);
    if (m == NULL) {
        mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
        return NULL;
    }
    snprintf(m->path, sizeof m->path, "%s", path);
    m->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (m->fd >= 0) return m;
    mt_error(err, LOPT_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    free(m);
    return NULL;
}

int mt_metrics_write(mt_metrics *m, const mt_metrics_row *row, lopt_error *err) {
    size_t n;
    char *line = row_line(row, &n);
    if (line == NULL) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", m->path);
    ssize_t wrote = write(m->fd, line, n);
    int cause = wrote < 0 ? errno : ENOSPC;
    free(line);
    if (wrote == (ssize_t)n) return 1;
    return mt_error(err, LOPT_EIO, "%s: cannot be written: %s", m->path, strerror(cause));
}

static mt_scalar add_scalar(double value, const char *format, ...) {
    mt_scalar s = {.value = value};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(s.tag, sizeof s.tag, format, arguments);
    va_end(arguments);
    return s;
}

size_t mt_metrics_scalars(const mt_metrics_row *row, mt_scalar scalars[MT_METRICS_SCALARS]) {
    size_t n = 0;
    for (size_t i = 0; i < n_fields; i++) {
        const char *at = (const char *)row + field[i].offset;
        double value = field[i].integer ? (double)*(const int64_t *)at : *(const double *)at;
        if (field[i].group) scalars[n++] = add_scalar(value, "%s/%s", field[i].group, field[i].name);
    }
    for (int i = 0; i < row->n_tasks; i++)
        scalars[n++] = add_scalar(row->task[i].meta_loss, "loss/task_meta_loss_%d", i);
    if (row->n_eval > 0) {
        scalars[n++] = add_scalar(row->eval_score, "evaluation/eval_score");
        scalars[n++] = add_scalar(row->eval_best, "evaluation/eval_best");
    }
    for (int i = 0; i < row->n_eval; i++)
        scalars[n++] = add_scalar(row->eval_task_loss[i], "evaluation/eval_task_loss_%d", i);
    return n;
}

void mt_metrics_close(mt_metrics *m) {
    if (m == NULL) return;
    close(m->fd);
    free(m);
}

static size_t count_lines(const char *text, size_t n) {
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    return lines;
}

mt_metrics_row *mt_metrics_read(const char *path, size_t *n, lopt_error *err) {
    size_t bytes;
    char *text = mt_text_read(path, MAX_BYTES, &bytes, err);
    if (text == NULL) return NULL;
    size_t lines = count_lines(text, bytes), i = 0;
    mt_metrics_row *rows = calloc(lines + 1, sizeof *rows);
    const char *line = text;
    for (; rows != NULL && i < lines; i++) {
        const char *end = memchr(line, '\n', bytes - (size_t)(line - text));
        if (!parse_line(line, (size_t)(end - line), &rows[i])) break;
        line = end + 1;
    }
    free(text);
    if (rows != NULL && i == lines) {
        *n = lines;
        return rows;
    }
    if (rows == NULL)
        mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    else
        mt_error(err, LOPT_EARG, "%s:%zu: expected a JSON object with an integer outer_step", path, i + 1);
    free(rows);
    return NULL;
}
