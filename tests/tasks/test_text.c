/* SPDX-License-Identifier: Apache-2.0
 *
 * test_text.c - texts: files that cannot be, cutting, byte pairs against a plain loop, splits, draws. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/bible.h"
#include "data/text.h"
#include "scratch.h"

TestSuite(text, .init = make_scratch, .fini = remove_scratch, .timeout = 60);

/* Text i of n is "text i" and i % 37 + 1 words of few letters, with a non-ASCII one. */
static size_t make_texts(int n, char *out) {
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        at += (size_t)sprintf(out + at, "text %d:", i);
        for (int k = 0; k <= i % 37; k++) {
            static const char *const parts[] = {"ab", "aab", "abab", "c", "\xc3\xa9", "aaaa", "  12", "==="};
            at += (size_t)sprintf(out + at, " %s%s", parts[(i * 7 + k * k) % 8], parts[(i + k) % 8]);
        }
        at += (size_t)sprintf(out + at, i % 2 ? "\n%%\n" : "\n \n\n");
    }
    return at;
}

static char *write_texts(int n, const char *name, char path[SCRATCH_PATH]) {
    static char text[1 << 20];
    write_bytes(path_of(name, path), text, make_texts(n, text));
    return path;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void expect(const char *name, int vocab, int length, const char *part) {
    lopt_error err = {LOPT_OK, ""};
    const task_text *d = task_text_open(name, folder, vocab, &err);
    if (d && task_text_check(d, name, length, &err)) cr_assert(0, "%s: opened in spite of: %s", name, part);
    cr_assert(strstr(err.text, part) && !strchr(err.text, '\n'), "found \"%s\", expected \"%s\"", err.text, part);
    if (d) task_text_close(d);
}

static void expect_file(const char *bytes, size_t n, const char *part) {
    char path[SCRATCH_PATH];
    write_bytes(path_of("bad", path), bytes, n);
    expect(path, 259, 5, part);
    task_text_close(NULL);
}

Test(text, what_cannot_be_is_said) {
    char path[SCRATCH_PATH], few[SCRATCH_PATH];
    write_texts(200, "good.txt", path);
    expect("nothing", 259, 5, "unknown text \"nothing\", allowed: fortunes");
    expect("/nowhere/at/all", 259, 5, "/nowhere/at/all: there is no such file");
    expect("good", 258, 5, "a vocabulary of 258, allowed: 259 (bytes) or 300 to 32768");
    expect("good", 299, 5, "a vocabulary of 299");
    expect("good", 32769, 5, "a vocabulary of 32769");
    expect("good", 259, 1 << 20, "needed: 1048576 for the sequence length");
    expect(write_texts(19, "few", few), 259, 5, "holds 19 texts");
    expect_file("", 0, "holds 0 texts");
    static const char *const wrong[] = {
        "\x80", "\xc3",     "\xc0\xaf",         "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xff", "\xe2\x82", "\xf0\x80\x80\x80", "\xc3 "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "abc%s", wrong[i]);
        expect_file(text, (size_t)n, "byte 3 is not of UTF-8 text");
    }
    cr_assert(mkfifo(path_of("pipe", path), 0600) == 0);
    expect(path, 259, 5, "is not a file");
}

Test(text, texts_are_cut_at_borders_and_where_they_are_long) {
    char path[SCRATCH_PATH];
    static char text[100000];
    size_t n = 0;
    for (int i = 0; i < 18; i++) n += (size_t)sprintf(text + n, "line one\nline %02d\n%s\n", i, i % 2 ? "%" : "\t");
    for (int i = 0; i < TASK_LONGEST_TEXT; i++) n += (size_t)sprintf(text + n, "%s", i ? "\xe2\x82\xac" : "x");
    write_bytes(path_of("t", path), text, n);
    task_corpus c = {0};
    lopt_error err;
    cr_assert(task_corpus_read(path, &c, &err), "%s", err.text);
    cr_assert(c.n_texts == 21, "%zu texts", c.n_texts); /* 18 and 12287 bytes in pieces of 4096, 4095 and 4096 */
    for (size_t i = 0; i < 18; i++) {
        char line[40];
        int length = snprintf(line, sizeof line, "line one\nline %02zu\n", i);
        cr_assert(c.begin[i + 1] - c.begin[i] == (size_t)length && !memcmp(c.bytes + c.begin[i], line, (size_t)length),
                  "text %zu is \"%.*s\"", i, length, c.bytes + c.begin[i]);
    }
    for (size_t i = 18; i < 21; i++) {
        cr_assert((c.bytes[c.begin[i]] & 0xc0) != 0x80, "text %zu begins within a character", i);
        cr_assert(c.begin[i + 1] - c.begin[i] <= TASK_LONGEST_TEXT);
    }
    task_corpus_free(&c);
}

