/* SPDX-License-Identifier: Apache-2.0
 *
 * Trees of flax, byte by byte: what flax and its older versions wrote is read, what is damaged or
 * does not fit is refused with a sentence, and what we write is what flax writes. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/read_file.h"
#include "formats/flax.h"
#include "formats/import_weights.h"
#include "formats/msgpack_check.h"
#include "scratch.h"

TestSuite(flax, .init = make_scratch, .fini = remove_scratch, .timeout = 60);

/* ---- bytes of MessagePack, by hand ----------------------------------------------------------- */

typedef struct bytes {
    size_t n;
    unsigned char at[4096];
} bytes;

static void put(bytes *b, const void *data, size_t n) {
    cr_assert(b->n + n <= sizeof b->at);
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

static void byte(bytes *b, int x) {
    put(b, &(unsigned char){(unsigned char)x}, 1);
}

static void text(bytes *b, const char *s) {
    byte(b, 0xa0 | (int)strlen(s)); /* shorter than 32 */
    put(b, s, strlen(s));
}

static void map(bytes *b, int n) {
    byte(b, 0x80 | n);
}

/* [shape, type, data] */
static bytes payload(int rank, const int *dim, const char *type, const void *data, size_t n) {
    bytes p = {0};
    byte(&p, 0x93);
    byte(&p, 0x90 | rank);
    for (int i = 0; i < rank; i++) byte(&p, dim[i]);
    text(&p, type);
    byte(&p, 0xc4);
    byte(&p, (int)n);
    put(&p, data, n);
    return p;
}

static void extension(bytes *b, int type, const bytes *p) {
    byte(b, 0xc7);
    byte(b, (int)p->n);
    byte(b, type);
    put(b, p->at, p->n);
}

/* A leaf of shape () */
static void leaf(bytes *b, const char *key, float x) {
    bytes p = payload(0, NULL, "float32", &x, 4);
    text(b, key);
    extension(b, 1, &p);
}

/* Theta of learnable-adam: 1, 2, 3, 4 in the order of its blocks. */
static void adam_tree(bytes *b) {
    map(b, 4);
    leaf(b, "one_minus_beta2", 3);
    leaf(b, "log_epsilon", 4);
    leaf(b, "log_lr", 1);
    leaf(b, "one_minus_beta1", 2);
}

/* ---- reading it ------------------------------------------------------------------------------ */

static lopt_optimizer *import_as(const bytes *b, const char *preset, const char *said, lopt_error *err) {
    const char *path = path_of("tree", (char[SCRATCH_PATH]){0});
    FILE *notes = said ? fopen(said, "w") : nowhere;
    cr_assert(mt_write_atomically(path, b->at, b->n, err), "%s", err->text);
    mt_import *in = mt_import_open("flax", &path, 1, preset, err);
    lopt_optimizer *opt = in ? mt_import_optimizer(in, preset, NULL, 0, notes, err) : NULL;
    mt_import_free(in);
    if (said) fclose(notes);
    return opt;
}

static void assert_adam(const bytes *b, const char *what) {
    lopt_error err = {LOPT_OK, ""};
    lopt_optimizer *opt = import_as(b, "learnable-adam", NULL, &err);
    cr_assert(opt != NULL, "%s: %s", what, err.text);
    for (int i = 0; i < 4; i++)
        cr_assert(lopt_theta(opt)[i] == (float)(i + 1), "%s: theta[%d] is %g", what, i, (double)lopt_theta(opt)[i]);
    lopt_destroy(opt);
}

/* Refused, and the sentence says these words. */
static void assert_refused_as(const bytes *b, const char *preset, const char *words) {
    lopt_error err = {LOPT_OK, ""};
    lopt_optimizer *opt = import_as(b, preset, NULL, &err);
    cr_assert(opt == NULL && err.status == LOPT_EARG, "accepted, expected \"%s\"", words);
    cr_assert(strstr(err.text, words) && strstr(err.text, "/tree"), "\"%s\" lacks \"%s\"", err.text, words);
}

static void assert_refused(const bytes *b, const char *words) {
    assert_refused_as(b, "learnable-adam", words);
}

Test(flax, plain_tree) {
    bytes b = {0};
    adam_tree(&b);
    assert_adam(&b, "plain");
}

Test(flax, wrappers_around_theta) {
    bytes checkpoint = {0}, tuple = {0}, trainer = {0};
    map(&checkpoint, 3);
    text(&checkpoint, "gen_id");
    text(&checkpoint, "abc");
    text(&checkpoint, "params");
    adam_tree(&checkpoint);
    text(&checkpoint, "step");
    byte(&checkpoint, 7);
    assert_adam(&checkpoint, "ParameterCheckpoint");

    map(&tuple, 3);
    text(&tuple, "0");
    adam_tree(&tuple);
    text(&tuple, "1");
    text(&tuple, "");
    text(&tuple, "2");
    byte(&tuple, 0);
    assert_adam(&tuple, "tuple");

    map(&trainer, 2);
    text(&trainer, "elapsed_time");
    byte(&trainer, 9);
    text(&trainer, "gradient_learner_state");
    map(&trainer, 1);
    text(&trainer, "theta_opt_state");
    map(&trainer, 2);
    text(&trainer, "iteration");
    byte(&trainer, 3);
    text(&trainer, "params");
    adam_tree(&trainer);
    assert_adam(&trainer, "outer trainer");
}

Test(flax, old_namedtuple) {
    static const char *const names[] = {"log_lr", "one_minus_beta1", "one_minus_beta2", "log_epsilon"};
    bytes b = {0};
    char key[2] = "0";
    map(&b, 3);
    text(&b, "name");
    text(&b, "Theta");
    text(&b, "fields");
    map(&b, 4);
    for (int i = 0; i < 4; i++) {
        key[0] = (char)('0' + i);
        text(&b, key);
        text(&b, names[i]);
    }
    text(&b, "values");
    map(&b, 4);
    for (int i = 0; i < 4; i++) {
        key[0] = (char)('0' + i);
        leaf(&b, key, (float)(i + 1));
    }
    assert_adam(&b, "namedtuple");
}

/* float64 leaves of NumPy, Python floats, and texts stored as bytes. */
Test(flax, other_leaves) {
    bytes b = {0}, p;
    float two = 2;
    map(&b, 4);
    text(&b, "log_lr"); /* a Python float: float64, big-endian */
    put(&b, "\xcb\x3f\xf0\0\0\0\0\0\0", 9);
    text(&b, "one_minus_beta1"); /* NumPy scalar */
    p = payload(0, NULL, "float32", &two, 4);
    extension(&b, 3, &p);
    text(&b, "one_minus_beta2");
    p = payload(0, NULL, "bfloat16", "\x40\x40", 2); /* 3 = 0x4040 */
    extension(&b, 1, &p);
    put(&b, "\xc4\x0blog_epsilon", 13); /* a key as bytes; the type too */
    p = (bytes){0};
    put(&p,
        "\x93\x90\xc4\x07"
        "float16\xc4\x02\x00\x44",
        15); /* 4 = 0x4400 */
    extension(&b, 1, &p);
    assert_adam(&b, "other leaves");
}

Test(flax, rounding_is_said) {
    bytes b = {0}, p;
    double third = 1.0 / 3, half = 0.5;
    const char *said = "/tmp/test-flax-said";
    lopt_error err = {LOPT_OK, ""};
    map(&b, 2);
    text(&b, "log_lr");
    p = payload(0, NULL, "float64", &third, 8);
    extension(&b, 1, &p);
    text(&b, "one_minus_momentum");
    p = payload(0, NULL, "float64", &half, 8);
    extension(&b, 1, &p);
    lopt_optimizer *opt = import_as(&b, "learnable-sgdm", said, &err);
    cr_assert(opt && lopt_theta(opt)[0] == 1.0f / 3 && lopt_theta(opt)[1] == 0.5f, "%s", err.text);
    char *text_said = mt_text_read(said, 4096, NULL, &err);
    cr_assert(text_said && strstr(text_said, "['log_lr']: 1 of 1 numbers rounded") && !strstr(text_said, "momentum"),
              "%s", text_said);
    free(text_said);
    unlink(said);
    lopt_destroy(opt);
}

/* Every half is read exactly: powers of two, the smallest, the largest. */
Test(flax, half_precision) {
    static const struct {
        int bits;
        float x;
    } halves[] = {
        {0x3c00, 1},        {0xc000, -2},          {0x7bff, 65504}, {0x0001, 0x1p-24f}, {0x03ff, 0x1.ff8p-15f},
        {0x0400, 0x1p-14f}, {0x3555, 0x1.554p-2f}, {0x8000, 0}};
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
        bytes b = {0}, p;
        lopt_error err = {LOPT_OK, ""};
        unsigned char data[2] = {(unsigned char)(halves[i].bits & 255), (unsigned char)(halves[i].bits >> 8)};
        map(&b, 1);
        text(&b, "log_lr");
        p = payload(0, NULL, "float16", data, 2);
        extension(&b, 1, &p);
        lopt_optimizer *opt = import_as(&b, "learnable-sgd", NULL, &err);
        cr_assert(opt && lopt_theta(opt)[0] == halves[i].x, "%04x is %g", halves[i].bits,
                  opt ? (double)lopt_theta(opt)[0] : NAN);
        lopt_destroy(opt);
    }
}

