/* SPDX-License-Identifier: Apache-2.0
 *
 * The history of a run: what is written is read, a resume leaves every outer step once. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/read_file.h"
#include "run/metrics.h"

static char path[1024];
static lopt_error err;

static void set_path(void) {
    const char *folder = getenv("SCRATCH");
    snprintf(path, sizeof path, "%s/metrics-%d.jsonl", folder ? folder : "/tmp", (int)getpid());
}

static void remove_path(void) {
    remove(path);
}

TestSuite(metrics, .init = set_path, .fini = remove_path);

static void write_steps(int64_t keep, int64_t first, int64_t last) {
    mt_metrics *m = mt_metrics_open(path, keep, &err);
    cr_assert(m != NULL, "%s", err.text);
    for (int64_t step = first; step <= last; step++) {
        mt_metrics_row row = {.outer_step = step,
                              .meta_loss = 1.0 / (double)step,
                              .inner_steps = 1000 * step,
                              .gradient_norm = NAN,
                              .seconds = (double)first};
        cr_assert(mt_metrics_write(m, &row, &err), "%s", err.text);
    }
    mt_metrics_close(m);
}

static void append(const char *text) {
    FILE *f = fopen(path, "a");
    fputs(text, f);
    fclose(f);
}

static mt_metrics_row *read_all(size_t *n) {
    mt_metrics_row *rows = mt_metrics_read(path, n, &err);
    cr_assert(rows != NULL, "%s", err.text);
    return rows;
}

Test(metrics, what_is_written_is_read) {
    size_t n;
    write_steps(-1, 1, 3);
    mt_metrics_row *rows = read_all(&n);
    cr_assert(n == 3, "%zu rows", n);
    cr_assert(rows[2].outer_step == 3 && rows[2].inner_steps == 3000, "row 2 differs");
    cr_assert(fabs(rows[2].meta_loss - 1.0 / 3) < 1e-8, "meta-loss %.12g", rows[2].meta_loss);
    cr_assert(isnan(rows[2].gradient_norm), "null must read as NaN, is %g", rows[2].gradient_norm);
    free(rows);
}

Test(metrics, lines_are_plain_json) {
    write_steps(-1, 1, 1);
    char *text = mt_text_read(path, 4096, NULL, &err);
    const char *start = "{\"outer_step\": 1, \"meta_loss\": 1.0, \"meta_loss_std\": 0.0, \"gradient_norm\": null, ";
    cr_assert(strncmp(text, start, strlen(start)) == 0, "%s", text);
    cr_assert(strchr(text, '\n') == text + strlen(text) - 1, "one line expected: %s", text);
    free(text);
}

Test(metrics, a_mixture_has_arrays) {
    const mt_task_summary tasks[2] = {{5, 0.5, 0.25}, {0, NAN, NAN}};
    mt_metrics_row row = {.outer_step = 1, .n_tasks = 2, .task = tasks};
    mt_scalar scalars[MT_METRICS_SCALARS];
    mt_metrics *m = mt_metrics_open(path, -1, &err);
    cr_assert(m != NULL && mt_metrics_write(m, &row, &err), "%s", err.text);
    mt_metrics_close(m);
    char *text = mt_text_read(path, 4096, NULL, &err);
    const char *end = "\"task_meta_loss\": [0.5, null], \"task_meta_loss_std\": [0.25, null], "
                      "\"task_particles\": [5, 0]}\n";
    cr_assert(strstr(text, end) != NULL, "%s", text);
    free(text);
    size_t n = mt_metrics_scalars(&row, scalars);
    cr_assert(strcmp(scalars[n - 2].tag, "loss/task_meta_loss_0") == 0 && scalars[n - 2].value == 0.5);
}

/* Steps 1..10 written, killed, resumed from 6: steps 7..10 are written again, by the second run. */
Test(metrics, resume_has_every_step_once) {
    size_t n;
    write_steps(-1, 1, 10);
    append("{\"outer_step\": 11, \"meta_lo");
    write_steps(6, 7, 12);
    mt_metrics_row *rows = read_all(&n);
    cr_assert(n == 12, "%zu rows", n);
    for (size_t i = 0; i < n; i++) {
        cr_assert(rows[i].outer_step == (int64_t)i + 1, "row %zu is step %ld", i, (long)rows[i].outer_step);
        cr_assert(rows[i].seconds == (i < 6 ? 1 : 7), "step %zu is from the wrong run", i + 1);
    }
    free(rows);
}

Test(metrics, a_new_history_replaces_the_old) {
    size_t n;
    write_steps(-1, 1, 10);
    write_steps(-1, 1, 2);
    free(read_all(&n));
    cr_assert(n == 2, "%zu rows", n);
}

Test(metrics, resume_without_a_file_starts_one) {
    size_t n;
    write_steps(5, 6, 7);
    free(read_all(&n));
    cr_assert(n == 2, "%zu rows", n);
}

Test(metrics, a_last_line_cut_short_is_left_out) {
    size_t n;
    write_steps(-1, 1, 4);
    append("{\"outer_step\": 5, \"meta");
    free(read_all(&n));
    cr_assert(n == 4, "%zu rows", n);
}

Test(metrics, damage_is_named_with_its_line) {
    size_t n;
    write_steps(-1, 1, 2);
    append("{\"outer_step\": \"three\"}\n");
    cr_assert(mt_metrics_read(path, &n, &err) == NULL, "damage was read");
    cr_assert(strstr(err.text, ".jsonl:3: ") != NULL, "%s", err.text);
}

Test(metrics, a_folder_that_is_missing_is_a_sentence) {
    cr_assert(mt_metrics_open("/nowhere/metrics.jsonl", -1, &err) == NULL, "opened");
    cr_assert(strstr(err.text, "/nowhere/metrics.jsonl") != NULL && err.status == LOPT_EARG, "%s", err.text);
}
