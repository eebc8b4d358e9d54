/* SPDX-License-Identifier: Apache-2.0
 *
 * Exports, loaded back: PyLO's folder by its published layout, the C header by compiling it and stepping
 * parameters beside liblopt. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/read_file.h"
#include "formats/c_header.h"
#include "formats/pylo.h"
#include "scratch.h"
#include "some_theta.h"

TestSuite(export, .init = make_scratch, .fini = remove_scratch, .timeout = 60);

/* ---- PyLO ------------------------------------------------------------------------------------ */

typedef struct tensors {
    char *bytes;
    json_t *header;
    const char *data;
    size_t data_bytes;
} tensors;

static void read_tensors(const char *path, tensors *t) {
    size_t n;
    uint64_t length;
    json_error_t err;
    t->bytes = mt_text_read(path, 1 << 24, &n, NULL);
    cr_assert(t->bytes && n > 8);
    memcpy(&length, t->bytes, sizeof length);
    cr_assert(length < n - 8 && length % 8 == 0, "header of %llu bytes", (unsigned long long)length);
    t->header = json_loadb(t->bytes + 8, length, JSON_REJECT_DUPLICATES, &err);
    cr_assert(t->header != NULL, "%s", err.text);
    t->data = t->bytes + 8 + length;
    t->data_bytes = n - 8 - length;
}

/* Block of theta against tensor `key`, stored (out, in). */
static void assert_tensor(const tensors *t, const lopt_optimizer *opt, const char *key, const char *block) {
    const lopt_block *b = lopt_block_find(opt, block);
    const json_t *tensor = json_object_get(t->header, key), *shape = json_object_get(tensor, "shape");
    const json_t *offsets = json_object_get(tensor, "data_offsets");
    cr_assert(tensor && strcmp(json_string_value(json_object_get(tensor, "dtype")), "F32") == 0, "%s", key);
    cr_assert(json_array_size(shape) == (size_t)b->rank);
    for (int i = 0; i < b->rank; i++)
        cr_assert(json_integer_value(json_array_get(shape, (size_t)i)) == b->dim[b->rank - 1 - i], "shape of %s", key);
    size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
    size_t end = (size_t)json_integer_value(json_array_get(offsets, 1));
    cr_assert(end - begin == 4 * b->size && end <= t->data_bytes, "offsets of %s", key);
    size_t in = b->rank == 2 ? (size_t)b->dim[0] : 1, out = b->size / in;
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j < out; j++) {
            float x;
            memcpy(&x, t->data + begin + 4 * (j * in + i), sizeof x);
            cr_assert(x == lopt_theta(opt)[b->offset + i * out + j], "%s[%zu, %zu]", key, j, i);
        }
}

static json_t *read_json(const char *path) {
    size_t n;
    char *text = mt_text_read(path, 1 << 20, &n, NULL);
    json_t *json = text ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    free(text);
    cr_assert(json != NULL, "%s", path);
    return json;
}

static void assert_integer(const json_t *object, const char *key, int expected) {
    cr_assert(json_integer_value(json_object_get(object, key)) == expected, "%s", key);
}

Test(export, pylo_loads_the_network) {
    lopt_error err = {LOPT_OK, ""};
    lopt_setting settings[] = {{"hidden_size", "5"}, {"hidden_layers", "3"}};
    char out[SCRATCH_PATH], path[SCRATCH_PATH + 40];
    mt_theta_file theta;
    tensors t;
    make_some_theta(&theta, "small-fc-pylo", settings, 2);
    path_of("pylo/", out);
    cr_assert(mt_pylo_write(out, &theta, nowhere, &err), "%s", err.text);

    snprintf(path, sizeof path, "%s/config.json", out);
    json_t *config = read_json(path);
    cr_assert(json_object_size(config) == 3); /* the arguments of MetaMLP's constructor and no others */
    assert_integer(config, "input_size", 39);
    assert_integer(config, "hidden_size", 5);
    assert_integer(config, "hidden_layers", 2);
    json_decref(config);

    snprintf(path, sizeof path, "%s/model.safetensors", out);
    read_tensors(path, &t);
    cr_assert(json_object_size(t.header) == 9); /* four layers and __metadata__ */
    cr_assert(t.data_bytes == 4 * (39 * 5 + 5 + 2 * (5 * 5 + 5) + 5 * 2 + 2));
    assert_tensor(&t, theta.optimizer, "network.input.weight", "w0");
    assert_tensor(&t, theta.optimizer, "network.input.bias", "b0");
    assert_tensor(&t, theta.optimizer, "network.linear_0.weight", "w1");
    assert_tensor(&t, theta.optimizer, "network.linear_1.weight", "w2");
    assert_tensor(&t, theta.optimizer, "network.linear_1.bias", "b2");
    assert_tensor(&t, theta.optimizer, "network.output.weight", "w3");
    assert_tensor(&t, theta.optimizer, "network.output.bias", "b3");
    json_decref(t.header);
    free(t.bytes);
    lopt_destroy(theta.optimizer);
}

