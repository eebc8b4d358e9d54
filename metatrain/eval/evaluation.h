/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluation.h - runs the trainings of a comparison over all ranks, those that no earlier evaluation has run.
 *
 *     rank 0:   mt_run_evaluation(c, transport, store, &results, &err)
 *     others:   mt_serve_evaluation(c, transport)                          until rank 0 ends it
 *
 * Rank 0 holds the cells that wait, gives the longest to whoever is free, and trains, too. It polls between inner
 * steps. Other ranks know nothing but the comparison and the cells they are sent. A task and an entry are done in up
 * to three stages, each as soon as the one before is complete: the trials of the suite; with extend_sweep further
 * learning rates while the best one is at an end; the seeds that are reported.
 *
 * Results are put together by place, so they are the same for any number of ranks and for cells that come out of the
 * store. A request to stop (base/stop_request.h) saves the store: the same command goes on from there. */
#ifndef MT_EVALUATION_H
#define MT_EVALUATION_H

#include "eval/cell_store.h"
#include "eval/comparison.h"
#include "eval/results.h"
#include "ranks/transport.h"

/* An exit status: MT_DONE and *results, which the caller frees; MT_STOPPED; MT_FAILED and a sentence. The store is
 * saved as far as that is possible. Ranks that wait are sent away in every case. */
int mt_run_evaluation(mt_comparison *c, mt_transport *transport, mt_cell_store *store, mt_results **results,
                      lopt_error *err);
void mt_serve_evaluation(const mt_comparison *c, mt_transport *transport);

#endif
