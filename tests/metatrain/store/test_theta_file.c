/* SPDX-License-Identifier: Apache-2.0
 *
 * Theta files: what is written is read; whatever is wrong with a file gives one sentence, never a crash. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/read_file.h"
#include "scratch.h"
#include "store/hdf5_file.h"
#include "store/theta_file.h"

/* HDF5 itself loses a little memory over some damaged files. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define HAVE_LSAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(HAVE_LSAN)
#include <sanitizer/lsan_interface.h>
#define LEAKS_OF_HDF5(on) ((on) ? __lsan_disable() : __lsan_enable())
#else
#define LEAKS_OF_HDF5(on) ((void)(on))
#endif

static char path[SCRATCH_PATH], damaged[SCRATCH_PATH];

static void setup(void) {
    make_scratch();
    path_of("theta.h5", path);
    path_of("damaged.h5", damaged);
}

TestSuite(theta_file, .init = setup, .fini = remove_scratch, .timeout = 60);

static lopt_optimizer *optimizer(const char *preset, const char *hidden_size) {
    lopt_error err;
    lopt_setting settings[] = {{"hidden_size", hidden_size}, {"exp_mult", "0.0012345678901"}};
    lopt_optimizer *opt = lopt_create(preset, settings, hidden_size ? 2 : 0, &err);
    cr_assert(opt != NULL, "%s", err.text);
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    lopt_init_theta(opt, 7, theta);
    lopt_set_theta(opt, theta);
    free(theta);
    return opt;
}

static void write_theta(const lopt_optimizer *opt, const char *file) {
    lopt_error err;
    const mt_note notes[] = {{"seed", "7"}, {"config", "seed: 7\nparticles: 2\n"}, {"empty", ""}};
    cr_assert(mt_theta_file_write(file, opt, lopt_theta(opt), notes, 3, &err), "%s", err.text);
}

static const char *note(const mt_theta_file *t, const char *name) {
    for (int i = 0; i < t->n_notes; i++)
        if (strcmp(t->note_name[i], name) == 0) return t->note_value[i];
    return "absent";
}

static void assert_same(const lopt_optimizer *a, const lopt_optimizer *b) {
    lopt_hyper_info hyper;
    cr_assert(strcmp(lopt_info(a)->name, lopt_info(b)->name) == 0);
    for (size_t i = 0; lopt_hyper(lopt_info(a)->name, i, &hyper); i++) {
        char x[256], y[256];
        lopt_get(a, hyper.name, x, sizeof x);
        lopt_get(b, hyper.name, y, sizeof y);
        cr_assert(strcmp(x, y) == 0, "%s is %s, was %s", hyper.name, y, x);
    }
    cr_assert(lopt_n_theta(a) == lopt_n_theta(b));
    cr_assert(memcmp(lopt_theta(a), lopt_theta(b), lopt_n_theta(a) * sizeof(float)) == 0);
}

Test(theta_file, every_learned_preset_comes_back) {
    lopt_error err = {LOPT_OK, ""};
    const lopt_preset_info *info;
    int n = 0;
    for (size_t i = 0; (info = lopt_preset(i)); i++) {
        if (!info->learned) continue;
        lopt_optimizer *opt = optimizer(info->name, NULL);
        write_theta(opt, path);
        mt_theta_file *t = mt_theta_file_read(path, &err);
        cr_assert(t != NULL, "%s: %s", info->name, err.text);
        assert_same(opt, t->optimizer);
        mt_theta_file_free(t);
        lopt_destroy(opt);
        n++;
    }
    cr_assert(n >= 3);
}

Test(theta_file, settings_and_provenance_come_back) {
    lopt_error err = {LOPT_OK, ""};
    lopt_optimizer *opt = optimizer("small-fc", "5");
    write_theta(opt, path);
    mt_theta_file *t = mt_theta_file_read(path, &err);
    cr_assert(t != NULL, "%s", err.text);
    assert_same(opt, t->optimizer);
    cr_assert(t->n_notes == 3 && strcmp(note(t, "seed"), "7") == 0 && strcmp(note(t, "empty"), "") == 0 &&
              strcmp(note(t, "config"), "seed: 7\nparticles: 2\n") == 0);
    mt_theta_file_free(t);
    lopt_destroy(opt);
}

static char *read_all(const char *file, size_t *n) {
    char *bytes = mt_text_read(file, 1 << 24, n, NULL);
    cr_assert(bytes != NULL);
    return bytes;
}

Test(theta_file, is_reproducible) {
    lopt_optimizer *opt = optimizer("small-fc", "4");
    size_t n, m;
    write_theta(opt, path);
    char *first = read_all(path, &n);
    sleep(1); /* HDF5 counts seconds where it stores times */
    write_theta(opt, path);
    char *second = read_all(path, &m);
    cr_assert(n == m && memcmp(first, second, n) == 0, "the same theta gave other bytes a second later");
    free(first);
    free(second);
    lopt_destroy(opt);
}

