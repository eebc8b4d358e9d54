/* SPDX-License-Identifier: Apache-2.0
 *
 * text.h - a text data set in memory: read (corpus.h), made into tokens (bpe.h), split; shared by tasks.
 *
 *     const task_text *d = task_text_open("fortunes", spec->data_path, 259, &err);
 *     if (!task_text_check(d, "fortunes", length, &err)) ...       a split too short for it
 *     task_text_draw(d, TASK_TRAIN, &rng, batch, length, vocab, tokens);
 *     task_text_close(d);
 *
 * Tokens    vocab 259: bytes; TASK_MIN_BPE_VOCAB to TASK_MAX_VOCAB: a vocabulary of that size, learned from the
 *           training texts. Ids 0 (pad), 1 (end) and 2 (unknown) are never in a text.
 * Splits    of the texts, in the order of a fixed permutation (Fisher-Yates from the stream
 *           {0, LOPT_RNG_SPLIT, 1, 0, 0}): train 0-85 %, inner_valid 85-90 %, outer_valid 90-95 %, test 95-100 %.
 *           Published splits are of 1 % of texts a thousand times as large.
 * Draws     an example is `length` tokens in a row of one text, 0 after a shorter text's end: around a token drawn
 *           uniformly from the split, which is the first, or a later one where less than `length` follow it in
 *           its text. (Published pipelines show the first tokens of each text only.)
 * Folding   ids of `vocab` and more become 1 + id mod (vocab - 1).
 * Shared    kept by (file, vocab) while anyone uses it. Not thread-safe. */
#ifndef TASK_TEXT_H
#define TASK_TEXT_H

#include "data/bpe.h"

typedef struct task_text {
    task_tokens tokens;
    size_t n_texts;
    size_t first[TASK_N_SPLITS + 1]; /* texts first[s] .. first[s + 1] - 1 are of split s */
} task_text;

const task_text *task_text_open(const char *name, const char *data_path, int vocab, lopt_error *err);
void task_text_close(const task_text *d); /* NULL is fine */

/* 1 if every split has at least `length` tokens. */
int task_text_check(const task_text *d, const char *name, int length, lopt_error *err);

/* tokens[length, batch]: example i is column i. */
void task_text_draw(const task_text *d, task_split split, lopt_rng_stream *r, int batch, int length, int vocab,
                    int32_t *tokens);

#endif
