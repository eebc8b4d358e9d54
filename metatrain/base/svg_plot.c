/* SPDX-License-Identifier: Apache-2.0 */
#include "base/svg_plot.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/read_file.h"

#define WIDTH 900
#define HEIGHT 440 /* of one chart */
#define MAX_SVG_BYTES ((size_t)1 << 28)

extern char **environ;

/* Okabe and Ito's colors, which colour-blind readers can tell apart, in the order of best contrast. */
static const char *const palette[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#555555", "#b0a000"};
static const int n_colors = sizeof palette / sizeof *palette;

/* ---- the script ---------------------------------------------------------------------------------- */

/* gnuplot's single quotes: a quote is doubled, everything else stands for itself; one line. */
static void put_quoted(FILE *f, const char *text) {
    fputc('\'', f);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', f);
        fputc(*text == '\n' ? ' ' : *text, f);
    }
    fputc('\'', f);
}

static void put_setting(FILE *f, const char *name, const char *text) {
    fprintf(f, "set %s ", name);
    put_quoted(f, text);
    fputc('\n', f);
}

static void put_data(FILE *f, size_t chart, size_t number, const mt_curve *c) {
    fprintf(f, "$d%zu_%zu << EOD\n", chart, number);
    for (size_t i = 0; i < c->n; i++) {
        double low = c->low != NULL ? c->low[i] : c->y[i], high = c->high != NULL ? c->high[i] : c->y[i];
        double row[] = {c->x[i], c->y[i], low, high};
        for (size_t j = 0; j < 4; j++) {
            if (isfinite(row[j]))
                fprintf(f, "%.9g ", row[j]);
            else
                fputs("NaN ", f); /* leaves a gap */
        }
        fputc('\n', f);
    }
    fputs("EOD\n", f);
}

static void put_band(FILE *f, size_t chart, size_t number, const mt_curve *c) {
    if (c->low == NULL || c->high == NULL) return;
    fprintf(f,
            "$d%zu_%zu using 1:3:4 with filledcurves fs transparent solid 0.18 noborder lc rgb "
            "'%s' notitle, ",
            chart, number, palette[c->color % n_colors]);
}

static void put_curve(FILE *f, size_t chart, size_t number, const mt_curve *c) {
    const char *color = palette[c->color % n_colors];
    fprintf(f, "$d%zu_%zu using 1:2 with ", chart, number);
    if (c->points)
        fprintf(f, "points pt 7 ps 0.25 lc rgb '#60%s' ", color + 1); /* #AARRGGBB, AA = transparency */
    else
        fprintf(f, "lines lw 2 lc rgb '%s' ", color);
    if (c->label[0] == '\0') {
        fputs("notitle, ", f);
        return;
    }
    fputs("title ", f);
    put_quoted(f, c->label);
    fputs(", ", f);
}

/* gnuplot labels powers of ten alone, which leaves most of our logarithmic axes with one number or none. */
static void put_log_tics(FILE *f, double low, double high) {
    static const double few[] = {1, 2, 5}, many[] = {1, 1.5, 2, 3, 4, 5, 6, 8};
    int wide = high > 20 * low;
    const double *digits = wide ? few : many;
    int n = wide ? 3 : 8;
    const char *separator = "";
    fputs("set ytics (", f);
    for (int decade = (int)floor(log10(low)); pow(10, decade) <= high; decade++) {
        for (int i = 0; i < n; i++) {
            double tic = pow(10, decade) * digits[i];
            if (tic < low || tic > high) continue;
            fprintf(f, "%s'%g' %.9g", separator, tic, tic);
            separator = ", ";
        }
    }
    fputs(")\n", f);
}

static void put_y_axis(FILE *f, const mt_chart *chart) {
    int fixed = chart->y_min < chart->y_max, wide = fixed && chart->y_max > 1e4 * chart->y_min;
    fprintf(f, "%s logscale y\nset ytics autofreq\n", chart->log_y ? "set" : "unset");
    if (fixed)
        fprintf(f, "set yrange [%.9g:%.9g]\n", chart->y_min, chart->y_max);
    else
        fputs("set yrange [*:*]\n", f);
    if (chart->log_y && fixed && !wide) put_log_tics(f, chart->y_min, chart->y_max);
}

