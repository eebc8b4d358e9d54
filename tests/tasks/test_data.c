/* SPDX-License-Identifier: Apache-2.0
 *
 * test_data.c - image sets: damaged files, splits, resizing, search path, sharing, draws.
 *
 * The sets are made here, in a temporary folder; pixel 0 and 1 of an image hold its number. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "data/dataset.h"
#include "data/idx.h"
#include "data/resize.h"
#include "math/elementwise.h"

enum { SIDE = 4, N_TRAIN = 1003, N_TEST = 57 };

static const char *const files[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                    "t10k-labels-idx1-ubyte"};

typedef struct buffer {
    size_t n;
    unsigned char bytes[32768];
} buffer;

static void put_u32(buffer *b, uint32_t x) {
    for (int shift = 24; shift >= 0; shift -= 8) b->bytes[b->n++] = (unsigned char)(x >> shift);
}

static buffer images(uint32_t n) {
    buffer b = {0};
    put_u32(&b, 0x803), put_u32(&b, n), put_u32(&b, SIDE), put_u32(&b, SIDE);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < SIDE * SIDE; k++) {
            b.bytes[b.n++] = (unsigned char)(k == 0 ? i / 256 : k == 1 ? i % 256 : i * k);
        }
    }
    return b;
}

static buffer labels(uint32_t n) {
    buffer b = {0};
    put_u32(&b, 0x801), put_u32(&b, n);
    for (uint32_t i = 0; i < n; i++) b.bytes[b.n++] = (unsigned char)(i * 3 % 10);
    return b;
}

static void write_plain(const char *folder, const char *name, const buffer *b, size_t n) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(b->bytes, 1, n, f) == n && fclose(f) == 0, "cannot write %s", path);
}

/* Writes NAME.gz, cut to cut bytes (0: whole) and with byte flip inverted (0: none); removes plain
 * NAME. */
static void write_gzip(const char *folder, const char *name, const buffer *b, size_t cut, size_t flip) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    remove(path);
    snprintf(path, sizeof path, "%s/%s.gz", folder, name);
    gzFile g = gzopen(path, "wb");
    cr_assert(g && gzwrite(g, b->bytes, (unsigned)b->n) == (int)b->n && gzclose(g) == Z_OK, "cannot write %s", path);
    if (!cut && !flip) return;
    static buffer packed;
    FILE *f = fopen(path, "rb");
    packed.n = fread(packed.bytes, 1, sizeof packed.bytes, f);
    fclose(f);
    if (flip) packed.bytes[flip < packed.n ? flip : packed.n - flip % 8 - 1] ^= 0xff;
    snprintf(path, sizeof path, "%s.gz", name);
    write_plain(folder, path, &packed, cut && cut < packed.n ? cut : packed.n);
}

static void write_set(const char *folder) {
    buffer set[] = {images(N_TRAIN), labels(N_TRAIN), images(N_TEST), labels(N_TEST)};
    for (int i = 0; i < 4; i++) write_plain(folder, files[i], &set[i], set[i].n);
}

static void new_folder(char folder[1024]) {
    const char *scratch = getenv("SCRATCH");
    snprintf(folder, 1024, "%s/data-XXXXXX", scratch && *scratch ? scratch : "/tmp");
    cr_assert(mkdtemp(folder) != NULL, "cannot make a folder %s", folder);
}

static void remove_folder(const char *folder) {
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert(system(command) == 0);
}

/* ---- damaged files --------------------------------------------------------------------------- */

static void set_u32(buffer *b, size_t at, uint32_t x) {
    buffer word = {0};
    put_u32(&word, x);
    memcpy(b->bytes + at, word.bytes, 4);
}

