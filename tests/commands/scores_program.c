/* SPDX-License-Identifier: Apache-2.0
 *
 * scores_program FILE: scores made-up results and prints what it scored and what came out, a name and its numbers a line,
 * for scores_numpy.py. FILE gets the runs that the bootstrap draws: int32 [stream][replicate][cell], for stream 4, of two
 * matrices, twice as many. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/scores.h"
#include "rng/rng.h"

enum { TASKS = 6, ENTRIES = 5, SEEDS = 5, POINTS = 22, REFERENCE = 1 };

static void print_number(double x) {
    printf(" %.17g", x);
}

static void print_interval(const char *name, int entry, mt_interval i) {
    printf("%s.%d %.17g %.17g %.17g\n", name, entry, i.value, i.low, i.high);
}

static void print_aggregates(const char *name, int entry, const mt_aggregates *a, const double *scores) {
    char text[100];
    const mt_interval *i[] = {&a->iqm, &a->mean, &a->median, &a->optimality_gap};
    static const char *const names[] = {"iqm", "mean", "median", "gap"};
    for (int k = 0; k < 4; k++) {
        snprintf(text, sizeof text, "%s.%s", name, names[k]);
        print_interval(text, entry, *i[k]);
    }
    printf("%s.profile.%d", name, entry);
    for (int k = 0; k < MT_PROFILE_POINTS; k++) {
        print_number(a->profile[k].value);
        print_number(a->profile[k].low);
        print_number(a->profile[k].high);
    }
    printf("\n%s.scores.%d", name, entry);
    for (int k = 0; k < SEEDS * TASKS; k++) print_number(scores[k]);
    putchar('\n');
}

/* A noisy curve that falls from 2 to about `end`. Entry 3 diverges now and then, the reference once; entry 2 has losses
 * that are missing within a curve; entry 4 gets below 0 on task 0 and
 * not far on the others. */
static void fill_run(const mt_results *r, int task_index, int entry, int seed) {
    lopt_rng_stream s;
    uint64_t run = (uint64_t)((task_index * ENTRIES + entry) * SEEDS + seed);
    lopt_rng_open_stream(&s, (lopt_rng_address){7, LOPT_RNG_TEST, run, 0, 0});
    double end = 0.3 + 0.1 * task_index + 0.04 * (entry - 1) * (task_index - 2) + 0.03 * lopt_rng_draw_normal(&s);
    if (entry == 4) end = task_index == 0 ? -1 : end + 0.9;
    mt_point *points = &mt_result_at(r, task_index, entry)->points[seed * POINTS];
    for (int i = 0; i < POINTS; i++) {
        double loss = end + (2 - end) * exp(-0.25 * i) + 0.02 * lopt_rng_draw_normal(&s);
        int diverged = (entry == 3 && run % 4 == 0 && i > 15) || (entry == REFERENCE && task_index == 3 && seed == 2);
        if (entry == 2 && i % 7 == 3) loss = i % 2 ? NAN : INFINITY;
        for (int split = 0; split < TASK_N_SPLITS; split++)
            points[i].loss[split] = diverged && i > 0 ? NAN : split == TASK_TEST ? loss : NAN;
    }
}

static mt_results *make_results(void) {
    lopt_error err;
    mt_results *r = mt_results_create(TASKS, ENTRIES, SEEDS, POINTS, &err);
    if (r == NULL) exit(1);
    r->seed = 11;
    r->steps = 205;
    for (int i = 0; i < POINTS; i++) r->x[i] = i < POINTS - 1 ? 10 * i : r->steps;
    for (int e = 0; e < ENTRIES; e++)
        snprintf(r->entries[e].optimizer, sizeof r->entries[e].optimizer, "%s", e == REFERENCE ? "adam" : "sgd");
    for (int t = 0; t < TASKS; t++)
        for (int e = 0; e < ENTRIES; e++)
            for (int s = 0; s < SEEDS; s++) fill_run(r, t, e, s);
    return r;
}

static void print_losses(const mt_results *r) {
    printf("shape %d %d %d %d %d\nsteps %d\nx", TASKS, ENTRIES, SEEDS, POINTS, REFERENCE, (int)r->steps);
    for (int i = 0; i < POINTS; i++) print_number((double)r->x[i]);
    printf("\nlosses");
    for (int t = 0; t < TASKS; t++)
        for (int e = 0; e < ENTRIES; e++)
            for (int i = 0; i < SEEDS * POINTS; i++) print_number(mt_result_at(r, t, e)->points[i].loss[TASK_TEST]);
    printf("\nthresholds");
    for (int i = 0; i < MT_PROFILE_POINTS; i++) print_number(mt_profile_threshold((size_t)i));
    putchar('\n');
}

static void print_pair(int entry, const mt_results *r, const double *x, const double *y) {
    mt_bootstrap b = {.seed = r->seed, .stream = 4, .replicates = MT_REPLICATES};
    mt_interval p;
    if (!mt_estimate_improvement(SEEDS, TASKS, x, y, &b, &p, NULL)) exit(1);
    print_interval("pair", entry, p);
}

static void print_entry(int entry, const mt_entry_scores *s) {
    print_aggregates("final_loss", entry, &s->final_loss, s->final_losses);
    print_aggregates("speed_up", entry, &s->speed_up, s->speed_ups);
    print_aggregates("inverse_curve", entry, &s->inverse_curve, s->inverse_curves);
    print_interval("log_ratio", entry, s->log_ratio);
    print_interval("improvement", entry, s->improvement);
    printf("counts.%d %d %d %d %d\n", entry, s->won, s->tied, s->lost, s->diverged);
    for (int t = 0; t < TASKS; t++)
        printf("task.%d.%d %.17g %.17g %.17g %d %d\n", entry, t, s->tasks[t].log_ratio.value, s->tasks[t].log_ratio.low,
               s->tasks[t].log_ratio.high, (int)s->tasks[t].verdict, s->tasks[t].diverged);
}

static int write_draws(const char *path, uint64_t seed) {
    FILE *f = fopen(path, "wb");
    if (f == NULL) return 0;
    for (uint64_t stream = 0; stream < 5; stream++) {
        lopt_rng_stream r;
        lopt_rng_open_stream(&r, (lopt_rng_address){seed, LOPT_RNG_BOOTSTRAP, stream, 0, 0});
        for (int k = 0; k < MT_REPLICATES; k++) {
            int32_t draws[2 * SEEDS * TASKS];
            size_t n = (stream == 4 ? 2 : 1) * SEEDS * TASKS;
            lopt_rng_draw_rows(&r, SEEDS, n, draws);
            fwrite(draws, sizeof *draws, n, f);
        }
    }
    return fclose(f) == 0;
}

int main(int argc, char **argv) {
    lopt_error err = {0};
    mt_results *r = make_results();
    mt_entry_scores *s = mt_score_entries(r, TASK_TEST, &err);
    if (argc != 2 || s == NULL || !write_draws(argv[1], r->seed)) return 1;
    print_losses(r);
    for (int e = 0; e < ENTRIES; e++) {
        print_entry(e, &s[e]);
        print_pair(e, r, s[e].speed_ups, s[(e + 1) % ENTRIES].speed_ups);
    }
    free(s);
    mt_results_free(r);
    return 0;
}
