/* SPDX-License-Identifier: Apache-2.0
 *
 * recorded_run.c - see recorded_run.h. */
#include "formats/recorded_run.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "formats/weight_names.h"
#include "store/theta_file.h"

enum { MAX_SETTINGS = 40, VALUE_BYTES = 256, MAX_TENSORS = 100000 };

/* ---- what is known of recorded optimizers ---------------------------------------------------- */

/* A key of the recorded config and the setting it becomes. */
typedef struct golden_key {
    const char *key, *setting; /* setting NULL: rightly unused */
    const char *only_if;       /* key that must be true, or NULL */
    int add;                   /* added to a number that counts otherwise there */
} golden_key;

/* Decays in effect, as the file gives them: they take the place of formulas whose last bit depends
 * on the machine, and 1 - decay magnifies that bit. */
typedef struct golden_decay {
    const char *name, *setting;
} golden_decay;

/* A switch of the recorded config and what a setting becomes by it; NULL: it stays. */
typedef struct golden_switch {
    const char *key, *setting, *if_true, *if_false;
} golden_switch;

typedef struct golden_kind {
    const char *recorded, *preset;
    const golden_key *keys;
    const golden_switch *switches; /* or NULL */
    const golden_decay *decays;
    lopt_setting raw;    /* makes decays count as given; name NULL: they always do */
    double tolerance[4]; /* of cases 0 to 3; later cases get the largest */
    /* Another tolerance where a setting is above a limit. */
    const char *loose_setting; /* or NULL */
    double loose_above, loose_tolerance[4];
} golden_kind;

#define SAME_KEYS                                                                                                      \
    {"optimizer", NULL, NULL, 0}, {"net_input_size", NULL, NULL, 0}, {"lr", "learning_rate", NULL, 0},                 \
        {"exp_mult", "exp_mult", NULL, 0}, {"weight_decay", "weight_decay", NULL, 0},                                  \
        {"initial_momentum_decays", "momentum_decays", NULL, 0}, {"initial_rms_decays", "rms_decays", NULL, 0},        \
        {"initial_adafactor_decays", "adafactor_decays", NULL, 0}, {"net_hidden_size", "hidden_size", NULL, 0}, {      \
        "net_hidden_layers", "hidden_layers", NULL, 1                                                                  \
    }

static const golden_key adafaclo_keys[] = {SAME_KEYS,
                                           {"step_mult", "step_mult", NULL, 0},
                                           {"momentum_decays", "momentum_decay_offsets", NULL, 0},
                                           {"rms_decays", "rms_decay_offsets", NULL, 0},
                                           {"adafactor_decays", "adafactor_decay_offsets", NULL, 0},
                                           {"max_grad_norm", "max_grad_norm", NULL, 0},
                                           {0}};

static const golden_key elo_keys[] = {
    SAME_KEYS, {"clip_grad", NULL, NULL, 0}, {"clip_norm", "clip_norm", "clip_grad", 0}, {0}};

static const golden_decay three_decays[] = {{"derived/beta_m", "momentum_decays"},
                                            {"derived/beta_rms", "rms_decays"},
                                            {"derived/beta_fac", "adafactor_decays"},
                                            {0}};