/* log_lr of learnable-sgd as a chunked array of shape () in n chunks, one of them changed. */
static void chunked(bytes *b, int claimed, int n_chunks, const char *second_type) {
    bytes p;
    float x[2] = {5, 6};
    map(b, 1);
    text(b, "momentum_decays");
    map(b, 3);
    text(b, "__msgpack_chunked_array__");
    byte(b, 0xc3);
    text(b, "shape");
    map(b, 1);
    text(b, "0");
    byte(b, claimed);
    text(b, "chunks");
    map(b, n_chunks);
    for (int i = n_chunks - 1; i >= 0; i--) { /* order of keys is not order of chunks */
        char key[2] = {(char)('0' + i), '\0'};
        int dim = i == 0 ? 2 : 1;
        p = payload(1, &dim, i ? second_type : "float32", i ? (const void *)"\0\0\xe0\x40" : x, i ? 4 : 8);
        text(b, key);
        extension(b, 1, &p);
    }
}

Test(flax, chunked_array) {
    bytes b = {0};
    lopt_error err = {LOPT_OK, ""};
    mt_arrays *arrays = mt_arrays_create("tree", &err);
    chunked(&b, 3, 2, "float32");
    cr_assert(mt_flax_parse(arrays, "tree", b.at, b.n, &err), "%s", err.text);
    const mt_array *a = mt_arrays_find(arrays, "['momentum_decays']");
    float x[3];
    cr_assert(a && a->n == 3 && a->rank == 1);
    memcpy(x, a->data, sizeof x);
    cr_assert(x[0] == 5 && x[1] == 6 && x[2] == 7);
    mt_arrays_free(arrays);

    b = (bytes){0};
    chunked(&b, 4, 2, "float32");
    assert_refused(&b, "holds 12 bytes, expected 16");
    b = (bytes){0};
    chunked(&b, 3, 2, "int32");
    assert_refused(&b, "two types");
    b = (bytes){0};
    chunked(&b, 3, 0, "float32");
    assert_refused(&b, "without shape or chunks");
}

