/* SPDX-License-Identifier: Apache-2.0
 *
 * bpe.h - tokens of a text: bytes, or pieces of words learned by merging pairs of bytes.
 *
 *     task_tokens t = {0};
 *     if (!task_bpe_encode(&corpus, n_train, vocab, &t)) ...   out of memory, the one way to fail
 *     t.ids[t.begin[i]] .. t.ids[t.begin[i + 1] - 1]           the tokens of text i
 *     task_tokens_free(&t);
 *
 * Ids      0 pad, 1 end, 2 unknown, 3..258 the bytes, 259.. merged pairs in the order they were made.
 * Merging  the texts before n_train are cut into words: a run of letters (bytes from 128 on are letters), digits
 *          or other marks with at most one space before it, or a run of white space; at most 64 bytes.
 *          The pair of neighbours within words that occurs most becomes a token, again and again until there are
 *          `vocab` ids or no pair occurs twice (the ids left over are never used). Of pairs as frequent,
 *          the one with the lower first id goes first, then the one with the lower second id. The other
 *          texts are cut and merged in the same order, and do not affect the merges.
 * Source   Sennrich, Haddow, Birch 2016. */
#ifndef TASK_BPE_H
#define TASK_BPE_H

#include "data/corpus.h"

enum { TASK_FIRST_BYTE = 3, TASK_BYTES_VOCAB = 259, TASK_MIN_BPE_VOCAB = 300, TASK_MAX_VOCAB = 32768 };

typedef struct task_tokens {
    uint16_t *ids;
    size_t *begin; /* [n_texts + 1] */
} task_tokens;

int task_bpe_encode(const task_corpus *corpus, size_t n_train, int vocab, task_tokens *out);
void task_tokens_free(task_tokens *t);

#endif
