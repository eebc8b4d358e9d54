/* SPDX-License-Identifier: Apache-2.0
 *
 * suggest.h - "did you mean": the candidate nearest to an unknown word.
 *
 *     lopt__suggestion s = lopt__suggestion_for("lerning_rate");
 *     for each candidate: lopt__suggest_name(&s, candidate);
 *     if (s.best) ...        the nearest candidate (its own pointer)
 *
 * The distance counts inserted, deleted, replaced and swapped letters (optimal string alignment); a candidate
 * further away than a third of the word is not suggested. Of dotted names ("outer.steps" for "steps") the last
 * component may match alone. */
#ifndef LOPT_SUGGEST_H
#define LOPT_SUGGEST_H

#include <stddef.h>

typedef struct lopt__suggestion {
    const char *word, *best; /* best: NULL if nothing is near */
    size_t distance;
} lopt__suggestion;

lopt__suggestion lopt__suggestion_for(const char *word);
void lopt__suggest_name(lopt__suggestion *s, const char *candidate);
/* " (did you mean BEST?)", or "" when nothing is near. Returns text. */
const char *lopt__suggestion_text(const lopt__suggestion *s, char *text, size_t text_bytes);

#endif
