/* SPDX-License-Identifier: Apache-2.0
 *
 * flax.c - see formats/flax.h. */
#include "formats/flax.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/import_record.h"
#include "formats/msgpack_check.h"

enum { EXT_ARRAY = 1, EXT_SCALAR = 3 };

/* ---- MessagePack objects --------------------------------------------------------------------- */

/* Texts: old writers store them as raw bytes. */
typedef struct text {
    const char *at;
    size_t n;
} text;

static int text_of_key(const msgpack_object *o, text *t) {
    if (o->type == MSGPACK_OBJECT_STR)
        *t = (text){o->via.str.ptr, o->via.str.size};
    else if (o->type == MSGPACK_OBJECT_BIN)
        *t = (text){o->via.bin.ptr, o->via.bin.size};
    else
        return 0;
    return 1;
}

static int is_text(text t, const char *expected) {
    return t.n == strlen(expected) && memcmp(t.at, expected, t.n) == 0;
}

/* Value of a key of a map; NULL if o is no map or has no such key. */
static const msgpack_object *child_at(const msgpack_object *o, const char *key) {
    text t;
    if (!o || o->type != MSGPACK_OBJECT_MAP) return NULL;
    for (uint32_t i = 0; i < o->via.map.size; i++)
        if (text_of_key(&o->via.map.ptr[i].key, &t) && is_text(t, key)) return &o->via.map.ptr[i].val;
    return NULL;
}

/* Child number i of a map with the keys "0", "1", ... */
static const msgpack_object *numbered_name(const msgpack_object *o, uint32_t i) {
    char key[16];
    snprintf(key, sizeof key, "%u", i);
    return child_at(o, key);
}

static uint32_t map_size(const msgpack_object *o) {
    return o && o->type == MSGPACK_OBJECT_MAP ? o->via.map.size : 0;
}

/* One object in bytes, whose memory belongs to *zone. */
static int unpack_tree(const char *what, const unsigned char *bytes, size_t n, msgpack_unpacked *result,
                       lopt_error *err) {
    size_t offset = 0;
    msgpack_unpacked_init(result);
    if (!mt_msgpack_check(what, bytes, n, err)) return 0;
    msgpack_unpack_return end = msgpack_unpack_next(result, (const char *)bytes, n, &offset);
    if (end == MSGPACK_UNPACK_SUCCESS || end == MSGPACK_UNPACK_EXTRA_BYTES) return 1;
    return end == MSGPACK_UNPACK_NOMEM_ERROR ? mt_error(err, LOPT_ENOMEM, "%s: out of memory", what)
                                             : mt_error(err, LOPT_EARG, "%s: not MessagePack", what);
}

/* ---- leaves ---------------------------------------------------------------------------------- */

typedef struct reader {
    mt_arrays *arrays;
    const char *file;
    char name[MT_ARRAY_NAME]; /* of the leaf being read */
    lopt_error *err;
} reader;

static int report_wrong(reader *r, const char *what) {
    return mt_error(r->err, LOPT_EARG, "%s: %s %s", r->file, r->name[0] ? r->name : "its root", what);
}

static int add_array(reader *r, mt_array *a, size_t bytes) {
    a->file = r->file;
    a->name = r->name;
    return mt_arrays_add(r->arrays, a, bytes, r->err);
}

static int read_sizes(reader *r, const msgpack_object *shape, mt_array *a) {
    int is_map = shape->type == MSGPACK_OBJECT_MAP; /* of a chunked array */
    uint32_t rank = is_map ? shape->via.map.size : shape->via.array.size;
    if ((!is_map && shape->type != MSGPACK_OBJECT_ARRAY) || rank > MT_ARRAY_RANK)
        return report_wrong(r, "has a shape that is not a list of at most 8 sizes");
    a->rank = (int)rank;
    for (uint32_t i = 0; i < rank; i++) {
        const msgpack_object *size = is_map ? numbered_name(shape, i) : &shape->via.array.ptr[i];
        if (!size || size->type != MSGPACK_OBJECT_POSITIVE_INTEGER || size->via.u64 > INT64_MAX)
            return report_wrong(r, "has a shape with something else than sizes of 0 or more");
        a->dim[i] = (int64_t)size->via.u64;
    }
    return 1;
}

