/* SPDX-License-Identifier: Apache-2.0
 *
 * gradient_shares.c - the gradient of theta, made by all ranks, each a share of its pieces. See run.h.
 *
 * Rank 0 makes the plan from the reports and sends it down the tree; each rank makes its pieces for all
 * particles in order and sends them to rank 0. Where the noise is summed since the reset, the sums of a
 * piece are kept by who makes it: rank 0 collects them for a restart point and hands them out after it
 * read one. Who has which pieces follows from the place among the living, until ranks are lost; where
 * pieces are fewer than ranks, the first ranks have one each. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "run/run.h"

static int shares(const mt_run *run) {
    int64_t trained = 0;
    for (size_t i = 0; i < lopt_n_theta(run->optimizer); i++) trained += run->trained[i];
    return mt_count_shares(run->cfg, run->cfg->particles, trained, (int64_t)mt_count_noise_chunks(&run->unroller.noise),
                           run->crew.n_live);
}

int mt_gradient_deal(mt_run *run, lopt_error *err) {
    int place = run->crew.index[run->comm.rank];
    run->shares = shares(run);
    run->planned = 0;
    if (run->comm.rank == 0) {
        mt_select_share(&run->estimator, 0, run->shares);
        return 1;
    }
    mt_es_gradient_close(&run->estimator);
    return run->shares == 1 || place >= run->shares ||
           mt_es_gradient_open_share(&run->estimator, &run->cfg->estimator, run->unroller.noise, run->cfg->particles,
                                     place, run->shares, err);
}

/* SUMS and SLICE: a number (the particle, the window) and one or two arrays. */
static void send_parts(mt_run *run, int to, int tag, int64_t which, const void *a, size_t a_bytes, const void *b,
                       size_t b_bytes) {
    char *message = malloc(sizeof which + a_bytes + b_bytes);
    if (!message) mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, &which, sizeof which);
    memcpy(message + sizeof which, a, a_bytes);
    if (b_bytes) memcpy(message + sizeof which + a_bytes, b, b_bytes);
    mt_comm_send(&run->comm, to, tag, message, sizeof which + a_bytes + b_bytes);
    free(message);
}

/* ---- noise since the reset --------------------------------------------------------------------- */

/* The numbers of a particle that place `place` has. */
static float *sums(mt_run *run, int64_t particle, int place, size_t *n) {
    size_t from;
    mt_es_gradient *e = &run->estimator;
    *n = mt_share_range(e, place, run->shares, &from);
    return e->sum + (size_t)particle * e->width + (*n ? from - e->from : 0);
}

void mt_gradient_hand_out(mt_run *run) {
    size_t n;
    for (int place = 1; run->estimator.sum && place < run->shares; place++)
        for (int64_t p = 0; p < run->cfg->particles; p++) {
            const float *from = sums(run, p, place, &n);
            send_parts(run, run->crew.live[place], MT_TAG_SUMS, p, from, n * sizeof *from, NULL, 0);
        }
}

void mt_gradient_hand_in(mt_run *run) {
    size_t n;
    for (int64_t p = 0; run->shares > 1 && run->estimator.sum && p < run->cfg->particles; p++) {
        const float *from = sums(run, p, run->crew.index[run->comm.rank], &n);
        send_parts(run, 0, MT_TAG_SUMS, p, from, n * sizeof *from, NULL, 0);
    }
}

int mt_gradient_takes_sums(mt_run *run, const mt_message *m) {
    int64_t which = -1;
    size_t n;
    if (m->n >= sizeof which) memcpy(&which, m->data, sizeof which);
    int place = run->crew.index[run->comm.rank > 0 ? run->comm.rank : m->from];
    if (!run->estimator.sum || place < 1 || place >= run->shares || which < 0 || which >= run->cfg->particles) return 0;
    float *to = sums(run, which, place, &n);
    if (m->n != sizeof which + n * sizeof *to) return 0;
    memcpy(to, (const char *)m->data + sizeof which, n * sizeof *to);
    return 1;
}

