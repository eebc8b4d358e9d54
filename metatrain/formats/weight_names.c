/* SPDX-License-Identifier: Apache-2.0
 *
 * weight_names.c - see weight_names.h. */
#include "formats/weight_names.h"

#include <stdio.h>
#include <string.h>

#define BANK "ff_mod_stack/"
#define INITIAL_STATE "lstm_init_state/"

static int begins_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int is_kind(const lopt_optimizer *opt, const char *kind) {
    return strcmp(lopt_info(opt)->kind, kind) == 0;
}

/* "w12", "b0": the layer, else -1. */
static int layer_of(const char *name) {
    int layer, end = 0;
    if ((name[0] != 'w' && name[0] != 'b') || sscanf(name + 1, "%3d%n", &layer, &end) != 1) return -1;
    return name[1 + end] == '\0' && layer >= 0 ? layer : -1;
}

/* ---- shapes and copies ----------------------------------------------------------------------- */

static void same_shape(mt_place *place, const lopt_block *block) {
    place->transposed = 0;
    place->first = 0;
    place->rank = block->rank;
    memcpy(place->dim, block->dim, sizeof place->dim);
}

static void transpose_matrix(mt_place *place) {
    int last = place->rank - 1;
    int64_t in = place->dim[last - 1];
    place->transposed = 1;
    place->dim[last - 1] = place->dim[last];
    place->dim[last] = in;
}

int64_t mt_place_size(const mt_place *place) {
    int64_t n = 1;
    for (int i = 0; i < place->rank; i++) n *= place->dim[i];
    return n;
}

/* Index in the array of a number of the block. */
static int64_t is_there(const mt_place *place, const lopt_block *block, int64_t here) {
    if (!place->transposed) return here;
    int64_t n_in = block->dim[block->rank - 2], n_out = block->dim[block->rank - 1];
    int64_t bank = here / (n_in * n_out), in = here / n_out % n_in, out = here % n_out;
    return (bank * n_out + out) * place->dim[place->rank - 1] + place->first + in;
}

void mt_place_get(const mt_place *place, const lopt_block *block, const float *array, float *theta) {
    for (int64_t i = 0; i < (int64_t)block->size; i++)
        theta[block->offset + (size_t)i] = array[is_there(place, block, i)];
}

void mt_place_put(const mt_place *place, const lopt_block *block, const float *theta, float *array) {
    for (int64_t i = 0; i < (int64_t)block->size; i++)
        array[is_there(place, block, i)] = theta[block->offset + (size_t)i];
}

static int in_safetensors(const lopt_optimizer *opt, const lopt_block *block, mt_place *place) {
    (void)opt;
    same_shape(place, block);
    snprintf(place->name, sizeof place->name, "%s", block->name);
    return 1;
}

/* ---- flax ------------------------------------------------------------------------------------ */

static void add_weight_key(mt_flax_path *path, const char *key, size_t bytes) {
    snprintf(path->key[path->n++], MT_FLAX_KEY, "%.*s", (int)bytes, key);
}

/* field/module/leaf; a module may hold '/' itself, and field or module may be missing. */
static void split_name(mt_flax_path *path, const char *name, int has_field) {
    const char *leaf = strrchr(name, '/'), *module = has_field ? strchr(name, '/') : NULL;
    if (module) add_weight_key(path, name, (size_t)(module - name));
    module = module ? module + 1 : name;
    if (leaf && leaf > module) add_weight_key(path, module, (size_t)(leaf - module));
    leaf = leaf ? leaf + 1 : name;
    add_weight_key(path, leaf, strlen(leaf));
}

mt_flax_path mt_flax_path_of(const lopt_optimizer *opt, const lopt_block *block) {
    mt_flax_path path = {.n = 0};
    const char *name = block->name;
    int mlp = is_kind(opt, "small_fc") || is_kind(opt, "adafac_nominal");
    if (mlp && layer_of(name) >= 0) {
        add_weight_key(&path, "nn", 2);
        add_weight_key(&path, "~", 1);
        add_weight_key(&path, name, strlen(name));
    } else if (begins_with(name, BANK)) {
        add_weight_key(&path, BANK, strlen(BANK) - 1);
        add_weight_key(&path, "~", 1);
        add_weight_key(&path, name + strlen(BANK), strlen(name + strlen(BANK)));
    } else {
        split_name(&path, name, !is_kind(opt, "mlp_lopt"));
    }
    return path;
}

int mt_flax_name_add(char *name, size_t bytes, const char *key, size_t key_bytes) {
    size_t used = strlen(name);
    if (bytes - used < 4 * key_bytes + 5) return 0;
    used += (size_t)snprintf(name + used, bytes - used, "['");
    for (size_t i = 0; i < key_bytes; i++) {
        unsigned char c = (unsigned char)key[i];
        int plain = c >= ' ' && c < 127 && c != '\'' && c != '\\';
        used += (size_t)snprintf(name + used, bytes - used, plain ? "%c" : "\\x%02x", c);
    }
    snprintf(name + used, bytes - used, "']");
    return 1;
}