#define CELO2_KEYS                                                                                                     \
    {"optimizer", NULL, NULL, 0}, {"lr", "learning_rate", NULL, 0}, {"exp_mult", "exp_mult", NULL, 0},                 \
        {"weight_decay", "weight_decay", NULL, 0}, {"adam_lr_mult", "adam_lr_mult", NULL, 0},                          \
        {"adam_weight_decay", "adam_weight_decay", NULL, 0}, {"use_adamw_for_1d", NULL, NULL, 0},                      \
        {"orthogonalize", "orthogonalize", NULL, 0}, {"clip_grad", NULL, NULL, 0},                                     \
        {"clip_norm", "clip_norm", "clip_grad", 0}, {"initial_momentum_decays", "momentum_decays", NULL, 0},           \
        {"initial_rms_decays", "rms_decays", NULL, 0}, {"initial_adafactor_decays", "adafactor_decays", NULL, 0},      \
        {"rmsmult", "rms_mult", NULL, 0}, {"param_scale_mult", "param_scale_mult", NULL, 0},                           \
        {"ns_coeffs", "ns_coefficients", NULL, 0}, {"ns_iters", "ns_steps", NULL, 0},                                  \
        {"ns_eps", "ns_epsilon", NULL, 0}, {"grad_clip_val", "grad_limit", NULL, 0},                                   \
        {"net_ff_hidden_size", "hidden_size", NULL, 0}, {"net_ff_hidden_layers", "hidden_layers", NULL, 0}, {          \
        "net_activation", "activation", NULL, 0                                                                        \
    }

static const golden_key celo2_keys[] = {
    CELO2_KEYS, {"adam_betas", "adam_betas", NULL, 0}, {"adam_eps", "adam_epsilon", NULL, 0}, {0}};

static const golden_key elo_celo2_keys[] = {CELO2_KEYS, {0}};

static const golden_switch celo2_switches[] = {
    {"use_adamw_for_1d", "adam_for", "vectors", "embeddings"}, {"clip_grad", "clip_norm", NULL, "0"}, {0}};

/* The first three are offsets of 0 that take the decays through logarithms and back: /derived. */
static const golden_key velo_keys[] = {{"momentum_decays", NULL, NULL, 0},
                                       {"rms_decays", NULL, NULL, 0},
                                       {"adafactor_decays", NULL, NULL, 0},
                                       {"optimizer", NULL, NULL, 0},
                                       {"lr", "learning_rate", NULL, 0},
                                       {"exp_mult", "exp_mult", NULL, 0},
                                       {"step_mult", "step_mult", NULL, 0},
                                       {"weight_decay", "weight_decay", NULL, 0},
                                       {"num_steps", "num_steps", NULL, 0},
                                       {"initial_momentum_decays", "momentum_decays", NULL, 0},
                                       {"initial_rms_decays", "rms_decays", NULL, 0},
                                       {"initial_adafactor_decays", "adafactor_decays", NULL, 0},
                                       {"net_lstm_hidden_size", "lstm_hidden_size", NULL, 0},
                                       {"net_param_inits", "param_inits", NULL, 0},
                                       {"net_mlp_hidden_size", "hidden_size", NULL, 0},
                                       {"net_mlp_hidden_layers", "hidden_layers", NULL, 1},
                                       {"net_mix_layers", NULL, NULL, 0},
                                       {0}};

static const golden_kind kinds[] = {
    {.recorded = "AdafacLO_naive",
     .preset = "small-fc-pylo",
     .keys = adafaclo_keys,
     .decays = three_decays,
     .raw = {"decay_form", "raw"},
     .tolerance = {5e-6, 1e-5, 1e-5, 5e-5}},
    {.recorded = "ELO_naive",
     .preset = "elo",
     .keys = elo_keys,
     .decays = three_decays,
     .raw = {"decay_form", "raw"},
     .tolerance = {5e-6, 1e-5, 5e-6, 2e-5}},
    {.recorded = "CELO2_naive",
     .preset = "celo2-pylo",
     .keys = celo2_keys,
     .switches = celo2_switches,
     .decays = three_decays,
     .tolerance = {5e-6, 1e-5, 1e-5, 2e-5},
     .loose_setting = "orthogonalize",
     .loose_tolerance = {5e-4, 5e-4, 2e-4, 2e-4}},
    {.recorded = "ELO_CELO2_naive",
     .preset = "elo-celo2",
     .keys = elo_celo2_keys,
     .switches = celo2_switches,
     .decays = three_decays,
     .tolerance = {5e-6, 5e-6, 1e-5, 5e-5},
     .loose_setting = "orthogonalize",
     .loose_tolerance = {5e-4, 2e-4, 5e-4, 5e-5}},
    {.recorded = "VeLO_naive",
     .preset = "velo-pylo",
     .keys = velo_keys,
     .decays = three_decays,
     .tolerance = {1e-4, 5e-5, 5e-4, 2e-3},
     .loose_setting = "lstm_hidden_size", /* many units: the losses' cancellation is magnified */
     .loose_above = 64,
     .loose_tolerance = {5e-3, 5e-3, 5e-2, 1e-2}},
};