/* [shape, type name, bytes], which stay in place. */
static int read_array(reader *r, const msgpack_object *o, mt_array *a, size_t *bytes) {
    text type, data;
    const msgpack_object *part = o->via.array.ptr;
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 3 || part[0].type != MSGPACK_OBJECT_ARRAY ||
        !text_of_key(&part[1], &type) || !text_of_key(&part[2], &data))
        return report_wrong(r, "is no array of flax: expected [shape, type name, bytes]");
    if (!read_sizes(r, &part[0], a)) return 0;
    a->dtype = mt_dtype_find(type.at, type.n);
    if (!a->dtype || !a->dtype->numpy || !is_text(type, a->dtype->numpy)) a->dtype = mt_no_numbers;
    a->data = (const unsigned char *)data.at;
    *bytes = data.n;
    return 1;
}

/* The payload of an extension. Only *a remains of it: it points into the file. */
static int read_extension(reader *r, const msgpack_object *o, mt_array *a, size_t *bytes) {
    char what[MT_ARRAY_NAME + 200];
    msgpack_unpacked payload;
    snprintf(what, sizeof what, "%.180s: %s", r->file, r->name);
    int ok = unpack_tree(what, (const unsigned char *)o->via.ext.ptr, o->via.ext.size, &payload, r->err) &&
             read_array(r, &payload.data, a, bytes);
    msgpack_unpacked_destroy(&payload);
    return ok;
}

static int take_extension(reader *r, const msgpack_object *o) {
    mt_array a = {.dtype = mt_no_numbers};
    size_t bytes = 0;
    int known = o->via.ext.type == EXT_ARRAY || o->via.ext.type == EXT_SCALAR;
    return (!known || read_extension(r, o, &a, &bytes)) && add_array(r, &a, bytes);
}

/* A plain number of Python. */
static int take_number(reader *r, double x) {
    double *kept = mt_arrays_own(r->arrays, malloc(sizeof *kept));
    if (!kept) return mt_error(r->err, LOPT_ENOMEM, "%s: out of memory", r->file);
    *kept = x;
    mt_array a = {.dtype = mt_float64, .data = (unsigned char *)kept};
    return add_array(r, &a, sizeof *kept);
}

static int is_chunked(const msgpack_object *o) {
    return child_at(o, "__msgpack_chunked_array__") != NULL;
}

/* Where chunk i goes; its type must be that of the others, its bytes must fit. */
static int take_chunk(reader *r, const msgpack_object *chunk, mt_array *whole, mt_array *part, size_t *bytes) {
    if (!chunk || chunk->type != MSGPACK_OBJECT_EXT || chunk->via.ext.type != EXT_ARRAY)
        return report_wrong(r, "is a chunked array with a chunk missing");
    if (!read_extension(r, chunk, part, bytes)) return 0;
    if (whole->dtype && part->dtype != whole->dtype)
        return report_wrong(r, "is a chunked array with chunks of two types");
    whole->dtype = part->dtype;
    return 1;
}

static int take_chunked(reader *r, const msgpack_object *o) {
    const msgpack_object *chunks = child_at(o, "chunks"), *shape = child_at(o, "shape");
    mt_array whole = {.dtype = NULL}, part;
    size_t used = 0, bytes;
    if (!shape || map_size(chunks) == 0) return report_wrong(r, "is a chunked array without shape or chunks");
    if (!read_sizes(r, shape, &whole)) return 0;
    for (uint32_t i = 0; i < map_size(chunks); i++, used += bytes)
        if (!take_chunk(r, numbered_name(chunks, i), &whole, &part, &bytes)) return 0;
    unsigned char *data = mt_arrays_own(r->arrays, malloc(used + 1)); /* no more than the file */
    if (!data) return mt_error(r->err, LOPT_ENOMEM, "%s: out of memory", r->file);
    whole.data = data;
    for (uint32_t i = 0; i < map_size(chunks); i++, data += bytes) {
        if (!take_chunk(r, numbered_name(chunks, i), &whole, &part, &bytes)) return 0;
        memcpy(data, part.data, bytes);
    }
    return add_array(r, &whole, used);
}

/* ---- the tree -------------------------------------------------------------------------------- */

