/* SPDX-License-Identifier: Apache-2.0
 *
 * report_scores.h - the scores of an evaluation (scores.h) as parts of a report: a table over all tasks, performance
 * profiles, and, where tasks differ in size, ratio of losses against size. path, number, level: as in report_results.h. */
#ifndef MT_REPORT_SCORES_H
#define MT_REPORT_SCORES_H

#include "eval/report_document.h"
#include "eval/results.h"

void mt_report_scores(mt_document *d, const mt_results *r, const char *path, int number, int level);

#endif
