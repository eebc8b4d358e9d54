/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c - see text.h. */
#include "data/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"

static const char *const split_names[] = {TASK_SPLITS(TASK_STRING)};

/* A text in the cache. */
typedef struct entry {
    task_text text; /* first, so that a text's address is its entry's */
    struct entry *next;
    int n_users, vocab;
    char path[TASK_CORPUS_PATH];
} entry;

/* Texts are read once a process, however many tasks use them. */
static entry *cache;

/* ---- loading --------------------------------------------------------------------------------- */

/* Fisher-Yates over texts; the bytes are copied in the new order. */
static int permute_texts(task_corpus *c) {
    size_t n = c->n_texts, to = 0;
    size_t *order = malloc(n * sizeof *order), *begin = malloc((n + 1) * sizeof *begin);
    unsigned char *bytes = malloc(c->begin[n] + 1);
    int made = order && begin && bytes;
    if (made) {
        lopt_rng_stream r;
        lopt_rng_open_stream(&r, (lopt_rng_address){0, LOPT_RNG_SPLIT, 1, 0, 0});
        for (size_t i = 0; i < n; i++) order[i] = i;
        for (size_t i = n - 1; i > 0; i--) {
            size_t j = (size_t)lopt_rng_draw_below(&r, i + 1), swap = order[i];
            order[i] = order[j];
            order[j] = swap;
        }
        for (size_t i = 0; i < n; i++) {
            size_t from = c->begin[order[i]], length = c->begin[order[i] + 1] - from;
            begin[i] = to;
            memcpy(bytes + to, c->bytes + from, length);
            to += length;
        }
        begin[n] = to;
        task_corpus_free(c);
        *c = (task_corpus){bytes, n, begin};
    } else {
        free(begin);
        free(bytes);
    }
    free(order);
    return made;
}

static entry *load_text_tokens(const char *path, int vocab, lopt_error *err) {
    task_corpus corpus;
    if (!task_corpus_read(path, &corpus, err)) return NULL;
    entry *e = calloc(1, sizeof *e);
    int made = e && permute_texts(&corpus);
    if (made) {
        task_text *d = &e->text;
        e->vocab = vocab;
        snprintf(e->path, sizeof e->path, "%s", path);
        d->n_texts = corpus.n_texts;
        size_t part = corpus.n_texts / 20; /* at least one: TASK_FEWEST_TEXTS */
        for (int s = 1; s <= TASK_N_SPLITS; s++) d->first[s] = corpus.n_texts - (size_t)(TASK_N_SPLITS - s) * part;
        made = task_bpe_encode(&corpus, d->first[TASK_TRAIN + 1], vocab, &d->tokens);
    }
    task_corpus_free(&corpus);
    if (made) return e;
    free(e);
    task_set_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    return NULL;
}

const task_text *task_text_open(const char *name, const char *data_path, int vocab, lopt_error *err) {
    char path[TASK_CORPUS_PATH];
    if (vocab != TASK_BYTES_VOCAB && (vocab < TASK_MIN_BPE_VOCAB || vocab > TASK_MAX_VOCAB)) {
        task_set_error(err, LOPT_EARG, "text %.200s: a vocabulary of %d, allowed: %d (bytes) or %d to %d", name, vocab,
                       TASK_BYTES_VOCAB, TASK_MIN_BPE_VOCAB, TASK_MAX_VOCAB);
        return NULL;
    }
    if (!task_corpus_find(name, data_path, path, err)) return NULL;
    entry *e = cache;
    while (e && (e->vocab != vocab || strcmp(e->path, path) != 0)) e = e->next;
    if (!e) {
        e = load_text_tokens(path, vocab, err);
        if (!e) return NULL;
        e->next = cache;
        cache = e;
    }
    e->n_users++;
    return &e->text;
}

void task_text_close(const task_text *d) {
    entry **link = &cache;
    while (*link && &(*link)->text != d) link = &(*link)->next;
    entry *e = *link;
    if (!e || --e->n_users > 0) return;
    *link = e->next;
    task_tokens_free(&e->text.tokens);
    free(e);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static size_t first_text_of_split(const task_text *d, int split) {
    return d->tokens.begin[d->first[split]];
}

int task_text_check(const task_text *d, const char *name, int length, lopt_error *err) {
    for (int s = 0; s < TASK_N_SPLITS; s++) {
        size_t n = first_text_of_split(d, s + 1) - first_text_of_split(d, s);
        if (n < (size_t)length) {
            return task_set_error(err, LOPT_EARG,
                                  "text %.200s: split %s has %zu tokens, needed: %d for the sequence length", name,
                                  split_names[s], n, length);
        }
    }
    return 1;
}

static size_t find_text_of_token(const task_text *d, int split, size_t token) {
    size_t low = d->first[split], high = d->first[split + 1];
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (d->tokens.begin[middle] <= token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int32_t fold_token_id(int32_t id, int vocab) {
    return id < vocab ? id : 1 + id % (vocab - 1);
}

void task_text_draw(const task_text *d, task_split split, lopt_rng_stream *r, int batch, int length, int vocab,
                    int32_t *tokens) {
    size_t first = first_text_of_split(d, split), n_tokens = first_text_of_split(d, split + 1) - first;
    for (int i = 0; i < batch; i++) {
        size_t at = first + (size_t)lopt_rng_draw_below(r, n_tokens), text = find_text_of_token(d, split, at);
        size_t begin = d->tokens.begin[text], end = d->tokens.begin[text + 1];
        size_t latest = end - begin > (size_t)length ? end - (size_t)length : begin;
        if (at > latest) at = latest;
        for (int k = 0; k < length; k++, at++)
            tokens[(size_t)k * (size_t)batch + (size_t)i] = at < end ? fold_token_id(d->tokens.ids[at], vocab) : 0;
    }
}
