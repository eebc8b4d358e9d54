/* SPDX-License-Identifier: Apache-2.0
 *
 * bpe.c - see bpe.h. Each different word is kept once, with the number of times it occurs; a pair knows
 * the words it has been seen in, so that a merge touches no other. */
#include "data/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"

#define LONGEST_WORD 64
#define NOT_FOUND UINT32_MAX

typedef struct word {
    size_t first; /* its first byte in the corpus, and its first symbol */
    uint32_t n_bytes, n_symbols;
    int64_t count; /* in training texts */
} word;

typedef struct pair {
    uint32_t key; /* left id * 65536 + right id */
    int64_t count;
    uint32_t *words; /* that have held it */
    size_t n_words, room;
} pair;

typedef struct candidate {
    int64_t count; /* when it was put into the heap; the pair's may be less by now */
    uint32_t key;
} candidate;

/* A table from hashes to numbers of something: open addressing, sizes powers of two. */
typedef struct slots {
    uint32_t *number;
    size_t n;
} slots;

typedef struct trainer {
    const task_corpus *corpus;
    word *words;
    size_t n_words, words_room;
    uint32_t *order;                          /* the words of all texts, in order */
    size_t n_order, order_room, *order_begin; /* [n_texts + 1] */
    uint16_t *symbols;                        /* of all words, back to back */
    pair *pairs;
    size_t n_pairs, pairs_room;
    candidate *heap;
    size_t n_heap, heap_room;
    slots word_slots, pair_slots;
} trainer;

/* Room for one more of *array's elements of `size` bytes. */
static int grow_array(void *array, size_t n, size_t *room, size_t size) {
    if (n < *room) return 1;
    size_t more = *room ? 2 * *room : 16;
    void **at = array;
    void *moved = realloc(*at, more * size);
    if (!moved) return 0;
    *at = moved;
    *room = more;
    return 1;
}

static uint64_t mix_hash_bits(uint64_t x) {
    x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
    return x ^ (x >> 29);
}

/* Makes the table twice as large once it is half full; hash_of gives the hash of number i. */
static int make_slot_room(trainer *t, slots *s, size_t n, uint64_t (*hash_of)(const trainer *t, size_t i)) {
    if (2 * (n + 1) <= s->n) return 1;
    size_t size = s->n ? 2 * s->n : 1024;
    uint32_t *number = malloc(size * sizeof *number);
    if (!number) return 0;
    for (size_t i = 0; i < size; i++) number[i] = NOT_FOUND;
    for (size_t i = 0; i < n; i++) {
        size_t at = hash_of(t, i) & (size - 1);
        while (number[at] != NOT_FOUND) at = (at + 1) & (size - 1);
        number[at] = (uint32_t)i;
    }
    free(s->number);
    *s = (slots){number, size};
    return 1;
}

/* ---- words ----------------------------------------------------------------------------------- */

typedef enum byte_class { LETTER, DIGIT, SPACE, MARK } byte_class;

static byte_class class_of_byte(unsigned char c) {
    if (c >= 128 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return LETTER;
    if (c >= '0' && c <= '9') return DIGIT;
    return c == ' ' || (c >= '\t' && c <= '\r') ? SPACE : MARK;
}

static size_t find_run_end(const unsigned char *bytes, size_t at, size_t end) {
    byte_class class = class_of_byte(bytes[at]);
    while (at < end && class_of_byte(bytes[at]) == class) at++;
    return at;
}

static size_t find_word_end(const unsigned char *bytes, size_t at, size_t end) {
    size_t most = end - at > LONGEST_WORD ? at + LONGEST_WORD : end;
    size_t stop = find_run_end(bytes, at, most);
    if (class_of_byte(bytes[at]) != SPACE || stop == most || bytes[stop - 1] != ' ') return stop;
    return stop - at == 1 ? find_run_end(bytes, stop, most) : stop - 1;
}

static uint64_t hash_word_bytes(const unsigned char *bytes, size_t n) {
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) h = (h ^ bytes[i]) * 0x100000001b3u;
    return mix_hash_bits(h);
}

static uint64_t hash_of_word(const trainer *t, size_t i) {
    return hash_word_bytes(t->corpus->bytes + t->words[i].first, t->words[i].n_bytes);
}

/* The number of the word at `first`, a new one if it has not been seen; NOT_FOUND: no memory. */
static uint32_t find_or_add_word(trainer *t, size_t first, size_t n_bytes) {
    const unsigned char *bytes = t->corpus->bytes;
    if (!make_slot_room(t, &t->word_slots, t->n_words, hash_of_word)) return NOT_FOUND;
    size_t mask = t->word_slots.n - 1, at = hash_word_bytes(bytes + first, n_bytes) & mask;
    for (; t->word_slots.number[at] != NOT_FOUND; at = (at + 1) & mask) {
        const word *w = &t->words[t->word_slots.number[at]];
        if (w->n_bytes == n_bytes && memcmp(bytes + w->first, bytes + first, n_bytes) == 0)
            return t->word_slots.number[at];
    }
    if (!grow_array(&t->words, t->n_words, &t->words_room, sizeof *t->words)) return NOT_FOUND;
    t->words[t->n_words] = (word){.first = first, .n_bytes = (uint32_t)n_bytes};
    return t->word_slots.number[at] = (uint32_t)t->n_words++;
}