/* ---- what does not fit ----------------------------------------------------------------------- */

Test(flax, missing_extra_misshapen) {
    bytes b = {0}, p;
    int dim[2] = {2, 1};
    float x[2] = {1, 2};
    map(&b, 1);
    leaf(&b, "log_lr", 1);
    assert_refused_as(&b, "learnable-sgdm", "has no ['one_minus_momentum'] of shape ()");

    b = (bytes){0};
    map(&b, 2);
    leaf(&b, "log_lr", 1);
    leaf(&b, "lr", 1);
    assert_refused_as(&b, "learnable-sgd", "holds ['lr'] of shape (), which optimizer learnable-sgd");

    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    p = payload(2, dim, "float32", x, 8);
    extension(&b, 1, &p);
    assert_refused_as(&b, "learnable-sgd", "['log_lr'] has shape (2, 1)");
    assert_refused_as(&b, "learnable-sgd", "expects ()");
    assert_refused_as(&b, "adam", "adam is hand-designed");
}

Test(flax, leaves_that_are_no_theta) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    bytes b, p;
    for (int i = 0; i < 3; i++) {
        b = (bytes){0};
        map(&b, 1);
        leaf(&b, "log_lr", bad[i]);
        assert_refused_as(&b, "learnable-sgd", i ? "index 0 is infinite" : "index 0 is NaN");
    }
    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    p = payload(0, NULL, "int32", "\1\0\0\0", 4);
    extension(&b, 1, &p);
    assert_refused_as(&b, "learnable-sgd", "['log_lr'] is int32");
    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    text(&b, "0.1");
    assert_refused_as(&b, "learnable-sgd", "no array of numbers");
    double huge = 1e300;
    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    p = payload(0, NULL, "float64", &huge, 8);
    extension(&b, 1, &p);
    assert_refused_as(&b, "learnable-sgd", "infinite");
}

