/* SPDX-License-Identifier: Apache-2.0
 *
 * test_data_sets.c - formats of data sets, colour, splits, synthetic sets, sharing between processes.
 *
 * Files are made here, in a temporary folder. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/cifar.h"
#include "data/classes.h"
#include "data/csv.h"
#include "data/dataset.h"
#include "data/npy.h"
#include "data/shared.h"
#include "store/dataset_hdf5.h"
#include "store/hdf5_file.h"
#include "task.h"

enum { RECORD = 3073 };

static char folder[1024];

static void new_folder(void) {
    const char *scratch = getenv("SCRATCH");
    snprintf(folder, sizeof folder, "%s/sets-XXXXXX", scratch && *scratch ? scratch : "/tmp");
    cr_assert(mkdtemp(folder) != NULL);
}

static void remove_folder(void) {
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert(system(command) == 0);
}

/* folder/name, in one of four buffers. */
static const char *in_folder(const char *name) {
    static char paths[4][1200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "cannot write %s", path);
}

static const task_dataset *open_set(const char *name, int size, int grey, task_data_split split, lopt_error *err) {
    task_spec spec = task_spec_default();
    snprintf(spec.dataset, sizeof spec.dataset, "%s", name);
    snprintf(spec.data_path, sizeof spec.data_path, "%s", folder);
    spec.image_size = size;
    spec.grey = grey;
    spec.data_split = split;
    return task_dataset_of(&spec, err);
}

static void refuse(const char *name, const char *part) {
    lopt_error err = {LOPT_OK, ""};
    cr_assert(!open_set(name, 0, 0, TASK_SPLIT_CLEAN, &err), "%s: opened in spite of: %s", name, part);
    cr_assert(strstr(err.text, part) && !strchr(err.text, '\n'), "%s: found \"%s\", expected \"%s\"", name, err.text,
              part);
}

/* ---- CIFAR ----------------------------------------------------------------------------------- */

/* Record i: every label byte but the last is 99, the last is i % n_classes. Red is i, green x, blue y. */
static void write_cifar(const char *name, int n, int n_labels, int n_classes) {
    size_t record = (size_t)n_labels + 3072;
    unsigned char *bytes = malloc((size_t)n * record);
    for (int i = 0; i < n; i++) {
        unsigned char *p = bytes + (size_t)i * record;
        memset(p, 99, (size_t)n_labels);
        p[n_labels - 1] = (unsigned char)(i % n_classes);
        for (int k = 0; k < 1024; k++) {
            p[n_labels + k] = (unsigned char)i;
            p[n_labels + 1024 + k] = (unsigned char)(k % 32);
            p[n_labels + 2048 + k] = (unsigned char)(k / 32);
        }
    }
    write_file(in_folder(name), bytes, (size_t)n * record);
    free(bytes);
}

static void write_cifar10(void) {
    for (int b = 1; b <= 5; b++) {
        char name[32];
        snprintf(name, sizeof name, "data_batch_%d.bin", b);
        write_cifar(name, 40, 1, 10);
    }
    write_cifar("test_batch.bin", 20, 1, 10);
}

Test(data_sets, cifar10_is_rows_columns_channels) {
    new_folder();
    write_cifar10();
    const task_dataset *d = open_set("cifar10", 0, 0, TASK_SPLIT_CLEAN, NULL);
    cr_assert(d && d->n_rows == 32 && d->n_cols == 32 && d->n_channels == 3 && d->n_classes == 10);
    cr_assert(d->count[TASK_TRAIN] == 160 && d->count[TASK_TEST] == 20 && d->is_image);
    for (int32_t i = 0; i < 20; i++) {
        real image[3072];
        int32_t row = (int32_t)d->begin[TASK_TEST] + i;
        task_dataset_gather(d, 1, &row, image);
        cr_assert(d->labels[row] == i % 10);
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++) {
                const real *pixel = image + (y * 32 + x) * 3;
                cr_assert(pixel[0] == (real)i / 255 && pixel[1] == (real)x / 255 && pixel[2] == (real)y / 255);
            }
    }
    task_dataset_close(d);
    remove_folder();
}

