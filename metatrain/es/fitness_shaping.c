/* SPDX-License-Identifier: Apache-2.0
 *
 * fitness_shaping.c - see fitness_shaping.h. */
#include "es/fitness_shaping.h"

#include <math.h>
#include <stdlib.h>

static void scale_fitness(size_t n, double *f, double centre, double unit) {
    for (size_t i = 0; i < n; i++)
        if (!isnan(f[i])) f[i] = unit > 0 ? (f[i] - centre) / unit : 0;
}

static void standardise_fitness(size_t n, double *f) {
    double sum = 0, squares = 0, counted = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(f[i])) sum += f[i], counted++;
    double mean = sum / counted;
    for (size_t i = 0; i < n; i++)
        if (!isnan(f[i])) squares += (f[i] - mean) * (f[i] - mean);
    scale_fitness(n, f, mean, sqrt(squares / counted));
}

static void to_range(size_t n, double *f) {
    double least = INFINITY, largest = -INFINITY;
    for (size_t i = 0; i < n; i++) least = fmin(least, f[i]), largest = fmax(largest, f[i]);
    scale_fitness(n, f, (least + largest) / 2, (largest - least) / 2);
}

static int by_fitness(const void *a, const void *b, void *fitness) {
    const double *f = fitness;
    double x = f[*(const size_t *)a], y = f[*(const size_t *)b];
    return (x > y) - (x < y);
}

static void to_ranks(size_t n, double *f, size_t *order) {
    size_t counted = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(f[i])) order[counted++] = i;
    qsort_r(order, counted, sizeof *order, by_fitness, f);
    for (size_t first = 0, end; first < counted; first = end) {
        double value = f[order[first]];
        for (end = first; end < counted && f[order[end]] == value; end++)
            ;
        double rank = (double)(first + end - 1) / 2;
        for (size_t i = first; i < end; i++) f[order[i]] = counted > 1 ? rank / (double)(counted - 1) - 0.5 : 0;
    }
}

void mt_shape_fitness(mt_shaping how, size_t n, double *fitness, size_t *order) {
    if (how == MT_STANDARDISE) standardise_fitness(n, fitness);
    if (how == MT_RANGE) to_range(n, fitness);
    if (how == MT_CENTRED_RANK) to_ranks(n, fitness, order);
}
