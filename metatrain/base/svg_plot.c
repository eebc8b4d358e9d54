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
#define KEY_ROW 22 /* height of a label below a chart */

extern char **environ;

/* Okabe and Ito's colors, which colour-blind readers can tell apart, in the order of best contrast; and lighter ones for
 * dark screens. */
static const char *const palette[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#555555", "#b0a000"};
static const char *const dark_palette[] = {"#4ba3e3", "#f58f4c", "#2cc596", "#e7a3c8",
                                           "#f2b93b", "#a3dcfa", "#b9b9b9", "#ddd04a"};
enum { N_COLORS = sizeof palette / sizeof *palette };
/* Border, tics, grid and labels, in light and dark. */
static const char *const ink[] = {"#808080", "#404040", "#e4e4e4", "#202020"};
static const char *const dark_ink[] = {"#838b94", "#c3c9d0", "#30363d", "#e6e6e6"};

/* ---- the script ---------------------------------------------------------------------------------- */

/* gnuplot's single quotes: a quote is doubled, control characters are blanks, everything else stands for itself. */
static void put_quoted(FILE *f, const char *text) {
    fputc('\'', f);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', f);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, f);
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
            chart, number, palette[c->color % N_COLORS]);
}

static void put_curve(FILE *f, size_t chart, size_t number, const mt_curve *c) {
    const char *color = palette[c->color % N_COLORS];
    int dash = 1 + c->color / N_COLORS % 4;
    fprintf(f, "$d%zu_%zu using 1:2 with ", chart, number);
    if (c->points)
        fprintf(f, "points pt 7 ps 0.25 lc rgb '#60%s' ", color + 1); /* #AARRGGBB, AA = transparency */
    else if (c->marks)
        fprintf(f, "linespoints pt 7 ps 0.5 lw 2 dt %d lc rgb '%s' ", dash, color);
    else
        fprintf(f, "lines lw 2 dt %d lc rgb '%s' ", dash, color);
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
    fprintf(f, "%s logscale y\nset ytics autofreq\nunset mytics\n", chart->log_y ? "set" : "unset");
    if (fixed)
        fprintf(f, "set yrange [%.9g:%.9g]\n", chart->y_min, chart->y_max);
    else
        fputs("set yrange [*:*]\n", f);
    if (chart->log_y && fixed && !wide) put_log_tics(f, chart->y_min, chart->y_max);
}

static size_t longest_label(const mt_chart *chart) {
    size_t longest = 0;
    for (size_t i = 0; i < chart->n_curves; i++)
        if (strlen(chart->curves[i].label) > longest) longest = strlen(chart->curves[i].label);
    return longest;
}

static size_t count_labels(const mt_chart *chart) {
    size_t n = 0;
    for (size_t i = 0; i < chart->n_curves; i++) n += chart->curves[i].label[0] != '\0';
    return n;
}

/* Labels below a chart stand in as many columns as fit, as gnuplot counts: it takes 8 pixels a letter. */
static size_t key_columns(const mt_chart *chart, const mt_picture *picture) {
    size_t columns = (size_t)(picture->width - 30) / (8 * longest_label(chart) + 50);
    return columns < 1 ? 1 : columns > 3 ? 3 : columns;
}

static int chart_height(const mt_chart *chart, const mt_picture *picture) {
    if (picture->form != MT_PLOT_PAGE) return picture->height;
    size_t columns = key_columns(chart, picture), rows = (count_labels(chart) + columns - 1) / columns;
    return picture->height + KEY_ROW * (int)rows;
}

static void put_key(FILE *f, const mt_chart *chart, const mt_picture *picture) {
    if (count_labels(chart) == 0)
        fputs("unset key\n", f);
    else if (picture->form == MT_PLOT_PAGE)
        fprintf(f, "set key below left Left reverse maxcols %zu\n", key_columns(chart, picture));
    else if (picture->form == MT_PLOT_TEXT)
        fputs("set key below Left reverse maxcols 1\n", f);
    else
        fprintf(f, "set key %s right top Left reverse\n", chart->key_outside ? "outside width -7" : "inside width 0");
}