static void expect(const char *folder, const char *name, const char *part, const char *file) {
    lopt_error err = {LOPT_OK, ""};
    const task_dataset *d = task_dataset_open(name, folder, 0, &err);
    cr_assert(d == NULL, "opened in spite of: %s", part);
    cr_assert(strstr(err.text, part) != NULL, "found \"%s\", expected \"%s\"", err.text, part);
    cr_assert(strstr(err.text, file) != NULL, "the message does not name %s: %s", file, err.text);
    cr_assert(strchr(err.text, '\n') == NULL && err.status != LOPT_OK, "status %d: %s", (int)err.status, err.text);
    cr_assert(task_dataset_open(name, folder, 0, NULL) == NULL, "opened without an error to write to");
}

/* One word of file i is wrong. */
static void expect_word(const char *folder, int i, size_t at, uint32_t value, const char *part) {
    write_set(folder);
    buffer b = i == 0 ? images(N_TRAIN) : labels(N_TRAIN);
    set_u32(&b, at, value);
    write_plain(folder, files[i], &b, b.n);
    expect(folder, folder, part, files[i]);
}

static void expect_length(const char *folder, int i, size_t n, const char *part) {
    write_set(folder);
    buffer b = i == 0 ? images(N_TRAIN) : labels(N_TRAIN);
    write_plain(folder, files[i], &b, n);
    expect(folder, folder, part, files[i]);
}

Test(data, damaged_plain_files) {
    char folder[1024];
    new_folder(folder);
    expect_word(folder, 0, 0, 0x801, "begins with 0x00000801, expected 0x00000803");
    expect_word(folder, 1, 0, 0x803, "begins with 0x00000803, expected 0x00000801");
    expect_word(folder, 0, 0, 0x1f8b0803, "damaged");
    expect_word(folder, 0, 4, 0, "claims 0 items");
    expect_word(folder, 0, 4, 0xffffffff, "claims 4294967295 items");
    expect_word(folder, 0, 8, 0, "claims images of 0 x 4");
    expect_word(folder, 0, 12, 0xffffffff, "allowed: 1 x 1 to 1024 x 1024");
    expect_word(folder, 0, 4, 10000000, "cannot hold");
    expect_word(folder, 0, 8, 1024, "truncated");
    expect_word(folder, 1, 4, N_TRAIN - 1, "more than the 1002 bytes");
    expect_word(folder, 1, 4, N_TRAIN + 1, "truncated: the data ends after 1003 of 1004 bytes");
    expect_length(folder, 0, 0, "truncated: the header");
    expect_length(folder, 0, 15, "truncated: the header ends after 15 of 16 bytes");
    expect_length(folder, 0, 16, "truncated: the data ends after 0");
    expect_length(folder, 1, 900, "truncated: the data ends after 892 of 1003 bytes");
    expect_length(folder, 0, images(N_TRAIN).n + 1, "more than the 16048 bytes");
    remove_folder(folder);
}

/* A header that claims far more than any file of this size can hold is refused before memory is
 * asked for. */
Test(data, claims_are_not_trusted) {
    char folder[1024];
    new_folder(folder);
    write_set(folder);
    buffer b = images(1);
    set_u32(&b, 4, 2000), set_u32(&b, 8, 1000), set_u32(&b, 12, 1000);
    write_plain(folder, files[0], &b, b.n);
    expect(folder, folder, "cannot hold", files[0]);
    remove_folder(folder);
}

Test(data, damaged_gzip_files) {
    char folder[1024];
    new_folder(folder);
    buffer b = images(N_TRAIN), more = images(N_TRAIN + 1);
    set_u32(&more, 4, N_TRAIN);
    write_set(folder);
    write_gzip(folder, files[0], &b, 2000, 0);
    expect(folder, folder, "truncated", files[0]);
    write_gzip(folder, files[0], &b, 12, 0);
    expect(folder, folder, "truncated: the header", files[0]);
    write_gzip(folder, files[0], &b, 0, 600);
    expect(folder, folder, "damaged", files[0]);
    write_gzip(folder, files[0], &b, 0, 100005); /* in the last 8 bytes: checksum and length */
    expect(folder, folder, "damaged", files[0]);
    write_gzip(folder, files[0], &more, 0, 0);
    expect(folder, folder, "more than the 16048 bytes", files[0]);
    write_gzip(folder, files[0], &b, 0, 0);
    const task_dataset *d = task_dataset_open(folder, "", 0, NULL);
    cr_assert(d && d->count[TASK_TRAIN] == 802, "a good gzip file is not read");
    task_dataset_close(d);
    remove_folder(folder);
}

