/* SPDX-License-Identifier: Apache-2.0
 *
 * job.c - see job.h. */
#include "kernels/job.h"

#include <math.h>

#include "kernels/packing.h"
#include "kernels/workspace.h"

void lopt__job_open(lopt__job *job, const lopt__tensor *t, const lopt__io *io) {
    job->view = &t->view;
    job->acc = lopt__accumulators_at(t->data, &t->view);
    job->params = io->params + t->offset;
    job->grads = io->grads + t->offset;
    job->updates = io->updates ? io->updates + t->offset : NULL;
    job->slice = t->view.size;
    job->team = io->team;
}

float lopt__parameter_scale(const lopt__job *job) {
    int64_t n = job->view->size / job->slice;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += job->mean_square[i * LOPT__N_EXTENDED + LOPT__F_PARAM];
    return sqrtf((float)(sum / (double)n) + LOPT__PARAMETER_SCALE_FLOOR);
}

void lopt__job_step(lopt__job *job, const lopt__tensor *t, const lopt__io *io, int scaled) {
    const lopt__kernels *kernels = lopt__kernels_current();
    float step_mult = job->step_mult;
    lopt__packing packing;
    lopt__job_open(job, t, io);
    lopt__pack_job(&packing, job);
    kernels->accumulate(job);
    kernels->moments(job);
    if (scaled) job->step_mult *= lopt__parameter_scale(job);
    kernels->apply(job);
    lopt__unpack_job(&packing, job);
    job->step_mult = step_mult;
}

size_t lopt__kernel_scratch_floats(const lopt__view *view, int hidden, int n_threads) {
    return lopt__packing_floats(view) + lopt__shared_at(NULL, view).floats +
           (size_t)n_threads * lopt__workspace_at(NULL, view, hidden).floats;
}

size_t lopt__kernel_scratch_most(const lopt_state *state, int hidden) {
    size_t most = 0;
    for (size_t i = 0; i < state->n_tensors; i++) {
        size_t n = lopt__kernel_scratch_floats(&state->tensors[i].view, hidden, state->n_threads);
        most = n > most ? n : most;
    }
    return most;
}