/* 32 to 8 averages pixels 4j + 1 and 4j + 2 of rows and columns. */
Test(data_sets, grey_is_the_mean_of_resized_channels) {
    new_folder();
    write_cifar10();
    const task_dataset *d = open_set("cifar10", 8, 1, TASK_SPLIT_CLEAN, NULL);
    cr_assert(d && d->n_channels == 1 && d->n_pixels == 64 && d->codes);
    for (int32_t i = 0; i < 20; i++) {
        real image[64];
        int32_t row = (int32_t)d->begin[TASK_TEST] + i;
        task_dataset_gather(d, 1, &row, image);
        for (int y = 0; y < 8; y++)
            for (int x = 0; x < 8; x++) {
                double right = (i + 4 * x + 1.5 + 4 * y + 1.5) / 3 / 255;
                cr_assert(fabs((double)image[y * 8 + x] - right) < 1e-7, "image %d at %d, %d", i, y, x);
            }
    }
    task_dataset_close(d);
    d = open_set("cifar10", 5, 1, TASK_SPLIT_CLEAN, NULL); /* not whole fractions: numbers */
    cr_assert(d && !d->codes && d->n_pixels == 25);
    cr_assert(fabs((double)d->images[d->begin[TASK_TEST] * 25 + 12] - (0 + 15.5 + 15.5) / 3 / 255) < 1e-7);
    task_dataset_close(d);
    remove_folder();
}

Test(data_sets, published_splits_train_on_one_percent) {
    new_folder();
    write_cifar("train.bin", 250, 2, 100);
    write_cifar("test.bin", 20, 2, 100);
    const task_dataset *clean = open_set("cifar100", 0, 0, TASK_SPLIT_CLEAN, NULL);
    const task_dataset *published = open_set("cifar100", 0, 0, TASK_SPLIT_PUBLISHED, NULL);
    cr_assert(clean && published && clean != published && clean->n_classes == 100);
    cr_assert(clean->count[TASK_TRAIN] == 200 && published->count[TASK_TRAIN] == 3);
    for (int s = 0; s < TASK_N_SPLITS; s++) {
        cr_assert(s == TASK_TRAIN || clean->count[s] == published->count[s]);
        for (size_t i = 0; i < published->count[s]; i++)
            cr_assert(clean->labels[clean->begin[s] + i] == published->labels[published->begin[s] + i]);
    }
    task_dataset_close(clean);
    task_dataset_close(published);
    refuse("cifar10", "no file data_batch_1.bin[.gz]");
    write_cifar10();
    const task_dataset *a = open_set("cifar10", 0, 0, TASK_SPLIT_CLEAN, NULL);
    const task_dataset *b = open_set("cifar10", 0, 0, TASK_SPLIT_PUBLISHED, NULL);
    cr_assert(a && a == b, "cifar10 has no quirk");
    task_dataset_close(a);
    task_dataset_close(b);
    remove_folder();
}

Test(data_sets, damaged_cifar) {
    new_folder();
    write_cifar10();
    cr_assert(truncate(in_folder("data_batch_3.bin"), 39 * RECORD + 5) == 0);
    refuse("cifar10", "data_batch_3.bin: truncated");
    cr_assert(truncate(in_folder("data_batch_3.bin"), 0) == 0);
    refuse("cifar10", "data_batch_3.bin: truncated");
    cr_assert(remove(in_folder("data_batch_3.bin")) == 0);
    refuse("cifar10", "no file data_batch_3.bin[.gz]");
    write_cifar("data_batch_3.bin", 40, 1, 11);
    refuse("cifar10", "is 10, allowed: 0 to 9");
    remove_folder();
}

/* ---- tables ---------------------------------------------------------------------------------- */

static int parse_table(const char *text, int label, task_raw *raw, lopt_error *err) {
    *raw = (task_raw){.path = "t.csv"};
    return task_csv_parse(text, strlen(text), label, raw, err);
}