static void cannot_be_read(const char *folder, const char *name, size_t cut) {
    char path[1200];
    task_idx idx;
    lopt_error err = {LOPT_OK, ""};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    cr_assert(!task_idx_read(path, 1, &idx, &err) && !idx.bytes, "%s is read when cut at %zu", name, cut);
    cr_assert(strstr(err.text, path) != NULL, "%s", err.text);
}

Test(data, cut_at_every_length) {
    char folder[1024], path[1200];
    new_folder(folder);
    buffer b = labels(100);
    for (size_t n = 0; n < b.n; n++) {
        write_plain(folder, "labels", &b, n);
        cannot_be_read(folder, "labels", n);
    }
    write_gzip(folder, "labels", &b, 0, 0);
    struct stat whole;
    snprintf(path, sizeof path, "%s/labels.gz", folder);
    cr_assert(stat(path, &whole) == 0 && whole.st_size > 25);
    for (size_t n = 1; n < (size_t)whole.st_size; n++) { /* also inside the checksum at the end */
        write_gzip(folder, "labels", &b, n, 0);
        cannot_be_read(folder, "labels.gz", n);
    }
    remove_folder(folder);
}

Test(data, files_that_do_not_fit_together) {
    char folder[1024];
    new_folder(folder);
    buffer b = labels(N_TRAIN - 1);
    write_set(folder);
    write_plain(folder, files[1], &b, b.n);
    expect(folder, folder, "1002 labels for 1003 images", files[1]);

    b = labels(N_TRAIN);
    b.bytes[8 + 77] = 10;
    write_set(folder);
    write_plain(folder, files[1], &b, b.n);
    expect(folder, "mnist", "label 77 is 10, allowed: 0 to 9", files[1]);

    b = labels(N_TEST);
    b.bytes[8] = 200; /* a folder's classes are those of its training labels */
    write_set(folder);
    write_plain(folder, files[3], &b, b.n);
    expect(folder, folder, "label 0 is 200, allowed: 0 to 9", files[3]);

    b = images(N_TEST);
    set_u32(&b, 8, 2), set_u32(&b, 12, 8);
    write_set(folder);
    write_plain(folder, files[2], &b, b.n);
    expect(folder, folder, "images are 2 x 8 x 1, those for training 4 x 4 x 1", files[2]);

    b = images(9);
    write_set(folder);
    write_plain(folder, files[0], &b, b.n);
    expect(folder, folder, "holds 9 images", files[0]);
    remove_folder(folder);
}

Test(data, missing_files) {
    char folder[1024], path[1200];
    new_folder(folder);
    expect("", folder, "no file train-images-idx3-ubyte[.gz]", folder);
    for (int i = 1; i < 4; i++) {
        write_set(folder);
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        remove(path);
        expect("", folder, "no file", files[i]);
        cr_assert(mkdir(path, 0700) == 0);
        expect("", folder, "", files[i]); /* a folder in its place */
        cr_assert(remove(path) == 0);
    }
    expect("", "cifar99", "unknown data set", "did you mean cifar10");
    lopt_error err = {LOPT_OK, ""};
    cr_assert(task_dataset_open("fashion_mnist", "", 100000, &err) == NULL, "any size is accepted");
    cr_assert(strstr(err.text, "allowed: 0 to 1024") != NULL, "%s", err.text);
    remove_folder(folder);
}

/* ---- where it looks -------------------------------------------------------------------------- */