Test(theta_file, digest_sees_every_bit_and_the_layout) {
    lopt_optimizer *opt = optimizer("small-fc", "4"), *elo = optimizer("elo", "4");
    size_t n = lopt_n_theta(opt);
    char hex[33], other[33];
    float *theta = malloc(n * sizeof *theta);
    memcpy(theta, lopt_theta(opt), n * sizeof *theta);
    mt_theta_digest(opt, theta, hex);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits, flipped;
        memcpy(&bits, &theta[i], sizeof bits);
        flipped = bits ^ 1u << i % 32;
        memcpy(&theta[i], &flipped, sizeof bits);
        mt_theta_digest(opt, theta, other);
        cr_assert(strcmp(hex, other) != 0, "digest misses a bit of theta[%zu]", i);
        memcpy(&theta[i], &bits, sizeof bits);
    }
    mt_theta_digest(elo, theta, other); /* fewer blocks, the same numbers */
    cr_assert(strcmp(hex, other) != 0);
    free(theta);
    lopt_destroy(opt);
    lopt_destroy(elo);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Reading must fail with bad input and one sentence that names the file and has `pattern` in it. */
static void assert_refused(const char *file, const char *pattern, const char *what) {
    lopt_error err = {LOPT_OK, ""};
    mt_theta_file *t = mt_theta_file_read(file, &err);
    cr_assert(t == NULL, "%s: was accepted", what);
    int bad_input = err.status == LOPT_EARG || err.status == LOPT_ESHAPE || err.status == LOPT_EUNKNOWN;
    cr_assert(bad_input, "%s: status %d, %s", what, err.status, err.text);
    cr_assert(strstr(err.text, file) == err.text, "%s: does not begin with the file: %s", what, err.text);
    cr_assert(strstr(err.text, pattern) != NULL, "%s: no \"%s\" in: %s", what, pattern, err.text);
    cr_assert(strchr(err.text, '\n') == NULL, "%s: more than a line: %s", what, err.text);
}

Test(theta_file, flipped_bits_are_found) {
    LEAKS_OF_HDF5(1);
    lopt_optimizer *opt = optimizer("small-fc", "2");
    size_t n;
    write_theta(opt, path);
    char *bytes = read_all(path, &n);
    for (size_t i = 0; i < n; i += i < 64 ? 13 : 211) {
        char what[64];
        snprintf(what, sizeof what, "bit %zu of byte %zu", i % 8, i);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        write_bytes(damaged, bytes, n);
        assert_refused(damaged, "", what);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
    }
    free(bytes);
    lopt_destroy(opt);
    LEAKS_OF_HDF5(0);
}

Test(theta_file, truncation_is_found) {
    LEAKS_OF_HDF5(1);
    lopt_optimizer *opt = optimizer("small-fc", "2");
    size_t n;
    write_theta(opt, path);
    char *bytes = read_all(path, &n);
    for (size_t length = 0; length < n; length += 1 + n / 40) {
        char what[64];
        snprintf(what, sizeof what, "%zu of %zu bytes", length, n);
        write_bytes(damaged, bytes, length);
        assert_refused(damaged, "", what);
    }
    write_bytes(damaged, bytes, n - 1);
    assert_refused(damaged, "", "the last byte missing");
    free(bytes);
    lopt_destroy(opt);
    LEAKS_OF_HDF5(0);
}

/* Bytes of theta changed in the file: the sentence says what is wrong in it, not only that it is damaged. */
Test(theta_file, not_finite_numbers_are_named) {
    static const uint32_t values[] = {0x7fc00000u, 0x7f800000u, 0xff800000u};
    static const char *const names[] = {"NaN", "infinite", "infinite"};
    lopt_optimizer *opt = optimizer("small-fc", "2");
    const float *w1 = lopt_theta(opt) + lopt_block_find(opt, "w1")->offset;
    size_t n;
    write_theta(opt, path);
    char *bytes = read_all(path, &n), *place = memmem(bytes, n, w1 + 2, sizeof *w1);
    cr_assert(place != NULL);
    for (int i = 0; i < 3; i++) {
        memcpy(place, &values[i], sizeof values[i]);
        write_bytes(damaged, bytes, n);
        assert_refused(damaged, "w1, index 2", names[i]);
        assert_refused(damaged, names[i], names[i]);
    }
    free(bytes);
    lopt_destroy(opt);
}

Test(theta_file, not_finite_theta_is_not_written) {
    lopt_optimizer *opt = optimizer("small-fc", "2");
    lopt_error err = {LOPT_OK, ""};
    size_t n = lopt_n_theta(opt);
    float *theta = malloc(n * sizeof *theta);
    memcpy(theta, lopt_theta(opt), n * sizeof *theta);
    theta[1] = NAN;
    cr_assert(!mt_theta_file_write(path, opt, theta, NULL, 0, &err) && strstr(err.text, "w0, index 1"), "%s", err.text);
    cr_assert(access(path, F_OK) != 0);
    free(theta);
    lopt_destroy(opt);
}

