/* SPDX-License-Identifier: Apache-2.0
 *
 * pylo.c - see formats/pylo.h. The container is safetensors: a 64-bit length, a JSON header {name:
 * {dtype, shape, data_offsets}}, padding, data; little-endian. */
#include "formats/pylo.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "durable.h"
#include "formats/small_fc.h"

enum { PATH_BYTES = 4096, KEY_BYTES = 64, TEXT_BYTES = 256 };

static const char *const file_names[] = {"model.safetensors", "config.json", "README.md"};

/* ---- what PyLO's optimizers call things ------------------------------------------------------ */

static void print_list(FILE *f, const char *name, const float *values, int n) {
    fprintf(f, "%s=[", name);
    for (int i = 0; i < n; i++)
        fprintf(f, "%s%.9g", i ? ", " : "", (double)values[i]);
    fputs("]", f);
}

static void print_offsets(FILE *f, const lopt_optimizer *opt, const char *family, int n) {
    static const float zero[MT_FC_DECAYS];
    const lopt_block *b = lopt_block_find(opt, family);
    print_list(f, family, b ? lopt_theta(opt) + b->offset : zero, n);
    fputs(", ", f);
}

/* A setting as a Python list; settings of one number have no brackets here. */
static void print_initial(FILE *f, const char *name, const lopt_optimizer *opt,
                          const char *family) {
    char text[TEXT_BYTES];
    lopt_get(opt, family, text, sizeof text);
    fprintf(f, text[0] == '[' ? "%s=%s" : "%s=[%s]", name, text);
}

/* The class whose update has our form: ELO takes weight decay of p before the step, AdafacLO after.
 */
static const char *class_of(const mt_small_fc *fc) {
    return fc->decay_uses_updated ? "AdafacLO_naive" : "ELO_naive";
}

static void print_adafaclo_arguments(FILE *f, const lopt_optimizer *opt, const mt_small_fc *fc) {
    fprintf(f, "lr=%.9g, step_mult=%.9g, exp_mult=%.9g, ", fc->learning_rate, fc->step_mult,
            fc->exp_mult);
    print_offsets(f, opt, "momentum_decays", MT_FC_DECAYS);
    print_offsets(f, opt, "rms_decays", 1);
    print_offsets(f, opt, "adafactor_decays", MT_FC_DECAYS);
    print_initial(f, "initial_momentum_decays", opt, "momentum_decays");
    print_initial(f, ", initial_rms_decays", opt, "rms_decays");
    print_initial(f, ", initial_adafactor_decays", opt, "adafactor_decays");
    if (fc->max_grad_norm > 0)
        fprintf(f, ", max_grad_norm=%.9g", fc->max_grad_norm);
    if (fc->weight_decay > 0)
        fprintf(f, ", weight_decay=%.9g", fc->weight_decay);
}

/* ELO has one rate: lr (step + wd p), where ours is lr (step_mult step + wd p). */
static void print_elo_arguments(FILE *f, const mt_small_fc *fc) {
    double decay = fc->step_mult > 0 ? fc->weight_decay / fc->step_mult : 0;
    fprintf(f, "lr=%.9g, exp_mult=%.9g, weight_decay=%.9g, ", fc->learning_rate * fc->step_mult,
            fc->exp_mult, decay);
    print_list(f, "initial_momentum_decays", fc->momentum, MT_FC_DECAYS);
    print_list(f, ", initial_rms_decays", &fc->rms, 1);
    print_list(f, ", initial_adafactor_decays", fc->factored, MT_FC_DECAYS);
    if (fc->clip_norm > 0)
        fprintf(f, ", clip_grad=True, clip_norm=%.9g", fc->clip_norm);
}

static void print_arguments(FILE *f, const lopt_optimizer *opt, const mt_small_fc *fc) {
    if (fc->decay_uses_updated)
        print_adafaclo_arguments(f, opt, fc);
    else
        print_elo_arguments(f, fc);
}

/* What neither the folder nor the constructor can say. */
static void print_limits(FILE *f, const char *indent, const mt_small_fc *fc) {
    const char *class = class_of(fc);
    if (fc->decay_uses_updated && fc->clip_norm > 0)
        fprintf(f,
                "%s%s cannot clip the norm of all gradients together (clip_norm %.9g): do it "
                "yourself.\n",
                indent, class, fc->clip_norm);
    if (!fc->decay_uses_updated && fc->max_grad_norm > 0)
        fprintf(
            f,
            "%s%s cannot clip the gradient of each tensor (max_grad_norm %.9g): do it yourself.\n",
            indent, class, fc->max_grad_norm);
    if (fc->tie_pylo_velo)
        fprintf(f, "%s%s factors square tensors by another rule than tie_rule pylo-velo.\n", indent,
                class);
    if (fc->decay_uses_updated == fc->nan_to_num)
        fprintf(f, "%s%s %s gradients that are not finite; this optimizer %s.\n", indent, class,
                fc->nan_to_num ? "does not replace" : "replaces",
                fc->nan_to_num ? "does" : "does not");
}