Test(data, search_path) {
    char folder[1024], sub[1100], path[2400];
    new_folder(folder);
    snprintf(sub, sizeof sub, "%s/mnist", folder);
    snprintf(path, sizeof path, "/nowhere::%s:/also/nowhere", folder);
    lopt_error err = {LOPT_OK, ""};
    if (task_dataset_open("mnist", path, 0, &err) == NULL) { /* unless the machine has an mnist */
        cr_assert(strstr(err.text, folder) && strstr(err.text, "/usr/share/datasets/mnist"), "%s", err.text);
    }
    cr_assert(mkdir(sub, 0700) == 0);
    write_set(sub);
    const task_dataset *d = task_dataset_open("mnist", path, 0, &err);
    cr_assert(d && d->count[TASK_TEST] == N_TEST, "the sub-folder is not found: %s", err.text);
    task_dataset_close(d);
    d = task_dataset_open("mnist", sub, 0, &err);
    cr_assert(d && d->count[TASK_TEST] == N_TEST, "the folder itself is not found: %s", err.text);
    task_dataset_close(d);
    remove_folder(folder);
}

Test(data, shared_while_used) {
    char folder[1024];
    new_folder(folder);
    write_set(folder);
    const task_dataset *a = task_dataset_open(folder, "", 0, NULL), *b = task_dataset_open(folder, "", 0, NULL);
    const task_dataset *small = task_dataset_open(folder, "", 2, NULL);
    cr_assert(a && a == b, "one set is read twice");
    cr_assert(small && small != a && small->n_pixels == 4, "two sizes are one set");
    remove_folder(folder);
    task_dataset_close(a);
    cr_assert(task_dataset_open(folder, "", 2, NULL) == NULL, "a set is found though its files are gone");
    cr_assert(b->labels[0] < 10, "freed while in use");
    task_dataset_close(b);
    task_dataset_close(small);
    task_dataset_close(NULL);
}

/* ---- content --------------------------------------------------------------------------------- */

static int number_of(const task_dataset *d, size_t row) {
    real image[SIDE * SIDE];
    task_dataset_gather(d, 1, &(int32_t){(int32_t)row}, image);
    return (int)lround((double)image[0] * 255) * 256 + (int)lround((double)image[1] * 255);
}

Test(data, splits_are_disjoint_and_complete) {
    char folder[1024];
    new_folder(folder);
    write_set(folder);
    const task_dataset *d = task_dataset_open(folder, "", 0, NULL);
    cr_assert(d != NULL);
    cr_assert(d->count[TASK_TRAIN] == 802 && d->count[TASK_INNER_VALID] == 100 && d->count[TASK_OUTER_VALID] == 101);
    cr_assert(d->count[TASK_TEST] == N_TEST && d->begin[TASK_TEST] == N_TRAIN && d->n_classes == 10);
    char seen[N_TRAIN] = {0};
    int moved = 0;
    for (size_t i = 0; i < N_TRAIN; i++) {
        int number = number_of(d, i);
        cr_assert(number < N_TRAIN && !seen[number], "image %d is there twice", number);
        cr_assert(d->labels[i] == number * 3 % 10, "image %d has the label %d of another", number, d->labels[i]);
        seen[number] = 1;
        moved += number != (int)i;
    }
    cr_assert(moved > N_TRAIN * 9 / 10, "the order of the file is kept");
    for (size_t i = 0; i < N_TEST; i++) cr_assert(number_of(d, N_TRAIN + i) == (int)i, "test images are moved");
    task_dataset_close(d);
    remove_folder(folder);
}