static int take_array(reader *r, const msgpack_object *o);

static int take_child(reader *r, text key, const msgpack_object *value) {
    size_t n = strlen(r->name);
    if (!mt_flax_name_add(r->name, sizeof r->name, key.at, key.n))
        return report_wrong(r, "holds a key that is too long");
    int ok = take_array(r, value);
    r->name[n] = '\0';
    return ok;
}

/* {name, fields: {"0": ...}, values: {"0": ...}} */
static int is_old_namedtuple(const msgpack_object *o) {
    return map_size(o) == 3 && child_at(o, "name") && child_at(o, "fields") && child_at(o, "values");
}

static int take_old_namedtuple(reader *r, const msgpack_object *o) {
    const msgpack_object *fields = child_at(o, "fields"), *values = child_at(o, "values");
    for (uint32_t i = 0; i < map_size(fields); i++) {
        const msgpack_object *field = numbered_name(fields, i), *value = numbered_name(values, i);
        text key;
        if (!field || !value || !text_of_key(field, &key))
            return report_wrong(r, "is a namedtuple whose fields and values do not match");
        if (!take_child(r, key, value)) return 0;
    }
    return 1;
}

static int is_old_lstm_state(const reader *r, const msgpack_object *o) {
    const char *end = "['lstm_init_state']";
    size_t n = strlen(r->name), m = strlen(end);
    return n >= m && strcmp(r->name + n - m, end) == 0 && map_size(o) == 2 && numbered_name(o, 0) &&
           numbered_name(o, 1);
}

static int take_map(reader *r, const msgpack_object *o) {
    if (is_chunked(o)) return take_chunked(r, o);
    if (is_old_namedtuple(o)) return take_old_namedtuple(r, o);
    int old_state = is_old_lstm_state(r, o);
    for (uint32_t i = 0; i < o->via.map.size; i++) {
        text key;
        if (!text_of_key(&o->via.map.ptr[i].key, &key))
            return report_wrong(r, "is a map with a key that is not a text");
        if (old_state) key = is_text(key, "0") ? (text){"hidden", 6} : (text){"cell", 4};
        if (!take_child(r, key, &o->via.map.ptr[i].val)) return 0;
    }
    return 1;
}

/* Adds the leaves of a subtree, whose depth mt_msgpack_check has bounded. */
static int take_array(reader *r, const msgpack_object *o) {
    mt_array nothing = {.dtype = mt_no_numbers};
    switch (o->type) {
    case MSGPACK_OBJECT_MAP:
        return take_map(r, o);
    case MSGPACK_OBJECT_EXT:
        return take_extension(r, o);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return take_number(r, o->via.f64);
    default:
        return add_array(r, &nothing, 0);
    }
}

/* Theta inside what was saved with it. */
static const msgpack_object *theta_in(const msgpack_object *root) {
    const msgpack_object *state = child_at(child_at(root, "gradient_learner_state"), "theta_opt_state");
    if (child_at(state, "params")) return child_at(state, "params");
    if (child_at(root, "params") && child_at(root, "gen_id")) return child_at(root, "params");
    if (map_size(root) == 3 && numbered_name(root, 0) && numbered_name(root, 1) && numbered_name(root, 2))
        return numbered_name(root, 0);
    return root;
}

int mt_flax_parse(mt_arrays *arrays, const char *file, const unsigned char *bytes, size_t n, lopt_error *err) {
    reader r = {.arrays = arrays, .file = file, .err = err};
    msgpack_unpacked tree;
    int ok = unpack_tree(file, bytes, n, &tree, err);
    if (ok) {
        const msgpack_object *theta = theta_in(&tree.data);
        ok = theta->type == MSGPACK_OBJECT_MAP ? take_array(&r, theta)
                                               : report_wrong(&r, "is no map: not a tree of flax");
    }
    msgpack_unpacked_destroy(&tree);
    return ok;
}

