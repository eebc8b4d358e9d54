/* SPDX-License-Identifier: Apache-2.0
 *
 * Curves: an SVG comes out, the same numbers give the same bytes, failures are sentences and leave no file. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/read_file.h"
#include "base/svg_plot.h"
#include "run/metrics.h"
#include "run/training_plot.h"

static char dir[64], svg[128], history[128];
static lopt_error err;

static void set_dir(void) {
    snprintf(dir, sizeof dir, "/tmp/metatrain-plot-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(svg, sizeof svg, "%s/it's a curve.svg", dir);
    snprintf(history, sizeof history, "%s/metrics.jsonl", dir);
}

static void remove_dir(void) {
    remove(svg);
    remove(history);
    cr_assert(rmdir(dir) == 0, "%s: files are left", dir);
}

TestSuite(plot, .init = set_dir, .fini = remove_dir);

static char *draw_line(const char *label) {
    double x[] = {0, 1, 2, 3}, y[] = {3, 2, NAN, 1}, low[] = {2, 1, NAN, 0.5}, high[] = {4, 3, NAN, 1.5};
    mt_curve curve = {.label = label, .n = 4, .x = x, .y = y, .low = low, .high = high};
    mt_chart charts[2] = {
        {.title = "one",
         .x_label = "x",
         .y_label = "y",
         .y_min = 0.4,
         .y_max = 5,
         .log_y = 1,
         .n_curves = 1,
         .curves = &curve},
        {.title = "two", .x_label = "x", .y_label = "y", .key_outside = 1, .n_curves = 1, .curves = &curve}};
    cr_assert(mt_plot_charts(charts, 2, svg, &err), "%s", err.text);
    char *text = mt_text_read(svg, 1 << 20, NULL, &err);
    cr_assert(text != NULL, "%s", err.text);
    return text;
}

Test(plot, the_same_numbers_give_the_same_bytes) {
    char *first = draw_line("a"), *second = draw_line("a"), *other = draw_line("b");
    cr_assert(strstr(first, "<svg") && strstr(first, "</svg>"), "not a picture: %.200s", first);
    cr_assert(strcmp(first, second) == 0, "two pictures of the same numbers differ");
    cr_assert(strcmp(first, other) != 0, "the label is not in the picture");
    free(first);
    free(second);
    free(other);
}

Test(plot, labels_stand_for_themselves) {
    char *text = draw_line("it's $x_{1}^2 `ls` \\ \"\n&");
    cr_assert(strstr(text, "it&#39;s $x_{1}^2 `ls` \\ ") || strstr(text, "it's $x_{1}^2 `ls` \\ "),
              "the label was changed");
    free(text);
}

Test(plot, without_gnuplot_there_is_a_sentence) {
    double x[] = {0, 1};
    mt_curve curve = {.label = "", .n = 2, .x = x, .y = x};
    mt_chart chart = {.title = "", .x_label = "", .y_label = "", .n_curves = 1, .curves = &curve};
    setenv("PATH", dir, 1);
    cr_assert(!mt_plot_charts(&chart, 1, svg, &err), "drawn without gnuplot");
    cr_assert(strstr(err.text, svg) && strstr(err.text, "gnuplot-nox"), "%s", err.text);
    cr_assert(access(svg, F_OK) != 0, "a file is left");
}

Test(plot, a_failing_gnuplot_is_quoted) {
    double x[] = {0, 1}, y[] = {NAN, NAN};
    mt_curve curve = {.label = "", .n = 2, .x = x, .y = y};
    mt_chart chart = {.title = "", .x_label = "", .y_label = "", .n_curves = 1, .curves = &curve};
    cr_assert(!mt_plot_charts(&chart, 1, svg, &err), "drawn without numbers");
    cr_assert(strstr(err.text, svg) && strstr(err.text, "undefined"), "%s", err.text);
    cr_assert(access(svg, F_OK) != 0, "a file is left");
}

Test(plot, history_of_a_run) {
    mt_metrics *m = mt_metrics_open(history, -1, &err);
    for (int i = 1; i <= 60; i++)
        cr_assert(mt_metrics_write(m, &(mt_metrics_row){.outer_step = i, .meta_loss = i == 30 ? NAN : 2.0 / i}, &err));
    mt_metrics_close(m);
    cr_assert(mt_plot_training(history, svg, &err), "%s", err.text);
    cr_assert(access(svg, F_OK) == 0);
}

Test(plot, an_empty_history_is_a_sentence) {
    mt_metrics_close(mt_metrics_open(history, -1, &err));
    cr_assert(!mt_plot_training(history, svg, &err) && strstr(err.text, "no outer step"), "%s", err.text);
}
