/* SPDX-License-Identifier: Apache-2.0
 *
 * training_plot.h - the meta-loss of a run as a picture. */
#ifndef MT_TRAINING_PLOT_H
#define MT_TRAINING_PLOT_H

#include <stddef.h>

#include "lopt.h"

/* The meta-loss of metrics.jsonl against the outer step: faint points and a smoothed line. 0 and a message where it
 * cannot be drawn (base/svg_plot.h). */
int mt_plot_training(const char *metrics_path, const char *svg_path, lopt_error *err);

/* out[i]: mean over the y at most `reach` away that are finite; NaN where none is. */
void mt_average_nearby(const double *y, size_t n, size_t reach, double *out);

#endif