/* ---- model.safetensors ----------------------------------------------------------------------- */

static void tensor_key(const mt_small_fc *fc, int layer, const char *what, char key[KEY_BYTES]) {
    if (layer == 0)
        snprintf(key, KEY_BYTES, "network.input.%s", what);
    else if (layer == fc->n_layers - 1)
        snprintf(key, KEY_BYTES, "network.output.%s", what);
    else
        snprintf(key, KEY_BYTES, "network.linear_%d.%s", layer - 1, what);
}

static json_t *describe_tensor(json_t *shape, size_t n, size_t *offset) {
    size_t end = *offset + n * sizeof(float);
    json_t *tensor = json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape,
                               "data_offsets", (json_int_t)*offset, (json_int_t)end);
    *offset = end;
    return tensor;
}

static json_t *metadata(const mt_theta *theta, const mt_small_fc *fc) {
    json_t *m = json_pack("{s:s, s:s, s:s}", "format", "pt", "optimizer",
                          lopt_info(theta->optimizer)->name, "pylo_class", class_of(fc));
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (f) {
        print_arguments(f, theta->optimizer, fc);
        fclose(f);
        json_object_set_new(m, "pylo_arguments", json_string(text));
    }
    free(text);
    for (int i = 0; i < theta->n_notes; i++) {
        char name[TEXT_BYTES];
        snprintf(name, sizeof name, "provenance.%s", theta->note_name[i]);
        json_object_set_new(m, name, json_string(theta->note_value[i]));
    }
    return m;
}