static void put_chart(FILE *f, size_t number, const mt_chart *chart, const mt_picture *picture) {
    put_setting(f, "title", chart->title);
    put_setting(f, "xlabel", chart->x_label);
    put_setting(f, "ylabel", chart->y_label);
    fprintf(f, "%s logscale x\n", chart->log_x ? "set" : "unset");
    put_y_axis(f, chart);
    put_key(f, chart, picture);
    for (size_t i = 0; i < chart->n_curves; i++) put_data(f, number, i, &chart->curves[i]);
    fputs("plot ", f);
    for (size_t i = 0; i < chart->n_curves; i++) put_band(f, number, i, &chart->curves[i]);
    for (size_t i = 0; i < chart->n_curves; i++) put_curve(f, number, i, &chart->curves[i]);
    fputc('\n', f);
}

static void put_terminal(FILE *f, const mt_picture *picture, int height) {
    switch (picture->form) {
    case MT_PLOT_SVG:
        fprintf(f, "set terminal svg size %d,%d dynamic noenhanced font 'Helvetica,14' background '#ffffff'\n",
                picture->width, height);
        break;
    case MT_PLOT_PAGE:
        fprintf(f, "set terminal svg size %d,%d dynamic noenhanced font 'Helvetica,13'\n", picture->width, height);
        break;
    case MT_PLOT_PNG:
        fprintf(f, "set terminal pngcairo size %d,%d noenhanced font 'sans,11' background '#ffffff'\n", picture->width,
                height);
        break;
    case MT_PLOT_TEXT:
        fprintf(f, "set terminal dumb noenhanced size %d,%d\n", picture->width, height);
        break;
    }
}