/* What the format cannot hold is said: the decays that were learned, in README.md and to the user. */
Test(export, pylo_says_what_it_cannot_hold) {
    lopt_error err = {LOPT_OK, ""};
    lopt_setting settings[] = {{"clip_norm", "2.5"}, {"rms_decay_offsets", "0.0125"}};
    char out[SCRATCH_PATH], path[SCRATCH_PATH + 40], *said = NULL;
    size_t n;
    mt_theta_file theta;
    make_some_theta(&theta, "small-fc-pylo", settings, 2);
    path_of("pylo", out);
    FILE *notes = open_memstream(&said, &n);
    cr_assert(mt_pylo_write(out, &theta, notes, &err), "%s", err.text);
    fclose(notes);
    char decay[64];
    snprintf(decay, sizeof decay, "rms_decays=[%.9g]",
             (double)lopt_theta(theta.optimizer)[lopt_block_find(theta.optimizer, "rms_decays")->offset]);
    cr_assert(strstr(said, decay) && strstr(said, "clip_norm 2.5") && strstr(said, "AdafacLO_naive"), "%s", said);
    snprintf(path, sizeof path, "%s/README.md", out);
    char *readme = mt_text_read(path, 1 << 20, &n, NULL);
    cr_assert(readme && strstr(readme, decay) && strstr(readme, "clip_norm 2.5") && strstr(readme, "license: ") &&
              strstr(readme, "| seed | 5 |") && strstr(readme, "note: /*"));
    free(readme);
    free(said);
    lopt_destroy(theta.optimizer);
}