Test(text, a_folder_is_its_files_in_order_without_links_and_indices) {
    char sub[SCRATCH_PATH], path[SCRATCH_PATH], target[SCRATCH_PATH];
    cr_assert(mkdir(path_of("lm1b", sub), 0700) == 0);
    write_texts(30, "lm1b/b", target);
    write_bytes(path_of("lm1b/a.dat", path), "\xff\xff", 2);
    write_bytes(path_of("lm1b/.hidden", path), "\xff\xff", 2);
    cr_assert(symlink("b", path_of("lm1b/c.u8", path)) == 0);
    write_bytes(path_of("lm1b/a", path), "first\n%\nsecond", 14);
    task_corpus c = {0};
    lopt_error err;
    char found[TASK_CORPUS_PATH];
    cr_assert(task_corpus_find("lm1b", folder, found, &err) && !strcmp(found, sub), "%s", found);
    cr_assert(task_corpus_read(found, &c, &err), "%s", err.text);
    cr_assert(c.n_texts == 32 && !memcmp(c.bytes, "first\nsecond\ntext 0:", 19), "%zu texts", c.n_texts);
    task_corpus_free(&c);
}

/* ---- byte pairs ------------------------------------------------------------------------------ */

enum { MAX_IDS = 1 << 17 };

typedef struct plain { /* every occurrence of every word, 0 between words */
    int ids[MAX_IDS], n, n_train;
} plain;

static int class_of(int c) {
    return c > 127 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? 1
           : c >= '0' && c <= '9'                                      ? 2
           : strchr(" \t\n\v\f\r", c)                                  ? 3
                                                                       : 4;
}

static int begins_a_word(const unsigned char *text, size_t k, size_t n) {
    int now = class_of(text[k]), before = class_of(text[k - 1]);
    int next = k + 1 < n ? class_of(text[k + 1]) : 3;
    if (now == 3) return before != 3 || (text[k] == ' ' && next != 3);
    return now != before && !(before == 3 && text[k - 1] == ' ');
}

static void plain_words(const task_corpus *c, size_t n_train, plain *p) {
    p->n = 0;
    for (size_t i = 0; i < c->n_texts; i++) {
        const unsigned char *text = c->bytes + c->begin[i];
        size_t n = c->begin[i + 1] - c->begin[i];
        if (i == n_train) p->n_train = p->n;
        for (size_t k = 0; k < n; k++) {
            if (k == 0 || begins_a_word(text, k, n)) p->ids[p->n++] = 0;
            p->ids[p->n++] = 3 + text[k];
        }
    }
}

static void plain_merges(plain *p, int vocab) {
    static int count[400][400];
    for (int id = 259; id < vocab; id++) {
        memset(count, 0, sizeof count);
        for (int k = 0; k + 1 < p->n_train; k++)
            if (p->ids[k] && p->ids[k + 1]) count[p->ids[k]][p->ids[k + 1]]++;
        int a = 0, b = 0;
        for (int i = 0; i < id; i++)
            for (int j = 0; j < id; j++)
                if (count[i][j] > count[a][b]) a = i, b = j;
        if (count[a][b] < 2) return;
        int n = 0, n_train = p->n_train;
        for (int k = 0; k < p->n; k++) {
            if (k == n_train) p->n_train = n;
            int found = k + 1 < p->n && p->ids[k] == a && p->ids[k + 1] == b;
            p->ids[n++] = found ? id : p->ids[k];
            k += found;
        }
        p->n = n;
    }
}

Test(text, byte_pairs_are_those_of_a_plain_loop) {
    static plain p;
    char path[SCRATCH_PATH];
    task_corpus c = {0};
    lopt_error err;
    cr_assert(task_corpus_read(write_texts(150, "pairs", path), &c, &err), "%s", err.text);
    for (int vocab = 300; vocab <= 400; vocab += 100) {
        task_tokens t = {0};
        plain_words(&c, 120, &p);
        plain_merges(&p, vocab);
        cr_assert(task_bpe_encode(&c, 120, vocab, &t));
        size_t n = 0;
        for (int k = 0; k < p.n; k++) {
            if (!p.ids[k]) continue;
            cr_assert(t.ids[n] == p.ids[k], "vocab %d, token %zu: %d, plain %d", vocab, n, t.ids[n], p.ids[k]);
            n++;
        }
        cr_assert(n == t.begin[c.n_texts] && n < c.begin[c.n_texts] / 2, "%zu tokens", n);
        task_tokens_free(&t);
    }
    task_corpus_free(&c);
}

/* ---- splits and draws ------------------------------------------------------------------------ */