static void put_script(FILE *f, const mt_chart *charts, size_t n_charts, const mt_picture *picture) {
    int height = 0, top = 0;
    for (size_t i = 0; i < n_charts; i++) height += chart_height(&charts[i], picture);
    put_terminal(f, picture, height);
    fprintf(f,
            "set border 3 lc rgb '%s'\nset tics nomirror out tc rgb '%s'\n"
            "set grid lc rgb '%s' lt 1\nset key tc rgb '%s' samplen 1.5 spacing 1.15\n",
            ink[0], ink[1], ink[2], ink[3]);
    if (picture->form == MT_PLOT_PAGE)
        fprintf(f, "set xlabel tc rgb '%s' offset 0,0.6\nset ylabel tc rgb '%s' offset 0.8,0\nset tics scale 0.6\n",
                ink[1], ink[1]);
    if (picture->form == MT_PLOT_TEXT) fputs("unset grid\n", f);
    fputs("set autoscale xfix\n", f);
    fputs(n_charts > 1 ? "set multiplot\n" : "", f);
    for (size_t i = 0; i < n_charts; i++) {
        int part = chart_height(&charts[i], picture);
        top += part;
        if (n_charts > 1)
            fprintf(f, "set size 1,%.9g\nset origin 0,%.9g\n", (double)part / height, 1 - (double)top / height);
        put_chart(f, i, &charts[i], picture);
    }
    fputs(n_charts > 1 ? "unset multiplot\n" : "", f);
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

static char *draw_script(FILE *script, FILE *out, FILE *messages, size_t *n_bytes, lopt_error *err) {
    int exit_status = 0;
    int cause = run_gnuplot(fileno(script), fileno(out), fileno(messages), &exit_status);
    if (cause != 0)
        return mt_error(err, LOPT_EIO, "not drawn, gnuplot cannot be started (Debian: gnuplot-nox): %s",
                        strerror(cause)),
               NULL;
    if (exit_status != 0) {
        char message[256];
        read_message(messages, message, sizeof message);
        return mt_error(err, LOPT_EIO, "not drawn, gnuplot ended with status %d%s%s", exit_status,
                        message[0] ? ": " : "", message),
               NULL;
    }
    rewind(out);
    return mt_text_read_stream(out, "picture of gnuplot", MAX_SVG_BYTES, n_bytes, err);
}

/* ---- SVG for pages ------------------------------------------------------------------------------- */

/* gnuplot writes colors in two ways: "rgb(  0, 114, 178)" and, of text, "rgb(0,114,178)". */
static void put_dark_color(FILE *f, const char *light, const char *dark) {
    unsigned rgb = (unsigned)strtoul(light + 1, NULL, 16), r = rgb >> 16, g = rgb >> 8 & 255, b = rgb & 255;
    fprintf(f, "[stroke='rgb(%3u, %3u, %3u)']{stroke:%s}[color='rgb(%3u, %3u, %3u)']{color:%s}", r, g, b, dark, r, g, b,
            dark);
    fprintf(f, "[fill='rgb(%3u, %3u, %3u)'],[fill='rgb(%u,%u,%u)']{fill:%s}", r, g, b, r, g, b, dark);
}

static void put_style(FILE *f) {
    fputs("<style>@media screen and (prefers-color-scheme:dark){", f);
    for (int i = 0; i < N_COLORS; i++) put_dark_color(f, palette[i], dark_palette[i]);
    for (size_t i = 0; i < sizeof ink / sizeof *ink; i++) put_dark_color(f, ink[i], dark_ink[i]);
    fputs("}</style>", f);
}

/* gnuplot's SVG from its first element on, with colors for dark screens, ids that start with name, and without the
 * titles that would show its names of plots. */
static char *make_page_svg(char *svg, const char *name, size_t *n_bytes) {
    char *text = NULL, *at = strstr(svg, "<svg");
    FILE *f = at != NULL ? open_memstream(&text, n_bytes) : NULL;
    int styled = 0;
    while (f != NULL && *at != '\0') {
        char *end;
        if (strncmp(at, "<title>", 7) == 0 && (end = strstr(at, "</title>")) != NULL) {
            at = end + 8;
        } else if (strncmp(at, "id='", 4) == 0 || strncmp(at, "id=\"", 4) == 0) {
            fprintf(f, "%.4s%s-", at, name);
            at += 4;
        } else if (strncmp(at, "xlink:href='#", 13) == 0) {
            fprintf(f, "%.13s%s-", at, name);
            at += 13;
        } else {
            fputc(*at, f);
            if (*at++ == '>' && !styled++) put_style(f);
        }
    }
    if (f != NULL && fclose(f) != 0) {
        free(text);
        text = NULL;
    }
    free(svg);
    return text;
}

/* ---- drawing ------------------------------------------------------------------------------------- */

char *mt_draw_charts(const mt_chart *charts, size_t n_charts, const mt_picture *picture, size_t *n_bytes,
                     lopt_error *err) {
    FILE *file[3] = {tmpfile(), tmpfile(), tmpfile()}; /* gnuplot's input, output, messages */
    char *drawn = NULL;
    if (file[0] == NULL || file[1] == NULL || file[2] == NULL) {
        mt_error(err, LOPT_EIO, "not drawn, no temporary file: %s", strerror(errno));
    } else {
        put_script(file[0], charts, n_charts, picture);
        rewind(file[0]);
        drawn = draw_script(file[0], file[1], file[2], n_bytes, err);
    }
    for (int i = 0; i < 3; i++)
        if (file[i] != NULL) fclose(file[i]);
    if (drawn == NULL || picture->form != MT_PLOT_PAGE) return drawn;
    char *svg = make_page_svg(drawn, picture->name, n_bytes);
    if (svg == NULL) mt_error(err, LOPT_ENOMEM, "not drawn, out of memory");
    return svg;
}

int mt_plot_charts(const mt_chart *charts, size_t n_charts, const char *svg_path, lopt_error *err) {
    static const mt_picture picture = {MT_PLOT_SVG, WIDTH, HEIGHT, NULL};
    lopt_error cause;
    size_t n;
    char *svg = mt_draw_charts(charts, n_charts, &picture, &n, &cause);
    int ok = svg != NULL ? mt_write_atomically(svg_path, svg, n, err)
                         : mt_error(err, cause.status, "%s: %s", svg_path, cause.text);
    free(svg);
    return ok;
}
