/* SPDX-License-Identifier: Apache-2.0
 *
 * c_header.c - see formats/c_header.h; the code itself is in c_header_code.inc. */
#include "formats/c_header.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/small_fc_map.h"

enum { PREFIX_BYTES = 40 };

static const char *const code[] = {
#include "formats/c_header_code.inc"
};

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

static void print_manual(FILE *f, const mt_theta_file *theta, const char *prefix, int uses_mup) {
    static const char *const manual[] = {
        " * How to use it: tensors lie back to back in one array of parameters, gradients alike.\n",
        " *\n",
        " *     @_tensor tensors[] = {{2, {64, 32}}, {1, {32}}};  // rank and sizes, row-major\n",
        " *     @_state *state = @_create(tensors, 2);            // NULL if memory is short\n",
        " *     for (...)                       // gradients of the loss at params, then\n",
        " *         @_step(state, params, grads, 1.0f);   // 1: the learning rate as trained\n",
        " *     @_destroy(state);\n",
        " *\n",
        " * Needs libm (-lm). Compiles as C11 and C++. A state belongs to one thread at a time.\n",
        " * Memory: 4 floats a parameter of a matrix, 7 of a vector. A step allocates nothing.\n",
        " *\n",
    };
    static const char *const mup[] = {
        " * Trained with muP: of the weight i between two hidden layers, before the first step,\n",
        " *     @_set_lr_scale(state, i, @_MUP / inputs_of_the_layer);\n",
        " *\n",
    };
    char digest[33];
    const lopt_preset_info *info = lopt_info(theta->optimizer);
    fprintf(f,
            "/* SPDX-License-Identifier: Apache-2.0\n *\n"
            " * A learned optimizer in one header: %s (%s),\n"
            " * meta-trained and written by metatrain "
            "%s.\n *\n",
            info->name, info->source, lopt_version());
    for (size_t i = 0; i < sizeof manual / sizeof manual[0]; i++) print_code(f, manual[i], prefix);
    for (size_t i = 0; uses_mup && i < sizeof mup / sizeof mup[0]; i++) print_code(f, mup[i], prefix);
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

static void print_constant(FILE *f, const char *prefix, const char *name, double value) {
    fprintf(f, "#define %s_%s ", prefix, name);
    print_float(f, value);
    fputc('\n', f);
}

static void print_floats(FILE *f, const char *prefix, const char *name, const float *values, int n) {
    fprintf(f, "static const float %s_%s[%d] = {", prefix, name, n);
    for (int i = 0; i < n; i++) {
        fputs(i == 0 ? "\n    " : i % 6 ? ", " : ",\n    ", f);
        print_float(f, (double)values[i]);
    }
    fputs("};\n", f);
}

static void print_settings(FILE *f, const char *prefix, const mt_small_fc *fc) {
    int widest = fc->hidden_size > MT_FC_INPUTS ? fc->hidden_size : MT_FC_INPUTS;
    fputs("\n/* ---- the optimizer "
          "--------------------------------------------------------------------------- */\n\n",
          f);
    fprintf(f, "#define %s_N_LAYERS %d\n#define %s_WIDEST %d\n", prefix, fc->n_layers, prefix, widest);
    print_constant(f, prefix, "LEARNING_RATE", fc->learning_rate);
    print_constant(f, prefix, "STEP_MULT", fc->step_mult);
    print_constant(f, prefix, "EXP_MULT", fc->exp_mult);
    print_constant(f, prefix, "WEIGHT_DECAY", fc->weight_decay);
    print_constant(f, prefix, "MAX_GRAD_NORM", fc->max_grad_norm);
    print_constant(f, prefix, "CLIP_NORM", fc->clip_norm);
    if (fc->mup >= 0) print_constant(f, prefix, "MUP", fc->mup);
    fprintf(f,
            "#define %s_DECAY_USES_UPDATED %d\n#define %s_NAN_TO_NUM %d\n#define %s_TIES_SWAPPED "
            "%d\n\n",
            prefix, fc->decay_uses_updated, prefix, fc->nan_to_num, prefix, fc->tie_pylo_velo);
    print_floats(f, prefix, "momentum_decay", fc->momentum, MT_FC_DECAYS);
    print_floats(f, prefix, "factored_decay", fc->factored, MT_FC_DECAYS);
    fprintf(f, "static const float %s_rms_decay = ", prefix);
    print_float(f, (double)fc->rms);
    fputs(";\n", f);
}

static void print_layers(FILE *f, const char *prefix, const mt_small_fc *fc) {
    char name[32];
    fputs("\n/* Weights (in, out). */\n", f);
    for (int l = 0; l < fc->n_layers; l++) {
        snprintf(name, sizeof name, "w%d", l);
        print_floats(f, prefix, name, fc->weight[l], fc->in[l] * fc->out[l]);
        snprintf(name, sizeof name, "b%d", l);
        print_floats(f, prefix, name, fc->bias[l], fc->out[l]);
    }
    for (int which = 0; which < 2; which++) {
        fprintf(f, "static const float *const %s_%s[%d] = {", prefix, which ? "bias" : "weight", fc->n_layers);
        for (int l = 0; l < fc->n_layers; l++) fprintf(f, "%s%s_%c%d", l ? ", " : "", prefix, which ? 'b' : 'w', l);
        fputs("};\n", f);
    }
    for (int which = 0; which < 2; which++) {
        fprintf(f, "static const int %s_%s[%d] = {", prefix, which ? "n_out" : "n_in", fc->n_layers);
        for (int l = 0; l < fc->n_layers; l++) fprintf(f, "%s%d", l ? ", " : "", which ? fc->out[l] : fc->in[l]);
        fputs("};\n", f);
    }
    fputc('\n', f);
}

static void print_header(FILE *f, const char *prefix, const mt_theta_file *theta, const mt_small_fc *fc) {
    print_manual(f, theta, prefix, fc->mup >= 0);
    fprintf(f, "#ifndef %s_LEARNED_OPTIMIZER_H\n#define %s_LEARNED_OPTIMIZER_H\n\n", prefix, prefix);
    fputs("#include <float.h>\n#include <math.h>\n#include <stdlib.h>\n#include <string.h>\n\n", f);
    fprintf(f,
            "#if defined(__GNUC__)\n#define %s_API static inline __attribute__((unused))\n#else\n"
            "#define %s_API static inline\n#endif\n",
            prefix, prefix);
    print_settings(f, prefix, fc);
    print_layers(f, prefix, fc);
    for (size_t i = 0; i < sizeof code / sizeof code[0]; i++) print_code(f, code[i], prefix);
    fputs("\n#endif\n", f);
}

int mt_c_header_write(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err) {
    char prefix[PREFIX_BYTES], *text = NULL;
    size_t n = 0;
    mt_small_fc fc;
    if (!mt_small_fc_of(theta->optimizer, "export to c-header", &fc, err)) return 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    prefix_of(path, prefix);
    print_header(f, prefix, theta, &fc);
    int ok = fclose(f) == 0 ? mt_write_atomically(path, text, n, err)
                            : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    free(text);
    if (ok) fprintf(notes, "%s: %s_create, %s_step, %s_destroy; link with -lm\n", path, prefix, prefix, prefix);
    return ok;
}
