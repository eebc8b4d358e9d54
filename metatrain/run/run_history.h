/* SPDX-License-Identifier: Apache-2.0
 *
 * run_history.h - finished or living meta-training runs, as read from their folders, as parts of a report.
 *
 *     if (mt_kind_of_place(path, &err) == MT_PLACE_RUN) ...
 *     mt_run_history h[n];
 *     mt_history_read(path, &h[i], &err);             metrics.jsonl; config.yaml and status.json where they are there
 *     mt_report_histories(d, h, n);                   all parts
 *     mt_add_history_curves(d, h, n);                 the curves alone, those of all runs in one figure
 *     mt_add_history_table(d, h, n);                  one line a run, with what differs in their configurations
 *     mt_history_close(&h[i]); */
#ifndef MT_RUN_HISTORY_H
#define MT_RUN_HISTORY_H

#include "config/yaml_tree.h"
#include "eval/report_document.h"
#include "run/metrics.h"
#include "run/status_file.h"

typedef enum mt_place { MT_PLACE_NEITHER = -1, MT_PLACE_RUN, MT_PLACE_RESULTS } mt_place;

typedef struct mt_run_history {
    char path[1024]; /* as it was given */
    size_t n;
    mt_metrics_row *rows; /* [n], n >= 1 */
    mt_yaml *config;      /* resolved; NULL: not there */
    mt_status status;     /* version "": not there */
} mt_run_history;

/* Whether path is the folder of a run or of an evaluation (or results.json). MT_PLACE_NEITHER and a sentence. */
mt_place mt_kind_of_place(const char *path, lopt_error *err);

int mt_history_read(const char *path, mt_run_history *h, lopt_error *err); /* 0 and a sentence; *h is then closed */
void mt_history_close(mt_run_history *h);

/* Meta-loss, and the validation score if any run has one, against the outer step. name: of the figures' files. */
void mt_add_history_curves(mt_document *d, const mt_run_history *h, size_t n, const char *name);
void mt_add_history_table(mt_document *d, const mt_run_history *h, size_t n);
void mt_report_histories(mt_document *d, const mt_run_history *h, size_t n);

#endif