Test(export, pylo_replaces_its_own_folder_only) {
    lopt_error err = {LOPT_OK, ""};
    lopt_setting small[] = {{"hidden_size", "3"}};
    char out[SCRATCH_PATH], path[SCRATCH_PATH + 40];
    mt_theta_file theta;
    make_some_theta(&theta, "elo", small, 1);
    path_of("out", out);
    cr_assert(mt_make_folders(out, &err));
    for (int round = 0; round < 2; round++) /* empty, then an earlier export */
        cr_assert(mt_pylo_write(out, &theta, nowhere, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/mine.txt", out);
    cr_assert(mt_write_atomically(path, "mine", 4, &err));
    cr_assert(!mt_pylo_write(out, &theta, nowhere, &err) && err.status == LOPT_EARG && strstr(err.text, "mine.txt"),
              "%s", err.text);
    cr_assert(access(path, F_OK) == 0);
    cr_assert(!mt_pylo_write(path, &theta, nowhere, &err) && err.status == LOPT_EARG, "%s", err.text);
    path_of("out/.x.partial", path);
    cr_assert(access(path, F_OK) != 0);
    lopt_destroy(theta.optimizer);
}

Test(export, other_kinds_are_refused) {
    lopt_error err = {LOPT_OK, ""};
    char out[SCRATCH_PATH];
    mt_theta_file theta;
    make_some_theta(&theta, "adam", NULL, 0);
    path_of("out", out);
    cr_assert(!mt_pylo_write(out, &theta, nowhere, &err) && err.status == LOPT_EARG && strstr(err.text, "adam"), "%s",
              err.text);
    cr_assert(!mt_c_header_write(out, &theta, nowhere, &err) && err.status == LOPT_EARG && strstr(err.text, "adam"),
              "%s", err.text);
    cr_assert(access(out, F_OK) != 0);
    lopt_destroy(theta.optimizer);
}

/* ---- the C header ---------------------------------------------------------------------------- */

enum { STEPS = 50, N_TENSORS = 8 };

static const lopt_tensor shapes[N_TENSORS] = {
    {.rank = 0},
    {.rank = 1, .dim = {7}},
    {.rank = 2, .dim = {6, 6}},
    {.rank = 2, .dim = {33, 18}},
    {.rank = 2, .dim = {10, 1}},
    {.rank = 3, .dim = {4, 5, 4}},
    {.rank = 4, .dim = {3, 3, 4, 8}},
    {.rank = 4, .dim = {2, 5, 5, 1}},
};

/* The same numbers here and in the program below. */
#define PROGRAM_VALUE                                                                                                  \
    "static float value(unsigned i, unsigned t) {\n"                                                                   \
    "    unsigned x = (i + 1) * 2654435761u + t * 40503u;\n"                                                           \
    "    x ^= x >> 15; x *= 2246822519u; x ^= x >> 13;\n"                                                              \
    "    return (float)(x >> 8) / 8388608.0f - 1.0f;\n"                                                                \
    "}\n"
static float value(unsigned i, unsigned t) {
    unsigned x = (i + 1) * 2654435761u + t * 40503u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return (float)(x >> 8) / 8388608.0f - 1.0f;
}

static float gradient(unsigned i, unsigned t) {
    return t < 3 && i % 5 == 0 ? 0 : value(i, t) * (float)(1 + i % 13);
}

static void write_program(const char *path) {
    lopt_error err;
    char program[4000];
    int n = snprintf(program, sizeof program,
                     "#include \"opt.h\"\n#include <stdio.h>\n%s"
                     "static float gradient(unsigned i, unsigned t) {\n"
                     "    return t < 3 && i %% 5 == 0 ? 0 : value(i, t) * (float)(1 + i %% 13);\n}\n"
                     "int main(void) {\n    opt_tensor tensors[] = {",
                     PROGRAM_VALUE);
    unsigned params = 0;
    for (int i = 0; i < N_TENSORS; i++) {
        const int64_t *d = shapes[i].dim;
        n += snprintf(program + n, sizeof program - (size_t)n, "{%d, {%d, %d, %d, %d}}, ", (int)shapes[i].rank,
                      (int)d[0], (int)d[1], (int)d[2], (int)d[3]);
        params += (unsigned)lopt_tensor_size(&shapes[i]);
    }
    snprintf(program + n, sizeof program - (size_t)n,
             "};\n    static float p[%u], g[%u];\n    opt_state *s = opt_create(tensors, %d);\n    "
             "if (!s)\n        return 1;\n    opt_set_lr_scale(s, 1, 0.5f);\n"
             "#ifdef opt_MUP\n    opt_set_lr_scale(s, 3, opt_MUP / 33);\n#endif\n"
             "    for (int round = 0; round < 2; round++) {\n"
             "        for (unsigned i = 0; i < %u; i++)\n            p[i] = 0.1f * value(i, "
             "1000);\n        opt_reset(s);\n"
             "        for (unsigned t = 0; t < %d; t++) {\n            for (unsigned i = 0; i < "
             "%u; i++)\n                g[i] = gradient(i, t);\n"
             "            opt_step(s, p, g, 1.0f);\n        }\n    }\n"
             "    fwrite(p, sizeof p[0], %u, stdout);\n    opt_destroy(s);\n    return 0;\n}\n",
             params, params, N_TENSORS, params, STEPS, params, params);
    cr_assert(mt_write_atomically(path, program, strlen(program), &err), "%s", err.text);
}

static void compile(const char *compiler, const char *language) {
    char command[600];
    snprintf(command, sizeof command, "%s -O2 -Wall -Wextra -Wshadow -Werror %s -o %s/program %s/program.c -lm",
             compiler, language, folder, folder);
    cr_assert(system(command) == 0, "%s", command);
}

static void run_program(float *params, size_t n) {
    char path[SCRATCH_PATH];
    path_of("program", path);
    FILE *f = popen(path, "r");
    cr_assert(f && fread(params, sizeof *params, n, f) == n && pclose(f) == 0);
}

static void run_library(const lopt_optimizer *opt, float *params, size_t n) {
    lopt_error err;
    float *grads = malloc(n * sizeof *grads);
    cr_assert(lopt_kernels_use("reference", &err) == LOPT_OK);
    lopt_tensor specs[N_TENSORS];
    for (int i = 0; i < N_TENSORS; i++) specs[i] = lopt_tensor_make("t", shapes[i].rank, shapes[i].dim);
    specs[1].lr_scale = 0.5f;
    specs[3].hidden_fan_in = 33;
    lopt_state *state = lopt_state_create(opt, specs, N_TENSORS, &err);
    cr_assert(state != NULL, "%s", err.text);
    for (unsigned i = 0; i < n; i++) params[i] = 0.1f * value(i, 1000);
    for (unsigned t = 0; t < STEPS; t++) {
        for (unsigned i = 0; i < n; i++) grads[i] = gradient(i, t);
        lopt_step(opt, state, params, grads, 0, NULL);
    }
    lopt_state_destroy(state);
    free(grads);
}

static const char *compiler(const char *variable, const char *standard) {
    const char *name = getenv(variable);
    return name && name[0] ? name : standard;
}

/* Both after the same 50 steps; the header's own reset is part of it. */
static void assert_same_steps(const char *preset, const lopt_setting *settings, size_t n_settings, int cpp) {
    lopt_error err = {LOPT_OK, ""};
    char header[SCRATCH_PATH], program[SCRATCH_PATH];
    mt_theta_file theta;
    size_t n = 0;
    for (int i = 0; i < N_TENSORS; i++) n += (size_t)lopt_tensor_size(&shapes[i]);
    float *ours = malloc(n * sizeof *ours), *theirs = malloc(n * sizeof *theirs);
    make_some_theta(&theta, preset, settings, n_settings);
    path_of("opt.h", header);
    path_of("program.c", program);
    cr_assert(mt_c_header_write(header, &theta, nowhere, &err), "%s", err.text);
    write_program(program);
    compile(cpp ? compiler("CXX", "c++") : compiler("CC", "cc"), cpp ? "-std=c++11 -x c++" : "-std=c11");
    run_program(theirs, n);
    run_library(theta.optimizer, ours, n);
    double largest = 0, difference = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)ours[i]));
        difference = fmax(difference, fabs((double)ours[i] - (double)theirs[i]));
        cr_assert(isfinite(theirs[i]));
    }
    cr_assert(difference <= 1e-6 * largest, "%s: parameters of %g differ by %g", preset, largest, difference);
    cr_assert(fabs((double)ours[1] - 0.1 * (double)value(1, 1000)) > 1e-5, "nothing moved");
    free(ours);
    free(theirs);
    lopt_destroy(theta.optimizer);
}