/* The JSON header; *data_bytes is what follows it. */
static char *header_text(const mt_theta *theta, const mt_small_fc *fc, size_t *data_bytes) {
    json_t *header = json_object();
    char key[KEY_BYTES];
    *data_bytes = 0;
    json_object_set_new(header, "__metadata__", metadata(theta, fc));
    for (int l = 0; l < fc->n_layers; l++) {
        size_t in = (size_t)fc->in[l], out = (size_t)fc->out[l];
        tensor_key(fc, l, "weight", key);
        json_object_set_new(header, key,
                            describe_tensor(json_pack("[I, I]", (json_int_t)out, (json_int_t)in),
                                            in * out, data_bytes));
        tensor_key(fc, l, "bias", key);
        json_object_set_new(header, key,
                            describe_tensor(json_pack("[I]", (json_int_t)out), out, data_bytes));
    }
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static void put_data(const mt_small_fc *fc, float *data) {
    for (int l = 0; l < fc->n_layers; l++) {
        for (int j = 0; j < fc->out[l]; j++)
            for (int i = 0; i < fc->in[l]; i++)
                *data++ = fc->weight[l][i * fc->out[l] + j];
        memcpy(data, fc->bias[l], (size_t)fc->out[l] * sizeof *data);
        data += fc->out[l];
    }
}

static int write_tensors(const char *path, const mt_theta *theta, const mt_small_fc *fc,
                         lopt_error *err) {
    size_t data_bytes;
    char *header = header_text(theta, fc, &data_bytes);
    size_t n = header ? strlen(header) : 0, padded = (n + 7) / 8 * 8;
    char *bytes = header ? malloc(8 + padded + data_bytes) : NULL;
    int ok = bytes ? 1 : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    if (ok) {
        for (int i = 0; i < 8; i++)
            bytes[i] = (char)(padded >> 8 * i & 0xff);
        memset(bytes + 8, ' ', padded);
        memcpy(bytes + 8, header, n); /* NOLINT(bugprone-not-null-terminated-result): padded by spaces */
        put_data(fc, (float *)(void *)(bytes + 8 + padded));
        ok = mt_durable_write(path, bytes, 8 + padded + data_bytes, err);
    }
    free(bytes);
    free(header);
    return ok;
}

/* ---- config.json and README.md --------------------------------------------------------------- */

static int write_config(const char *path, const mt_small_fc *fc, lopt_error *err) {
    char text[TEXT_BYTES];
    int n =
        snprintf(text, sizeof text,
                 "{\n  \"hidden_layers\": %d,\n  \"hidden_size\": %d,\n  \"input_size\": %d\n}\n",
                 fc->n_layers - 2, fc->hidden_size, MT_FC_INPUTS);
    return mt_durable_write(path, text, (size_t)n, err);
}

static void print_provenance(FILE *f, const mt_theta *theta) {
    char digest[33];
    const char *config = NULL;
    mt_theta_digest(theta->optimizer, lopt_theta(theta->optimizer), digest);
    fprintf(
        f,
        "\n## Provenance\n\n| | |\n|---|---|\n| optimizer | %s (%s) |\n| digest of theta | %s |\n",
        lopt_info(theta->optimizer)->name, lopt_info(theta->optimizer)->source, digest);
    for (int i = 0; i < theta->n_notes; i++) {
        if (strchr(theta->note_value[i], '\n'))
            config = theta->note_value[i];
        else
            fprintf(f, "| %s | %s |\n", theta->note_name[i], theta->note_value[i]);
    }
    if (config)
        fprintf(f, "\nMeta-trained with this configuration:\n\n```yaml\n%s```\n", config);
}

static void print_readme(FILE *f, const mt_theta *theta, const mt_small_fc *fc) {
    const char *class = class_of(fc);
    fputs("---\nlicense: apache-2.0\ntags: [learned-optimizer, pylo]\n---\n\n# A learned optimizer "
          "for PyLO\n\n"
          "Weights of a per-parameter network (small_fc_lopt: Metz et al., 2022, 2203.11860) in "
          "the layout of\n"
          "PyLO's MetaMLP, meta-trained and written by metatrain (Apache-2.0). Change the licence "
          "above if you\n"
          "publish them under another.\n\n## Use\n\n",
          f);
    fprintf(f,
            "```python\nfrom pylo.optim.%s import %s\noptimizer = %s(\n    model.parameters(), "
            "hf_key=\"path/of/this/folder\",\n    ",
            class, class, class);
    print_arguments(f, theta->optimizer, fc);
    fputs(",\n)\n```\n\n", f);
    fprintf(f,
            "The arguments are part of this optimizer: model.safetensors and config.json hold the "
            "network "
            "alone%s.\n\n",
            fc->learned_decays ? ", not the decays that were learned with it" : "");
    print_list(f, "Decays in effect: momentum", fc->momentum, MT_FC_DECAYS);
    print_list(f, ", rms", &fc->rms, 1);
    print_list(f, ", adafactor", fc->factored, MT_FC_DECAYS);
    fputs(".\n\n", f);
    print_limits(f, "- ", fc);
    print_provenance(f, theta);
}

static int write_readme(const char *path, const mt_theta *theta, const mt_small_fc *fc,
                        lopt_error *err) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f)
        return mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    print_readme(f, theta, fc);
    fclose(f);
    int ok = mt_durable_write(path, text, n, err);
    free(text);
    return ok;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static int is_ours(const char *name) {
    for (size_t i = 0; i < sizeof file_names / sizeof file_names[0]; i++)
        if (strcmp(name, file_names[i]) == 0)
            return 1;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A folder with anything else in it is not ours to replace. */
static int check_target(const char *path, lopt_error *err) {
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT || mt_error(err, LOPT_EARG, "%s: cannot be replaced by a folder: %s",
                                           path, strerror(errno));
    int ok = 1;
    for (struct dirent *entry; ok && (entry = readdir(folder));)
        if (!is_ours(entry->d_name))
            ok = mt_error(
                err, LOPT_EARG,
                "%s: holds \"%.100s\", which is no part of an export; choose a new or empty folder",
                path, entry->d_name);
    closedir(folder);
    return ok;
}

static int write_files(const char *folder, const mt_theta *theta, const mt_small_fc *fc,
                       lopt_error *err) {
    char path[3][PATH_BYTES + 32];
    for (int i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "%s/%s", folder, file_names[i]);
    return write_tensors(path[0], theta, fc, err) && write_config(path[1], fc, err) &&
           write_readme(path[2], theta, fc, err);
}

int mt_pylo_write(const char *path, const mt_theta *theta, FILE *notes, lopt_error *err) {
    char target[PATH_BYTES - 16], partial[PATH_BYTES];
    mt_small_fc fc;
    if (!mt_small_fc_of(theta->optimizer, "export to pylo", &fc, err))
        return 0;
    if (snprintf(target, sizeof target, "%s", path) >= (int)sizeof target)
        return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", path);
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/'; n--)
        target[n - 1] = '\0';
    if (!check_target(target, err) || !mt_partial_path(target, partial, sizeof partial, err))
        return 0;
    mt_remove_tree(partial);
    if (!mt_make_folders(partial, err))
        return 0;
    if (!write_files(partial, theta, &fc, err) ||
        !mt_durable_replace_folder(partial, target, err)) {
        mt_remove_tree(partial);
        return 0;
    }
    fprintf(notes, "%s: model.safetensors, config.json, README.md\n", target);
    fprintf(notes, "not in the files, pass it to pylo.optim.%s: ", class_of(&fc));
    print_arguments(notes, theta->optimizer, &fc);
    fputs("\n", notes);
    print_limits(notes, "", &fc);
    return 1;
}
