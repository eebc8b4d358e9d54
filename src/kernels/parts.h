/* SPDX-License-Identifier: Apache-2.0
 *
 * parts.h - how a tensor is cut for threads. The cut depends on the tensor alone, so that sums over
 * parts, added in their order, have the same bits for any number of threads.
 *
 * Small tensors are one part. Larger ones are cut into groups of whole slices (tensor_layout.h) where there
 * are many slices, else each slice along its rows, or along its lanes where rows are few. */
#ifndef LOPT_PARTS_H
#define LOPT_PARTS_H

#include "kernels/kernels.h"

#define LOPT__TILE 64 /* parameters that pass through the network together, at most */
#define LOPT__MAX_PARTS 64
#define LOPT__PART_ELEMENTS 16384 /* of a part, at least */

typedef struct lopt__parts {
    int64_t n;    /* 1 .. LOPT__MAX_PARTS */
    int64_t cuts; /* parts of each slice; 1: a part is one or more whole slices */
    int by_lanes; /* slices are cut along lanes, else along rows */
} lopt__parts;

/* A part as a job of its own, and its view: fewer slices, rows or lanes, the same pitches and
 * strides, the size of the whole tensor. Not to be copied: job.view points to view. */
typedef struct lopt__part {
    lopt__job job;
    lopt__view view;
} lopt__part;

lopt__parts lopt__parts_of_view(const lopt__view *view, int whole_slices);
void lopt__part_open(lopt__part *part, const lopt__job *job, const lopt__parts *parts, int64_t i);
/* Leaves some of the rows: run i of n. Returns how many. */
int64_t lopt__part_narrow(lopt__part *part, int64_t i, int64_t n);

#endif
