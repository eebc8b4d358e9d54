/* SPDX-License-Identifier: Apache-2.0
 *
 * normaliser.h - loss normalisation for meta-training: finite and of comparable scale for all tasks.
 *
 *     task_set_normaliser(t, TASK_CLIP_TO_CHANCE, classes);      in create; sets t->loss_bound
 *     task_normaliser_apply(&t->normaliser, loss);           what task_normalise_loss does
 *
 * Source: the normalisers of learned_optimization's tasks. n is the number of classes, words or pixels. */
#ifndef TASK_NORMALISER_H
#define TASK_NORMALISER_H

#include "base/kind.h"

/* The kinds are declared in kind.h. */
void task_set_normaliser(task *t, task_normaliser_kind kind, double n);
real task_normaliser_apply(const task_normaliser *normaliser, real loss);

#endif
