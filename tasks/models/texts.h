/* SPDX-License-Identifier: Apache-2.0
 *
 * texts.h - what all models of text share: the data set, tokens and labels as values of a model, and its end.
 *
 *     task_texts *self = task_texts_open(t, spec, time_first, err);
 *     if (!self) return 0;
 *     int x = task_add_embedding(t->model, self->tokens, 3, (int64_t[]){time, batch, width}, self->vocab, init);
 *     ... logits [time, batch, vocab] ...
 *     return task_texts_finish(t, self, logits, normaliser, err);
 *     const task_kind task_kind_x = {TASK_TEXTS_FUNCTIONS, .create = create, ...};
 *
 * Tokens   spec->sequence.length of them and as many labels, each the token after: [time, batch] if time_first,
 *          else [batch, time]. Where a token is padding (0) its label is -1, so that it is ignored.
 * Data     spec->dataset is a name of data/corpus.h; what stands there by default, a set of images, means
 *          `fortunes`. Published names stand for `lm1b` or `wikipedia` unless the spec names another text. */
#ifndef TASK_TEXTS_H
#define TASK_TEXTS_H

#include "base/setting.h"
#include "data/text.h"
#include "model/model.h"

typedef struct task_texts {
    const task_text *data;
    int batch, length, vocab, time_first;
    size_t drawn, tokens, labels; /* drawn: [length + 1, batch] */
} task_texts;

task_texts *task_texts_open(task *t, const task_spec *spec, int time_first, lopt_error *err);
int task_texts_finish(task *t, const task_texts *self, int logits, task_normaliser_kind normaliser, lopt_error *err);
void task_texts_destroy(task *t);
void task_texts_draw(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work);

/* "KIND fortunes bytes, length 32, " and what follows: the model. */
void task_texts_name(task *t, const task_texts *self, const task_spec *spec, const char *kind, const char *model);

/* What families of models of text draw: batch 4..512, length 4..512, text,
 * vocabulary 100..10000. */
void task_texts_sample(task_spec *spec, lopt_rng_stream *r);

// clang-format off
#define TASK_TEXT_SETTINGS                                                                                             \
    {"sequence.tokens", TASK_INTEGER(sequence.tokens), "[259, 32768]", "259", NULL,                                    \
     "text: 259 are bytes, from 300 on byte pairs learned from the text"},                                             \
    {"sequence.vocab", TASK_INTEGER(sequence.vocab), "[0, 32768]", "0", NULL,                                          \
     "ids that a model of text knows, into which the others are folded; 0: sequence.tokens"},                          \
    {"sequence.length", TASK_INTEGER(sequence.length), "[1, 65536]", "8", "tokens", "text: length of a sequence"},     \
    {"sequence.embed", TASK_INTEGER(sequence.embed), "[1, 65536]", "8", NULL,                                          \
     "text: size of the embedding of a token; width of a transformer"}
// clang-format on

#define TASK_TEXTS_FUNCTIONS                                                                                           \
    .self_size = sizeof(task_texts), .destroy = task_texts_destroy, .draw_batch = task_texts_draw

#endif