Test(data, draws_stay_in_their_split) {
    enum { BATCH = 50, DRAWS = 4000 };
    char folder[1024];
    new_folder(folder);
    write_set(folder);
    const task_dataset *d = task_dataset_open(folder, "", 0, NULL);
    cr_assert(d != NULL);
    for (int split = 0; split < TASK_N_SPLITS; split++) {
        static int counts[N_TRAIN + N_TEST], place[N_TRAIN];
        static real batch[BATCH * SIDE * SIDE];
        int32_t batch_labels[BATCH];
        memset(counts, 0, sizeof counts);
        for (size_t i = 0; i < N_TRAIN; i++) place[number_of(d, i)] = (int)i;
        lopt_rng_stream r;
        lopt_rng_open_stream(&r, (lopt_rng_address){7, LOPT_RNG_TEST, 0, 0, 0});
        for (int k = 0; k < DRAWS; k++) {
            task_dataset_draw(d, (task_split)split, &r, BATCH, batch, batch_labels);
            for (int i = 0; i < BATCH; i++) {
                const real *image = batch + i * SIDE * SIDE;
                int number = (int)lround((double)image[0] * 255) * 256 + (int)lround((double)image[1] * 255);
                size_t row = split == TASK_TEST ? N_TRAIN + (size_t)number : (size_t)place[number];
                cr_assert(batch_labels[i] == number * 3 % 10, "label %d with image %d", batch_labels[i], number);
                counts[row]++;
            }
        }
        double expected = (double)BATCH * DRAWS / (double)d->count[split], chi2 = 0;
        for (size_t row = 0; row < N_TRAIN + N_TEST; row++) {
            int inside = row >= d->begin[split] && row < d->begin[split] + d->count[split];
            cr_assert(inside || counts[row] == 0, "split %d draws row %zu", split, row);
            if (inside) chi2 += pow(counts[row] - expected, 2) / expected;
        }
        double freedom = (double)d->count[split] - 1;
        cr_assert(fabs(chi2 - freedom) < 5 * sqrt(2 * freedom), "split %d: chi2 %g for %g", split, chi2, freedom);
    }
    task_dataset_close(d);
    remove_folder(folder);
}

Test(data, fashion_mnist_of_debian) {
    lopt_error err = {LOPT_OK, ""};
    const task_dataset *d = task_dataset_open("fashion_mnist", "", 0, &err);
    cr_assert(d != NULL, "%s", err.text);
    cr_assert(d->count[TASK_TRAIN] == 48000 && d->count[TASK_INNER_VALID] == 6000);
    cr_assert(d->count[TASK_OUTER_VALID] == 6000 && d->count[TASK_TEST] == 10000 && d->n_pixels == 784);
    int counts[10] = {0};
    double sum = 0;
    for (size_t i = 0; i < 60000; i++) counts[d->labels[i]]++;
    for (int32_t i = 0; i < 60000; i++) {
        real image[784];
        task_dataset_gather(d, 1, &i, image);
        for (int k = 0; k < 784; k++) sum += (double)image[k];
    }
    for (int c = 0; c < 10; c++) cr_assert(counts[c] == 6000, "class %d has %d images", c, counts[c]);
    cr_assert(fabs(sum / (60000.0 * 784) - 0.2860) < 1e-4, "mean pixel %g", sum / (60000.0 * 784)); /* published */
    task_dataset_close(d);
}

/* ---- codes ----------------------------------------------------------------------------------- */

static void resize(const unsigned char *image, int from, int to, real *out) {
    task_tap taps[64];
    task_resize_taps(from, to, taps);
    task_resize_image(image, from, 1, taps, to, taps, to, out);
}

/* Sizes whose pixels are multiples of a unit, and one whose are not. */
Test(data, codes_stand_for_the_numbers_of_resizing) {
    static const int sizes[] = {4, 2, 8, 16, 3};
    static real all[N_TEST * 256];
    char folder[1024];
    buffer file = images(N_TEST);
    new_folder(folder);
    write_set(folder);
    for (int k = 0; k < 5; k++) {
        const task_dataset *d = task_dataset_open(folder, "", sizes[k], NULL);
        cr_assert(d && (d->codes != NULL) == (sizes[k] != 3) && !d->codes == !!d->images);
        int32_t rows[N_TEST];
        size_t n = (size_t)d->n_pixels;
        for (int i = 0; i < N_TEST; i++) rows[i] = N_TRAIN + N_TEST - 1 - i;
        task_dataset_gather(d, N_TEST, rows, all);
        for (int i = 0; i < N_TEST; i++) {
            real right[256];
            resize(file.bytes + 16 + (size_t)(N_TEST - 1 - i) * SIDE * SIDE, SIDE, sizes[k], right);
            cr_assert(memcmp(all + (size_t)i * n, right, n * sizeof *right) == 0, "%d: image %d", sizes[k], i);
        }
        task_dataset_close(d);
    }
    remove_folder(folder);
}

