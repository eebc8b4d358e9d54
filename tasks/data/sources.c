/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.c - see sources.h. */
#include "data/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/task_error.h"
#include "core/suggest.h"
#include "data/cifar.h"
#include "data/csv.h"
#include "data/data_settings.h"
#include "data/idx.h"
#include "data/image.h"
#include "data/synthetic.h"

enum { IDX, CIFAR10, CIFAR100, SHEET, TABLE, HDF5, SYNTHETIC };
enum { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS }; /* files of an IDX set */
enum { SETTLED_SECONDS = 2 };

/* Given once by the program, before the first set is opened. */
static task_hdf5_reader read_hdf5;

void task_source_read_hdf5_with(task_hdf5_reader reader) {
    read_hdf5 = reader;
}

/* ---- known sets ------------------------------------------------------------------------------ */

typedef struct known {
    task_source_info info;
    int format, n_classes, first_label, one_percent; /* one_percent: of published splits */
    const char *folders[3], *system;
    const char *files[TASK_SOURCE_FILES];
    const char *settings;
} known;

#define MNIST_FILES                                                                                                    \
    { "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte" }
#define MNIST_GET "put its four files into a folder named in data.path"
#define EMNIST(kind, n, first)                                                                                         \
    {                                                                                                                  \
        {"emnist_" kind, "EMNIST, " kind ": images 28x28", NULL, MNIST_GET}, IDX, n, first, 0,                         \
            {"emnist_" kind, "emnist"}, "/usr/share/datasets/emnist",                                                  \
            {"emnist-" kind "-train-images-idx3-ubyte", "emnist-" kind "-train-labels-idx1-ubyte",                     \
             "emnist-" kind "-test-images-idx3-ubyte", "emnist-" kind "-test-labels-idx1-ubyte"},                      \
            ""                                                                                                         \
    }
#define CONVERTED(name, summary, n, one)                                                                               \
    {                                                                                                                  \
        {name, summary, NULL,                                                                                          \
         "make " name ".h5 with `metatrain data convert` and put it into a "                                           \
         "folder named in data.path"},                                                                                 \
            HDF5, n, 0, one, {name}, "/usr/share/datasets/" name, {name ".h5"}, ""                                     \
    }
#define OPENCV "/usr/share/doc/opencv-doc/examples/data"

static const known known_sets[] = {
    {{"fashion_mnist", "Fashion-MNIST: 70,000 images 28x28 of clothes", "dataset-fashion-mnist", NULL},
     IDX,
     10,
     0,
     0,
     {"fashion-mnist", "fashion_mnist"},
     "/usr/share/datasets/fashion-mnist",
     MNIST_FILES,
     ""},
    {{"mnist", "MNIST: 70,000 images 28x28 of digits", NULL, MNIST_GET},
     IDX,
     10,
     0,
     0,
     {"mnist"},
     "/usr/share/datasets/mnist",
     MNIST_FILES,
     ""},
    {{"kmnist", "Kuzushiji-MNIST: 70,000 images 28x28 of characters", NULL, MNIST_GET},
     IDX,
     10,
     0,
     0,
     {"kmnist"},
     "/usr/share/datasets/kmnist",
     MNIST_FILES,
     ""},
    EMNIST("balanced", 47, 0),
    EMNIST("digits", 10, 0),
    EMNIST("letters", 26, 1),
    {{"cifar10", "CIFAR-10: 60,000 images 32x32x3", NULL,
      "put the files of its binary version into a folder named in data.path"},
     CIFAR10,
     10,
     0,
     0,
     {"cifar-10-batches-bin", "cifar10"},
     "/usr/share/datasets/cifar10",
     {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
      "test_batch.bin"},
     ""},
    {{"cifar100", "CIFAR-100: 60,000 images 32x32x3 of 100 classes", NULL,
      "put the files of its binary version into a folder named in data.path"},
     CIFAR100,
     100,
     0,
     1,
     {"cifar-100-binary", "cifar100"},
     "/usr/share/datasets/cifar100",
     {"train.bin", "test.bin"},
     ""},
    CONVERTED("svhn_cropped", "SVHN: 99,289 images 32x32x3 of house numbers", 10, 1),
    CONVERTED("food101", "Food-101: 101,000 images of 101 classes", 101, 1),
    CONVERTED("imagenet8", "ImageNet resized to 8x8x3", 1000, 0),
    CONVERTED("imagenet16", "ImageNet resized to 16x16x3", 1000, 0),
    CONVERTED("imagenet32", "ImageNet resized to 32x32x3", 1000, 0),
    CONVERTED("imagenet64", "ImageNet resized to 64x64x3", 1000, 0),
    {{"digits", "5,000 images 20x20 of handwritten digits", "opencv-doc", NULL},
     SHEET,
     10,
     0,
     0,
     {"digits"},
     OPENCV,
     {"digits.png"},
     "tile=20 classes=10"},
    {{"letters", "20,000 printed letters by 16 features", "opencv-doc", NULL},
     TABLE,
     26,
     0,
     0,
     {"letters"},
     OPENCV,
     {"letter-recognition.data"},
     "label=0"},
};

