/* SPDX-License-Identifier: Apache-2.0 */
#include "core/suggest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MAX_WORD 64

static size_t smallest_of_three(size_t a, size_t b, size_t c) {
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Dynamic programming with three rolling rows: row i holds the distances from a[0..i) to every prefix of b. */
static size_t edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), rows[3][MAX_WORD + 1];
    if (n > MAX_WORD || m > MAX_WORD) return SIZE_MAX / 2;
    for (size_t j = 0; j <= m; j++) rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = smallest_of_three(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            int swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && above2[j - 2] + 1 < row[j]) row[j] = above2[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

static const char *last_part_of_name(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

lopt__suggestion lopt__suggestion_for(const char *word) {
    return (lopt__suggestion){.word = word, .distance = SIZE_MAX};
}

void lopt__suggest_name(lopt__suggestion *s, const char *candidate) {
    size_t whole = edit_distance(s->word, candidate),
           part = edit_distance(last_part_of_name(s->word), last_part_of_name(candidate));
    int whole_near = whole <= strlen(s->word) / 3 + 1, part_near = part <= strlen(last_part_of_name(s->word)) / 3;
    /* A typo in the whole name ranks before a matching last component. */
    size_t d = whole_near ? 2 * whole : part_near ? 2 * part + 3 : SIZE_MAX;
    if (d < s->distance) {
        s->distance = d;
        s->best = candidate;
    }
}

const char *lopt__suggestion_text(const lopt__suggestion *s, char *text, size_t text_bytes) {
    if (s->best)
        snprintf(text, text_bytes, " (did you mean %s?)", s->best);
    else
        text[0] = 0;
    return text;
}
