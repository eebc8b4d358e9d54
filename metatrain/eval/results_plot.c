/* SPDX-License-Identifier: Apache-2.0
 *
 * results_plot.c - validation loss against inner step, a chart for each task. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/svg_plot.h"
#include "eval/results.h"

/* One chart and the numbers its curves point to. */
typedef struct drawing {
    mt_chart chart;
    mt_curve *curves;
    char (*labels)[160];
    char title[400];
    double *numbers;
} drawing;

/* "adam 0.01, best of 15" */
static void make_label(const mt_results *r, int task_index, int entry, char *label, size_t bytes) {
    const mt_result_entry *e = &r->entries[entry];
    double rate = mt_chosen_rate(r, task_index, entry);
    int n = snprintf(label, bytes, "%s", e->label);
    if (isfinite(rate)) n += snprintf(label + n, bytes - (size_t)n, " %g", rate);
    int trials = mt_result_at(r, task_index, entry)->n_trials;
    if (trials > 1) snprintf(label + n, bytes - (size_t)n, ", best of %d %s", trials, e->searched ? "rows" : "rates");
}

/* Mean over seeds and one standard deviation around it at every point. numbers: [3][n_points] */
static void fill_curve(const mt_results *r, const mt_result *o, const double *x, double *numbers, mt_curve *curve) {
    size_t n = r->n_points, seeds = (size_t)r->seeds;
    double *y = numbers, *low = numbers + n, *high = numbers + 2 * n;
    for (size_t i = 0; i < n; i++) {
        double sum = 0, squares = 0;
        const mt_point *at = &o->points[i]; /* of the first seed */
        for (size_t s = 0; s < seeds; s++) sum += at[s * n].normalised[TASK_OUTER_VALID];
        y[i] = sum / (double)seeds;
        for (size_t s = 0; s < seeds; s++) squares += pow(at[s * n].normalised[TASK_OUTER_VALID] - y[i], 2);
        double deviation = seeds > 1 ? sqrt(squares / (double)(seeds - 1)) : 0;
        low[i] = y[i] - deviation;
        high[i] = y[i] + deviation;
    }
    *curve = (mt_curve){.n = n, .x = x, .y = y, .low = low, .high = high};
}

/* The picture ends at the first losses: a baseline that diverges leaves it through the top. A logarithmic
 * axis where every number allows it. */
static void set_axis(mt_chart *chart) {
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < chart->n_curves; i++) {
        const mt_curve *curve = &chart->curves[i];
        if (isfinite(curve->y[0])) high = fmax(high, curve->y[0]);
        for (size_t j = 0; j < curve->n; j++) low = fmin(low, curve->low[j]); /* passes NaN over */
    }
    if (!(low < high)) return;
    chart->log_y = low > 0;
    chart->y_min = low > 0 ? 0.95 * low : low;
    chart->y_max = 1.05 * high;
}

static int make_drawing(const mt_results *r, int task_index, drawing *d) {
    size_t n = r->n_points, entries = (size_t)r->n_entries;
    d->curves = calloc(entries, sizeof *d->curves);
    d->labels = calloc(entries, sizeof *d->labels);
    d->numbers = calloc((3 * entries + 1) * n, sizeof *d->numbers);
    if (!d->curves || !d->labels || !d->numbers) return 0;
    double *x = d->numbers + 3 * entries * n;
    for (size_t i = 0; i < n; i++) x[i] = (double)r->x[i];
    int *order = calloc(entries, sizeof *order);
    if (order == NULL) return 0;
    mt_sort_entries(r, task_index, order);
    for (size_t i = 0; i < entries; i++) { /* the worst first: labels stand in the order of the curves' ends */
        int e = order[entries - 1 - i];
        fill_curve(r, mt_result_at(r, task_index, e), x, d->numbers + 3 * i * n, &d->curves[i]);
        make_label(r, task_index, e, d->labels[i], sizeof *d->labels);
        d->curves[i].label = d->labels[i];
        d->curves[i].color = e;
    }
    free(order);
    snprintf(d->title, sizeof d->title, "%s: mean and standard deviation over %lld seeds", r->tasks[task_index].name,
             (long long)r->seeds);
    d->chart = (mt_chart){.title = d->title,
                          .x_label = "inner step",
                          .y_label = "validation loss",
                          .n_curves = entries,
                          .curves = d->curves,
                          .key_outside = 1};
    set_axis(&d->chart);
    return 1;
}

int mt_plot_results(const mt_results *r, const char *svg_path, lopt_error *err) {
    drawing *drawings = calloc((size_t)r->n_tasks, sizeof *drawings);
    mt_chart *charts = calloc((size_t)r->n_tasks, sizeof *charts);
    int ok = drawings != NULL && charts != NULL;
    for (int t = 0; ok && t < r->n_tasks; t++) {
        ok = make_drawing(r, t, &drawings[t]);
        charts[t] = drawings[t].chart;
    }
    ok = ok ? mt_plot_charts(charts, (size_t)r->n_tasks, svg_path, err)
            : mt_error(err, LOPT_ENOMEM, "%s: not drawn, out of memory", svg_path);
    for (int t = 0; drawings != NULL && t < r->n_tasks; t++) {
        free(drawings[t].curves);
        free(drawings[t].labels);
        free(drawings[t].numbers);
    }
    free(drawings);
    free(charts);
    return ok;
}
