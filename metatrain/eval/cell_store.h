/* SPDX-License-Identifier: Apache-2.0
 *
 * cell_store.h - results of trainings, kept in DIR/results.h5, so that none is computed twice.
 *
 *     mt_cell_store *s = mt_cell_store_open("runs/compare", &err);       what the file holds; an empty store without one
 *     const mt_stored_cell *found = mt_find_cell(s, key);                NULL: not computed yet
 *     mt_store_cell(s, key, "fashion: adam 0.01", points, n, seconds, &err)
 *     mt_cell_store_save(s, &err)                                        the whole file again: old or new, never half
 *     mt_cell_store_close(s);
 *
 * A key (comparison.h) names everything a result depends on, so a file may hold the cells of several suites, and
 * cells that no suite asks for any more. dir NULL: nothing is read or written.
 *
 * File: /format "metatrain cells", /version 1; key [n][32] bytes; what: a line for each cell, for people; start [n + 1];
 * points [start[n]][12] float64 (mt_point); seconds [n] float64, of one inner step. A file of another format or version,
 * or a damaged one, is refused and left as it is. */
#ifndef MT_CELL_STORE_H
#define MT_CELL_STORE_H

#include "eval/training_curve.h"

typedef struct mt_stored_cell {
    char key[33];
    char *what;
    mt_point *points; /* [n_points] */
    size_t n_points;
    double seconds;
} mt_stored_cell;

typedef struct mt_cell_store mt_cell_store;

mt_cell_store *mt_cell_store_open(const char *dir, lopt_error *err);         /* NULL and a sentence */
void mt_cell_store_close(mt_cell_store *s);                                  /* NULL is fine */
const mt_stored_cell *mt_find_cell(const mt_cell_store *s, const char *key); /* valid until the next mt_store_cell */
int mt_store_cell(mt_cell_store *s, const char *key, const char *what, const mt_point *points, size_t n_points,
                  double seconds, lopt_error *err);
int mt_cell_store_save(mt_cell_store *s, lopt_error *err); /* nothing to do: 1 */

#endif