/* ---- files that verify, with the wrong things inside ----------------------------------------- */

/* What differs from a good file. NULL and 0: nothing; "": absent. */
typedef struct forgery {
    const char *what, *pattern;
    const char *format, *preset, *setting, *value; /* of setting */
    int rank;                                      /* of w0 */
    int64_t rows;
    mt_item_type type;
    const char *other; /* one more block */
    int without_theta;
} forgery;

static void put_attribute(mt_hdf5 *f, const char *name, const char *value, const char *standard) {
    lopt_error err;
    if (!value || value[0]) cr_assert(mt_hdf5_put_attribute(f, name, value ? value : standard, &err), "%s", err.text);
}

static void forge(const forgery *x) {
    static const double zeros[4096];
    lopt_error err;
    mt_hdf5 *f = mt_hdf5_create(damaged, &err);
    int64_t w0[] = {x->rows ? x->rows : 39, 2}, w1[] = {2, 2}, b[] = {2};
    cr_assert(f != NULL);
    put_attribute(f, "format", x->format, "metatrain theta 1");
    put_attribute(f, "optimizer", x->preset, "elo");
    cr_assert(mt_hdf5_put_text(f, "settings/hidden_size", "2", &err));
    if (x->setting) cr_assert(mt_hdf5_put_text(f, x->setting, x->value, &err));
    if (!x->without_theta) {
        cr_assert(mt_hdf5_put(f, "theta/w0", x->type ? x->type : MT_FLOATS, x->rank ? x->rank : 2, w0, zeros, &err));
        cr_assert(mt_hdf5_put(f, "theta/b0", MT_FLOATS, 1, b, zeros, &err));
        cr_assert(mt_hdf5_put(f, "theta/w1", MT_FLOATS, 2, w1, zeros, &err));
        cr_assert(mt_hdf5_put(f, "theta/b1", MT_FLOATS, 1, b, zeros, &err));
        cr_assert(mt_hdf5_put(f, "theta/w2", MT_FLOATS, 2, w1, zeros, &err));
        cr_assert(mt_hdf5_put(f, "theta/b2", MT_FLOATS, 1, b, zeros, &err));
    }
    if (x->other) cr_assert(mt_hdf5_put(f, x->other, MT_FLOATS, 1, b, zeros, &err));
    cr_assert(mt_hdf5_save(f, &err), "%s", err.text);
    mt_hdf5_close(f);
}

Test(theta_file, wrong_content_is_named) {
    static const forgery forgeries[] = {
        {.what = "another shape", .pattern = "(38, 2)", .rows = 38},
        {.what = "another rank", .pattern = "(39)", .rank = 1},
        {.what = "another type", .pattern = "float64", .type = MT_DOUBLES},
        {.what = "another block", .pattern = "w9", .other = "theta/w9"},
        {.what = "no theta", .pattern = "theta/w0", .without_theta = 1},
        {.what = "unknown optimizer", .pattern = "smal-fc", .preset = "smal-fc"},
        {.what = "hand-designed", .pattern = "hidden_size", .preset = "adam"},
        {.what = "no optimizer", .pattern = "\"optimizer\"", .preset = ""},
        {.what = "another format", .pattern = "metatrain theta 2", .format = "metatrain theta 2"},
        {.what = "no format", .pattern = "\"format\"", .format = ""},
        {.what = "unknown setting", .pattern = "hidden_sise", .setting = "settings/hidden_sise", .value = "2"},
        {.what = "huge setting", .pattern = "hidden_layers", .setting = "settings/hidden_layers", .value = "1e9"},
        {.what = "nonsense setting", .pattern = "exp_mult", .setting = "settings/exp_mult", .value = "much"},
    };
    forgery good = {.what = "good"};
    lopt_error err = {LOPT_OK, ""};
    forge(&good);
    mt_theta_file *t = mt_theta_file_read(damaged, &err);
    cr_assert(t != NULL, "a file like the others, but right: %s", err.text);
    mt_theta_file_free(t);
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        forge(&forgeries[i]);
        assert_refused(damaged, forgeries[i].pattern, forgeries[i].what);
    }
}

Test(theta_file, other_files_are_refused) {
    assert_refused("/nonexistent/theta.h5", "No such file", "absent");
    assert_refused("/tmp", "not a file", "a folder");
    write_bytes(damaged, "seed: 1\n", 8);
    assert_refused(damaged, "HDF5", "a text");
    write_bytes(damaged, "", 0);
    assert_refused(damaged, "", "an empty file");
    assert_refused("tests/golden/elo.h5", "not a theta file", "a golden trajectory");
}
