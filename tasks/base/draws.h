/* SPDX-License-Identifier: Apache-2.0
 *
 * draws.h - random draws of the structures of parametric families. A range is published as [low, high). */
#ifndef TASK_DRAWS_H
#define TASK_DRAWS_H

#include "base/spec.h"

int task_draw_log_integer(lopt_rng_stream *r, double low, double high); /* floor(exp(uniform(ln low, ln high))) */
double task_draw_log_uniform(lopt_rng_stream *r, double low, double high);
int task_draw_choice(lopt_rng_stream *r, int n); /* 0..n-1 */

void task_draw_images(task_spec *spec, lopt_rng_stream *r); /* size 4..32, batch 4..512 */
void task_draw_hidden(task_spec *spec, lopt_rng_stream *r); /* 0..4 layers of one width 8..128; per_task */

#endif
