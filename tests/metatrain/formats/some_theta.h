/* SPDX-License-Identifier: Apache-2.0
 *
 * some_theta.h - an optimizer with weights and a past, for tests of what is written and read back. */
#ifndef SOME_THETA_H
#define SOME_THETA_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "store/theta_file.h"

/* A configuration that ends a comment of C. */
static const char theta_note[] = "seed: 5\nnote: /* ends */ // here \\\n";

/* An optimizer with random theta, biases too, in the form of a theta file. */
static inline void make_some_theta(mt_theta_file *t, const char *preset, const lopt_setting *settings, size_t n) {
    lopt_error err;
    memset(t, 0, sizeof *t);
    t->optimizer = lopt_create(preset, settings, n, &err);
    cr_assert(t->optimizer != NULL, "%s", err.text);
    float *theta = malloc(lopt_n_theta(t->optimizer) * sizeof *theta);
    lopt_init_theta(t->optimizer, 5, theta);
    for (size_t i = 0; i < lopt_n_theta(t->optimizer); i++) theta[i] += 0.02f * (float)((int)(i * 7 % 11) - 5);
    lopt_set_theta(t->optimizer, theta);
    free(theta);
    t->n_notes = 2;
    t->note_name[0] = (char *)"seed";
    t->note_value[0] = (char *)"5";
    t->note_name[1] = (char *)"config";
    t->note_value[1] = (char *)theta_note;
}

#endif