static int collect_corpus_words(trainer *t, size_t n_train) {
    const task_corpus *c = t->corpus;
    t->order_begin = calloc(c->n_texts + 1, sizeof *t->order_begin);
    if (!t->order_begin) return 0;
    for (size_t i = 0; i < c->n_texts; i++) {
        for (size_t at = c->begin[i]; at < c->begin[i + 1];) {
            size_t stop = find_word_end(c->bytes, at, c->begin[i + 1]);
            uint32_t number = find_or_add_word(t, at, stop - at);
            if (number == NOT_FOUND || !grow_array(&t->order, t->n_order, &t->order_room, sizeof *t->order)) {
                return 0;
            }
            t->words[number].count += i < n_train;
            t->order[t->n_order++] = number;
            at = stop;
        }
        t->order_begin[i + 1] = t->n_order;
    }
    return 1;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static uint64_t hash_pair_key(uint32_t key) {
    return mix_hash_bits(key + 1u);
}

static uint64_t hash_of_pair(const trainer *t, size_t i) {
    return hash_pair_key(t->pairs[i].key);
}

static pair *find_or_add_pair(trainer *t, uint32_t key) { /* a new one if need be; NULL: no memory */
    if (!make_slot_room(t, &t->pair_slots, t->n_pairs, hash_of_pair)) return NULL;
    size_t mask = t->pair_slots.n - 1, at = hash_pair_key(key) & mask;
    for (; t->pair_slots.number[at] != NOT_FOUND; at = (at + 1) & mask) {
        pair *p = &t->pairs[t->pair_slots.number[at]];
        if (p->key == key) return p;
    }
    if (!grow_array(&t->pairs, t->n_pairs, &t->pairs_room, sizeof *t->pairs)) return NULL;
    t->pairs[t->n_pairs] = (pair){.key = key};
    t->pair_slots.number[at] = (uint32_t)t->n_pairs;
    return &t->pairs[t->n_pairs++];
}

/* Adds (sign 1) or takes away (-1) a word's neighbours. */
static int count_word_pairs(trainer *t, uint32_t number, int sign) {
    const word *w = &t->words[number];
    const uint16_t *s = t->symbols + w->first;
    for (uint32_t k = 0; k + 1 < w->n_symbols; k++) {
        pair *p = find_or_add_pair(t, (uint32_t)s[k] << 16 | s[k + 1]);
        if (!p) return 0;
        p->count += sign * w->count;
        if (sign < 0 || (p->n_words && p->words[p->n_words - 1] == number)) continue;
        if (!grow_array(&p->words, p->n_words, &p->room, sizeof *p->words)) return 0;
        p->words[p->n_words++] = number;
    }
    return 1;
}

static int candidate_goes_before(candidate a, candidate b) {
    return a.count != b.count ? a.count > b.count : a.key < b.key;
}

static int push_candidate(trainer *t, candidate c) {
    if (c.count < 2) return 1;
    if (!grow_array(&t->heap, t->n_heap, &t->heap_room, sizeof *t->heap)) return 0;
    size_t at = t->n_heap++;
    for (; at && candidate_goes_before(c, t->heap[(at - 1) / 2]); at = (at - 1) / 2)
        t->heap[at] = t->heap[(at - 1) / 2];
    t->heap[at] = c;
    return 1;
}

static candidate pop_candidate(trainer *t) {
    candidate top = t->heap[0], last = t->heap[--t->n_heap];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < t->n_heap; at = child) {
        if (child + 1 < t->n_heap && candidate_goes_before(t->heap[child + 1], t->heap[child])) child++;
        if (!candidate_goes_before(t->heap[child], last)) break;
        t->heap[at] = t->heap[child];
    }
    t->heap[at] = last;
    return top;
}

/* ---- merging --------------------------------------------------------------------------------- */

static int word_holds_pair(const trainer *t, const word *w, uint32_t key) {
    const uint16_t *s = t->symbols + w->first;
    for (uint32_t k = 0; k + 1 < w->n_symbols; k++)
        if (((uint32_t)s[k] << 16 | s[k + 1]) == key) return 1;
    return 0;
}

static void replace_pair_in_word(trainer *t, word *w, uint32_t key, uint16_t id) {
    uint16_t *s = t->symbols + w->first;
    uint32_t n = 0;
    for (uint32_t k = 0; k < w->n_symbols; k++) {
        int found = k + 1 < w->n_symbols && ((uint32_t)s[k] << 16 | s[k + 1]) == key;
        s[n++] = found ? id : s[k];
        k += (uint32_t)found;
    }
    w->n_symbols = n;
}