Test(data_sets, tables_are_read) {
    task_raw raw;
    cr_assert(parse_table("size,\"kind\"\n 1.5 ,b\r\n\n-2e1,a\n3,\"b\"", -1, &raw, NULL));
    cr_assert(raw.n == 3 && raw.cols == 1 && raw.n_classes == 2);
    cr_assert(raw.numbers[0] == 1.5f && raw.numbers[1] == -20 && raw.numbers[2] == 3);
    cr_assert(raw.labels[0] == 1 && raw.labels[1] == 0 && raw.labels[2] == 1);
    task_raw_free(&raw);
    cr_assert(parse_table("10,1,2\n9,3,4\n10,5,6\n", 0, &raw, NULL)); /* 9 before 10 */
    cr_assert(raw.n == 3 && raw.cols == 2 && raw.labels[0] == 1 && raw.labels[1] == 0 && raw.numbers[5] == 6);
    task_raw_free(&raw);
}

static void refuse_table(const char *text, int label, const char *part) {
    task_raw raw;
    lopt_error err = {LOPT_OK, ""};
    cr_assert(!parse_table(text, label, &raw, &err), "read in spite of: %s", part);
    cr_assert(strstr(err.text, part) && strstr(err.text, "t.csv"), "found \"%s\", expected \"%s\"", err.text, part);
    task_raw_free(&raw);
}

Test(data_sets, damaged_tables) {
    refuse_table("", -1, "holds no examples");
    refuse_table("a,b\n", -1, "holds no examples");
    refuse_table("1\n", -1, "has 1 columns");
    refuse_table("1,2\n", 2, "has 2 columns");
    refuse_table("1,2,a\n3,4\n", -1, ":2: found 2 columns, expected 3");
    refuse_table("1,2,a\n3,x,b\n", -1, ":2: column 1 is not a number");
    refuse_table("1,2,a\n3,,b\n", -1, ":2: column 1 is not a number");
    refuse_table("1,2,a\n3,1e99,b\n", -1, ":2: column 1 is not a number");
    refuse_table("1,2,a\n3,nan,b\n", -1, ":2: column 1 is not a number");
    refuse_table("1,2,a\n3,4,\n", -1, ":2: column 2 is not a label");
}

Test(data_sets, features_have_mean_zero_and_deviation_one) {
    new_folder();
    FILE *f = fopen(in_folder("t.csv"), "w");
    for (int i = 0; i < 100; i++) fprintf(f, "%d,%d,7,%c\n", i, i * i, 'a' + i % 3);
    cr_assert(fclose(f) == 0);
    const task_dataset *d = open_set(in_folder("t.csv"), 8, 1, TASK_SPLIT_CLEAN, NULL);
    cr_assert(d && !d->is_image && d->n_rows == 1 && d->n_cols == 3 && d->n_channels == 1 && d->n_classes == 3);
    cr_assert(d->count[TASK_TRAIN] == 64 && d->count[TASK_INNER_VALID] == 8 && d->count[TASK_OUTER_VALID] == 8 &&
              d->count[TASK_TEST] == 20);
    for (size_t k = 0; k < 3; k++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < 64; i++) {
            double x = (double)d->images[i * 3 + k];
            sum += x, squares += x * x;
        }
        cr_assert(fabs(sum / 64) < 1e-6 && fabs(squares / 64 - (k < 2)) < 1e-5, "feature %zu: %g %g", k, sum, squares);
    }
    task_dataset_close(d);
    char name[1300];
    snprintf(name, sizeof name, "%s label=9", in_folder("t.csv"));
    refuse(name, "has 4 columns");
    snprintf(name, sizeof name, "%s labels=0", in_folder("t.csv"));
    refuse(name, "expected label=");
    remove_folder();
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* A sheet of 4 x 5 tiles of 3 x 3; every pixel of tile i is 10 i. */
static void write_sheet(const char *path, int channels) {
    unsigned char bytes[12 * 15 * 3];
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = 15,
                     .height = 12,
                     .format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    for (int k = 0; k < 12 * 15 * channels; k++) {
        int y = k / channels / 15, x = k / channels % 15;
        bytes[k] = (unsigned char)(10 * (y / 3 * 5 + x / 3));
    }
    cr_assert(png_image_write_to_file(&png, path, 0, bytes, 0, NULL));
}

