/* SPDX-License-Identifier: Apache-2.0
 *
 * pylo_read.c - see formats/pylo.h. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/read_file.h"
#include "formats/pylo.h"
#include "formats/safetensors.h"

enum { PATH_BYTES = 4096, CONFIG_BYTES = 64 << 10 };

static int file_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

static int is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int join_path(const char *folder, const char *name, char path[PATH_BYTES], lopt_error *err) {
    if (snprintf(path, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES) return 1;
    return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", folder);
}

/* ---- config.json ----------------------------------------------------------------------------- */

static const char *kind_of(const char *preset) {
    const lopt_preset_info *info;
    for (size_t i = 0; preset && (info = lopt_preset(i)) != NULL; i++)
        if (strcmp(info->name, preset) == 0) return info->kind;
    return "";
}

/* A size becomes a setting, `more` larger than there. */
static int take_config_size(mt_import *in, const json_t *config, const char *name, int more, lopt_error *err) {
    const json_t *size = json_object_get(config, name);
    char text[32];
    if (!size) return 1;
    if (!json_is_integer(size) || json_integer_value(size) < 0 || json_integer_value(size) > INT32_MAX)
        return mt_error(err, LOPT_EARG, "%s: config.json: %s is no size", in->arrays->source, name);
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(size) + more);
    return mt_import_setting(in, name, text, err);
}

/* PyLO's MetaMLP and VeLOMLP count layers from hidden to hidden, CELO2MLP hidden ones, as here. */
static int take_config(mt_import *in, const json_t *config, const char *kind, lopt_error *err) {
    int is_celo2 = strcmp(kind, "celo2") == 0, is_velo = strcmp(kind, "velo") == 0;
    const char *activation = json_string_value(json_object_get(config, "activation"));
    if (!take_config_size(in, config, "hidden_size", 0, err) ||
        !take_config_size(in, config, "hidden_layers", !is_celo2, err))
        return 0;
    if (is_velo && (!take_config_size(in, config, "lstm_hidden_size", 0, err) ||
                    !take_config_size(in, config, "param_inits", 0, err)))
        return 0;
    return !is_celo2 || !activation || mt_import_setting(in, "activation", activation, err);
}

static int read_config(mt_import *in, const char *path, const char *preset, lopt_error *err) {
    size_t n;
    json_error_t why;
    if (!file_exists(path)) return 1; /* then the sizes are the preset's, or the user's */
    char *text = mt_text_read(path, CONFIG_BYTES, &n, err);
    if (!text) return 0;
    json_t *config = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    free(text);
    int ok = json_is_object(config) ? take_config(in, config, kind_of(preset), err)
                                    : mt_error(err, LOPT_EARG, "%s: is not a JSON object: %.200s (line %d)", path,
                                               config ? "another value" : why.text, config ? 1 : why.line);
    json_decref(config);
    return ok;
}

/* ---- model.safetensors ----------------------------------------------------------------------- */

/* Provenance in a file of ours; those of VeLO say the same twice. */
static int take_provenance(mt_import *in, json_t *metadata, lopt_error *err) {
    const char *key;
    json_t *value;
    if (in->n_notes > 0) return 1;
    json_object_foreach(metadata, key,
                        value) if (strncmp(key, "provenance.", 11) == 0 && key[11] &&
                                   !mt_import_note(in, key + 11, json_string_value(value), err)) return 0;
    return 1;
}

static int open_tensors(mt_import *in, const char *path, lopt_error *err) {
    json_t *metadata = NULL;
    int ok = mt_safetensors_read(in->arrays, path, &metadata, err) && take_provenance(in, metadata, err);
    json_decref(metadata);
    return ok;
}

static int open_network(mt_import *in, const char *folder, const char *preset, lopt_error *err) {
    char tensors[PATH_BYTES], config[PATH_BYTES], pickle[PATH_BYTES];
    if (!join_path(folder, "model.safetensors", tensors, err) || !join_path(folder, "config.json", config, err) ||
        !join_path(folder, "pytorch_model.bin", pickle, err))
        return 0;
    if (!file_exists(tensors) && file_exists(pickle))
        return mt_error(err, LOPT_EARG,
                        "%s: a pickle of Python, which is a program and is not read; save it again as "
                        "model.safetensors with safetensors.torch.save_file",
                        pickle);
    if (!file_exists(tensors)) return mt_error(err, LOPT_EARG, "%s: has no model.safetensors", folder);
    return read_config(in, config, preset, err) && open_tensors(in, tensors, err);
}

int mt_pylo_open(mt_import *in, const char *path, const char *preset, lopt_error *err) {
    char rnn[PATH_BYTES], mlp[PATH_BYTES];
    if (!join_path(path, "rnn", rnn, err) || !join_path(path, "mlp", mlp, err)) return 0;
    if (file_exists(path) && !is_folder(path)) return open_tensors(in, path, err);
    if (!is_folder(path)) return mt_error(err, LOPT_EARG, "%s: there is no such folder", path);
    if (is_folder(rnn) && is_folder(mlp))
        return open_network(in, rnn, preset, err) && open_network(in, mlp, preset, err);
    return open_network(in, path, preset, err);
}