/* Every pair that becomes more frequent holds the new id, so it is a new pair. */
static int merge_pair(trainer *t, uint32_t key, uint16_t id) {
    pair *merged = find_or_add_pair(t, key);
    if (!merged) return 0;
    uint32_t *words = merged->words;
    size_t n = merged->n_words, first_new = t->n_pairs;
    merged->words = NULL, merged->n_words = merged->room = 0;
    int done = 1;
    for (size_t i = 0; done && i < n; i++) {
        word *w = &t->words[words[i]];
        if (!word_holds_pair(t, w, key)) continue; /* another merge took it, or the word is here twice */
        done = count_word_pairs(t, words[i], -1);
        replace_pair_in_word(t, w, key, id);
        done = done && count_word_pairs(t, words[i], 1);
    }
    free(words);
    for (size_t i = first_new; done && i < t->n_pairs; i++)
        done = push_candidate(t, (candidate){t->pairs[i].count, t->pairs[i].key});
    return done;
}

static int merge_best_pairs(trainer *t, int vocab) {
    for (uint32_t i = 0; i < t->n_words; i++)
        if (!count_word_pairs(t, i, 1)) return 0;
    for (size_t i = 0; i < t->n_pairs; i++)
        if (!push_candidate(t, (candidate){t->pairs[i].count, t->pairs[i].key})) return 0;
    for (int id = TASK_BYTES_VOCAB; id < vocab && t->n_heap;) {
        candidate best = pop_candidate(t);
        pair *p = find_or_add_pair(t, best.key);
        if (!p) return 0;
        if (p->count != best.count) {
            if (!push_candidate(t, (candidate){p->count, best.key})) return 0;
        } else if (!merge_pair(t, best.key, (uint16_t)id++)) {
            return 0;
        }
    }
    return 1;
}

/* ---- tokens of a text ------------------------------------------------------------------------- */

static int train_tokenizer(trainer *t, size_t n_train, int vocab) {
    if (!collect_corpus_words(t, n_train)) return 0;
    size_t n_symbols = 0;
    for (size_t i = 0; i < t->n_words; i++) n_symbols += t->words[i].n_bytes;
    t->symbols = calloc(n_symbols + 1, sizeof *t->symbols);
    if (!t->symbols) return 0;
    n_symbols = 0;
    for (size_t i = 0; i < t->n_words; i++) { /* from here on `first` is of the symbols */
        word *w = &t->words[i];
        const unsigned char *bytes = t->corpus->bytes + w->first;
        w->first = n_symbols;
        w->n_symbols = w->n_bytes;
        for (uint32_t k = 0; k < w->n_bytes; k++) t->symbols[n_symbols++] = (uint16_t)(TASK_FIRST_BYTE + bytes[k]);
    }
    return merge_best_pairs(t, vocab);
}

static void emit_tokens(const trainer *t, task_tokens *out) {
    size_t n = 0;
    for (size_t i = 0; i < t->corpus->n_texts; i++) {
        out->begin[i] = n;
        for (size_t k = t->order_begin[i]; k < t->order_begin[i + 1]; k++) {
            const word *w = &t->words[t->order[k]];
            memcpy(out->ids + n, t->symbols + w->first, w->n_symbols * sizeof *out->ids);
            n += w->n_symbols;
        }
    }
    out->begin[t->corpus->n_texts] = n;
}

static void free_bpe_trainer(trainer *t) {
    for (size_t i = 0; i < t->n_pairs; i++) free(t->pairs[i].words);
    free(t->words), free(t->order), free(t->order_begin), free(t->symbols);
    free(t->pairs), free(t->heap), free(t->word_slots.number), free(t->pair_slots.number);
}

static int encode_corpus_words(const task_corpus *corpus, size_t n_train, int vocab, task_tokens *out) {
    trainer t = {.corpus = corpus};
    int done = train_tokenizer(&t, n_train, vocab);
    if (done) emit_tokens(&t, out);
    free_bpe_trainer(&t);
    return done;
}

int task_bpe_encode(const task_corpus *corpus, size_t n_train, int vocab, task_tokens *out) {
    size_t n_bytes = corpus->begin[corpus->n_texts];
    out->ids = malloc((n_bytes + 1) * sizeof *out->ids);
    out->begin = malloc((corpus->n_texts + 1) * sizeof *out->begin);
    int done = out->ids && out->begin;
    if (done && vocab > TASK_BYTES_VOCAB) {
        done = encode_corpus_words(corpus, n_train, vocab, out);
    } else if (done) {
        for (size_t i = 0; i < n_bytes; i++) out->ids[i] = (uint16_t)(TASK_FIRST_BYTE + corpus->bytes[i]);
        memcpy(out->begin, corpus->begin, (corpus->n_texts + 1) * sizeof *out->begin);
    }
    if (!done) task_tokens_free(out);
    return done;
}

void task_tokens_free(task_tokens *t) {
    free(t->ids);
    free(t->begin);
    *t = (task_tokens){0};
}
