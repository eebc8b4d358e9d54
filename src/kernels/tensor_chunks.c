/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor_chunks.c - see tensor_chunks.h. */
#include "kernels/tensor_chunks.h"

#include "core/chunks.h"

#define ROW_UNIT LOPT__UNIT /* cuts are multiples of these */
#define LANE_UNIT LOPT__TILE

static int64_t power_of_two_below(int64_t n) {
    int64_t power = 1;
    while (2 * power <= n) power *= 2;
    return power;
}

lopt__tensor_chunks lopt__chunks_of_view(const lopt__view *v, int whole_slices) {
    int64_t wanted = v->size / LOPT__TENSOR_CHUNK_ELEMENTS;
    if (wanted > LOPT__MAX_TENSOR_CHUNKS) wanted = LOPT__MAX_TENSOR_CHUNKS;
    wanted = power_of_two_below(wanted);
    if (v->n_outer >= wanted) return (lopt__tensor_chunks){.n = wanted, .cuts = 1};
    int64_t rows = v->rows / ROW_UNIT, lanes = v->lanes / LANE_UNIT;
    int by_lanes = rows < 4 && lanes > rows;
    int64_t most = whole_slices ? 1 : by_lanes ? lanes : rows, cuts = wanted / v->n_outer;
    cuts = power_of_two_below(cuts < most ? cuts : most);
    return (lopt__tensor_chunks){.n = v->n_outer * cuts, .cuts = cuts, .by_lanes = by_lanes};
}

/* Restricts the chunk to these of its slices, rows and lanes. */
static void narrow_chunk_to(lopt__tensor_chunk *chunk, lopt__range slices, lopt__range rows, lopt__range lanes) {
    lopt__view *v = &chunk->view;
    lopt__job *job = &chunk->job;
    lopt__accumulators *acc = &job->acc;
    int64_t offset = rows.first * v->row_stride + lanes.first * v->lane_stride;
    acc->momentum = lopt__momentum_row(acc, v, slices.first, rows.first) + lanes.first;
    acc->rms = lopt__rms_row(acc, v, slices.first, rows.first) + lanes.first;
    acc->lane += slices.first * LOPT__K * v->pitch + lanes.first;
    if (acc->row) acc->row += slices.first * LOPT__K * v->row_pitch + rows.first;
    job->grads += offset;
    job->params += offset;
    if (job->updates) job->updates += offset;
    if (job->steps) job->steps += offset;
    if (job->inverse_mean) job->inverse_mean += slices.first * LOPT__K;
    v->first_outer += slices.first;
    v->n_outer = slices.n;
    v->rows = rows.n;
    v->lanes = lanes.n;
}

void lopt__tensor_chunk_open(lopt__tensor_chunk *chunk, const lopt__job *job, const lopt__tensor_chunks *chunks,
                             int64_t i) {
    const lopt__view *v = job->view;
    int64_t cuts = chunks->cuts;
    lopt__range all_rows = {0, v->rows}, all_lanes = {0, v->lanes};
    chunk->job = *job;
    chunk->view = *v;
    chunk->job.view = &chunk->view;
    narrow_chunk_to(chunk, cuts == 1 ? lopt__cut_range(v->n_outer, 1, i, chunks->n) : (lopt__range){i / cuts, 1},
                    chunks->by_lanes ? all_rows : lopt__cut_range(v->rows, ROW_UNIT, i % cuts, cuts),
                    chunks->by_lanes ? lopt__cut_range(v->lanes, LANE_UNIT, i % cuts, cuts) : all_lanes);
}

int64_t lopt__tensor_chunk_narrow(lopt__tensor_chunk *chunk, int64_t i, int64_t n) {
    lopt__range rows = lopt__cut_range(chunk->view.rows, ROW_UNIT, i, n);
    narrow_chunk_to(chunk, (lopt__range){0, chunk->view.n_outer}, rows, (lopt__range){0, chunk->view.lanes});
    return rows.n;
}
