/* SPDX-License-Identifier: Apache-2.0
 *
 * training_plot.c - see training_plot.h. */
#include "run/training_plot.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/svg_plot.h"
#include "run/metrics.h"

void mt_average_nearby(const double *y, size_t n, size_t reach, double *out) {
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        size_t count = 0;
        for (size_t j = i > reach ? i - reach : 0; j < n && j <= i + reach; j++) {
            if (!isfinite(y[j])) continue;
            sum += y[j];
            count++;
        }
        out[i] = count > 0 ? sum / (double)count : NAN;
    }
}

int mt_plot_training(const char *metrics_path, const char *svg_path, lopt_error *err) {
    size_t n;
    mt_metrics_row *rows = mt_metrics_read(metrics_path, &n, err);
    if (rows == NULL) return 0;
    double *column = n == 0 ? NULL : calloc(3 * n, sizeof *column);
    int ok = 0;
    if (column == NULL) {
        mt_error(err, LOPT_EARG, "%s: nothing to draw, %s has no outer step", svg_path, metrics_path);
    } else {
        double *x = column, *y = column + n, *line = column + 2 * n;
        for (size_t i = 0; i < n; i++) {
            x[i] = (double)rows[i].outer_step;
            y[i] = rows[i].meta_loss;
        }
        mt_average_nearby(y, n, n / 50, line);
        mt_curve curves[] = {{.label = "one outer step", .n = n, .x = x, .y = y, .points = 1},
                             {.label = "smoothed", .n = n, .x = x, .y = line}};
        mt_chart chart = {.title = "Meta-training",
                          .x_label = "outer step",
                          .y_label = "meta-loss, mean over particles",
                          .n_curves = 2,
                          .curves = curves};
        ok = mt_plot_charts(&chart, 1, svg_path, err);
    }
    free(column);
    free(rows);
    return ok;
}
