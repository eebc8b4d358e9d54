/* SPDX-License-Identifier: Apache-2.0
 *
 * nadamw_search.c - rows of hyperparameters of NAdamW (ranges in nadamw_search.h). */
#include "eval/nadamw_search.h"

#include <math.h>
#include <stdio.h>

#include "rng/rng.h"

static double draw_log_uniform(lopt_rng_stream *r, double min, double max) {
    return exp(log(min) + lopt_rng_draw_uniform(r) * (log(max) - log(min)));
}

/* 0 in half of the cases; always two numbers of the stream. */
static double zero_or(lopt_rng_stream *r, double min, double max) {
    int zero = lopt_rng_draw_uniform(r) < 0.5;
    double x = draw_log_uniform(r, min, max);
    return zero ? 0 : x;
}

static void next_word(lopt__optlist *row, int i, const char *name, const char *value) {
    row->setting[i] = (lopt_setting){name, value};
}

static void format_number(lopt__optlist *row, int i, const char *name, double x) {
    snprintf(row->text[i], sizeof row->text[i], "%.17g", x);
    next_word(row, i, name, row->text[i]);
}

void lopt__optlist_row(lopt__optlist *row, uint64_t seed, uint64_t index) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){seed, LOPT_RNG_SEARCH, index, 0, 0});
    format_number(row, 0, "learning_rate", draw_log_uniform(&r, 1e-5, 1));
    format_number(row, 1, "beta1", 1 - draw_log_uniform(&r, 1e-3, 1));
    format_number(row, 2, "beta2", 1 - draw_log_uniform(&r, 1e-5, 1));
    format_number(row, 3, "epsilon", draw_log_uniform(&r, 1e-8, 1e4));
    next_word(row, 4, "nesterov", lopt_rng_draw_uniform(&r) < 0.5 ? "true" : "false");
    double which = 3 * lopt_rng_draw_uniform(&r), decay = draw_log_uniform(&r, 1e-5, 0.1);
    double l2 = draw_log_uniform(&r, 1e-5, 0.1);
    format_number(row, 5, "weight_decay", which < 2 ? decay : 0);
    format_number(row, 6, "l2_weight_decay", which < 1 || which >= 2 ? l2 : 0);
    format_number(row, 7, "warmup_fraction", zero_or(&r, 1e-5, 0.1));
    format_number(row, 8, "min_learning_rate_mult", zero_or(&r, 1e-5, 1));
    format_number(row, 9, "constant_fraction", lopt_rng_draw_uniform(&r));
    next_word(row, 10, "schedule", "cosine");
    next_word(row, 11, "warmup_rule", "optlist");
}
