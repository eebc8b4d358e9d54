/* SPDX-License-Identifier: Apache-2.0
 *
 * recipe.c - how long the published meta-trainings would take on this machine, from some of
 * their outer steps, run by the program on all cores. Budgets: Moudgil et al. 2025, 2501.12670
 * (Celo) and 2026, 2602.19142 (Celo2). */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/progress.h"
#include "bench/bench.h"
#include "bench/peak.h"
#include "bench/train_run.h"

#define OUTER_STEPS 100000.0 /* of each: 3.2e8 inner steps */

typedef struct recipe {
    const char *name, *config;
    const char *set[MT_BENCH_MAX_SETS];
    const char *published;  /* what it took where it was published */
    double published_hours; /* on one GPU, where that is said of this run alone; else 0 */
} recipe;

#define CELO2 "configs/recipes/celo2.yaml"
#define CELO_1 "configs/recipes/celo-phase1.yaml"

static const recipe recipes[] = {
    {"celo2", CELO2, {NULL}, "4.5 h on an A100", 4.5},
    {"celo2-base", CELO2, {"optimizer.name=celo2-base", "outer.learning_rate=0.0001"}, "4.5 h on an A100", 4.5},
    {"celo-phase1", CELO_1, {NULL}, "24 h, both phases", 0},
    {"celo", CELO_1, {"optimizer.name=celo", "optimizer.freeze=[ff_mod_stack/*]"}, "24 h, both phases", 0},
    {"small-fc", CELO2, {"optimizer.name=small-fc", "outer.learning_rate=0.0001"}, "not said", 0},
};
enum { N_RECIPES = sizeof recipes / sizeof *recipes };

/* FLOP/s of one core now. */
static double peak_now(const mt_bench *b) {
    mt_timed peak = mt_peak_timed();
    int rounds = mt_time_of(&peak, 1, &b->timing);
    return mt_peak_flop() / mt_seconds_of(&peak, rounds).median;
}

static json_t *recipe_row(const recipe *r, int ranks, const mt_bench_speed *s, double peak) {
    double hours = OUTER_STEPS * s->mean_step_seconds / 3600;
    double cpu_hours = OUTER_STEPS * s->core_seconds / (1 - s->outside_share) / ranks / 3600;
    return json_pack("{s:s, s:i, s:I, s:f, s:f, s:o, s:f, s:f, s:s, s:o, s:f, s:f, s:f, s:f}", "recipe", r->name,
                     "ranks", ranks, "outer_steps", (json_int_t)s->outer_steps, "seconds", s->seconds, "hours", hours,
                     "hours_by_fifth", mt_bench_spread(mt_spread_scaled(s->step_seconds, OUTER_STEPS / 3600)),
                     "hours_if_never_idle", cpu_hours, "hours_at_250_gflops", cpu_hours * peak / MT_REFERENCE_PEAK,
                     "published", r->published, "of_published",
                     mt_bench_number(r->published_hours > 0 ? hours / r->published_hours : NAN),
                     "inner_steps_per_second", s->inner_steps_per_second, "idle_share", s->idle_share, "outside_share",
                     s->outside_share, "peak_mb", s->peak_bytes / 1e6);
}

json_t *mt_bench_recipe(const mt_bench *b, lopt_error *err) {
    int ranks = mt_bench_most_ranks();
    json_t *rows = json_array();
    lopt_error why;
    mt_progress progress;
    if (!rows) return mt_error(err, LOPT_ENOMEM, "out of memory"), NULL;
    mt_progress_start(&progress, "recipe", 0, N_RECIPES);
    for (int i = 0; i < N_RECIPES; i++) {
        const recipe *r = &recipes[i];
        mt_bench_run run = {.config = r->config,
                            .ranks = ranks,
                            .seconds = b->seconds > 0 ? b->seconds
                                       : b->quick     ? 4
                                                      : 120};
        mt_bench_speed speed;
        if (!mt_bench_asked(b, r->name)) continue;
        mt_progress_update(&progress, i, r->name);
        memcpy(run.set, r->set, sizeof run.set);
        json_array_append_new(rows, mt_bench_run_once(&run, &speed, &why)
                                        ? recipe_row(r, ranks, &speed, peak_now(b))
                                        : mt_bench_skipped("recipe", r->name, why.text));
    }
    mt_progress_clear(&progress);
    return rows;
}

void mt_bench_print_recipe(const json_t *rows, FILE *f) {
    static const mt_bench_column columns[] = {{"recipe", "recipe", MT_SHOW_TEXT},
                                              {"ranks", "ranks", MT_SHOW_COUNT},
                                              {"hours", "hours", MT_SHOW_NUMBER},
                                              {"range", "hours_by_fifth", MT_SHOW_RANGE},
                                              {"never idle", "hours_if_never_idle", MT_SHOW_NUMBER},
                                              {"at 250", "hours_at_250_gflops", MT_SHOW_NUMBER},
                                              {"x published", "of_published", MT_SHOW_NUMBER},
                                              {"published", "published", MT_SHOW_TEXT}};
    mt_bench_print(rows, columns, sizeof columns / sizeof *columns, f);
}
