/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: theta files. HDF5's own parser is not ours to fuzz (and crashes: see
 * metatrain/store/hdf5_file.h), so the bytes say what a sealed, well-formed HDF5 file holds: attributes,
 * texts and arrays of any name, type and shape. One input in 256 is the file itself, which a child
 * process reads first.
 *
 * Bytes of an item: what; name (a byte below 128 picks a known one, else its low bits are the
 * length of one that follows); content (a length and text; or type, rank, sizes, numbers). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/hdf5_file.h"
#include "store/theta_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    const uint8_t *at;
    size_t n;
} input;

static unsigned next(input *in) {
    if (in->n == 0) return 0;
    in->n--;
    return *in->at++;
}

/* Text of at most `most` bytes. */
static void next_text(input *in, size_t length, char *text, size_t most) {
    size_t n = length < in->n ? length : in->n;
    n = n < most - 1 ? n : most - 1;
    memcpy(text, in->at, n);
    text[n] = '\0';
    in->at += n;
    in->n -= n;
}

static void next_name(input *in, const char *folder, char name[MT_HDF5_NAME]) {
    static const char *const known[] = {"w0",
                                        "b0",
                                        "w1",
                                        "b1",
                                        "log_lr",
                                        "one_minus_beta1",
                                        "one_minus_beta2",
                                        "log_epsilon",
                                        "hidden_size",
                                        "hidden_layers",
                                        "learning_rate",
                                        "weight_decay",
                                        "rule",
                                        "seed",
                                        "config",
                                        "momentum_decays",
                                        "ff_mod_stack/w0__0",
                                        "ff_mod_stack",
                                        "format",
                                        "optimizer",
                                        "digest"};
    char raw[64];
    unsigned b = next(in);
    if (b < 128)
        snprintf(name, MT_HDF5_NAME, "%s%s", folder, known[b % (sizeof known / sizeof known[0])]);
    else {
        next_text(in, b & 63, raw, sizeof raw);
        snprintf(name, MT_HDF5_NAME, "%s%s", folder, raw);
    }
}

static void put_array(mt_hdf5 *f, input *in, const char *name) {
    static double numbers[4096];
    unsigned type = next(in), rank = next(in) % 6;
    int64_t dim[5], n = 1;
    for (unsigned i = 0; i < rank; i++) {
        dim[i] = next(in) % 41;
        n *= dim[i];
    }
    if (n > 4096) return;
    for (int64_t i = 0; i < n; i++) numbers[i] = ((double)next(in) - 128) / 16;
    float *floats = (float *)numbers; /* any bits are numbers of some type */
    mt_hdf5_put(f, name, type < 200 ? MT_FLOATS : (mt_item_type)(type % 4), (int)rank, dim, floats, NULL);
}

static void put_item(mt_hdf5 *f, input *in) {
    static const char *const folders[] = {"settings/", "provenance/", "theta/", ""};
    char name[MT_HDF5_NAME], text[512];
    unsigned what = next(in);
    next_name(in, what % 8 == 0 ? "" : folders[what % 4], name);
    if (what % 8 == 6) {
        put_array(f, in, name);
        return;
    }
    next_text(in, next(in), text, sizeof text);
    if (what % 8 == 0)
        mt_hdf5_put_attribute(f, name, text, NULL);
    else
        mt_hdf5_put_text(f, name, text, NULL);
}

static void write_items(const char *path, input in) {
    mt_hdf5 *f = mt_hdf5_create(path, NULL);
    if (next(&in) % 2) { /* most inputs should come past the beginning */
        mt_hdf5_put_attribute(f, "format", "metatrain theta 1", NULL);
        mt_hdf5_put_attribute(f, "optimizer", next(&in) % 2 ? "learnable-adam" : "small-fc", NULL);
    }
    while (in.n) put_item(f, &in);
    mt_hdf5_save(f, NULL);
    mt_hdf5_close(f);
}

static void write_bytes(const char *path, input in) {
    FILE *f = fopen(path, "wb");
    fwrite(in.at, 1, in.n, f);
    fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lopt_error err = {LOPT_OK, ""};
    char path[64];
    input in = {data, size};
    snprintf(path, sizeof path, "/dev/shm/fuzz-theta-%d.h5", (int)getpid());
    if (next(&in) == 255)
        write_bytes(path, in);
    else
        write_items(path, in);
    mt_theta_file *theta = mt_theta_file_read(path, &err);
    if (!theta && (err.status == LOPT_OK || strncmp(err.text, path, strlen(path)) != 0)) {
        fprintf(stderr, "sentence: %s\n", err.text);
        abort();
    }
    mt_theta_file_free(theta);
    unlink(path);
    return 0;
}