static int in_flax(const lopt_optimizer *opt, const lopt_block *block, mt_place *place) {
    mt_flax_path path = mt_flax_path_of(opt, block);
    same_shape(place, block);
    place->name[0] = '\0';
    for (int i = 0; i < path.n; i++)
        if (!mt_flax_name_add(place->name, sizeof place->name, path.key[i], strlen(path.key[i]))) return 0;
    return 1;
}

/* ---- PyLO ------------------------------------------------------------------------------------ */

static int in_meta_mlp(const lopt_optimizer *opt, const char *name, mt_place *place) {
    int layer = layer_of(name), last = (int)lopt_get_number(opt, "hidden_layers", 0);
    char where[32] = "input";
    if (layer < 0) return 0;
    if (layer == last)
        snprintf(where, sizeof where, "output");
    else if (layer > 0)
        snprintf(where, sizeof where, "linear_%d", layer - 1);
    if (name[0] == 'w') transpose_matrix(place);
    snprintf(place->name, sizeof place->name, "network.%s.%s", where, name[0] == 'w' ? "weight" : "bias");
    return 1;
}

static int in_celo2_mlp(const char *name, mt_place *place) {
    int number = layer_of(name);
    if (sscanf(name, "w0__%d", &number) == 1)
        snprintf(place->name, sizeof place->name, "w0.%d", number);
    else if (strcmp(name, "b0") == 0)
        snprintf(place->name, sizeof place->name, "b0");
    else if (number > 0)
        snprintf(place->name, sizeof place->name, "dense_%c.%d", name[0], number - 1);
    else
        return 0;
    return 1;
}

/* Side by side: counts the inputs of the groups before this one, and of all. */
static void join_groups(const lopt_optimizer *opt, int group, mt_place *place) {
    char name[48];
    int64_t total = 0;
    const lopt_block *b;
    for (int i = 0; snprintf(name, sizeof name, BANK "w0__%d", i), (b = lopt_block_find(opt, name)) != NULL; i++) {
        if (i == group) place->first = total;
        total += b->dim[b->rank - 2];
    }
    place->dim[place->rank - 1] = total;
}

static int in_velo_mlp(const lopt_optimizer *opt, const char *name, mt_place *place) {
    int layer = layer_of(name), last = (int)lopt_get_number(opt, "hidden_layers", 0), group = -1;
    const char *what = name[0] == 'w' ? "weights" : "bias";
    if (name[0] == 'w') transpose_matrix(place);
    if (sscanf(name, "w0__%d", &group) == 1) {
        join_groups(opt, group, place);
        layer = 0;
    }
    if (layer < 0) return 0;
    if (layer == 0 || layer == last)
        snprintf(place->name, sizeof place->name, "%s_%s_", layer ? "output" : "input", what);
    else
        snprintf(place->name, sizeof place->name, "hidden_%s_.%d", what, layer - 1);
    return 1;
}

static int in_velo_rnn(const char *name, mt_place *place) {
    static const char *const layers[][2] = {
        {"rnn_params/linear/", "mix_layer1"}, /* computed and thrown away, there and in JAX */
        {"rnn_params/linear_1/", "mix_layer2"},    {"rnn_params/linear_2/", "final_mix_layer"},
        {"rnn_params/rnn/linear/", "lstm.linear"}, {"rnn_params/rnn_to_controls/", "rnn_to_controls"},
        {"rnn_params/step_size/", "step_size"},
    };
    if (begins_with(name, INITIAL_STATE)) {
        int cell = strcmp(name + strlen(INITIAL_STATE), "cell") == 0;
        snprintf(place->name, sizeof place->name, "lstm_init_state.%d", cell);
        return 1;
    }
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        if (!begins_with(name, layers[i][0])) continue;
        int weight = strcmp(name + strlen(layers[i][0]), "w") == 0;
        if (weight) transpose_matrix(place);
        snprintf(place->name, sizeof place->name, "%s.%s", layers[i][1], weight ? "weight" : "bias");
        return 1;
    }
    return 0;
}

static int in_pylo(const lopt_optimizer *opt, const lopt_block *block, mt_place *place) {
    const char *name = block->name;
    same_shape(place, block);
    if (is_kind(opt, "small_fc")) return in_meta_mlp(opt, name, place);
    if (is_kind(opt, "celo2") && begins_with(name, BANK)) return in_celo2_mlp(name + strlen(BANK), place);
    if (is_kind(opt, "velo"))
        return begins_with(name, BANK) ? in_velo_mlp(opt, name + strlen(BANK), place) : in_velo_rnn(name, place);
    return 0;
}

int mt_pylo_in_velo_mlp(const char *name) {
    return begins_with(name, "input_") || begins_with(name, "hidden_") || begins_with(name, "output_");
}

/* VeLOMLP mixes its banks (names that end in '_', or '_.<i>') into these. */
static int is_scratch(const char *name) {
    size_t n = strcspn(name, ".");
    return mt_pylo_in_velo_mlp(name) && name[n - 1] != '_';
}

const mt_places mt_places_flax = {"flax", in_flax, NULL};
const mt_places mt_places_pylo = {"pylo", in_pylo, is_scratch};
const mt_places mt_places_safetensors = {"safetensors", in_safetensors, NULL};
