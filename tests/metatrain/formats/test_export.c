/* SPDX-License-Identifier: Apache-2.0
 *
 * Exports, loaded back: PyLO's folder by its published layout. (The C header: test_c_header.c.) */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/read_file.h"
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
    cr_assert(access(out, F_OK) != 0);
    lopt_destroy(theta.optimizer);
}