Test(flax, hostile_headers) {
    bytes b = {0}, p;
    float x = 1;
    int dim[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    map(&b, 2);
    leaf(&b, "log_lr", 1);
    leaf(&b, "log_lr", 1);
    assert_refused(&b, "holds ['log_lr'] twice");

    b = (bytes){0};
    put(&b, "\xdf\xff\xff\xff\xff", 5); /* a map of four thousand million */
    assert_refused(&b, "damaged or cut off at byte 0");
    b = (bytes){0};
    for (int i = 0; i < 200; i++) put(&b, "\x81\xa1k", 3);
    byte(&b, 1);
    assert_refused(&b, "nested deeper");
    b = (bytes){0};
    put(&b, "\x80\x80", 2);
    assert_refused(&b, "1 bytes after its only object");
    b = (bytes){0};
    put(&b, "\x93\x01\x02\x03", 4);
    assert_refused(&b, "no map");
    b = (bytes){0};
    put(&b, "\x81\x01\x02", 3);
    assert_refused(&b, "not a text");
    assert_refused(&(bytes){0}, "cut off at byte 0 of 0");

    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    p = payload(9, dim, "float32", &x, 4);
    extension(&b, 1, &p);
    assert_refused(&b, "at most 8 sizes");
    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    dim[0] = 0xff; /* -1 */
    p = payload(1, dim, "float32", &x, 4);
    extension(&b, 1, &p);
    assert_refused(&b, "sizes of 0 or more");
    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    p = payload(0, NULL, "float32", &x, 3);
    extension(&b, 1, &p);
    assert_refused(&b, "holds 3 bytes, expected 4");
    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    p = (bytes){0};
    put(&p,
        "\x93\x92\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\x02\xa7"
        "float32\xc4\x00",
        22);
    extension(&b, 1, &p);
    assert_refused(&b, "impossible shape");
    b = (bytes){0};
    map(&b, 1);
    text(&b, "log_lr");
    p = (bytes){0};
    put(&p,
        "\x92\x90\xa7"
        "float32",
        10);
    extension(&b, 1, &p);
    assert_refused(&b, "expected [shape, type name, bytes]");
}

static int accepts(const bytes *b) {
    lopt_error err = {LOPT_OK, ""};
    lopt_optimizer *opt = lopt_create("learnable-adam", NULL, 0, &err);
    mt_arrays *arrays = mt_arrays_create("tree", &err);
    int ok = mt_flax_parse(arrays, "tree", b->at, b->n, &err) && mt_arrays_finish(arrays, &err) &&
             mt_arrays_to_theta(arrays, &mt_places_flax, opt, nowhere, &err);
    cr_assert(ok || (err.status == LOPT_EARG && strncmp(err.text, "tree: ", 6) == 0), "%s", err.text);
    mt_arrays_free(arrays);
    lopt_destroy(opt);
    return ok;
}

/* Whatever happens to a byte, the answer is a sentence or a theta, never a crash. */
Test(flax, damage_everywhere) {
    bytes whole = {0};
    int accepted = 0;
    adam_tree(&whole);
    for (size_t n = 0; n < whole.n; n++) {
        bytes cut = whole;
        cut.n = n;
        cr_assert(!accepts(&cut), "cut to %zu", n);
    }
    for (size_t i = 0; i < whole.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes flipped = whole;
            flipped.at[i] ^= (unsigned char)(1 << bit);
            accepted += accepts(&flipped);
        }
    /* 32 bits of each number, but the one that makes 1 infinite; and extension 1 that becomes 3. */
    cr_assert(accepted == 4 * 32 - 1 + 4, "%d", accepted);
}

Test(flax, check_counts_what_it_reads) {
    lopt_error err;
    static const char *const good[] = {"\xc0",
                                       "\x7f",
                                       "\xe0",
                                       "\x90",
                                       "\xa0",
                                       "\xcb"
                                       "12345678",
                                       "\xd8"
                                       "x0123456789abcdef"};
    for (size_t i = 0; i < 7; i++) {
        size_t n = strlen(good[i]);
        unsigned char copy[20];
        memcpy(copy, good[i], n);
        cr_assert(mt_msgpack_check("x", copy, n, &err), "%zu: %s", i, err.text);
        cr_assert(n == 1 || !mt_msgpack_check("x", copy, n - 1, &err), "%zu", i);
    }
    cr_assert(!mt_msgpack_check("x", (const unsigned char *)"\xc1", 1, &err));
    cr_assert(!mt_msgpack_check("x", (const unsigned char *)"\xdd\xff\xff\xff\xff", 5, &err));
    cr_assert(!mt_msgpack_check("x", (const unsigned char *)"\xc6\xff\xff\xff\xff", 5, &err));
}

/* ---- writing --------------------------------------------------------------------------------- */

static lopt_optimizer *random_optimizer(const char *preset, uint64_t seed) {
    lopt_error err = {LOPT_OK, ""};
    lopt_optimizer *opt = lopt_create(preset, NULL, 0, &err);
    cr_assert(opt != NULL, "%s", err.text);
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    lopt_init_theta(opt, seed, theta);
    for (size_t i = 0; i < lopt_n_theta(opt); i++)
        theta[i] += 0.01f * (float)((int)(i * 7 % 23) - 11); /* zeros would not tell blocks apart */
    lopt_set_theta(opt, theta);
    free(theta);
    return opt;
}

/* Byte for byte: sorted keys, the shortest headers, fixext of 16. */
Test(flax, written_bytes) {
    lopt_error err = {LOPT_OK, ""};
    lopt_optimizer *opt = lopt_create("learnable-sgdm", NULL, 0, &err);
    lopt_set_theta(opt, (float[]){1, 2}); /* log_lr, one_minus_momentum */
    mt_theta_file theta = {.optimizer = opt};
    const char expected[] = "\x82\xa6log_lr\xd8\x01\x93\x90\xa7"
                            "float32\xc4\x04\0\0\x80\x3f"
                            "\xb2one_minus_momentum\xd8\x01\x93\x90\xa7"
                            "float32\xc4\x04\0\0\0\x40";
    size_t n;
    char path[SCRATCH_PATH];
    cr_assert(mt_flax_export(path_of("written", path), &theta, nowhere, &err), "%s", err.text);
    char *found = mt_text_read(path, 4096, &n, &err);
    cr_assert(n == sizeof expected - 1 && memcmp(found, expected, n) == 0);
    free(found);
    lopt_destroy(opt);
}

/* Modules of Haiku keep their '/', w0__10 comes before w0__2, hidden before cell. */
Test(flax, written_tree) {
    static const char *const in_order[] = {"\xac"
                                           "ff_mod_stack",
                                           "\x81\xa1~",
                                           "w0__1\xc7",
                                           "w0__10",
                                           "w0__13",
                                           "w0__2",
                                           "lstm_init_state\x82\xa6hidden",
                                           "\xa4"
                                           "cell",
                                           "rnn_params\x86\xa6linear\x82\xa1"
                                           "b",
                                           "linear_1",
                                           "linear_2",
                                           "\xaarnn/linear\x82\xa1"
                                           "b",
                                           "rnn_to_controls",
                                           "step_size"};
    lopt_error err = {LOPT_OK, ""};
    size_t n, from = 0;
    mt_theta_file theta = {.optimizer = random_optimizer("celo", 1)};
    char path[SCRATCH_PATH];
    cr_assert(mt_flax_export(path_of("written", path), &theta, nowhere, &err), "%s", err.text);
    char *found = mt_text_read(path, 1 << 20, &n, &err);
    for (size_t i = 0; i < sizeof in_order / sizeof in_order[0]; i++) {
        const char *key = memmem(found + from, n - from, in_order[i], strlen(in_order[i]));
        cr_assert(key != NULL, "key %zu is not after the one before it", i);
        from = (size_t)(key - found);
    }
    free(found);
    lopt_destroy(theta.optimizer);
}

Test(flax, every_learned_optimizer_returns) {
    const lopt_preset_info *info;
    int n_learned = 0;
    for (size_t i = 0; (info = lopt_preset(i)) != NULL; i++) {
        if (!info->learned) continue;
        lopt_error err = {LOPT_OK, ""};
        mt_theta_file theta = {.optimizer = random_optimizer(info->name, i)};
        const char *path = path_of("state", (char[SCRATCH_PATH]){0});
        cr_assert(mt_flax_export(path, &theta, nowhere, &err), "%s", err.text);
        mt_import *in = mt_import_open("flax", &path, 1, info->name, &err);
        cr_assert(in != NULL, "%s: %s", info->name, err.text);
        lopt_optimizer *back = mt_import_optimizer(in, info->name, NULL, 0, nowhere, &err);
        cr_assert(back != NULL, "%s: %s", info->name, err.text);
        cr_assert(memcmp(lopt_theta(back), lopt_theta(theta.optimizer), lopt_n_theta(back) * sizeof(float)) == 0, "%s",
                  info->name);
        mt_import_free(in);
        lopt_destroy(back);
        lopt_destroy(theta.optimizer);
        n_learned++;
    }
    cr_assert(n_learned >= 20);
}

Test(flax, legacy_lstm_state) {
    lopt_error err = {LOPT_OK, ""};
    mt_arrays *arrays = mt_arrays_create("tree", &err);
    bytes b = {0};
    map(&b, 1);
    text(&b, "lstm_init_state");
    map(&b, 2);
    leaf(&b, "1", 2);
    leaf(&b, "0", 1);
    cr_assert(mt_flax_parse(arrays, "tree", b.at, b.n, &err) && mt_arrays_finish(arrays, &err));
    const mt_array *hidden = mt_arrays_find(arrays, "['lstm_init_state']['hidden']");
    const mt_array *cell = mt_arrays_find(arrays, "['lstm_init_state']['cell']");
    cr_assert(hidden && memcmp(hidden->data, &(float){1}, 4) == 0);
    cr_assert(cell && memcmp(cell->data, &(float){2}, 4) == 0);
    mt_arrays_free(arrays);
}

/* ---- the published weights of Celo ----------------------------------------------------------- */

/* Where they are: METATRAIN_CELO_THETA, or beside the clone. They are their authors' to give. */
static const char *celo_path(void) {
    const char *path = getenv("METATRAIN_CELO_THETA");
    return path ? path : "../shared/data/celo/theta.state";
}

typedef struct statistics {
    const char *block;
    double mean, std, max_abs;
} statistics;

static const statistics celo_statistics[] = {
    {"ff_mod_stack/b0", 0.229844, 0.335633, 0.663814},
    {"ff_mod_stack/b1", -0.041236, 0.159183, 0.277184},
    {"ff_mod_stack/b2", -0.247422, 0.127039, 0.386940},
    {"ff_mod_stack/w0__0", 0.052205, 0.318981, 0.415443},
    {"ff_mod_stack/w0__1", -0.063570, 0.338433, 0.446313},
    {"ff_mod_stack/w0__2", -0.094511, 0.293047, 0.514018},
    {"ff_mod_stack/w0__3", 0.037260, 0.348174, 0.657704},
    {"ff_mod_stack/w0__4", 0.094823, 0.115678, 0.252311},
    {"ff_mod_stack/w0__5", -0.009960, 0.511403, 0.886338},
    {"ff_mod_stack/w0__6", 0.350843, 0.171705, 0.515774},
    {"ff_mod_stack/w0__7", 0.150018, 0.343827, 0.920560},
    {"ff_mod_stack/w0__8", 0.143715, 0.262538, 0.387757},
    {"ff_mod_stack/w0__9", -0.045255, 0.210849, 0.395768},
    {"ff_mod_stack/w0__10", -0.035140, 0.226628, 0.422235},
    {"ff_mod_stack/w0__11", 0.134203, 0.246574, 0.568338},
    {"ff_mod_stack/w0__12", 0.161878, 0.288657, 0.752867},
    {"ff_mod_stack/w0__13", -0.032945, 0.281591, 0.527827},
    {"ff_mod_stack/w1", 0.088262, 0.680633, 1.60445},
    {"ff_mod_stack/w2", 0.207990, 0.607063, 1.35058},
    {"lstm_init_state/hidden", -0.020830, 0.224682, 0.680994},
    {"lstm_init_state/cell", 0.059732, 0.246386, 0.579473},
    {"rnn_params/linear/b", -0.009171, 0.265829, 0.560582},
    {"rnn_params/linear/w", 0.000666, 0.325146, 1.08064},
    {"rnn_params/linear_1/b", -0.013489, 0.218202, 0.777568},
    {"rnn_params/linear_1/w", -0.007610, 0.331548, 1.24262},
    {"rnn_params/linear_2/b", 0.043115, 0.300344, 0.838370},
    {"rnn_params/linear_2/w", 0.006309, 0.326140, 1.08590},
    {"rnn_params/rnn/linear/b", 0.008768, 0.269800, 0.978064},
    {"rnn_params/rnn/linear/w", -0.001891, 0.266139, 1.32959},
    {"rnn_params/rnn_to_controls/b", -0.061874, 0, 0.061874},
    {"rnn_params/rnn_to_controls/w", 0.049332, 0.260810, 0.828851},
    {"rnn_params/step_size/b", 0.291330, 0, 0.291330},
    {"rnn_params/step_size/w", -0.046069, 0.281429, 0.831117},
};
enum { N_CELO_BLOCKS = sizeof celo_statistics / sizeof celo_statistics[0] };

static void assert_statistics(const lopt_optimizer *opt, const statistics *s) {
    const lopt_block *b = lopt_block_find(opt, s->block);
    double sum = 0, squares = 0, max_abs = 0;
    cr_assert(b != NULL, "%s", s->block);
    for (size_t i = 0; i < b->size; i++) {
        double x = (double)lopt_theta(opt)[b->offset + i];
        sum += x;
        squares += x * x;
        max_abs = fmax(max_abs, fabs(x));
    }
    double mean = sum / (double)b->size, std = sqrt(fmax(squares / (double)b->size - mean * mean, 0));
    cr_assert(fabs(mean - s->mean) < 6e-7 && fabs(std - s->std) < 6e-7 && fabs(max_abs - s->max_abs) < 6e-6,
              "%s: mean %.6f std %.6f max %.6f", s->block, mean, std, max_abs);
}

Test(flax, published_celo_weights) {
    const char *path = celo_path();
    lopt_error err = {LOPT_OK, ""};
    if (access(path, R_OK) != 0) {
        remove_scratch(); /* what is skipped is not torn down */
        cr_skip_test("the published Celo weights are not at %s", path);
    }
    mt_import *in = mt_import_open("flax", &path, 1, "celo", &err);
    cr_assert(in != NULL, "%s", err.text);
    mt_theta_file theta = {.optimizer = mt_import_optimizer(in, "celo", NULL, 0, nowhere, &err)};
    cr_assert(theta.optimizer != NULL, "%s", err.text);
    cr_assert(lopt_n_theta(theta.optimizer) == 37089 && lopt_n_blocks(theta.optimizer) == N_CELO_BLOCKS);
    for (int i = 0; i < N_CELO_BLOCKS; i++) assert_statistics(theta.optimizer, &celo_statistics[i]);

    size_t n, m;
    char copy[SCRATCH_PATH];
    cr_assert(mt_flax_export(path_of("celo", copy), &theta, nowhere, &err), "%s", err.text);
    char *theirs = mt_text_read(path, 1 << 20, &n, &err);
    char *ours = mt_text_read(copy, 1 << 20, &m, &err);
    cr_assert(n == m && memcmp(ours, theirs, n) == 0, "the export is another file");
    free(ours);
    free(theirs);
    mt_import_free(in);
    lopt_destroy(theta.optimizer);
}
