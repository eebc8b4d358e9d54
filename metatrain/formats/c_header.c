/* SPDX-License-Identifier: Apache-2.0
 *
 * c_header.c - see formats/c_header.h; the code itself is in c_header_code.inc. */
#include "formats/c_header.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/amalgamation.h"

enum { PREFIX_BYTES = 40 };

#include "formats/c_header_code.inc"

/* The file's name as the beginning of C names: "runs/first/theta.h" gives "theta". */
static void prefix_of(const char *path, char prefix[PREFIX_BYTES]) {
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n = strcspn(name, "."), used = 0;
    if (n == 0 || isdigit((unsigned char)name[0]) || (n == 4 && strncmp(name, "lopt", 4) == 0))
        used = (size_t)snprintf(prefix, PREFIX_BYTES, "learned_"); /* lopt_ belongs to liblopt */
    for (size_t i = 0; i < n && used < PREFIX_BYTES - 1; i++) {
        int c = tolower((unsigned char)name[i]);
        prefix[used++] = isascii(c) && isalnum(c) ? (char)c : '_';
    }
    prefix[used] = '\0';
}

static void print_code(FILE *f, const char *line, const char *prefix) {
    for (; *line; line++)
        if (*line == '@')
            fputs(prefix, f);
        else
            fputc(*line, f);
}

/* Whether a '/' beside this '*' would open or close a comment. */
static int beside_slash(const char *text, const char *star) {
    return star[1] == '/' || (star > text && star[-1] == '/');
}

/* Text inside a comment; lines after the first are indented like it. */
static void print_comment(FILE *f, const char *name, const char *text) {
    fprintf(f, " *   %-12s ", name);
    for (const char *c = text; *c; c++) {
        if (*c == '\n' && c[1])
            fputs("\n *                ", f);
        else if (*c != '\n')
            fputc(*c == '*' && beside_slash(text, c) ? '+' : *c, f);
    }
    fputc('\n', f);
}

/* Where the preset has muP on: what a learning rate is multiplied by, times the inputs of the layer; else 0. */
static double mup_of(const lopt_optimizer *opt) {
    double base = lopt_get_number(opt, "mup_base_fan_in", 0);
    return base > 0 ? base * lopt_get_number(opt, "mup_hidden_lr_mult", 0) : 0;
}

static void print_lines(FILE *f, const char *const *lines, size_t n, const char *prefix) {
    for (size_t i = 0; i < n; i++) print_code(f, lines[i], prefix);
}

static void print_manual(FILE *f, const mt_theta_file *theta, const char *prefix) {
    static const char *const manual[] = {
        " * All tensors are in one array of parameters, back to back; gradients likewise.\n",
        " *\n",
        " *     @_tensor tensors[] = {{2, {64, 32}}, {1, {32}}};  // rank and sizes, row-major\n",
        " *     @_state *state = @_create(tensors, 2);            // NULL if memory is short\n",
        " *     for (...)                       // gradients of the loss at params, then\n",
        " *         @_step(state, params, grads, 1.0f);   // 1: the learning rate as trained\n",
        " *     @_destroy(state);\n",
        " *\n",
        " * If the optimizer uses the loss or the length of the training (VeLO, Celo, schedules):\n",
        " * @_reset_for(state, num_steps) at first, @_tell_loss(state, loss) before each step.\n",
        " *\n",
        " * Needs libm (-lm). Compiles as C11 and C++17. A state belongs to one thread at a time. A step\n",
        " * allocates nothing. The code is that of liblopt; updates have the bits of its portable kernels,\n",
        " * unless the compiler fuses multiplications and additions (-march; -ffp-contract=off forbids it).\n",
        " *\n",
    };
    static const char *const mup[] = {
        " * Trained with muP: for each weight i between two hidden layers, before the first step,\n",
        " *     @_set_lr_scale(state, i, @_MUP / inputs_of_the_layer);\n",
        " *\n",
    };
    char digest[33];
    const lopt_preset_info *info = lopt_info(theta->optimizer);
    fprintf(f,
            "/* SPDX-License-Identifier: Apache-2.0\n *\n"
            " * An optimizer in one header: %s (%s),\n"
            " * written by metatrain %s.\n *\n",
            info->name, info->source, lopt_version());
    print_lines(f, manual, sizeof manual / sizeof manual[0], prefix);
    if (mup_of(theta->optimizer) > 0) print_lines(f, mup, sizeof mup / sizeof mup[0], prefix);
    mt_theta_digest(theta->optimizer, lopt_theta(theta->optimizer), digest);
    fprintf(f, " * Provenance\n");
    print_comment(f, "digest", digest);
    for (int i = 0; i < theta->n_notes; i++) print_comment(f, theta->note_name[i], theta->note_value[i]);
    fputs(" */\n", f);
}

/* A float that reads back as the same float, with the suffix of a C constant. */
static void print_float(FILE *f, double x) {
    char text[40];
    snprintf(text, sizeof text, "%.9g", (double)(float)x);
    fprintf(f, "%s%sf", text, strpbrk(text, ".e") ? "" : ".0");
}

/* Every setting as text, and theta (one number where there is none: C has no empty arrays). */
static void print_settings_and_theta(FILE *f, const lopt_optimizer *opt, const char *prefix) {
    const char *preset = lopt_info(opt)->name;
    const float *theta = lopt_theta(opt);
    size_t n = lopt_n_theta(opt);
    char value[300];
    lopt_hyper_info hyper;
    fprintf(f, "\n#define %s_PRESET \"%s\"\n", prefix, preset);
    if (mup_of(opt) > 0) {
        fprintf(f, "#define %s_MUP ", prefix);
        print_float(f, mup_of(opt));
        fputc('\n', f);
    }
    fprintf(f, "static const %s_lopt_setting %s_settings[] = {", prefix, prefix);
    for (size_t i = 0; lopt_hyper(preset, i, &hyper); i++) {
        lopt_get(opt, hyper.name, value, sizeof value);
        fprintf(f, "%s\n    {\"%s\", \"%s\"}", i ? "," : "", hyper.name, value);
    }
    fprintf(f, "};\nstatic const float %s_theta[] = {", prefix);
    for (size_t i = 0; i < n || i == 0; i++) {
        fputs(i == 0 ? "\n    " : i % 6 ? ", " : ",\n    ", f);
        print_float(f, n ? (double)theta[i] : 0);
    }
    fputs("};\n", f);
}

static int print_whole_header(FILE *f, const char *prefix, const mt_theta_file *theta, lopt_error *err) {
    print_manual(f, theta, prefix);
    fprintf(f, "#ifndef %s_OPTIMIZER_H\n#define %s_OPTIMIZER_H\n\n", prefix, prefix);
    print_lines(f, opening, sizeof opening / sizeof opening[0], prefix);
    int ok = mt_amalgamation_print(f, lopt_info(theta->optimizer)->kind, prefix, err);
    print_settings_and_theta(f, theta->optimizer, prefix);
    print_lines(f, interface, sizeof interface / sizeof interface[0], prefix);
    return ok;
}

int mt_c_header_write(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err) {
    char prefix[PREFIX_BYTES], *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    prefix_of(path, prefix);
    int ok = print_whole_header(f, prefix, theta, err);
    if (fclose(f) != 0) ok = mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    ok = ok && mt_write_atomically(path, text, n, err);
    free(text);
    if (ok) fprintf(notes, "%s: %s_create, %s_step, %s_destroy; link with -lm\n", path, prefix, prefix, prefix);
    return ok;
}