enum { N_KNOWN = sizeof known_sets / sizeof *known_sets };

const task_source_info *task_source_known(size_t i) {
    return i < N_KNOWN ? &known_sets[i].info : NULL;
}

/* ---- finding --------------------------------------------------------------------------------- */

static int find_data_file(const char *folder, const char *name, char path[TASK_PATH]) {
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, TASK_PATH, "%s/%s%s", folder, name, endings[i]);
        if (n < TASK_PATH && access(path, F_OK) == 0) return 1;
    }
    return 0;
}

static int folder_holds_file(const char *folder, const char *name) {
    char path[TASK_PATH];
    return find_data_file(folder, name, path);
}

/* Tries parent's sub-folders for a set, then parent itself. */
static int find_folder_under(const char *parent, int length, const known *k, char folder[TASK_PATH]) {
    for (int i = 0; i < 3 && k->folders[i]; i++) {
        snprintf(folder, TASK_PATH, "%.*s/%s", length, parent, k->folders[i]);
        if (folder_holds_file(folder, k->files[0])) return 1;
    }
    snprintf(folder, TASK_PATH, "%.*s", length, parent);
    return folder_holds_file(folder, k->files[0]);
}

static int find_data_folder(const known *k, const char *data_path, char folder[TASK_PATH], lopt_error *err) {
    for (const char *p = data_path; *p;) {
        size_t length = strcspn(p, ":");
        if (length && find_folder_under(p, (int)length, k, folder)) return 1;
        p += length + (p[length] == ':');
    }
    snprintf(folder, TASK_PATH, "%s", k->system);
    if (folder_holds_file(folder, k->files[0])) return 1;
    const char *package = k->info.package;
    return task_set_error(err, LOPT_EARG, "data set %s: no file %s[.gz] in %.200s%s%s; %s%s%s", k->info.name,
                          k->files[0], data_path, *data_path ? " or " : "", folder,
                          package ? "apt-get install " : k->info.get, package ? package : "",
                          package ? " or name its folder in data.path" : "");
}

/* The files of set k in that folder, all of which must be there. */
static int take_known_folder(const known *k, const char *folder, task_source *s, lopt_error *err) {
    s->format = k->format;
    for (; s->n_files < TASK_SOURCE_FILES && k->files[s->n_files]; s->n_files++) {
        if (!find_data_file(folder, k->files[s->n_files], s->files[s->n_files])) {
            return task_set_error(err, LOPT_EARG, "%s: no file %s[.gz] in that folder", folder, k->files[s->n_files]);
        }
    }
    return 1;
}

static int find_known_source(const known *k, const char *data_path, task_source *s, lopt_error *err) {
    char folder[TASK_PATH];
    if (s->settings[0]) {
        return task_set_error(err, LOPT_EARG, "data set %s: found \"%s\", expected no settings", k->info.name,
                              s->settings);
    }
    s->n_classes = k->n_classes;
    s->first_label = k->first_label;
    s->one_percent = k->one_percent;
    snprintf(s->settings, sizeof s->settings, "%s", k->settings);
    return find_data_folder(k, data_path, folder, err) && take_known_folder(k, folder, s, err);
}

static int ends_in_suffix(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

static int format_of_data_file(const char *path) {
    static const struct {
        const char *ending;
        int format;
    } endings[] = {{".h5", HDF5},    {".hdf5", HDF5},     {".csv", TABLE}, {".csv.gz", TABLE},
                   {".data", TABLE}, {".data.gz", TABLE}, {".png", SHEET}};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_in_suffix(path, endings[i].ending)) return endings[i].format;
    return -1;
}