/* Every code there can be is the float that division gives, on every build. */
Test(data, codes_are_exact) {
    enum { MOST = 255 * 256 + 1 };
    static const char *const names[] = {"portable", "avx2", "avx512"};
    static uint16_t codes[MOST];
    static real out[MOST];
    for (int k = 0; k < MOST; k++) codes[k] = (uint16_t)k;
    for (int b = 0; b < 3; b++) {
        const task_elementwise *e = task_elementwise_find(names[b]);
        for (int levels = 1; e && levels <= 256; levels *= 2) {
            e->gather(1, &(int32_t){0}, MOST, codes, (real)(255 * levels), out);
            for (int k = 0; k <= 255 * levels; k++) {
                cr_assert(out[k] == (real)((double)k / levels / 255), "%d of %d levels", k, levels);
            }
        }
    }
}

/* ---- resizing -------------------------------------------------------------------------------- */

static void make_image(int side, unsigned char *image) {
    for (int i = 0; i < side * side; i++) image[i] = (unsigned char)((i * i * 7 + i / side * 13) % 251);
}

Test(resize, from_28_to_8_steps_by_3_and_a_half) {
    static const int low[] = {1, 4, 8, 11, 15, 18, 22, 25}; /* 1.25, 4.75, 8.25, 11.75, ... */
    unsigned char image[784];
    real out[64];
    make_image(28, image);
    resize(image, 28, 8, out);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j++) {
            double v = i % 2 ? 0.75 : 0.25, h = j % 2 ? 0.75 : 0.25;
            const unsigned char *p = image + low[i] * 28 + low[j];
            double right = ((1 - v) * ((1 - h) * p[0] + h * p[1]) + v * ((1 - h) * p[28] + h * p[29])) / 255;
            cr_assert(fabs((double)out[i * 8 + j] - right) < 1e-7, "[%d,%d]: %g, right: %g", i, j,
                      (double)out[i * 8 + j], right);
        }
    }
}

Test(resize, from_32_to_8_averages_four_pixels) {
    unsigned char image[1024];
    real out[64];
    make_image(32, image);
    resize(image, 32, 8, out);
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j++) {
            const unsigned char *p = image + (4 * i + 1) * 32 + 4 * j + 1;
            double right = (p[0] + p[1] + p[32] + p[33]) / 4.0 / 255;
            cr_assert(fabs((double)out[i * 8 + j] - right) < 1e-7, "[%d,%d]", i, j);
        }
    }
}

Test(resize, clamps_at_borders_and_keeps_its_own_size) {
    unsigned char two[] = {0, 100, 200, 40}, image[784];
    real out[16], same[784];
    resize(two, 2, 4, out); /* at -1/4, 1/4, 3/4, 5/4 */
    static const double top[] = {0, 25, 75, 100}, bottom[] = {200, 160, 80, 40};
    for (int j = 0; j < 4; j++) {
        cr_assert(fabs((double)out[j] * 255 - top[j]) < 1e-4, "top %d: %g", j, (double)out[j] * 255);
        cr_assert(fabs((double)out[4 + j] * 255 - (0.75 * top[j] + 0.25 * bottom[j])) < 1e-4, "second row %d", j);
        cr_assert(fabs((double)out[12 + j] * 255 - bottom[j]) < 1e-4, "bottom %d", j);
    }
    make_image(28, image);
    resize(image, 28, 28, same);
    for (int i = 0; i < 784; i++) cr_assert(same[i] == (real)(image[i] / 255.0), "pixel %d", i);
}
