/* SPDX-License-Identifier: Apache-2.0
 *
 * The container safetensors, ours and PyLO's files in it: what is read, what is refused, what comes
 * back. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/read_file.h"
#include "formats/import_weights.h"
#include "formats/pylo.h"
#include "formats/safetensors.h"
#include "scratch.h"
#include "some_theta.h"

TestSuite(safetensors, .init = make_scratch, .fini = remove_scratch, .timeout = 60);

/* ---- files by hand --------------------------------------------------------------------------- */

typedef struct bytes {
    size_t n;
    unsigned char at[4096];
} bytes;

static bytes file_of(const char *header, const void *data, size_t n) {
    bytes b = {0};
    size_t length = strlen(header);
    cr_assert(8 + length + n <= sizeof b.at);
    for (int i = 0; i < 8; i++) b.at[b.n++] = (unsigned char)(length >> 8 * i & 255);
    memcpy(b.at + b.n, header, length);
    b.n += length;
    memcpy(b.at + b.n, data, n);
    b.n += n;
    return b;
}

/* Parses a copy of exactly its size, so that AddressSanitizer sees a byte too far. */
static mt_arrays *parse(const bytes *b, json_t **metadata, lopt_error *err) {
    mt_arrays *arrays = mt_arrays_create("x", err);
    unsigned char *copy = mt_arrays_own(arrays, malloc(b->n + !b->n));
    cr_assert(copy != NULL);
    memcpy(copy, b->at, b->n);
    if (mt_safetensors_parse(arrays, "x", copy, b->n, metadata, err) && mt_arrays_finish(arrays, err)) return arrays;
    mt_arrays_free(arrays);
    return NULL;
}

static void assert_refused(const char *header, size_t data_bytes, const char *words) {
    lopt_error err = {LOPT_OK, ""};
    unsigned char data[64] = {0};
    bytes b = file_of(header, data, data_bytes);
    mt_arrays *arrays = parse(&b, NULL, &err);
    cr_assert(arrays == NULL, "accepted: %s", header);
    cr_assert(err.status == LOPT_EARG && strncmp(err.text, "x: ", 3) == 0 && strstr(err.text, words),
              "\"%s\" lacks \"%s\"", err.text, words);
}

#define A(dtype, shape, from, to)                                                                                      \
    "\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"
#define B(from, to) "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" #from "," #to "]}"

Test(safetensors, reads_types_and_shapes) {
    lopt_error err = {LOPT_OK, ""};
    float x[3] = {1, 2, 3};
    json_t *metadata = NULL;
    bytes b = file_of("{\"__metadata__\":{\"k\":\"v\"}," A("F32", "[2,1]", 4, 12) "," B(0, 4) "}    ", x, sizeof x);
    mt_arrays *arrays = parse(&b, &metadata, &err);
    cr_assert(arrays != NULL, "%s", err.text);
    const mt_array *a = mt_arrays_find(arrays, "a");
    cr_assert(a && a->rank == 2 && a->dim[0] == 2 && a->dim[1] == 1 && a->n == 2 && memcmp(a->data, x + 1, 8) == 0);
    cr_assert(mt_arrays_find(arrays, "b") && !mt_arrays_find(arrays, "c"));
    cr_assert(strcmp(json_string_value(json_object_get(metadata, "k")), "v") == 0);
    json_decref(metadata);
    mt_arrays_free(arrays);

    b = file_of("{" A("F64", "[0,7]", 0, 0) "}", x, 0); /* an array of nothing, no metadata */
    arrays = parse(&b, &metadata, &err);
    cr_assert(arrays && mt_arrays_find(arrays, "a")->n == 0 && json_object_size(metadata) == 0);
    json_decref(metadata);
    mt_arrays_free(arrays);
}