Test(data_sets, sheets_are_cut_into_tiles) {
    char name[1300];
    new_folder();
    for (int channels = 1; channels <= 3; channels += 2) {
        write_sheet(in_folder("s.png"), channels);
        snprintf(name, sizeof name, "%s tile=3 classes=4", in_folder("s.png"));
        const task_dataset *d = open_set(name, 0, 0, TASK_SPLIT_CLEAN, NULL);
        cr_assert(d && d->n_rows == 3 && d->n_channels == channels && d->n_classes == 4);
        for (int32_t i = 0; i < 20; i++) {
            real image[27];
            task_dataset_gather(d, 1, &i, image);
            int tile = (int)lround((double)image[0] * 25.5);
            cr_assert(d->labels[i] == tile / 5, "tile %d has label %d", tile, d->labels[i]);
            for (int k = 0; k < 9 * channels; k++) cr_assert(image[k] == image[0]);
        }
        task_dataset_close(d);
    }
    snprintf(name, sizeof name, "%s tile=4 classes=4", in_folder("s.png"));
    refuse(name, "are not tiles of 4 x 4");
    snprintf(name, sizeof name, "%s tile=3 classes=3", in_folder("s.png"));
    refuse(name, "as many of each of 3 classes");
    snprintf(name, sizeof name, "%s tile=0", in_folder("s.png"));
    refuse(name, "found tile=0, expected a whole number");
    cr_assert(truncate(in_folder("s.png"), 60) == 0);
    snprintf(name, sizeof name, "%s tile=3 classes=4", in_folder("s.png"));
    refuse(name, "not a whole PNG picture");
    remove_folder();
}

static void write_ppm(const char *name, int channels, int side, int value) {
    unsigned char bytes[256];
    int n = sprintf((char *)bytes, "P%d\n# made\n%d %d\n255\n", channels == 3 ? 6 : 5, side, side);
    memset(bytes + n, value, (size_t)(side * side * channels));
    write_file(in_folder(name), bytes, (size_t)(n + side * side * channels));
}

Test(data_sets, folders_of_classes) {
    task_raw raw = {0};
    char *names = NULL;
    lopt_error err = {LOPT_OK, ""};
    new_folder();
    cr_assert(!task_classes_read(folder, 0, &raw, &names, &err) && strstr(err.text, "found 0 sub-folders"));
    cr_assert(mkdir(in_folder("b"), 0700) == 0 && mkdir(in_folder("a"), 0700) == 0);
    write_ppm("a/2.pgm", 1, 4, 20);
    write_ppm("a/1.pgm", 1, 4, 10);
    write_ppm("b/1.ppm", 3, 4, 30);
    cr_assert(task_classes_read(folder, 0, &raw, &names, &err), "%s", err.text);
    cr_assert(raw.n == 3 && raw.channels == 3 && raw.rows == 4 && strcmp(names, "a\nb\n") == 0);
    for (int i = 0; i < 3; i++) {
        cr_assert(raw.labels[i] == (i == 2));
        for (int k = 0; k < 48; k++) cr_assert(raw.bytes[i * 48 + k] == 10 * (i + 1));
    }
    task_raw_free(&raw);
    write_ppm("b/2.pgm", 1, 4, 40); /* grey after colour */
    cr_assert(task_classes_read(folder, 0, &raw, &names, &err) && raw.n == 4 && raw.bytes[4 * 48 - 1] == 40);
    task_raw_free(&raw);
    write_ppm("b/2.ppm", 3, 5, 30);
    cr_assert(!task_classes_read(folder, 0, &raw, &names, &err) &&
              strstr(err.text, "5 x 5 pixels, those before 4 x 4"));
    task_raw_free(&raw);
    cr_assert(task_classes_read(folder, 2, &raw, &names, &err) && raw.n == 5 && raw.rows == 2 && raw.bytes[47] == 40);
    task_raw_free(&raw);
    cr_assert(mkdir(in_folder("c"), 0700) == 0);
    cr_assert(!task_classes_read(folder, 2, &raw, &names, &err) && strstr(err.text, "not the classes of"));
    write_file(in_folder("c/x.jpg"), "\xff\xd8", 2);
    free(names);
    names = NULL;
    cr_assert(!task_classes_read(folder, 2, &raw, &names, &err) && strstr(err.text, "x.jpg: not a PNG"));
    task_raw_free(&raw);
    free(names);
    remove_folder();
}

/* ---- arrays and HDF5 ------------------------------------------------------------------------- */