int mt_flax_read(mt_arrays *arrays, const char *path, lopt_error *err) {
    size_t n;
    const unsigned char *bytes = mt_arrays_read(arrays, path, &n, err);
    return bytes && mt_flax_parse(arrays, path, bytes, n, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct leaf {
    mt_flax_path path;
    const lopt_block *block;
} leaf;

/* Order of bytes; LSTMState is a namedtuple, whose fields keep their order. */
static int compare_keys(const char *a, const char *b) {
    if (strcmp(a, "hidden") == 0 && strcmp(b, "cell") == 0) return -1;
    if (strcmp(a, "cell") == 0 && strcmp(b, "hidden") == 0) return 1;
    return strcmp(a, b);
}

static int by_path(const void *a, const void *b) {
    const leaf *x = a, *y = b;
    int order = 0;
    for (int i = 0; order == 0 && i < x->path.n && i < y->path.n; i++)
        order = compare_keys(x->path.key[i], y->path.key[i]);
    return order;
}

/* These return 0, or another number if memory is short, like msgpack_pack_*. */
static int put_text(msgpack_packer *to, const char *s) {
    return msgpack_pack_str(to, strlen(s)) || msgpack_pack_str_body(to, s, strlen(s));
}

static int put_array(msgpack_packer *to, const lopt_block *b, const float *theta) {
    size_t bytes = b->size * sizeof *theta;
    int failed = msgpack_pack_array(to, 3) || msgpack_pack_array(to, (size_t)b->rank);
    for (int i = 0; !failed && i < b->rank; i++) failed = msgpack_pack_int64(to, b->dim[i]);
    return failed || put_text(to, mt_float32->numpy) || msgpack_pack_bin(to, bytes) ||
           msgpack_pack_bin_body(to, theta + b->offset, bytes);
}

static int put_leaf(msgpack_packer *to, const lopt_block *b, const float *theta) {
    msgpack_sbuffer payload;
    msgpack_packer array;
    msgpack_sbuffer_init(&payload);
    msgpack_packer_init(&array, &payload, msgpack_sbuffer_write);
    int failed = put_array(&array, b, theta) || msgpack_pack_ext(to, payload.size, EXT_ARRAY) ||
                 msgpack_pack_ext_body(to, payload.data, payload.size);
    msgpack_sbuffer_destroy(&payload);
    return failed;
}

/* Leaves that share a key with the first one at this depth. */
static size_t same_key(const leaf *leaves, size_t n, int depth) {
    size_t i = 1;
    while (i < n && strcmp(leaves[i].path.key[depth], leaves[0].path.key[depth]) == 0) i++;
    return i;
}

static int put_tree(msgpack_packer *to, const leaf *leaves, size_t n, int depth, const float *theta) {
    size_t keys = 0;
    for (size_t i = 0; i < n; i += same_key(leaves + i, n - i, depth)) keys++;
    int failed = msgpack_pack_map(to, keys);
    for (size_t i = 0, shared; !failed && i < n; i += shared) {
        shared = same_key(leaves + i, n - i, depth);
        failed = put_text(to, leaves[i].path.key[depth]) ||
                 (leaves[i].path.n == depth + 1 ? put_leaf(to, leaves[i].block, theta)
                                                : put_tree(to, leaves + i, shared, depth + 1, theta));
    }
    return failed;
}

int mt_flax_export(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err) {
    const lopt_optimizer *opt = theta->optimizer;
    size_t n = lopt_n_blocks(opt);
    leaf *leaves = malloc((n + 1) * sizeof *leaves);
    if (!leaves) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    for (size_t i = 0; i < n; i++)
        leaves[i] = (leaf){mt_flax_path_of(opt, lopt_block_at(opt, i)), lopt_block_at(opt, i)};
    qsort(leaves, n, sizeof *leaves, by_path);
    msgpack_sbuffer bytes;
    msgpack_packer to;
    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&to, &bytes, msgpack_sbuffer_write);
    int ok = put_tree(&to, leaves, n, 0, lopt_theta(opt)) ? mt_error(err, LOPT_ENOMEM, "%s: out of memory", path)
                                                          : mt_write_atomically(path, bytes.data, bytes.size, err);
    msgpack_sbuffer_destroy(&bytes);
    free(leaves);
    if (ok) {
        fprintf(notes,
                "%s: the tree of theta in JAX, %zu leaves; settings and provenance have no "
                "place in it\n",
                path, n);
        mt_import_print_command(notes, path, &mt_places_flax, opt);
    }
    return ok;
}