Test(safetensors, refuses_headers) {
    assert_refused("", 0, "is not JSON");
    assert_refused("[]", 0, "not a JSON object");
    assert_refused("{", 0, "is not JSON");
    assert_refused("{" B(0, 4) "," B(0, 4) "}", 4, "is not JSON: duplicate");
    assert_refused("{\"a\":3}", 0, "dtype is \"(missing)\"");
    assert_refused("{" A("F33", "[1]", 0, 4) "}", 4, "dtype is \"F33\", expected F32");
    assert_refused("{" A("float32", "[1]", 0, 4) "}", 4, "dtype is \"float32\"");
    assert_refused("{" A("F32", "3", 0, 4) "}", 4, "not a list of at most 8");
    assert_refused("{" A("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "not a list of at most 8");
    assert_refused("{" A("F32", "[-1]", 0, 4) "}", 4, "sizes of 0 or more");
    assert_refused("{" A("F32", "[1.0]", 0, 4) "}", 4, "sizes of 0 or more");
    assert_refused("{" A("F32", "[4611686018427387904,4]", 0, 4) "}", 4, "impossible shape");
    assert_refused("{" A("F32", "[2]", 0, 4) "}", 4, "holds 4 bytes, expected 8");
    assert_refused("{" A("F32", "[1]", 4, 0) "}", 4, "expected to lie in the 4 bytes");
    assert_refused("{" A("F32", "[1]", 0, 8) "}", 4, "expected to lie in the 4 bytes");
    assert_refused("{" A("F32", "[1]", -4, 0) "}", 4, "expected to lie in the 4 bytes");
    assert_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "not a list of two integers");
    assert_refused("{\"__metadata__\":3}", 0, "is not an object");
    assert_refused("{\"__metadata__\":{\"k\":3}}", 0, "\"k\" is not a text");
}

/* Arrays that share bytes, leave some out, or too many of them: the data are no tiling. */
Test(safetensors, refuses_overlap_and_gap) {
    assert_refused("{" A("F32", "[2]", 0, 8) "," B(4, 8) "}", 8, "without overlap");
    assert_refused("{" A("F32", "[1]", 0, 4) "," B(8, 12) "}", 12, "without gap");
    assert_refused("{" A("F32", "[1]", 0, 4) "," B(4, 8) "}", 12, "12 bytes of data, expected the 8");
    assert_refused("{}", 4, "4 bytes of data, expected the 0");
}

Test(safetensors, refuses_lengths) {
    lopt_error err = {LOPT_OK, ""};
    bytes b = {0};
    for (; b.n < 8; b.n++) cr_assert(!parse(&b, NULL, &err) && strstr(err.text, "expected at least 8"), "%s", err.text);
    cr_assert(!parse(&b, NULL, &err) && strstr(err.text, "is not JSON"), "%s", err.text);
    memset(b.at, 0xff, 8);
    cr_assert(!parse(&b, NULL, &err) && strstr(err.text, "claim a header of 18446744073709551615"), "%s", err.text);
    memcpy(b.at, "\x01\0\0\0\0\0\0\0", 8);
    cr_assert(!parse(&b, NULL, &err) && strstr(err.text, "claim a header of 1 bytes"), "%s", err.text);
}

Test(safetensors, damage_everywhere) {
    lopt_error err;
    float x[2] = {1, 2};
    bytes whole = file_of("{" A("F32", "[1]", 4, 8) "," B(0, 4) "}", x, sizeof x);
    for (size_t n = 0; n < whole.n; n++) {
        bytes cut = whole;
        cut.n = n;
        cr_assert(parse(&cut, NULL, &err) == NULL, "cut to %zu", n);
    }
    for (size_t i = 0; i < whole.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes flipped = whole;
            flipped.at[i] ^= (unsigned char)(1 << bit);
            mt_arrays_free(parse(&flipped, NULL, &err));
        }
}

/* ---- files of ours --------------------------------------------------------------------------- */

static lopt_optimizer *read_back(const char *format, const char *path, const char *preset, const lopt_setting *settings,
                                 size_t n) {
    lopt_error err = {LOPT_OK, ""};
    mt_import *in = mt_import_open(format, &path, 1, preset, &err);
    cr_assert(in != NULL, "%s", err.text);
    cr_assert(in->n_notes == 2 && strcmp(in->note_name[0], "seed") == 0 && strcmp(in->note_value[1], theta_note) == 0);
    lopt_optimizer *opt = mt_import_optimizer(in, preset, settings, n, nowhere, &err);
    cr_assert(opt != NULL, "%s", err.text);
    mt_import_free(in);
    return opt;
}

static void assert_same(const lopt_optimizer *a, const lopt_optimizer *b) {
    const char *preset = lopt_info(a)->name;
    lopt_hyper_info hyper;
    cr_assert(strcmp(preset, lopt_info(b)->name) == 0 && lopt_n_theta(a) == lopt_n_theta(b));
    cr_assert(memcmp(lopt_theta(a), lopt_theta(b), lopt_n_theta(a) * sizeof(float)) == 0, "%s", preset);
    for (size_t i = 0; lopt_hyper(preset, i, &hyper); i++) {
        char x[256], y[256];
        lopt_get(a, hyper.name, x, sizeof x);
        lopt_get(b, hyper.name, y, sizeof y);
        cr_assert(strcmp(x, y) == 0, "%s: %s", preset, hyper.name);
    }
}

Test(safetensors, every_learned_optimizer_returns) {
    const lopt_preset_info *info;
    char path[SCRATCH_PATH];
    path_of("theta.safetensors", path);
    for (size_t i = 0; (info = lopt_preset(i)) != NULL; i++) {
        if (!info->learned) continue;
        lopt_error err = {LOPT_OK, ""};
        mt_theta_file theta;
        lopt_setting setting = {"learning_rate", "0.125"};
        make_some_theta(&theta, info->name, &setting, 1);
        cr_assert(mt_safetensors_export(path, &theta, nowhere, &err), "%s", err.text);
        lopt_optimizer *back = read_back("safetensors", path, NULL, NULL, 0);
        assert_same(theta.optimizer, back);
        lopt_destroy(back);
        lopt_destroy(theta.optimizer);
    }
}

Test(safetensors, given_settings_count_more) {
    lopt_error err = {LOPT_OK, ""};
    char path[SCRATCH_PATH], value[32];
    mt_theta_file theta;
    lopt_setting size = {"hidden_size", "3"}, rate = {"learning_rate", "0.5"};
    path_of("theta.safetensors", path);
    make_some_theta(&theta, "elo", &size, 1);
    cr_assert(mt_safetensors_export(path, &theta, nowhere, &err), "%s", err.text);
    lopt_optimizer *back = read_back("safetensors", path, NULL, &rate, 1);
    cr_assert(lopt_get(back, "learning_rate", value, sizeof value) && strcmp(value, "0.5") == 0);
    cr_assert(lopt_get(back, "hidden_size", value, sizeof value) && strcmp(value, "3") == 0);
    lopt_destroy(back);

    /* Another preset than the file's takes the arrays alone: their size must be said again. */
    const char *paths[] = {path};
    mt_import *in = mt_import_open("safetensors", paths, 1, "small-fc", &err);
    cr_assert(in != NULL, "%s", err.text);
    cr_assert(!mt_import_optimizer(in, "small-fc", NULL, 0, nowhere, &err));
    cr_assert(strstr(err.text, "w0 has shape (39, 3)") && strstr(err.text, "expects (39, 4)"), "%s", err.text);
    mt_import_free(in);
    lopt_destroy(theta.optimizer);
}

/* ---- PyLO ------------------------------------------------------------------------------------ */

Test(safetensors, pylo_returns) {
    static const char *const presets[] = {"elo", "velo-s", "celo2", "celo2-pylo", "elo-celo2"};
    char path[SCRATCH_PATH];
    path_of("pylo", path);
    for (int i = 0; i < 5; i++) {
        lopt_error err = {LOPT_OK, ""};
        mt_theta_file theta;
        lopt_setting sizes[] = {{"hidden_size", "5"}, {"hidden_layers", "3"}};
        make_some_theta(&theta, presets[i], sizes, 2); /* config.json says these sizes */
        cr_assert(mt_pylo_write(path, &theta, nowhere, &err), "%s", err.text);
        lopt_optimizer *back = read_back("pylo", path, presets[i], NULL, 0);
        assert_same(theta.optimizer, back);
        lopt_destroy(back);
        lopt_destroy(theta.optimizer);
    }
}

/* Learned decays are no part of the format: settings can give them, and the rest is the file's. */
Test(safetensors, pylo_lacks_learned_decays) {
    lopt_error err = {LOPT_OK, ""};
    char path[SCRATCH_PATH], said[400] = "";
    mt_theta_file theta;
    path_of("pylo", path);
    make_some_theta(&theta, "small-fc-pylo", NULL, 0);
    cr_assert(mt_pylo_write(path, &theta, nowhere, &err), "%s", err.text);
    const char *paths[] = {path};
    mt_import *in = mt_import_open("pylo", paths, 1, "small-fc-pylo", &err);
    FILE *notes = fmemopen(said, sizeof said, "w");
    lopt_optimizer *back = mt_import_optimizer(in, "small-fc-pylo", NULL, 0, notes, &err);
    fclose(notes);
    cr_assert(back != NULL, "%s", err.text);
    cr_assert(strstr(said, "momentum_decays: not in files of format pylo"), "%s", said);
    const lopt_block *b = lopt_block_find(back, "momentum_decays");
    cr_assert(lopt_theta(back)[b->offset] == 0.15216392f);
    cr_assert(memcmp(lopt_theta(back), lopt_theta(theta.optimizer), 2402 * sizeof(float)) == 0);
    lopt_destroy(back);
    mt_import_free(in);

    char text[3][100];
    static const char *const blocks[] = {"momentum_decays", "rms_decays", "adafactor_decays"};
    static const char *const names[] = {"momentum_decay_offsets", "rms_decay_offsets", "adafactor_decay_offsets"};
    lopt_setting settings[3];
    for (int i = 0; i < 3; i++) {
        const lopt_block *block = lopt_block_find(theta.optimizer, blocks[i]);
        const float *x = lopt_theta(theta.optimizer) + block->offset;
        snprintf(text[i], sizeof text[i], block->size == 3 ? "[%.9g, %.9g, %.9g]" : "%.9g", (double)x[0],
                 (double)x[block->size - 1 > 0], (double)x[block->size - 1]);
        settings[i] = (lopt_setting){names[i], text[i]};
    }
    back = read_back("pylo", path, "small-fc-pylo", settings, 3);
    cr_assert(memcmp(lopt_theta(back), lopt_theta(theta.optimizer), 2409 * sizeof(float)) == 0);
    lopt_destroy(back);
    lopt_destroy(theta.optimizer);
}

/* The two networks of VeLO as two folders, in any order; one alone lacks the other's arrays. */
Test(safetensors, pylo_two_folders) {
    lopt_error err = {LOPT_OK, ""};
    char path[SCRATCH_PATH], rnn[SCRATCH_PATH], mlp[SCRATCH_PATH];
    mt_theta_file theta;
    path_of("pylo", path);
    path_of("pylo/rnn", rnn);
    path_of("pylo/mlp", mlp);
    make_some_theta(&theta, "velo-s", NULL, 0);
    cr_assert(mt_pylo_write(path, &theta, nowhere, &err), "%s", err.text);
    const char *orders[2][2] = {{rnn, mlp}, {mlp, rnn}};
    for (int i = 0; i < 2; i++) {
        mt_import *in = mt_import_open("pylo", orders[i], 2, "velo-s", &err);
        cr_assert(in != NULL, "%s", err.text);
        lopt_optimizer *back = mt_import_optimizer(in, "velo-s", NULL, 0, nowhere, &err);
        cr_assert(back != NULL, "%s", err.text);
        assert_same(theta.optimizer, back);
        lopt_destroy(back);
        mt_import_free(in);
    }
    mt_import *in = mt_import_open("pylo", orders[1], 1, "velo-s", &err);
    cr_assert(!mt_import_optimizer(in, "velo-s", NULL, 0, nowhere, &err) &&
                  strstr(err.text, "has no lstm_init_state.0 of shape (1, 64)"),
              "%s", err.text);
    mt_import_free(in);
    lopt_destroy(theta.optimizer);
}

Test(safetensors, pylo_says_what_is_wrong) {
    lopt_error err = {LOPT_OK, ""};
    char path[SCRATCH_PATH], file[SCRATCH_PATH];
    const char *paths[] = {path};
    path_of("pylo", path);
    cr_assert(!mt_import_open("pylo", paths, 1, "elo", &err) && strstr(err.text, "no such folder"));
    cr_assert(mt_make_folders(path, &err));
    cr_assert(!mt_import_open("pylo", paths, 1, "elo", &err) && strstr(err.text, "has no model.safetensors"));
    path_of("pylo/pytorch_model.bin", file);
    cr_assert(mt_write_atomically(file, "x", 1, &err));
    cr_assert(!mt_import_open("pylo", paths, 1, "elo", &err) &&
              strstr(err.text, "pytorch_model.bin: a pickle of Python"));
    unlink(file);

    mt_theta_file theta;
    mt_remove_tree(path);
    make_some_theta(&theta, "elo", NULL, 0);
    cr_assert(mt_pylo_write(path, &theta, nowhere, &err), "%s", err.text);
    path_of("pylo/config.json", file);
    static const char *const bad[][2] = {{"{\"hidden_size\": \"x\"}", "hidden_size is no size"},
                                         {"{\"hidden_size\": -3}", "hidden_size is no size"},
                                         {"[]", "is not a JSON object"},
                                         {"{", "is not a JSON object"}};
    for (int i = 0; i < 4; i++) {
        cr_assert(mt_write_atomically(file, bad[i][0], strlen(bad[i][0]), &err));
        cr_assert(!mt_import_open("pylo", paths, 1, "elo", &err) && strstr(err.text, bad[i][1]), "%s", err.text);
    }
    cr_assert(mt_write_atomically(file, "{\"hidden_size\": 0}", 18, &err));
    mt_import *in = mt_import_open("pylo", paths, 1, "elo", &err);
    cr_assert(!mt_import_optimizer(in, "elo", NULL, 0, nowhere, &err) &&
                  strstr(err.text, "/pylo: optimizer elo: hidden_size is \"0\""),
              "%s", err.text);
    mt_import_free(in);
    lopt_destroy(theta.optimizer);
}