static size_t make_npy(unsigned char *bytes, const char *type, const char *shape, const void *data, size_t n) {
    char header[119];
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    memcpy(bytes, "\x93NUMPY\1\0\x76\0", 10);
    int m = sprintf((char *)bytes + 10, "%-117s\n", header);
    memcpy(bytes + 10 + m, data, n);
    return 10 + (size_t)m + n;
}

static void refuse_npy(const char *type, const char *shape, size_t n, const char *part) {
    unsigned char bytes[512];
    static const unsigned char zeros[256];
    task_npy a;
    lopt_error err = {LOPT_OK, ""};
    n = make_npy(bytes, type, shape, zeros, n);
    cr_assert(!task_npy_parse("x.npy", bytes, n, &a, &err), "read in spite of: %s", part);
    cr_assert(strstr(err.text, part) && strstr(err.text, "x.npy"), "%s", err.text);
}

Test(data_sets, arrays_of_numpy) {
    static const int16_t data[] = {-3, 300, 2, 1, 0, 7};
    unsigned char bytes[512];
    task_npy a;
    size_t n = make_npy(bytes, "<i2", "(3, 2)", data, sizeof data);
    cr_assert(task_npy_parse("x.npy", bytes, n, &a, NULL) && a.rank == 2 && a.dim[0] == 3 && a.dim[1] == 2);
    for (size_t i = 0; i < 6; i++) cr_assert(task_npy_number(&a, i) == data[i]);
    for (size_t cut = 0; cut < n; cut++) cr_assert(!task_npy_parse("x.npy", bytes, cut, &a, NULL), "cut at %zu", cut);
    refuse_npy(">i2", "(3,)", 6, "little-endian");
    refuse_npy("<c8", "(3,)", 24, "little-endian");
    refuse_npy("<i2", "(4,)", 6, "cannot hold");
    refuse_npy("<i2", "(2,)", 6, "more data than its shape says");
    refuse_npy("<i2", "(-3,)", 6, "cannot hold");
    refuse_npy("<i2", "(4294967296, 4294967296)", 6, "cannot hold");
    refuse_npy("<i2", "()", 2, "cannot hold");
}

/* Images of a set of n in which pixel k of image i is i + k; labels i % 3. */
static task_raw make_part(size_t n) {
    task_raw raw = {.rows = 2, .cols = 3, .channels = 3};
    cr_assert(task_raw_reserve(&raw, n, 0, NULL));
    for (size_t i = 0; i < n * 18; i++) raw.bytes[i] = (unsigned char)(i / 18 + i % 18);
    for (size_t i = 0; i < n; i++) raw.labels[i] = (int32_t)(i % 3);
    raw.n = raw.n_labels = n;
    return raw;
}

static void write_parts(const task_raw *parts) {
    lopt_error err = {LOPT_OK, ""};
    cr_assert(mt_data_file_write(in_folder("set.h5"), parts, "x\ny\nz\n", &err), "%s", err.text);
}

Test(data_sets, hdf5) {
    new_folder();
    task_source_read_hdf5_with(mt_data_file_read);
    task_raw parts[TASK_N_SPLITS] = {make_part(30), make_part(12), make_part(10), make_part(20)};
    write_parts(parts);
    static const char *const documented[] = {"train/images",       "train/labels", "inner_valid/images",
                                             "outer_valid/labels", "test/images",  "classes"};
    mt_hdf5 *f = mt_hdf5_open(in_folder("set.h5"), NULL);
    for (int i = 0; i < 6; i++) cr_assert(mt_hdf5_has(f, documented[i]), "no %s", documented[i]);
    mt_hdf5_close(f);
    const task_dataset *d = open_set(in_folder("set.h5"), 0, 0, TASK_SPLIT_CLEAN, NULL);
    cr_assert(d && d->n_rows == 2 && d->n_cols == 3 && d->n_channels == 3 && d->n_classes == 3);
    for (int s = 0; s < TASK_N_SPLITS; s++) cr_assert(d->count[s] == parts[s].n);
    for (int32_t i = 0; i < 20; i++) {
        real image[18];
        int32_t row = (int32_t)d->begin[TASK_TEST] + i;
        task_dataset_gather(d, 1, &row, image);
        cr_assert(image[17] == (real)(i + 17) / 255 && d->labels[row] == i % 3);
    }
    task_dataset_close(d);

    size_t outer = parts[TASK_OUTER_VALID].n;
    parts[TASK_OUTER_VALID].n = 0;
    write_parts(parts);
    refuse(in_folder("set.h5"), "one of inner_valid and outer_valid");
    parts[TASK_OUTER_VALID].n = outer;
    parts[TASK_TEST].labels[7] = 3;
    write_parts(parts);
    refuse(in_folder("set.h5"), "label 7 is 3, allowed: 0 to 2");
    parts[TASK_TEST].labels[7] = -1;
    write_parts(parts);
    refuse(in_folder("set.h5"), "label 7 is -1");
    parts[TASK_TRAIN].n = 9;
    write_parts(parts);
    refuse(in_folder("set.h5"), "holds 9 images, needed: 10");
    cr_assert(truncate(in_folder("set.h5"), 700) == 0);
    refuse(in_folder("set.h5"), "set.h5");
    for (int s = 0; s < TASK_N_SPLITS; s++) task_raw_free(&parts[s]);
    remove_folder();
}