/* The formats that a folder tells by its files. */
static int find_source_at_path(const char *path, task_source *s, lopt_error *err) {
    int format = format_of_data_file(path);
    for (int k = 0; format < 0 && k < N_KNOWN; k++) {
        int told = known_sets[k].format == IDX || known_sets[k].format == CIFAR10 || known_sets[k].format == CIFAR100;
        if (told && folder_holds_file(path, known_sets[k].files[0])) {
            s->first_label = known_sets[k].first_label;
            return take_known_folder(&known_sets[k], path, s, err);
        }
    }
    if (format < 0) {
        return task_set_error(err, LOPT_EARG,
                              "data set %s: no file %s[.gz] in that folder, nor another data set; files "
                              "end in .h5, .csv, .data or .png",
                              path, known_sets[0].files[0]);
    }
    s->format = format;
    s->n_files = 1;
    if ((size_t)snprintf(s->files[0], TASK_PATH, "%s", path) >= TASK_PATH || access(path, F_OK) != 0)
        return task_set_error(err, LOPT_EARG, "data set %s: no such file", path);
    return 1;
}

static int report_unknown_source(const char *name, lopt_error *err) {
    char text[96];
    lopt__suggestion s = lopt__suggestion_for(name);
    for (int k = 0; k < N_KNOWN; k++) lopt__suggest_name(&s, known_sets[k].info.name);
    for (size_t i = 0; task_synthetic_known(i); i++) lopt__suggest_name(&s, task_synthetic_known(i)->name);
    return task_set_error(err, LOPT_EUNKNOWN,
                          "unknown data set \"%s\"%s: `metatrain data list` prints all; a path has a '/'", name,
                          lopt__suggestion_text(&s, text, sizeof text));
}

/* Splits "NAME a=1 b=2" before the first word with a '='. */
static int split_data_settings(const char *dataset, char name[TASK_PATH], task_source *s, lopt_error *err) {
    const char *from = strchr(dataset, '=');
    size_t n = from ? (size_t)(from - dataset) : strlen(dataset);
    while (from && n > 0 && dataset[n - 1] != ' ') n--;
    from = dataset + n;
    while (n > 0 && dataset[n - 1] == ' ') n--;
    if (n == 0 || n >= TASK_PATH || strlen(from) >= sizeof s->settings)
        return task_set_error(err, LOPT_EARG, "data set \"%.100s\": no name, or too long", dataset);
    memcpy(name, dataset, n);
    name[n] = 0;
    snprintf(s->settings, sizeof s->settings, "%s", from);
    return 1;
}

