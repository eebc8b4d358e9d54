/* SPDX-License-Identifier: Apache-2.0
 *
 * recorded_run.h - golden trajectories: recorded runs of another implementation (docs/file-formats.md).
 *
 *     mt_golden *g = mt_golden_open("elo.h5", &err);          optimizer with the recorded theta
 *     for (int i = 0; i < g->n_cases; i++) {
 *         mt_golden_case *c = mt_golden_case_read(g, i, &err);  gradients, updates, parameters
 *         ...
 *         mt_golden_case_free(c);
 *     }
 *     mt_golden_close(g);
 *
 * A table in recorded_run.c says which recorded optimizer is which preset here, what its keys are called,
 * and how exactly it must be met. Files are those of PyLO: weight_names.h says where theta lies in them.
 *
 * Errors   NULL and a sentence that starts with the file's path. */
#ifndef MT_GOLDEN_H
#define MT_GOLDEN_H

#include <stdint.h>

#include "lopt.h"
#include "store/hdf5_file.h"

#define MT_GOLDEN_MAX_CASES 64

typedef struct mt_golden {
    char *path;
    mt_hdf5 *file;
    const char *recorded;      /* the optimizer's name there: "ELO_naive" */
    lopt_optimizer *optimizer; /* with theta set */
    char unused[256];          /* keys of the file's config that have no meaning here; "" if none */
    int n_cases, number[MT_GOLDEN_MAX_CASES];
    double tolerance[MT_GOLDEN_MAX_CASES]; /* of the largest relative error of a tensor's update */
} mt_golden;

/* Steps of tensors that lie back to back: row t of grads, updates, params is step t. */
typedef struct mt_golden_case {
    size_t n_tensors, n_params;
    lopt_tensor *tensors;
    int64_t n_steps;
    float *loss;    /* [n_steps]; 0 where the file has none */
    float *start;   /* [n_params] */
    float *grads;   /* [n_steps][n_params] */
    float *updates; /* what was added to the parameters, before that addition rounded */
    float *params;  /* after the step */
} mt_golden_case;

mt_golden *mt_golden_open(const char *path, lopt_error *err);
void mt_golden_close(mt_golden *g);

mt_golden_case *mt_golden_case_read(const mt_golden *g, int i, lopt_error *err);
void mt_golden_case_free(mt_golden_case *c);

#endif
