/* SPDX-License-Identifier: Apache-2.0
 *
 * rnn_lm.c - the next token of a text by a recurrent net.
 *
 *     tokens -> embedding -> recurrent cell from a learned state -> dense -> cross-entropy
 *
 * Published names have N(0, 1) cut at 2 for the embedding and the loss as it is; the family draws with the task
 * how embedding and output start, and its cell is always an LSTM. Source: the RNNLM tasks of
 * learned_optimization (Metz et al. 2022). */
#include <stdio.h>

#include "base/draws.h"
#include "layers/dense.h"
#include "layers/embed.h"
#include "layers/recurrent.h"
#include "models/blocks.h"
#include "models/texts.h"

static int rnn_lm_create(task *t, const task_spec *spec, lopt_error *err) {
    task_texts *self = task_texts_open(t, spec, 1, err);
    if (!self) return 0;
    task_model *m = t->model;
    task_init table = {TASK_INIT_TRUNCATED, 1, 0}, output = {0};
    if (spec->per_task) table = output = task_init_sampled(m);
    int64_t dim[] = {self->length, self->batch, spec->sequence.embed};
    int x = task_add_embedding(m, self->tokens, 3, dim, self->vocab, table);
    x = task_add_recurrent(m, x, spec->sequence.cell, spec->sequence.width);
    x = task_add_dense(m, x, self->vocab, output);
    static const char *const cells[] = {TASK_CELLS(TASK_STRING)};
    char model[64];
    snprintf(model, sizeof model, "%s %d, embedding %d", cells[spec->sequence.cell], spec->sequence.width,
             spec->sequence.embed);
    task_texts_name(t, self, spec, "rnn_lm", model);
    return task_texts_finish(t, self, x, spec->per_task ? TASK_LOG_BELOW_CHANCE : TASK_IDENTITY, err);
}

#define RNN(text, ids, time, kind, numbers, table)                                                                     \
    .spec = {.task = "rnn_lm",                                                                                         \
             .dataset = text,                                                                                          \
             .batch_size = 128,                                                                                        \
             .sequence = {.tokens = ids, .length = time, .cell = kind, .width = numbers, .embed = table}}
#define LM1B "text lm1b in data.path, or fortunes; "
#define WIKI "text wikipedia in data.path, or bible; "

static const task_name names[] = {
    {{"RNNLM_lm1bbytes_Patch32_IRNN128_Embed64", LM1B "32 bytes, IRNN 128"}, RNN("lm1b", 259, 32, TASK_IRNN, 128, 64)},
    {{"RNNLM_lm1bbytes_Patch32_LSTM128_Embed64", LM1B "32 bytes, LSTM 128"}, RNN("lm1b", 259, 32, TASK_LSTM, 128, 64)},
    {{"RNNLM_lm1bbytes_Patch32_GRU128_Embed64", LM1B "32 bytes, GRU 128"}, RNN("lm1b", 259, 32, TASK_GRU, 128, 64)},
    {{"RNNLM_lm1bbytes_Patch32_VanillaRNN128_Embed64", LM1B "32 bytes, RNN 128"},
     RNN("lm1b", 259, 32, TASK_VANILLA_RNN, 128, 64)},
    {{"RNNLM_lm1bbytes_Patch128_LSTM128_Embed64", LM1B "128 bytes, LSTM 128"},
     RNN("lm1b", 259, 128, TASK_LSTM, 128, 64)},
    {{"RNNLM_lm1bbytes_Patch32_LSTM256_Embed128", LM1B "32 bytes, LSTM 256"},
     RNN("lm1b", 259, 32, TASK_LSTM, 256, 128)},
    {{"RNNLM_lm1bbytes_Patch32_GRU256_Embed128", LM1B "32 bytes, GRU 256"}, RNN("lm1b", 259, 32, TASK_GRU, 256, 128)},
    {{"RNNLM_lm1b32k_Patch32_VanillaRNN256_Embed128", LM1B "32 byte pairs, RNN 256"},
     RNN("lm1b", 32100, 32, TASK_VANILLA_RNN, 256, 128)},
    {{"RNNLM_lm1b32k_Patch32_LSTM256_Embed128", LM1B "32 byte pairs, LSTM 256"},
     RNN("lm1b", 32100, 32, TASK_LSTM, 256, 128)},
    {{"RNNLM_lm1b32k_Patch32_IRNN256_Embed128", LM1B "32 byte pairs, IRNN 256"},
     RNN("lm1b", 32100, 32, TASK_IRNN, 256, 128)},
    {{"RNNLM_wikipediaen32k_Patch32_LSTM256_Embed128", WIKI "32 byte pairs, LSTM 256"},
     RNN("wikipedia", 32100, 32, TASK_LSTM, 256, 128)},
    {{"RNNLM_wikipediaen32k_Patch32_GRU256_Embed128", WIKI "32 byte pairs, GRU 256"},
     RNN("wikipedia", 32100, 32, TASK_GRU, 256, 128)},
    {{"RNNLM_wikipediaenbytes_Patch32_LSTM256_Embed128", WIKI "32 bytes, LSTM 256"},
     RNN("wikipedia", 259, 32, TASK_LSTM, 256, 128)},
    {{"RNNLM_wikipediaenbytes_Patch32_GRU256_Embed128", WIKI "32 bytes, GRU 256"},
     RNN("wikipedia", 259, 32, TASK_GRU, 256, 128)},
    {{NULL, NULL}, {.task = ""}},
};

static void rnn_lm_sample(task_spec *spec, lopt_rng_stream *r) {
    snprintf(spec->task, sizeof spec->task, "rnn_lm");
    spec->sequence.width = task_draw_log_integer(r, 8, 256);
    spec->sequence.embed = task_draw_log_integer(r, 8, 256);
    task_texts_sample(spec, r);
    spec->sequence.cell = TASK_LSTM;
}

static const task_family family = {
    .name = "rnn_lm_family",
    .summary = "LSTMs on text: width, embedding, length, batch, vocabulary; initialisation with the task",
    .sample = rnn_lm_sample,
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS,
    TASK_TEXT_SETTINGS,
    {"sequence.cell", TASK_CHOICE(sequence.cell), TASK_WORDS(TASK_CELLS), "lstm", NULL, "of recurrent nets"},
    TASK_WIDTH_SETTING,
};

const task_kind task_kind_rnn_lm = {
    TASK_TEXTS_FUNCTIONS,
    .name = "rnn_lm",
    .summary = "language model: the next token of a text (fortunes, bible or your own) by a recurrent net",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = rnn_lm_create,
    .names = names,
    .open_settings = "dataset",
    .family = &family,
};