/* ---- synthetic sets -------------------------------------------------------------------------- */

Test(data_sets, synthetic_sets) {
    folder[0] = 0;
    const task_dataset *d = open_set("spirals classes=3 noise=0 turns=1 examples=900", 0, 0, TASK_SPLIT_CLEAN, NULL);
    cr_assert(d && d->n_pixels == 2 && d->n_classes == 3 && d->count[TASK_TEST] == 180);
    task_dataset_close(d);
    d = open_set("gaussians noise=0 modes=2 classes=3 size=4 channels=3 examples=500", 0, 0, TASK_SPLIT_CLEAN, NULL);
    cr_assert(d && d->n_rows == 4 && d->n_channels == 3 && d->n_classes == 3 && d->codes);
    int found = 0; /* without noise there are as many pictures as modes */
    for (int32_t i = 0; i < 500; i++) {
        int32_t j = 0;
        while (memcmp(d->codes + i * 48, d->codes + j * 48, 96) != 0) j++;
        cr_assert(d->labels[i] == d->labels[j], "one picture has two labels");
        found += j == i;
    }
    cr_assert(found == 6, "%d pictures", found);
    const task_dataset *other = open_set("gaussians noise=0 modes=2 classes=3 size=4 channels=3 examples=500 seed=1", 0,
                                         0, TASK_SPLIT_CLEAN, NULL);
    cr_assert(other && memcmp(other->codes, d->codes, 500 * 96) != 0, "the seed does nothing");
    task_dataset_close(d);
    task_dataset_close(other);
    d = open_set("teacher dim=5 classes=4", 0, 0, TASK_SPLIT_CLEAN, NULL);
    size_t counts[4] = {0};
    for (size_t i = 0; i < 10000; i++) counts[d->labels[i]]++;
    for (int c = 0; c < 4; c++) cr_assert(counts[c] > 500, "class %d: %zu", c, counts[c]);
    task_dataset_close(d);
    refuse("spirals turn=1", "found \"turn=1\", expected examples=, classes=, turns=, noise=, seed=");
    refuse("spirals classes=1", "found classes=1, expected a whole number in [2, 100]");
    refuse("spirals noise=nan", "found noise=nan, expected a number");
    refuse("spiral", "did you mean spirals");
}

/* The classes of a spiral without noise are told by the angle: class c lies c / classes of a turn ahead. */
Test(data_sets, spirals_are_spirals) {
    task_source s;
    task_raw *parts = calloc(TASK_N_SPLITS, sizeof *parts);
    cr_assert(task_source_find("spirals classes=3 noise=0 turns=1 examples=300", "", &s, NULL));
    cr_assert(task_source_read(&s, parts, NULL) && parts[TASK_TRAIN].n == 300);
    for (size_t i = 0; i < 300; i++) {
        double x = (double)parts->numbers[2 * i], y = (double)parts->numbers[2 * i + 1];
        double turns = atan2(y, x) / 6.283185307179586 - hypot(x, y) - parts->labels[i] / 3.0;
        cr_assert(fabs(turns - round(turns)) < 1e-5, "point %zu", i);
    }
    task_raw_free(parts);
    free(parts);
}

/* ---- sharing --------------------------------------------------------------------------------- */