Test(text, splits_hold_every_text_once) {
    char path[SCRATCH_PATH];
    lopt_error err;
    const task_text *d = task_text_open(write_texts(205, "all", path), "", 259, &err);
    cr_assert(d, "%s", err.text);
    static const size_t first[] = {0, 175, 185, 195, 205};
    cr_assert(memcmp(d->first, first, sizeof first) == 0 && d->n_texts == 205);
    int seen[205] = {0}, moved = 0;
    for (size_t i = 0; i < d->n_texts; i++) {
        char text[16];
        for (int k = 0; k < 15; k++) text[k] = (char)(d->tokens.ids[d->tokens.begin[i] + (size_t)k] - 3);
        text[15] = 0;
        int number = -1;
        cr_assert(sscanf(text, "text %d:", &number) == 1 && number >= 0 && number < 205, "\"%s\"", text);
        seen[number]++;
        moved += number != (int)i;
    }
    for (int i = 0; i < 205; i++) cr_assert(seen[i] == 1, "text %d is here %d times", i, seen[i]);
    cr_assert(moved > 150, "%d texts moved", moved);
    cr_assert(task_text_open(path, "", 259, &err) == d, "read twice");
    task_text_close(d);
    task_text_close(d);
}

/* Where a column lies in its text; the columns' tokens are a text's, then zeros. */
static size_t find(const task_text *d, task_split split, const int32_t *column, int stride, int length) {
    for (size_t i = d->first[split]; i < d->first[split + 1]; i++) {
        for (size_t at = d->tokens.begin[i]; at < d->tokens.begin[i + 1]; at++) {
            int k = 0;
            while (k < length && at + (size_t)k < d->tokens.begin[i + 1] &&
                   column[k * stride] == d->tokens.ids[at + (size_t)k])
                k++;
            int rest = k;
            while (rest < length && column[rest * stride] == 0) rest++;
            if (k && rest == length && (k == length || at == d->tokens.begin[i])) return at;
        }
    }
    return (size_t)-1;
}

Test(text, draws_are_of_their_split_whole_or_padded) {
    enum { BATCH = 64, LENGTH = 30 };
    char path[SCRATCH_PATH];
    lopt_error err;
    const task_text *d = task_text_open(write_texts(205, "all", path), "", 259, &err);
    int32_t tokens[LENGTH * BATCH], again[LENGTH * BATCH];
    int n_padded = 0, n_late = 0;
    for (int s = 0; s < TASK_N_SPLITS; s++) {
        lopt_rng_stream r;
        lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TEST, 0, 0, 0});
        task_text_draw(d, (task_split)s, &r, BATCH, LENGTH, 259, tokens);
        for (int i = 0; i < BATCH; i++) {
            size_t at = find(d, (task_split)s, tokens + i, BATCH, LENGTH);
            cr_assert(at != (size_t)-1, "split %d, example %d is of no text", s, i);
            n_padded += tokens[(LENGTH - 1) * BATCH + i] == 0;
            n_late += tokens[i] != 't' + 3;
        }
        lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TEST, 0, 0, 0});
        task_text_draw(d, (task_split)s, &r, BATCH, LENGTH, 50, again);
        for (int k = 0; k < LENGTH * BATCH; k++) {
            int folded = tokens[k] < 50 ? tokens[k] : 1 + tokens[k] % 49;
            cr_assert(again[k] == folded, "%d is %d, expected %d", tokens[k], again[k], folded);
        }
    }
    cr_assert(n_padded > 0 && n_late > BATCH, "%d padded, %d not from the start", n_padded, n_late);
    task_text_close(d);
}

/* ---- the Bible of bible-kjv-text --------------------------------------------------------------- */

static unsigned char *read_bible(size_t *n) {
    FILE *f = fopen("/usr/lib/bible.data", "rb");
    if (!f) return NULL;
    unsigned char *bytes = malloc(1 << 22);
    *n = fread(bytes, 1, 1 << 22, f);
    fclose(f);
    return bytes;
}

Test(text, the_bible_is_unpacked) {
    size_t n, n_text;
    unsigned char *file = read_bible(&n), *text;
    if (!file) cr_skip_test("bible-kjv-text is not installed");
    lopt_error err;
    cr_assert(task_is_bible(file, n) && task_bible_unpack("bible", file, n, &text, &n_text, &err), "%s", err.text);
    static const char begin[] =
        "Holy Bible, Authorized (King James) Version.  Textfile 930105.\n\n"
        "In the beginning God created the heaven and the earth.\nAnd the earth was without form";
    static const char end[] = "The grace of our Lord Jesus Christ be with you all. Amen.\n";
    cr_assert(!memcmp(text, begin, sizeof begin - 1), "%.80s", text);
    cr_assert(!memcmp(text + n_text - (sizeof end - 1), end, sizeof end - 1), "%.80s", text + n_text - 80);
    free(text);
    for (int k = 0; k < 40; k++) { /* damaged in one place: a sentence or wrong letters, never a crash */
        size_t at = (size_t)k < 12 ? 84 + (size_t)k : (size_t)k * 4001;
        file[at] ^= 0xff;
        text = NULL;
        task_bible_unpack("bible", file, k % 4 == 3 ? n / 2 : n, &text, &n_text, &err);
        free(text);
        file[at] ^= 0xff;
    }
    free(file);
}
