/* SPDX-License-Identifier: Apache-2.0
 *
 * parts.c - see parts.h. */
#include "kernels/parts.h"

#include "core/chunks.h"

#define ROW_UNIT LOPT__UNIT /* cuts lie at multiples of these */
#define LANE_UNIT LOPT__TILE

static int64_t power_of_two_below(int64_t n) {
    int64_t power = 1;
    while (2 * power <= n) power *= 2;
    return power;
}

lopt__parts lopt__parts_of_view(const lopt__view *v, int whole_slices) {
    int64_t wanted = v->size / LOPT__PART_ELEMENTS;
    if (wanted > LOPT__MAX_PARTS) wanted = LOPT__MAX_PARTS;
    wanted = power_of_two_below(wanted);
    if (v->n_outer >= wanted) return (lopt__parts){.n = wanted, .cuts = 1};
    int64_t rows = v->rows / ROW_UNIT, lanes = v->lanes / LANE_UNIT;
    int by_lanes = rows < 4 && lanes > rows;
    int64_t most = whole_slices ? 1 : by_lanes ? lanes : rows, cuts = wanted / v->n_outer;
    cuts = power_of_two_below(cuts < most ? cuts : most);
    return (lopt__parts){.n = v->n_outer * cuts, .cuts = cuts, .by_lanes = by_lanes};
}

/* From here on the part is these slices, rows and lanes of what it was. */
static void narrow_part_to(lopt__part *part, lopt__range slices, lopt__range rows, lopt__range lanes) {
    lopt__view *v = &part->view;
    lopt__job *job = &part->job;
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

void lopt__part_open(lopt__part *part, const lopt__job *job, const lopt__parts *parts, int64_t i) {
    const lopt__view *v = job->view;
    int64_t cuts = parts->cuts;
    lopt__range all_rows = {0, v->rows}, all_lanes = {0, v->lanes};
    part->job = *job;
    part->view = *v;
    part->job.view = &part->view;
    narrow_part_to(part, cuts == 1 ? lopt__cut_range(v->n_outer, 1, i, parts->n) : (lopt__range){i / cuts, 1},
                   parts->by_lanes ? all_rows : lopt__cut_range(v->rows, ROW_UNIT, i % cuts, cuts),
                   parts->by_lanes ? lopt__cut_range(v->lanes, LANE_UNIT, i % cuts, cuts) : all_lanes);
}

int64_t lopt__part_narrow(lopt__part *part, int64_t i, int64_t n) {
    lopt__range rows = lopt__cut_range(part->view.rows, ROW_UNIT, i, n);
    narrow_part_to(part, (lopt__range){0, part->view.n_outer}, rows, (lopt__range){0, part->view.lanes});
    return rows.n;
}