int task_source_find(const char *dataset, const char *data_path, task_source *s, lopt_error *err) {
    char name[TASK_PATH];
    *s = (task_source){0};
    if (!split_data_settings(dataset, name, s, err)) return 0;
    if (strchr(name, '/')) return find_source_at_path(name, s, err);
    for (int k = 0; k < N_KNOWN; k++)
        if (strcmp(name, known_sets[k].info.name) == 0) return find_known_source(&known_sets[k], data_path, s, err);
    for (; task_synthetic_known(s->synthetic); s->synthetic++) {
        if (strcmp(name, task_synthetic_known(s->synthetic)->name) != 0) continue;
        s->format = SYNTHETIC;
        return task_synthetic_make(s->synthetic, s->settings, NULL, err);
    }
    return report_unknown_source(name, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_idx_part_files(const char *images, const char *labels, int first_label, task_raw *raw,
                               lopt_error *err) {
    task_idx x = {0}, y = {0};
    snprintf(raw->path, TASK_PATH, "%s", images);
    snprintf(raw->labels_path, TASK_PATH, "%s", labels);
    int done = task_idx_read(images, 3, &x, err) && task_idx_read(labels, 1, &y, err);
    if (done) {
        raw->labels = malloc(y.n * sizeof *raw->labels);
        done = raw->labels != NULL;
        if (!done) task_set_error(err, LOPT_ENOMEM, "%s: out of memory", labels);
    }
    for (size_t i = 0; done && i < y.n; i++) raw->labels[i] = y.bytes[i] - first_label;
    if (done) {
        raw->n = x.n, raw->n_labels = y.n;
        raw->rows = (int)x.rows, raw->cols = (int)x.cols, raw->channels = 1;
        raw->bytes = x.bytes, x.bytes = NULL;
    }
    task_idx_free(&x);
    task_idx_free(&y);
    return done;
}

static int read_cifar_parts(const task_source *s, task_raw *parts, lopt_error *err) {
    for (int i = 0; i < s->n_files; i++) {
        task_raw *raw = &parts[i < s->n_files - 1 ? TASK_TRAIN : TASK_TEST];
        size_t n;
        snprintf(raw->path, TASK_PATH, "%s", s->files[i]);
        unsigned char *bytes = task_file_bytes(s->files[i], &n, err);
        int done = bytes && task_cifar_parse(bytes, n, s->format == CIFAR100 ? 2 : 1, raw, err);
        free(bytes);
        if (!done) return 0;
    }
    return 1;
}

static int read_image_sheet(const char *settings, const unsigned char *bytes, size_t n, task_raw *raw,
                            lopt_error *err) {
    task_data_setting t[] = {{"tile", 20, 1, TASK_RAW_MAX_SIDE, 1}, {"classes", 10, 2, 65536, 1}};
    return task_read_data_settings("of tiles", settings, t, 2, err) &&
           task_sheet_parse(bytes, n, (int)t[0].value, (int)t[0].value, (int)t[1].value, raw, err);
}

static int read_number_table(const char *settings, const unsigned char *bytes, size_t n, task_raw *raw,
                             lopt_error *err) {
    task_data_setting t[] = {{"label", -1, -1, 65535, 1}};
    return task_read_data_settings("of comma-separated numbers", settings, t, 1, err) &&
           task_csv_parse((const char *)bytes, n, (int)t[0].value, raw, err);
}

static int read_single_file(const task_source *s, task_raw *raw, lopt_error *err) {
    size_t n;
    snprintf(raw->path, TASK_PATH, "%s", s->files[0]);
    unsigned char *bytes = task_file_bytes(s->files[0], &n, err);
    int done = bytes && (s->format == SHEET ? read_image_sheet : read_number_table)(s->settings, bytes, n, raw, err);
    free(bytes);
    return done;
}

static int read_source_parts(const task_source *s, task_raw *parts, lopt_error *err) {
    const char(*files)[TASK_PATH] = s->files;
    switch (s->format) {
    case IDX:
        return read_idx_part_files(files[TRAIN_IMAGES], files[TRAIN_LABELS], s->first_label, &parts[TASK_TRAIN], err) &&
               read_idx_part_files(files[TEST_IMAGES], files[TEST_LABELS], s->first_label, &parts[TASK_TEST], err);
    case CIFAR10:
    case CIFAR100:
        return read_cifar_parts(s, parts, err);
    case SYNTHETIC:
        return task_synthetic_make(s->synthetic, s->settings, &parts[TASK_TRAIN], err);
    case HDF5:
        return read_hdf5 ? read_hdf5(files[0], parts, err)
                         : task_set_error(err, LOPT_EARG, "%s: this program reads no HDF5", files[0]);
    default:
        return read_single_file(s, &parts[TASK_TRAIN], err);
    }
}

int task_source_read(const task_source *s, task_raw parts[TASK_N_SPLITS], lopt_error *err) {
    memset(parts, 0, TASK_N_SPLITS * sizeof *parts);
    int done = read_source_parts(s, parts, err);
    for (int i = 0; i < TASK_N_SPLITS; i++) {
        if (!done)
            task_raw_free(&parts[i]);
        else if (s->n_classes)
            parts[i].n_classes = s->n_classes;
    }
    return done;
}

int task_source_key(const task_source *s, char *key, size_t n) {
    int keep = 1;
    size_t at = (size_t)snprintf(key, n, "%d %zu %d %d %s;", s->format, s->synthetic, s->n_classes, s->first_label,
                                 s->settings);
    for (int i = 0; i < s->n_files && at < n; i++) {
        struct stat info = {0};
        char *path = realpath(s->files[i], NULL);
        keep &= path && stat(path, &info) == 0 && time(NULL) - info.st_mtime > SETTLED_SECONDS &&
                time(NULL) - info.st_ctime > SETTLED_SECONDS;
        at += (size_t)snprintf(key + at, n - at, "%s %lld %lld.%09ld %llu;", path ? path : "", (long long)info.st_size,
                               (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec, (unsigned long long)info.st_ino);
        free(path);
    }
    return keep && at < n;
}
