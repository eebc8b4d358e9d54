/* SPDX-License-Identifier: Apache-2.0
 *
 * transformer_lm.c - the next token of a text by causal attention, without positions.
 *
 *     tokens -> embedding -> (h + attention(norm h), h + mlp(norm h)) per layer -> norm -> dense -> cross-entropy
 *
 * Heads of published names have size 32 whatever the width; weights within blocks are normal, cut at 2, of variance
 * 2 / layers / fan-in. No token attends to padding. The perceptron is four times as wide, gelu. The loss counts
 * as it is, in the family by the parametric tasks' normaliser. Source: the TransformerLM tasks of
 * learned_optimization (Metz et al. 2022). */
#include <stdio.h>

#include "base/draws.h"
#include "layers/activation.h"
#include "layers/attention.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/embed.h"
#include "layers/norm.h"
#include "layers/sum.h"
#include "models/blocks.h"
#include "models/hidden.h"
#include "models/texts.h"

#define EPSILON 1e-5

static int add_transformer_block(task_model *m, int h, const task_attention_shape *a, double dropout) {
    int width = (int)(h < 0 ? 0 : task_value_shape(m, h)->cols);
    int x = task_add_dropout(m, task_add_attention(m, task_add_layer_norm(m, h, EPSILON), a), dropout);
    h = task_add_sum(m, 2, (int[]){h, x});
    x = task_add_dense(m, task_add_layer_norm(m, h, EPSILON), 4 * width, a->init);
    x = task_add_dense(m, task_add_activation(m, x, TASK_GELU), width, a->init);
    return task_add_sum(m, 2, (int[]){h, task_add_dropout(m, x, dropout)});
}

static int transformer_lm_create(task *t, const task_spec *spec, lopt_error *err) {
    task_texts *self = task_texts_open(t, spec, 0, err);
    if (!self) return 0;
    task_model *m = t->model;
    task_attention_shape a = {
        .heads = spec->sequence.heads, .head_size = spec->sequence.head_size, .causal = 1, .pad_ids = &self->tokens};
    a.init = (task_init){TASK_INIT_VARIANCE, 2.0 / spec->sequence.layers, 0};
    int64_t dim[] = {self->batch, self->length, spec->sequence.embed};
    int x = task_add_embedding(m, self->tokens, 3, dim, self->vocab, (task_init){TASK_INIT_TRUNCATED, 1, 0});
    for (int l = 0; l < spec->sequence.layers; l++) x = add_transformer_block(m, x, &a, spec->dropout);
    x = task_add_dense(m, task_add_layer_norm(m, x, EPSILON), self->vocab, (task_init){0});
    char model[64];
    snprintf(model, sizeof model, "%d layers of %d, %d heads", spec->sequence.layers, spec->sequence.embed,
             spec->sequence.heads);
    task_texts_name(t, self, spec, "transformer_lm", model);
    return task_texts_finish(t, self, x, spec->per_task ? TASK_LOG_BELOW_CHANCE : TASK_IDENTITY, err);
}

#define TRANSFORMER(n_heads, d, n_layers, batch, time, drop)                                                           \
    .spec = {.task = "transformer_lm",                                                                                 \
             .dataset = "lm1b",                                                                                        \
             .batch_size = batch,                                                                                      \
             .dropout = drop,                                                                                          \
             .sequence = {                                                                                             \
                 .tokens = 32100, .length = time, .embed = d, .layers = n_layers, .heads = n_heads, .head_size = 32}}
#define LM1B "text lm1b in data.path, or fortunes; "
#define NAME(k) "TransformerLM_LM1B_" k

static const task_name names[] = {
    {{NAME("MultiRuntime_0"), LM1B "1 layer of 20"}, TRANSFORMER(5, 20, 1, 4, 8, 0.1)},
    {{NAME("MultiRuntime_1"), LM1B "1 layer of 24"}, TRANSFORMER(6, 24, 1, 4, 8, 0.1)},
    {{NAME("MultiRuntime_2"), LM1B "2 layers of 32"}, TRANSFORMER(4, 32, 2, 8, 8, 0)},
    {{NAME("MultiRuntime_3"), LM1B "1 layer of 32, 16 tokens"}, TRANSFORMER(4, 32, 1, 8, 16, 0)},
    {{NAME("MultiRuntime_4"), LM1B "2 layers of 32, 4 tokens"}, TRANSFORMER(4, 32, 2, 16, 4, 0)},
    {{NAME("MultiRuntime_5"), LM1B "1 layer of 32, 32 tokens"}, TRANSFORMER(4, 32, 1, 8, 32, 0)},
    {{NAME("MultiRuntime_6"), LM1B "1 layer of 80"}, TRANSFORMER(5, 80, 1, 4, 64, 0)},
    {{NAME("MultiRuntime_7"), LM1B "3 layers of 112"}, TRANSFORMER(7, 112, 3, 16, 32, 0)},
    {{NAME("MultiRuntime_8"), LM1B "1 layer of 128"}, TRANSFORMER(4, 128, 1, 64, 32, 0)},
    {{NAME("MultiRuntime_9"), LM1B "2 layers of 256"}, TRANSFORMER(4, 256, 2, 64, 64, 0)},
    {{NAME("MultiRuntime_10"), LM1B "3 layers of 256"}, TRANSFORMER(4, 256, 3, 128, 64, 0)},
    {{NAME("MultiRuntime_11"), LM1B "2 layers of 304"}, TRANSFORMER(19, 304, 2, 256, 32, 0)},
    {{NAME("5layer_32width"), LM1B "5 layers of 32"}, TRANSFORMER(8, 32, 5, 32, 128, 0.1)},
    {{NAME("5layer_128width"), LM1B "5 layers of 128"}, TRANSFORMER(8, 128, 5, 32, 128, 0.1)},
    {{NAME("5layer_256width"), LM1B "5 layers of 256"}, TRANSFORMER(8, 256, 5, 32, 128, 0.1)},
    {{NAME("5layer_512width"), LM1B "5 layers of 512"}, TRANSFORMER(8, 512, 5, 32, 128, 0.1)},
    {{NULL, NULL}, {.task = ""}},
};

static void transformer_lm_sample(task_spec *spec, lopt_rng_stream *r) {
    snprintf(spec->task, sizeof spec->task, "transformer_lm");
    int per_head = task_draw_log_integer(r, 8, 128);
    spec->sequence.heads = task_draw_log_integer(r, 8, 128);
    spec->sequence.head_size = 32;
    spec->sequence.embed = per_head * spec->sequence.heads;
    spec->sequence.layers = task_draw_log_integer(r, 1, 8);
    task_texts_sample(spec, r);
    spec->dropout = 0.1;
}

static const task_family family = {
    .name = "transformer_lm_family",
    .summary = "transformers on text: heads, width, layers, length, batch, vocabulary",
    .sample = transformer_lm_sample,
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS,
    TASK_TEXT_SETTINGS,
    TASK_ATTENTION_SETTINGS,
    TASK_DROPOUT_SETTING,
};

const task_kind task_kind_transformer_lm = {
    TASK_TEXTS_FUNCTIONS,
    .name = "transformer_lm",
    .summary = "language model: the next token of a text (fortunes, bible or your own) by a causal transformer",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = transformer_lm_create,
    .names = names,
    .open_settings = "dataset",
    .family = &family,
};