/* ---- one outer step ---------------------------------------------------------------------------- */

static void make_piece(mt_run *run, size_t k) {
    mt_es_gradient *e = &run->estimator;
    double *draw = &run->measured.draw, start = mt_cpu_seconds();
    mt_compute_chunk(e, k);
    double each = (mt_cpu_seconds() - start) / ((double)e->particles * (double)e->chunk[k].n);
    *draw += (*draw > 0 ? 0.01 : 1) * (each - *draw);
}

int mt_gradient_pieces(mt_run *run) {
    mt_es_gradient *e = &run->estimator;
    for (size_t k = e->first; k < e->last; k++) {
        make_piece(run, k);
        if (mt_seconds() > run->next_look) mt_hear(run);
        if (run->crew.n_lost > 0 || run->restart_step != MT_NO_RESTART || run->ended) return 0;
    }
    return 1;
}

double mt_gradient_cpu(const mt_run *run) {
    double numbers = 0;
    for (size_t k = 0; k < run->estimator.n_chunks; k++) numbers += (double)run->estimator.chunk[k].n;
    return run->measured.draw * numbers * (double)run->cfg->particles;
}

int mt_gradient(mt_run *run, mt_outer_summary *summary) {
    mt_es_gradient *e = &run->estimator;
    mt_plan_gradient(e, run->report);
    double start = mt_seconds();
    if (run->shares > 1) {
        run->n_missing = run->shares - 1;
        mt_crew_pass_to(&run->crew, &run->comm, run->shares, MT_TAG_PLAN, e->plan,
                        (size_t)e->particles * sizeof *e->plan);
    }
    if (!mt_gradient_pieces(run) || !mt_wait(run)) return 0;
    double seconds = mt_seconds() - start, *usual = &run->measured.gradient;
    *usual += (*usual > 0 ? 0.05 : 1) * (seconds - *usual);
    run->reported += seconds; /* is no part of measured.serial */
    mt_finish_gradient(e, run->report, summary);
    return 1;
}

int mt_gradient_takes_plan(mt_run *run, const mt_message *m) {
    size_t bytes = (size_t)run->cfg->particles * sizeof *run->estimator.plan;
    mt_crew_pass_to(&run->crew, &run->comm, run->shares, MT_TAG_PLAN, m->data, m->n);
    if (!run->estimator.plan || m->n != bytes) return 0;
    memcpy(run->estimator.plan, m->data, bytes);
    run->planned = 1;
    return 1;
}

void mt_run_gradient(mt_run *run) {
    mt_es_gradient *e = &run->estimator;
    size_t from, n = mt_share_range(e, run->crew.index[run->comm.rank], run->shares, &from);
    run->planned = 0;
    if (mt_gradient_pieces(run))
        send_parts(run, 0, MT_TAG_SLICE, run->window, e->gradient + from, n * sizeof *e->gradient,
                   e->squares + e->first, (e->last - e->first) * sizeof *e->squares);
}

/* Frozen numbers between pieces come as zeros. */
int mt_gradient_takes_slice(mt_run *run, const mt_message *m) {
    mt_es_gradient *e = &run->estimator;
    mt_es_gradient share = *e;
    int64_t which = -1;
    int place = run->crew.index[m->from];
    if (place < 1 || place >= run->shares) return 0;
    size_t from, n = mt_share_range(e, place, run->shares, &from);
    mt_select_share(&share, place, run->shares);
    size_t pieces = share.last - share.first;
    if (m->n != sizeof which + (n + pieces) * sizeof(double)) return 0;
    memcpy(&which, m->data, sizeof which);
    if (which != run->window) return 0;
    const char *numbers = (const char *)m->data + sizeof which;
    memcpy(e->gradient + from, numbers, n * sizeof(double));
    memcpy(e->squares + share.first, numbers + n * sizeof(double), pieces * sizeof(double));
    run->n_missing--;
    return 1;
}
