/* SPDX-License-Identifier: Apache-2.0
 *
 * outer.c - outer steps of the published recipes on 1, 2, 4, ... ranks, run by the program
 * itself. */
#include "base/error.h"
#include "base/progress.h"
#include "bench/bench.h"
#include "bench/train_run.h"

static const char *const recipes[] = {"celo2", "celo-phase1"};
enum { N_RECIPES = sizeof recipes / sizeof *recipes };

static json_t *outer_row(const char *recipe, int ranks, const mt_bench_speed *s, double alone) {
    const mt_spread *t = &s->step_seconds;
    mt_spread rate = {1 / t->median, 1 / t->max, 1 / t->min};
    return json_pack("{s:s, s:i, s:I, s:f, s:o, s:f, s:f, s:f, s:f, s:f}", "recipe", recipe, "ranks", ranks,
                     "outer_steps", (json_int_t)s->outer_steps, "seconds", s->seconds, "outer_steps_per_second",
                     mt_bench_spread(rate), "x_one_rank", alone / t->median, "inner_steps_per_second",
                     s->inner_steps_per_second, "idle_share", s->idle_share, "outside_share", s->outside_share,
                     "peak_mb", s->peak_bytes / 1e6);
}

static void measure_recipe_ranks(const mt_bench *b, const char *recipe, int most, json_t *rows) {
    char config[64];
    double alone = 0;
    lopt_error why;
    snprintf(config, sizeof config, "configs/recipes/%s.yaml", recipe);
    for (int ranks = 1;; ranks = 2 * ranks < most ? 2 * ranks : most) {
        mt_bench_run run = {.config = config,
                            .ranks = ranks,
                            .seconds = b->seconds > 0 ? b->seconds
                                       : b->quick     ? 4
                                                      : 20};
        mt_bench_speed speed;
        if (mt_bench_run_once(&run, &speed, &why)) {
            if (ranks == 1) alone = speed.step_seconds.median;
            json_array_append_new(rows, outer_row(recipe, ranks, &speed, alone));
        } else
            json_array_append_new(rows, mt_bench_skipped("recipe", recipe, why.text));
        if (ranks == most) return;
    }
}

json_t *mt_bench_outer(const mt_bench *b, lopt_error *err) {
    int cores = mt_bench_most_ranks(), most = b->quick && cores > 2 ? 2 : cores;
    json_t *rows = json_array();
    mt_progress progress;
    if (!rows) return mt_error(err, LOPT_ENOMEM, "out of memory"), NULL;
    mt_progress_start(&progress, "outer steps", 0, N_RECIPES);
    for (int i = 0; i < N_RECIPES; i++) {
        if (!mt_bench_asked(b, recipes[i])) continue;
        mt_progress_update(&progress, i, recipes[i]);
        measure_recipe_ranks(b, recipes[i], most, rows);
    }
    mt_progress_clear(&progress);
    return rows;
}

void mt_bench_print_outer(const json_t *rows, FILE *f) {
    static const mt_bench_column columns[] = {{"recipe", "recipe", MT_SHOW_TEXT},
                                              {"ranks", "ranks", MT_SHOW_COUNT},
                                              {"outer steps/s", "outer_steps_per_second", MT_SHOW_NUMBER},
                                              {"range", "outer_steps_per_second", MT_SHOW_RANGE},
                                              {"x one rank", "x_one_rank", MT_SHOW_NUMBER},
                                              {"inner steps/s", "inner_steps_per_second", MT_SHOW_NUMBER},
                                              {"idle", "idle_share", MT_SHOW_PERCENT},
                                              {"outside", "outside_share", MT_SHOW_PERCENT},
                                              {"MB a rank", "peak_mb", MT_SHOW_NUMBER}};
    mt_bench_print(rows, columns, sizeof columns / sizeof *columns, f);
}
