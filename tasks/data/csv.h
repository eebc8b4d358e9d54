/* SPDX-License-Identifier: Apache-2.0
 *
 * csv.h - tables of comma-separated numbers, one example a line, one column of labels.
 *
 * label_column counts from 0; -1 is the last one. Labels are texts: their class is their place in
 * order (of number where all are whole numbers, else of bytes). A first line whose features are no
 * numbers is a header; empty lines are skipped. Every line has as many columns as the first, 2 to
 * 65536. text[n] must be followed by a 0. Fills raw as [1, columns - 1, 1]; raw->path names the file. */
#ifndef TASK_CSV_H
#define TASK_CSV_H

#include "data/raw.h"

int task_csv_parse(const char *text, size_t n, int label_column, task_raw *raw, lopt_error *err);

#endif