Test(export, header_steps_like_the_library) {
    assert_same_steps("small-fc-pylo", NULL, 0, 0);
}

Test(export, header_with_every_setting) {
    lopt_setting settings[] = {{"hidden_size", "6"},     {"hidden_layers", "1"},   {"weight_decay", "0.1"},
                               {"max_grad_norm", "0.5"}, {"clip_norm", "3"},       {"learning_rate", "0.7"},
                               {"exp_mult", "0.01"},     {"tie_rule", "pylo-velo"}};
    assert_same_steps("small-fc", settings, sizeof settings / sizeof settings[0], 0);
}

Test(export, header_with_mup) {
    lopt_setting settings[] = {{"hidden_size", "4"}, {"mup_hidden_lr_mult", "3"}};
    assert_same_steps("mulo", settings, 2, 0);
}

Test(export, header_in_cpp) {
    lopt_setting settings[] = {{"weight_decay", "0.1"}, {"clip_norm", "1"}, {"hidden_size", "4"}};
    assert_same_steps("elo", settings, sizeof settings / sizeof settings[0], 1);
}

Test(export, header_names_begin_with_the_name_of_the_file) {
    static const char *const names[][2] = {
        {"My-opt.v2.h", "my_opt_step"}, {"3d.h", "learned_3d_step"}, {"lopt.h", "learned_lopt_step"}};
    lopt_error err = {LOPT_OK, ""};
    lopt_setting settings[] = {{"hidden_size", "2"}};
    mt_theta_file theta;
    make_some_theta(&theta, "small-fc", settings, 1);
    for (int i = 0; i < 3; i++) {
        char path[SCRATCH_PATH], command[400];
        size_t n;
        path_of(names[i][0], path);
        cr_assert(mt_c_header_write(path, &theta, nowhere, &err), "%s", err.text);
        char *text = mt_text_read(path, 1 << 20, &n, NULL);
        cr_assert(text && strstr(text, names[i][1]), "%s has no %s", names[i][0], names[i][1]);
        free(text);
        snprintf(command, sizeof command, "%s -std=c11 -Wall -Wextra -Wshadow -Werror -fsyntax-only -x c %s",
                 compiler("CC", "cc"), path);
        cr_assert(system(command) == 0, "%s", command);
    }
    lopt_destroy(theta.optimizer);
}