static const golden_kind *find_kind(const char *path, const char *recorded, lopt_error *err) {
    char known[200] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].recorded, recorded) == 0) return &kinds[i];
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", kinds[i].recorded);
    }
    mt_error(err, LOPT_EUNKNOWN, "%s: its optimizer is \"%.60s\", which is not one of: %s", path, recorded, known);
    return NULL;
}

static double tolerance_of(const golden_kind *kind, const lopt_optimizer *opt, int number) {
    int loose = kind->loose_setting && lopt_get_number(opt, kind->loose_setting, 0) > kind->loose_above;
    const double *tolerance = loose ? kind->loose_tolerance : kind->tolerance;
    if (number < 4) return tolerance[number];
    double largest = 0;
    for (int i = 0; i < 4; i++) largest = tolerance[i] > largest ? tolerance[i] : largest;
    return largest;
}

/* ---- the recorded config --------------------------------------------------------------------- */

typedef struct settings {
    lopt_setting list[MAX_SETTINGS];
    char value[MAX_SETTINGS][VALUE_BYTES];
    size_t n;
} settings;

static int add_setting(settings *s, const char *path, const char *name, const char *value, lopt_error *err) {
    if (s->n == MAX_SETTINGS || strlen(value) >= VALUE_BYTES)
        return mt_error(err, LOPT_EARG, "%s: the value of %s in its config is too long", path, name);
    strcpy(s->value[s->n], value);
    s->list[s->n] = (lopt_setting){name, s->value[s->n]};
    s->n++;
    return 1;
}

