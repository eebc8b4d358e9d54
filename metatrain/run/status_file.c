/* SPDX-License-Identifier: Apache-2.0 */
#include "run/status_file.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/read_file.h"

#define MAX_BYTES 65536

static const char *const state_name[] = {"running", "stopped", "done", "failed"};
static const size_t n_states = sizeof state_name / sizeof *state_name;

static int status_path(const char *dir, char *path, size_t bytes, lopt_error *err) {
    int n = snprintf(path, bytes, "%s/status.json", dir);
    if (n >= 0 && (size_t)n < bytes) return 1;
    return mt_error(err, LOPT_EARG, "%.64s...: the path is too long", dir);
}

int mt_status_write(const char *dir, const mt_status *status, lopt_error *err) {
    char path[PATH_MAX];
    if (!status_path(dir, path, sizeof path, err)) return 0;
    json_t *root = json_pack("{s:s, s:o, s:I, s:s}", "state", state_name[status->state], "status",
                             status->state == MT_STATE_RUNNING ? json_null() : json_integer(status->status),
                             "outer_step", (json_int_t)status->outer_step, "version", lopt_version());
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (text == NULL) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    size_t n = strlen(text);
    text[n] = '\n'; /* in place of the closing zero, which mt_write_atomically does not need */
    int ok = mt_write_atomically(path, text, n + 1, err);
    free(text);
    return ok;
}

static int fill_status(const json_t *root, mt_status *status) {
    const char *state = json_string_value(json_object_get(root, "state"));
    const char *version = json_string_value(json_object_get(root, "version"));
    const json_t *step = json_object_get(root, "outer_step");
    if (state == NULL || version == NULL || !json_is_integer(step)) return 0;
    size_t i = 0;
    while (i < n_states && strcmp(state, state_name[i]) != 0) i++;
    if (i == n_states) return 0;
    status->state = (mt_state)i;
    status->status = (int)json_integer_value(json_object_get(root, "status"));
    status->outer_step = json_integer_value(step);
    snprintf(status->version, sizeof status->version, "%s", version);
    return 1;
}

int mt_status_read(const char *dir, mt_status *status, lopt_error *err) {
    char path[PATH_MAX];
    size_t n;
    if (!status_path(dir, path, sizeof path, err)) return 0;
    char *text = mt_text_read(path, MAX_BYTES, &n, err);
    if (text == NULL) return 0;
    json_error_t why;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    free(text);
    if (root == NULL) return mt_error(err, LOPT_EARG, "%s:%d: not JSON: %s", path, why.line, why.text);
    int ok = fill_status(root, status);
    json_decref(root);
    if (ok) return 1;
    return mt_error(err, LOPT_EARG,
                    "%s: expected an object with state (running, stopped, done, failed), status, outer_step "
                    "and version",
                    path);
}
