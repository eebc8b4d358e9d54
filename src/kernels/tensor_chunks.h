/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor_chunks.h - how the kernels cut a tensor into chunks for threads. The cut depends on the tensor alone, so
 * that sums over chunks, added in their order, have the same bits for any number of threads.
 *
 * Small tensors are one chunk. Larger ones are cut into groups of whole slices (tensor_layout.h) where there
 * are many slices, else each slice along its rows, or along its lanes if it has few rows. */
#ifndef LOPT_TENSOR_CHUNKS_H
#define LOPT_TENSOR_CHUNKS_H

#include "kernels/kernels.h"

#define LOPT__TILE 64 /* parameters that pass through the network together, at most */
#define LOPT__MAX_TENSOR_CHUNKS 64
#define LOPT__TENSOR_CHUNK_ELEMENTS 16384 /* minimum per chunk */

typedef struct lopt__tensor_chunks {
    int64_t n;    /* 1 .. LOPT__MAX_TENSOR_CHUNKS */
    int64_t cuts; /* chunks of each slice; 1: a chunk is one or more whole slices */
    int by_lanes; /* slices are cut along lanes, else along rows */
} lopt__tensor_chunks;

/* A chunk as a job of its own. Its view has fewer slices, rows or lanes, but the strides and the size of the whole
 * tensor. Do not copy: job.view points to view. */
typedef struct lopt__tensor_chunk {
    lopt__job job;
    lopt__view view;
} lopt__tensor_chunk;

lopt__tensor_chunks lopt__chunks_of_view(const lopt__view *view, int whole_slices);
void lopt__tensor_chunk_open(lopt__tensor_chunk *chunk, const lopt__job *job, const lopt__tensor_chunks *chunks,
                             int64_t i);
/* Restricts the chunk to range i of n of its rows; returns how many rows that are. */
int64_t lopt__tensor_chunk_narrow(lopt__tensor_chunk *chunk, int64_t i, int64_t n);

#endif
