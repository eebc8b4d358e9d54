/* SPDX-License-Identifier: Apache-2.0
 *
 * svg_plot.h - curves as SVG, PNG or text through gnuplot.
 *
 * A picture is a by-product: where gnuplot is missing or fails, the functions return 0 and a sentence that
 * the caller prints as a warning, and nothing else is lost. The file is complete or
 * absent (atomic_file.h). The same numbers give the same bytes. */
#ifndef MT_PLOT_H
#define MT_PLOT_H

#include <stddef.h>

#include "lopt.h"

/* One line of a chart; y may hold NaN, which leaves a gap. low and high: a band around it, or NULL. All
 * arrays have n elements and are borrowed. */
typedef struct mt_curve {
    const char *label; /* "" for none */
    size_t n;
    const double *x, *y, *low, *high;
    int points; /* faint points instead of a line */
    int marks;  /* a point on the line at every x */
    int color;  /* number in the palette; curves of one color belong together. After the last color: dashed lines */
} mt_curve;

typedef struct mt_chart {
    const char *title, *x_label, *y_label;
    double y_min, y_max; /* ends of the y axis; equal: as the data say */
    int log_y;           /* needs y_min > 0 */
    int key_outside;     /* labels beside the picture instead of in its top right corner */
    size_t n_curves;
    const mt_curve *curves;
    int log_x; /* needs x > 0 */
} mt_chart;

/* Charts one below the other in one picture. */
int mt_plot_charts(const mt_chart *charts, size_t n_charts, const char *svg_path, lopt_error *err);

/* MT_PLOT_PAGE: SVG to stand in an HTML page or alone: transparent, labels below, colors for dark screens where
 * those are preferred; `name` makes its ids unique. Text: characters. */
typedef enum mt_plot_form { MT_PLOT_SVG, MT_PLOT_PAGE, MT_PLOT_PNG, MT_PLOT_TEXT } mt_plot_form;

typedef struct mt_picture {
    mt_plot_form form;
    int width,
        height;       /* of one chart: pixels, or characters of text; labels below a chart (MT_PLOT_PAGE) come on top */
    const char *name; /* letters, digits and '-'; needed for MT_PLOT_PAGE alone */
} mt_picture;

/* The picture, *n_bytes of it and a closing zero; the caller frees. NULL and a sentence. */
char *mt_draw_charts(const mt_chart *charts, size_t n_charts, const mt_picture *picture, size_t *n_bytes,
                     lopt_error *err);

#endif