/* null means "off", which is the default of every setting that can be off. */
static int add_setting_key(settings *s, const char *path, const golden_key *key, const json_t *value, lopt_error *err) {
    if (json_is_null(value)) return 1;
    json_t *counted = key->add && json_is_number(value) ? json_real(json_number_value(value) + key->add) : NULL;
    char *text = json_is_string(value)
                     ? strdup(json_string_value(value))
                     : json_dumps(counted ? counted : value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    int ok =
        text ? add_setting(s, path, key->setting, text, err) : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    json_decref(counted);
    free(text);
    return ok;
}

static int read_switches(mt_golden *g, const golden_kind *kind, const json_t *config, settings *s, lopt_error *err) {
    for (const golden_switch *w = kind->switches; w && w->key; w++) {
        const json_t *value = json_object_get(config, w->key);
        const char *text = json_is_true(value) ? w->if_true : w->if_false;
        if (json_is_boolean(value) && text && !add_setting(s, g->path, w->setting, text, err)) return 0;
    }
    return 1;
}

static int read_keys(mt_golden *g, const golden_kind *kind, const json_t *config, settings *s, lopt_error *err) {
    const char *name;
    json_t *value;
    size_t used = 0;
    json_object_foreach((json_t *)config, name, value) {
        const golden_key *key = kind->keys;
        while (key->key && strcmp(key->key, name) != 0) key++;
        if (!key->key && used < sizeof g->unused)
            used += (size_t)snprintf(g->unused + used, sizeof g->unused - used, "%s%s", used ? ", " : "", name);
        if (!key->key || !key->setting || (key->only_if && !json_is_true(json_object_get(config, key->only_if))))
            continue;
        if (!add_setting_key(s, g->path, key, value, err)) return 0;
    }
    return 1;
}

static int read_decay(mt_golden *g, const golden_decay *decay, settings *s, lopt_error *err) {
    float beta[8];
    char text[VALUE_BYTES] = "[";
    mt_hdf5_shape shape;
    if (!mt_hdf5_shape_of(g->file, decay->name, &shape, err)) return 0;
    if (shape.n < 1 || shape.n > 8)
        return mt_error(err, LOPT_EARG, "%s: %s holds %lld numbers, expected 1 to 8", g->path, decay->name,
                        (long long)shape.n);
    if (!mt_hdf5_read(g->file, decay->name, MT_FLOATS, (size_t)shape.n, beta, err)) return 0;
    for (int i = 0; i < shape.n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.9g", i ? ", " : "", (double)beta[i]);
    strcat(text, "]");
    return add_setting(s, g->path, decay->setting, text, err);
}

static int read_decays(mt_golden *g, const golden_kind *kind, settings *s, lopt_error *err) {
    if (!mt_hdf5_has(g->file, "derived")) return 1;
    for (const golden_decay *d = kind->decays; d->name; d++)
        if (!read_decay(g, d, s, err)) return 0;
    return !kind->raw.name || add_setting(s, g->path, kind->raw.name, kind->raw.value, err);
}

static json_t *parse_json(const char *path, const char *what, const char *text, lopt_error *err) {
    json_error_t where;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!json)
        mt_error(err, LOPT_EARG, "%s: its attribute %s is not JSON: %s (character %d)", path, what, where.text,
                 where.position);
    return json;
}

static lopt_optimizer *create_recorded_optimizer(mt_golden *g, const golden_kind *kind, lopt_error *err) {
    settings s = {.n = 0};
    lopt_error why = {LOPT_OK, ""};
    char *text = mt_hdf5_attribute_text(g->file, "/", "config", err);
    json_t *config = text ? parse_json(g->path, "config", text, err) : NULL;
    free(text);
    if (!config) return NULL;
    lopt_optimizer *opt = NULL;
    if (!json_is_object(config))
        mt_error(err, LOPT_EARG, "%s: its attribute config is not a JSON object", g->path);
    else if (read_switches(g, kind, config, &s, err) && read_keys(g, kind, config, &s, err) &&
             read_decays(g, kind, &s, err)) {
        opt = lopt_create(kind->preset, s.list, s.n, &why);
        if (!opt) mt_error(err, why.status, "%s: %.440s", g->path, why.text);
    }
    json_decref(config);
    return opt;
}

/* ---- theta ----------------------------------------------------------------------------------- */

static int read_recorded_block(const mt_golden *g, const lopt_block *b, const mt_place *place, float *theta,
                               lopt_error *err) {
    mt_hdf5_shape shape;
    size_t n = (size_t)mt_place_size(place);
    char name[MT_HDF5_NAME + 8], found[200], wanted[120];
    snprintf(name, sizeof name, "theta/%s", place->name);
    if (!mt_hdf5_shape_of(g->file, name, &shape, err)) return 0;
    if (shape.rank != place->rank || memcmp(shape.dim, place->dim, (size_t)b->rank * sizeof shape.dim[0]) != 0) {
        mt_shape_text(shape.rank, shape.dim, found, sizeof found);
        mt_shape_text(place->rank, place->dim, wanted, sizeof wanted);
        return mt_error(err, LOPT_EARG, "%s: %s has shape %s, its config says %s", g->path, name, found, wanted);
    }
    float *values = malloc(n * sizeof *values);
    int ok = values ? mt_hdf5_read(g->file, name, MT_FLOATS, n, values, err)
                    : mt_error(err, LOPT_ENOMEM, "%s: out of memory", g->path);
    if (ok) mt_place_get(place, b, values, theta);
    free(values);
    return ok;
}

/* Entries under /theta that no block is at, and that are not scratch. */
static int check_entries(const mt_golden *g, lopt_error *err) {
    char name[MT_HDF5_NAME];
    for (int64_t i = 0; mt_hdf5_name(g->file, "theta", i, name); i++) {
        int known = mt_places_pylo.ignores(name);
        for (size_t k = 0; !known && k < lopt_n_blocks(g->optimizer); k++) {
            mt_place place;
            known = mt_places_pylo.find(g->optimizer, lopt_block_at(g->optimizer, k), &place) &&
                    strcmp(place.name, name) == 0;
        }
        if (!known) return mt_error(err, LOPT_EARG, "%s: /theta/%s is no part of its optimizer's theta", g->path, name);
    }
    return 1;
}

/* Blocks that the file does not have keep the initial values that the config gave them. */
static int read_recorded_theta(mt_golden *g, lopt_error *err) {
    float *theta = malloc(lopt_n_theta(g->optimizer) * sizeof *theta);
    int ok = theta ? 1 : mt_error(err, LOPT_ENOMEM, "%s: out of memory", g->path);
    if (ok) lopt_init_theta(g->optimizer, 0, theta);
    for (size_t i = 0; ok && i < lopt_n_blocks(g->optimizer); i++) {
        const lopt_block *b = lopt_block_at(g->optimizer, i);
        mt_place place;
        if (mt_places_pylo.find(g->optimizer, b, &place)) ok = read_recorded_block(g, b, &place, theta, err);
    }
    ok = ok && check_entries(g, err);
    if (ok) lopt_set_theta(g->optimizer, theta);
    free(theta);
    return ok;
}

/* ---- the file -------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

static int list_cases(mt_golden *g, lopt_error *err) {
    char name[MT_HDF5_NAME], rest;
    int number;
    for (int64_t i = 0; mt_hdf5_name(g->file, "/", i, name); i++) {
        if (sscanf(name, "case_%d%c", &number, &rest) != 1 || number < 0) continue;
        if (g->n_cases == MT_GOLDEN_MAX_CASES)
            return mt_error(err, LOPT_EARG, "%s: more than %d cases", g->path, MT_GOLDEN_MAX_CASES);
        g->number[g->n_cases++] = number;
    }
    if (g->n_cases == 0) return mt_error(err, LOPT_EARG, "%s: has no group case_0, case_1, ...", g->path);
    qsort(g->number, (size_t)g->n_cases, sizeof g->number[0], by_number);
    return 1;
}

static int open_golden(mt_golden *g, lopt_error *err) {
    if (!(g->file = mt_hdf5_open(g->path, err))) return 0;
    if (!mt_hdf5_has_attribute(g->file, "/", "optimizer"))
        return mt_error(err, LOPT_EARG, "%s: is not a golden trajectory: it has no attribute \"optimizer\"", g->path);
    char *recorded = mt_hdf5_attribute_text(g->file, "/", "optimizer", err);
    const golden_kind *kind = recorded ? find_kind(g->path, recorded, err) : NULL;
    free(recorded);
    if (!kind || !list_cases(g, err) || !(g->optimizer = create_recorded_optimizer(g, kind, err))) return 0;
    g->recorded = kind->recorded;
    for (int i = 0; i < g->n_cases; i++) g->tolerance[i] = tolerance_of(kind, g->optimizer, g->number[i]);
    return read_recorded_theta(g, err);
}

mt_golden *mt_golden_open(const char *path, lopt_error *err) {
    mt_golden *g = calloc(1, sizeof *g);
    if (g) g->path = strdup(path);
    if (g && g->path && open_golden(g, err)) return g;
    if (!g || !g->path) mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    mt_golden_close(g);
    return NULL;
}

void mt_golden_close(mt_golden *g) {
    if (!g) return;
    mt_hdf5_close(g->file);
    lopt_destroy(g->optimizer);
    free(g->path);
    free(g);
}

/* ---- parameter groups ------------------------------------------------------------------------ */

static int check_number(const mt_golden *g, const char *key, const json_t *value, lopt_error *err) {
    return json_number_value(value) >= 0 && json_is_number(value)
               ? 1
               : mt_error(err, LOPT_EARG, "%s: param_groups: \"%s\" is not a number of 0 or more", g->path, key);
}

/* One group: {"tensors": [0, 5], "lr": 0.25, "weight_decay": 0.02, "is_embedding": true}. */
static int apply_group(const mt_golden *g, const json_t *group, mt_golden_case *c, lopt_error *err) {
    const json_t *tensors = json_object_get(group, "tensors"), *lr = json_object_get(group, "lr");
    const json_t *decay = json_object_get(group, "weight_decay"), *role = json_object_get(group, "is_embedding");
    double base = lopt_get_number(g->optimizer, "learning_rate", 0);
    if ((lr && !check_number(g, "lr", lr, err)) || (decay && !check_number(g, "weight_decay", decay, err))) return 0;
    if (lr && base == 0)
        return mt_error(err, LOPT_EARG, "%s: param_groups give a learning rate, but \"lr\" of the config is 0",
                        g->path);
    for (size_t i = 0; i < json_array_size(tensors); i++) {
        const json_t *index = json_array_get(tensors, i);
        if (!json_is_integer(index) || json_integer_value(index) < 0 ||
            (size_t)json_integer_value(index) >= c->n_tensors)
            return mt_error(err, LOPT_EARG, "%s: param_groups name a tensor that is not one of the %zu", g->path,
                            c->n_tensors);
        lopt_tensor *t = &c->tensors[json_integer_value(index)];
        if (lr) t->lr_scale = (float)(json_number_value(lr) / base);
        if (decay) t->weight_decay = (float)json_number_value(decay);
        if (json_is_true(role)) t->role = LOPT_ROLE_EMBEDDING;
    }
    return 1;
}

static int read_groups(const mt_golden *g, const char *place, mt_golden_case *c, lopt_error *err) {
    if (!mt_hdf5_has_attribute(g->file, place, "param_groups")) return 1;
    char *text = mt_hdf5_attribute_text(g->file, place, "param_groups", err);
    json_t *groups = text ? parse_json(g->path, "param_groups", text, err) : NULL;
    free(text);
    int ok = groups != NULL;
    if (ok && !json_is_array(groups))
        ok = mt_error(err, LOPT_EARG, "%s: its attribute param_groups is not a list", g->path);
    for (size_t i = 0; ok && i < json_array_size(groups); i++) ok = apply_group(g, json_array_get(groups, i), c, err);
    json_decref(groups);
    return ok;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static int read_recorded_shape(const mt_golden *g, const char *place, int i, lopt_tensor *t, lopt_error *err) {
    char name[MT_HDF5_NAME], tensor[32];
    mt_hdf5_shape shape;
    snprintf(name, sizeof name, "%s/tensor_%d/param0", place, i);
    if (!mt_hdf5_shape_of(g->file, name, &shape, err)) return 0;
    if (shape.rank > LOPT_MAX_RANK || shape.n < 1)
        return mt_error(err, LOPT_ESHAPE, "%s: %s has %d dimensions and %lld numbers, expected 0 to %d and 1 or more",
                        g->path, name, shape.rank, (long long)shape.n, LOPT_MAX_RANK);
    snprintf(tensor, sizeof tensor, "tensor_%d", i);
    *t = lopt_tensor_make(tensor, shape.rank, shape.dim);
    return 1;
}

/* Number of tensors, their shapes and groups, and the number of steps. */
static int read_layout(const mt_golden *g, const char *place, mt_golden_case *c, lopt_error *err) {
    int64_t n;
    char name[MT_HDF5_NAME];
    mt_hdf5_shape grads;
    if (!mt_hdf5_attribute_integer(g->file, place, "ntensors", &n, err)) return 0;
    if (n < 1 || n > MAX_TENSORS)
        return mt_error(err, LOPT_EARG, "%s: %s has %lld tensors, expected 1 to %d", g->path, place, (long long)n,
                        MAX_TENSORS);
    c->tensors = calloc((size_t)n, sizeof *c->tensors);
    if (!c->tensors) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", g->path);
    c->n_tensors = (size_t)n;
    for (int i = 0; i < n; i++) {
        if (!read_recorded_shape(g, place, i, &c->tensors[i], err)) return 0;
        c->n_params += (size_t)lopt_tensor_size(&c->tensors[i]);
    }
    snprintf(name, sizeof name, "%s/tensor_0/grads", place);
    if (!mt_hdf5_shape_of(g->file, name, &grads, err)) return 0;
    if (grads.rank < 1 || grads.dim[0] < 1) return mt_error(err, LOPT_ESHAPE, "%s: %s holds no steps", g->path, name);
    c->n_steps = grads.dim[0];
    return read_groups(g, place, c, err);
}

/* Copies the rows of one tensor to their place in rows of all tensors. */
static int read_rows(const mt_golden *g, const char *place, size_t i, const char *what, int64_t n_steps, size_t offset,
                     const mt_golden_case *c, float *rows, lopt_error *err) {
    char name[MT_HDF5_NAME];
    size_t size = (size_t)lopt_tensor_size(&c->tensors[i]);
    snprintf(name, sizeof name, "%s/tensor_%zu/%s", place, i, what);
    float *values = malloc((size_t)n_steps * size * sizeof *values);
    int ok = values ? mt_hdf5_read(g->file, name, MT_FLOATS, (size_t)n_steps * size, values, err)
                    : mt_error(err, LOPT_ENOMEM, "%s: out of memory", g->path);
    for (int64_t t = 0; ok && t < n_steps; t++)
        memcpy(rows + (size_t)t * c->n_params + offset, values + (size_t)t * size, size * sizeof *values);
    free(values);
    return ok;
}

static int read_values(const mt_golden *g, const char *place, mt_golden_case *c, lopt_error *err) {
    char name[MT_HDF5_NAME];
    size_t n = (size_t)c->n_steps * c->n_params, offset = 0;
    c->loss = calloc((size_t)c->n_steps, sizeof *c->loss);
    c->start = malloc(c->n_params * sizeof *c->start);
    c->grads = malloc(n * sizeof *c->grads);
    c->updates = malloc(n * sizeof *c->updates);
    c->params = malloc(n * sizeof *c->params);
    if (!c->loss || !c->start || !c->grads || !c->updates || !c->params)
        return mt_error(err, LOPT_ENOMEM, "%s: out of memory for %s", g->path, place);
    for (size_t i = 0; i < c->n_tensors; i++) {
        if (!read_rows(g, place, i, "param0", 1, offset, c, c->start, err) ||
            !read_rows(g, place, i, "grads", c->n_steps, offset, c, c->grads, err) ||
            !read_rows(g, place, i, "updates", c->n_steps, offset, c, c->updates, err) ||
            !read_rows(g, place, i, "params", c->n_steps, offset, c, c->params, err))
            return 0;
        offset += (size_t)lopt_tensor_size(&c->tensors[i]);
    }
    snprintf(name, sizeof name, "%s/loss", place);
    return !mt_hdf5_has(g->file, name) || mt_hdf5_read(g->file, name, MT_FLOATS, (size_t)c->n_steps, c->loss, err);
}

mt_golden_case *mt_golden_case_read(const mt_golden *g, int i, lopt_error *err) {
    char place[32];
    snprintf(place, sizeof place, "case_%d", g->number[i]);
    mt_golden_case *c = calloc(1, sizeof *c);
    if (!c)
        mt_error(err, LOPT_ENOMEM, "%s: out of memory", g->path);
    else if (!read_layout(g, place, c, err) || !read_values(g, place, c, err)) {
        mt_golden_case_free(c);
        c = NULL;
    }
    return c;
}

void mt_golden_case_free(mt_golden_case *c) {
    if (!c) return;
    free(c->tensors);
    free(c->loss);
    free(c->start);
    free(c->grads);
    free(c->updates);
    free(c->params);
    free(c);
}
