/* SPDX-License-Identifier: Apache-2.0
 *
 * texts.c - see texts.h. */
#include "models/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/draws.h"
#include "base/normaliser.h"
#include "layers/losses.h"

enum { PUBLISHED_VOCAB = 32100 };

static int names_no_text(const task_spec *spec) {
    return strcmp(spec->dataset, TASK_STANDARD_DATASET) == 0;
}

static const char *name_of_text(const task_spec *spec) {
    return names_no_text(spec) ? "fortunes" : spec->dataset;
}

task_texts *task_texts_open(task *t, const task_spec *spec, int time_first, lopt_error *err) {
    int vocab = spec->sequence.vocab;
    if (vocab && !task_check_range(spec->task, "sequence.vocab", vocab, 3, TASK_MAX_VOCAB, err)) return NULL;
    task_texts *self = t->self;
    self->batch = spec->batch_size;
    self->length = spec->sequence.length;
    self->vocab = spec->sequence.vocab ? spec->sequence.vocab : spec->sequence.tokens;
    self->time_first = time_first;
    self->data = task_text_open(name_of_text(spec), spec->data_path, spec->sequence.tokens, err);
    if (!self->data || !task_text_check(self->data, name_of_text(spec), self->length + 1, err)) return NULL;
    task_model *m = task_model_create(t, err);
    size_t n = (size_t)self->batch * (size_t)self->length;
    self->drawn = task_add_input_ids(m, n + (size_t)self->batch);
    self->tokens = task_add_input_ids(m, n);
    self->labels = task_add_input_ids(m, n);
    return m ? self : NULL;
}

int task_texts_finish(task *t, const task_texts *self, int logits, task_normaliser_kind normaliser, lopt_error *err) {
    task_add_cross_entropy(t->model, logits, self->labels);
    task_set_normaliser(t, normaliser, self->vocab);
    return task_model_finish(t->model, err);
}

void task_texts_destroy(task *t) {
    task_text_close(((task_texts *)t->self)->data);
}

void task_texts_draw(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    const task_texts *self = t->self;
    const int32_t *drawn = task_ids_at(work, self->drawn);
    int32_t *tokens = task_ids_at(work, self->tokens), *labels = task_ids_at(work, self->labels);
    size_t batch = (size_t)self->batch, length = (size_t)self->length;
    task_text_draw(self->data, split, r, self->batch, self->length + 1, self->vocab, task_ids_at(work, self->drawn));
    for (size_t k = 0; k < length; k++) {
        for (size_t i = 0; i < batch; i++) {
            size_t to = self->time_first ? k * batch + i : i * length + k;
            tokens[to] = drawn[k * batch + i];
            labels[to] = tokens[to] ? drawn[(k + 1) * batch + i] : -1;
        }
    }
    task_model_draw(t->model, tau, r, work);
}

void task_texts_name(task *t, const task_texts *self, const task_spec *spec, const char *kind, const char *model) {
    char tokens[32] = "bytes";
    if (spec->sequence.tokens != TASK_BYTES_VOCAB) snprintf(tokens, sizeof tokens, "%d pairs", spec->sequence.tokens);
    snprintf(t->name, sizeof t->name, "%s %.32s %s, %s, vocabulary %d, length %d, batch %d", kind, name_of_text(spec),
             tokens, model, self->vocab, self->length, self->batch);
}

void task_texts_sample(task_spec *spec, lopt_rng_stream *r) {
    spec->batch_size = task_draw_log_integer(r, 4, 512);
    spec->sequence.length = task_draw_log_integer(r, 4, 512);
    int text = task_draw_choice(r, 4);
    if (names_no_text(spec)) snprintf(spec->dataset, sizeof spec->dataset, "%s", text / 2 ? "wikipedia" : "lm1b");
    spec->sequence.tokens = text % 2 ? TASK_BYTES_VOCAB : PUBLISHED_VOCAB;
    spec->sequence.vocab = task_draw_log_integer(r, 100, 10000);
    spec->per_task = 1;
}
