/* SPDX-License-Identifier: Apache-2.0
 *
 * report_results.h - what an evaluation found, as parts of a report.
 *
 *     mt_report_results(d, r, "runs/compare", 1, 2);   all parts, with headings of level 2
 *     mt_report_curves(d, r, 1);                       the curves of its tasks alone
 *
 * number: 1, 2, ... of the evaluation in the report, for the names of figures. r must live as long as d is filled. */
#ifndef MT_REPORT_RESULTS_H
#define MT_REPORT_RESULTS_H

#include "eval/report_document.h"
#include "eval/results.h"

void mt_report_results(mt_document *d, const mt_results *r, const char *path, int number, int level);
void mt_report_curves(mt_document *d, const mt_results *r, int number);

#endif