static void put_chart(FILE *f, size_t number, const mt_chart *chart) {
    put_setting(f, "title", chart->title);
    put_setting(f, "xlabel", chart->x_label);
    put_setting(f, "ylabel", chart->y_label);
    put_y_axis(f, chart);
    fprintf(f, "set key %s right top Left reverse\n", chart->key_outside ? "outside width -7" : "inside width 0");
    for (size_t i = 0; i < chart->n_curves; i++) put_data(f, number, i, &chart->curves[i]);
    fputs("plot ", f);
    for (size_t i = 0; i < chart->n_curves; i++) put_band(f, number, i, &chart->curves[i]);
    for (size_t i = 0; i < chart->n_curves; i++) put_curve(f, number, i, &chart->curves[i]);
    fputc('\n', f);
}

static void put_script(FILE *f, const mt_chart *charts, size_t n_charts) {
    fprintf(f,
            "set terminal svg size %d,%zu dynamic noenhanced font 'Helvetica,14' background '#ffffff'\n"
            "set border 3 lc rgb '#808080'\nset tics nomirror out tc rgb '#404040'\n"
            "set grid lc rgb '#e4e4e4' lt 1\nset key tc rgb '#202020' samplen 1.5 spacing 1.15\n"
            "set multiplot layout %zu,1\n",
            WIDTH, HEIGHT * n_charts, n_charts);
    for (size_t i = 0; i < n_charts; i++) put_chart(f, i, &charts[i]);
    fputs("unset multiplot\n", f);
}

/* ---- gnuplot ------------------------------------------------------------------------------------- */

/* Runs `gnuplot -d` (no start-up file of the user's) with these files as its input, output and messages.
 * No shell and no pipe: no path to quote, no SIGPIPE. Returns errno of a failed start, else 0. */
static int run_gnuplot(int in, int out, int messages, int *exit_status) {
    char *argv[] = {"gnuplot", "-d", NULL};
    posix_spawn_file_actions_t actions;
    if ((errno = posix_spawn_file_actions_init(&actions)) != 0) return errno;
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, messages, STDERR_FILENO);
    pid_t pid;
    int cause = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (cause != 0) return cause;
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return errno;
    *exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

/* gnuplot's message: the first line that is more than an echo of the script or a caret. */
static void read_message(FILE *messages, char *text, size_t bytes) {
    rewind(messages);
    text[0] = '\0';
    char line[256];
    while (fgets(line, sizeof line, messages) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strstr(line, " line ") == NULL) continue; /* "line 12: undefined variable: x" has its number */
        snprintf(text, bytes, "%s", line + strspn(line, " "));
        return;
    }
}

static int draw_script(FILE *script, FILE *out, FILE *messages, const char *svg_path, lopt_error *err) {
    int exit_status = 0;
    int cause = run_gnuplot(fileno(script), fileno(out), fileno(messages), &exit_status);
    if (cause != 0)
        return mt_error(err, LOPT_EIO, "%s: not drawn, gnuplot cannot be started (Debian: gnuplot-nox): %s", svg_path,
                        strerror(cause));
    if (exit_status != 0) {
        char message[256];
        read_message(messages, message, sizeof message);
        return mt_error(err, LOPT_EIO, "%s: not drawn, gnuplot ended with status %d%s%s", svg_path, exit_status,
                        message[0] ? ": " : "", message);
    }
    rewind(out);
    size_t n;
    char *svg = mt_text_read_stream(out, svg_path, MAX_SVG_BYTES, &n, err);
    int ok = svg != NULL && mt_write_atomically(svg_path, svg, n, err);
    free(svg);
    return ok;
}

int mt_plot_charts(const mt_chart *charts, size_t n_charts, const char *svg_path, lopt_error *err) {
    FILE *file[3] = {tmpfile(), tmpfile(), tmpfile()}; /* gnuplot's input, output, messages */
    int ok = 0;
    if (file[0] == NULL || file[1] == NULL || file[2] == NULL) {
        mt_error(err, LOPT_EIO, "%s: not drawn, no temporary file: %s", svg_path, strerror(errno));
    } else {
        put_script(file[0], charts, n_charts);
        rewind(file[0]);
        ok = draw_script(file[0], file[1], file[2], svg_path, err);
    }
    for (int i = 0; i < 3; i++)
        if (file[i] != NULL) fclose(file[i]);
    return ok;
}