static int count_blocks(const char *path, char name[256]) {
    int n = 0;
    DIR *list = opendir(path);
    for (const struct dirent *d; list && (d = readdir(list));) {
        if (!strstr(d->d_name, ".block")) continue;
        snprintf(name, 256, "%s", d->d_name);
        n++;
    }
    if (list) closedir(list);
    return n;
}

/* Whether an address lies in a mapping of a file. */
static int is_mapped(const void *address, const char *file) {
    FILE *f = fopen("/proc/self/maps", "r");
    char line[2048];
    int found = 0;
    while (f && fgets(line, sizeof line, f)) {
        unsigned long begin, end;
        if (sscanf(line, "%lx-%lx", &begin, &end) == 2 && (unsigned long)address >= begin &&
            (unsigned long)address < end)
            found = strstr(line, file) != NULL;
    }
    if (f) fclose(f);
    return found;
}

static uint64_t sum_of(const task_dataset *d) {
    uint64_t sum = 0;
    for (size_t i = 0; i < 500 * 64; i++) sum = sum * 31 + d->codes[i];
    for (size_t i = 0; i < 500; i++) sum = sum * 31 + d->labels[i];
    return sum;
}

static uint64_t open_and_sum(int *mapped, const char *name) {
    const task_dataset *d = open_set("gaussians examples=500", 0, 0, TASK_SPLIT_CLEAN, NULL);
    if (!d) return 0;
    uint64_t sum = sum_of(d);
    *mapped = is_mapped(d->codes, name);
    task_dataset_close(d);
    return sum;
}

Test(data_sets, processes_share_one_block) {
    char name[256] = "";
    int mapped, status;
    new_folder();
    setenv("METATRAIN_CACHE", "off", 1);
    uint64_t right = open_and_sum(&mapped, "block");
    cr_assert(right && !mapped);
    setenv("METATRAIN_CACHE", in_folder("cache"), 1);
    pid_t child[6];
    for (int i = 0; i < 6; i++) {
        child[i] = fork();
        if (child[i] == 0) _exit(open_and_sum(&mapped, ".block") == right && mapped ? 0 : 1);
    }
    for (int i = 0; i < 6; i++) {
        cr_assert(waitpid(child[i], &status, 0) == child[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "process %d", i);
    }
    cr_assert(count_blocks(in_folder("cache"), name) == 1);

    char path[2400];
    snprintf(path, sizeof path, "%s/cache/%s", folder, name);
    cr_assert(truncate(path, 30000) == 0); /* damaged: made again */
    cr_assert(open_and_sum(&mapped, "cache") == right && count_blocks(in_folder("cache"), name) == 1);
    struct stat info;
    cr_assert(stat(path, &info) == 0 && info.st_size > 30000 && (info.st_mode & 0777) == 0600);
    cr_assert(chmod(in_folder("cache"), 0777) == 0); /* others may write: not trusted */
    cr_assert(open_and_sum(&mapped, "cache") == right && !mapped);
    unsetenv("METATRAIN_CACHE");
    remove_folder();
}

Test(data_sets, blocks_are_bounded) {
    char name[256] = "";
    int mapped;
    size_t n;
    new_folder();
    setenv("METATRAIN_CACHE", in_folder("cache"), 1);
    cr_assert(mkdir(in_folder("cache"), 0700) == 0);
    static const char *const names[] = {"cache/new.block", "cache/old.block"};
    for (int i = 0; i < 2; i++) { /* of 5 GB, without content */
        int file = open(in_folder(names[i]), O_CREAT | O_WRONLY, 0600);
        cr_assert(file >= 0 && ftruncate(file, (off_t)5 << 30) == 0);
        const struct timespec times[2] = {{0, UTIME_OMIT}, {1000000 - i, 0}};
        cr_assert(futimens(file, times) == 0 && close(file) == 0);
    }
    cr_assert(open_and_sum(&mapped, "cache") && mapped);
    cr_assert(access(in_folder(names[1]), F_OK) != 0, "the oldest is kept");
    cr_assert(access(in_folder(names[0]), F_OK) == 0 && count_blocks(in_folder("cache"), name) == 2);
    task_shared_clear();
    cr_assert(task_shared_usage(&n) == 0 && n == 0);
    unsetenv("METATRAIN_CACHE");
    remove_folder();
}
