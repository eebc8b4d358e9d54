/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL_INTERVAL 0.1 /* seconds between redraws */
#define PLAIN_INTERVAL 1.0    /* before the second plain line; doubles up to the next */
#define PLAIN_INTERVAL_MAX 10.0

void mt_format_count(double value, char *text, size_t bytes) {
    static const char *const unit[] = {"", "k", "M", "G", "T"};
    size_t u = 0;
    /* 999.5 would print as 1000: three digits always */
    while (fabs(value) >= 999.5 && u + 1 < sizeof unit / sizeof *unit) {
        value /= 1000;
        u++;
    }
    int digits = u == 0 || fabs(value) >= 99.95 ? 0 : fabs(value) >= 9.995 ? 1 : 2;
    snprintf(text, bytes, "%.*f%s", digits, value, unit[u]);
}

void mt_format_seconds(double seconds, char *text, size_t bytes) {
    long s = seconds > 0 && seconds < 1e9 ? lround(seconds) : 0;
    if (s < 3600)
        snprintf(text, bytes, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(text, bytes, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

void mt_progress_start(mt_progress *p, const char *what, int64_t first, int64_t last) {
    *p = (mt_progress){.what = what, .first = first, .last = last, .count = first, .printed = -1};
    p->terminal = isatty(STDERR_FILENO);
    p->started = p->next = mt_wall_seconds();
    p->interval = p->terminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL;
}

/* The time the rest takes at the pace so far. */
static void append_left(const mt_progress *p, double now, char *line, size_t bytes) {
    if (p->count <= p->first || p->count >= p->last) return;
    double pace = (now - p->started) / (double)(p->count - p->first);
    char left[32];
    mt_format_seconds(pace * (double)(p->last - p->count), left, sizeof left);
    size_t n = strlen(line);
    snprintf(line + n, bytes - n, "  %s left", left);
}

static int terminal_columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

static void print_line(mt_progress *p, double now) {
    char line[320];
    char count[64];
    if (p->in_percent)
        snprintf(count, sizeof count, "%.1f %%", 100.0 * (double)p->count / (double)p->last);
    else
        snprintf(count, sizeof count, "%lld/%lld", (long long)p->count, (long long)p->last);
    snprintf(line, sizeof line, "%s %s%s%s", p->what, count, p->text[0] ? "  " : "", p->text);
    append_left(p, now, line, sizeof line);
    p->printed = p->count;
    if (!p->terminal) {
        fprintf(stderr, "%s\n", line);
        return;
    }
    int room = terminal_columns() - 1, length = (int)strlen(line);
    if (length > room) length = room; /* a wrapped line could not be written over */
    int blanks = p->shown > length ? p->shown - length : 0;
    fprintf(stderr, "\r%.*s%*s", length, line, blanks, "");
    fflush(stderr);
    p->shown = length;
}

void mt_progress_update(mt_progress *p, int64_t count, const char *text) {
    p->count = count;
    snprintf(p->text, sizeof p->text, "%s", text);
    double now = mt_wall_seconds();
    if (now < p->next) return;
    print_line(p, now);
    p->next = now + p->interval;
    if (!p->terminal) p->interval = fmin(2 * p->interval, PLAIN_INTERVAL_MAX);
}

void mt_progress_clear(mt_progress *p) {
    if (!p->terminal || p->shown == 0) return;
    fprintf(stderr, "\r%*s\r", p->shown, "");
    fflush(stderr);
    p->shown = 0;
}

void mt_progress_finish(mt_progress *p) {
    if (p->count > p->first && p->printed != p->count) print_line(p, mt_wall_seconds());
    if (p->terminal && p->shown > 0) fputc('\n', stderr);
    p->shown = 0;
}
