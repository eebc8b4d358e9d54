/* SPDX-License-Identifier: Apache-2.0
 *
 * progress.h - how far a long command is, on stderr.
 *
 * On a terminal: one line that is written over. Elsewhere (batch logs, pipes): a plain line every few
 * seconds. Either way mt_progress_update may be called as often as one likes; it prints rarely.
 *
 *     mt_progress p;
 *     mt_progress_start(&p, "outer step", first, last);    counts from `first` (resume) to `last`
 *     mt_progress_update(&p, step, "meta-loss 0.7312  31.0k inner steps/s");
 *     mt_progress_clear(&p);                               before printing something else
 *     mt_progress_finish(&p);
 *
 * prints   outer step 120/500  meta-loss 0.7312  31.0k inner steps/s  0:41 left */
#ifndef MT_PROGRESS_H
#define MT_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

typedef struct mt_progress {
    const char *what; /* borrowed */
    int64_t first, last;
    int terminal, in_percent; /* in_percent: set after the start by who wants 12.5 % for 1/8 */
    int shown;                /* columns of the line now on the terminal */
    double started, next;     /* seconds on the monotonic clock: start, earliest next print */
    double interval;          /* seconds between plain lines; grows from 1 to 10 */
    int64_t printed;          /* count last printed, -1 for none */
    char text[160];           /* of the latest update, for the last line */
    int64_t count;
} mt_progress;

void mt_progress_start(mt_progress *p, const char *what, int64_t first, int64_t last);
void mt_progress_update(mt_progress *p, int64_t count, const char *text);
void mt_progress_clear(mt_progress *p);
void mt_progress_finish(mt_progress *p); /* prints the last update if it has not been */

/* 950 -> "950", 31020 -> "31.0k", 2.5e6 -> "2.50M"; 75 s -> "1:15", 3700 s -> "1:01:40". */
void mt_format_count(double value, char *text, size_t bytes);
void mt_format_seconds(double seconds, char *text, size_t bytes);

#endif
