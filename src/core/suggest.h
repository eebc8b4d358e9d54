/* SPDX-License-Identifier: Apache-2.0
 *
 * suggest.h - "did you mean": the candidate nearest to a word that was not understood.
 *
 *     lopt__suggestion s = lopt__suggestion_for("lerning_rate");
 *     for each candidate: lopt__suggest_name(&s, candidate);
 *     if (s.best) ... one or few slips away (s.best is the candidate's own pointer)
 *
 * Nearness is the number of inserted, deleted, replaced or swapped letters (optimal string
 * alignment); more than a third of the word away is no suggestion. Names in other namespaces
 * ("outer.steps" for "steps") are near when the part after the last dot is. */
#ifndef LOPT_SUGGEST_H
#define LOPT_SUGGEST_H

#include <stddef.h>

typedef struct lopt__suggestion {
    const char *word, *best; /* best: NULL as long as nothing is near */
    size_t distance;
} lopt__suggestion;

lopt__suggestion lopt__suggestion_for(const char *word);
void lopt__suggest_name(lopt__suggestion *s, const char *candidate);
/* " (did you mean BEST?)", or "" when nothing is near. Returns text. */
const char *lopt__suggestion_text(const lopt__suggestion *s, char *text, size_t text_bytes);

#endif
