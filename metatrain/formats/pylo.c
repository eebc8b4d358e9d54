/* SPDX-License-Identifier: Apache-2.0
 *
 * pylo.c - see formats/pylo.h; reading is in pylo_read.c. */
#include "formats/pylo.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/pylo_call.h"
#include "formats/safetensors.h"
#include "formats/small_fc_map.h"

enum { PATH_BYTES = 4096 };
#define TENSORS "model.safetensors"
#define CONFIG "config.json"
#define README "README.md"

/* ---- networks -------------------------------------------------------------------------------- */

static json_int_t integer_setting(const lopt_optimizer *opt, const char *setting) {
    return (json_int_t)lopt_get_number(opt, setting, 0);
}

/* PyLO's MetaMLP and VeLOMLP count layers from hidden to hidden; ours are hidden layers. */
static json_t *meta_mlp_config(const lopt_optimizer *opt) {
    return json_pack("{s:i, s:I, s:I}", "input_size", 39, "hidden_size", integer_setting(opt, "hidden_size"),
                     "hidden_layers", integer_setting(opt, "hidden_layers") - 1);
}

static json_t *velo_rnn_config(const lopt_optimizer *opt) {
    return json_pack("{s:i, s:I, s:I, s:b}", "input_size", 30, "lstm_hidden_size",
                     integer_setting(opt, "lstm_hidden_size"), "param_inits", integer_setting(opt, "param_inits"),
                     "mix_layers", 1);
}

static json_t *velo_mlp_config(const lopt_optimizer *opt) {
    return json_pack("{s:i, s:I, s:I, s:i, s:I}", "input_size", 30, "hidden_size", integer_setting(opt, "hidden_size"),
                     "hidden_layers", integer_setting(opt, "hidden_layers") - 1, "output_size", 3, "param_inits",
                     integer_setting(opt, "param_inits"));
}

static json_t *celo2_mlp_config(const lopt_optimizer *opt) {
    char activation[16];
    lopt_get(opt, "activation", activation, sizeof activation);
    return json_pack("{s:[i, i, i, i, i, i, i, i, i, i, i, i, i, i], s:I, s:I, s:i, s:s}", "feature_dims", 1, 1, 1, 3,
                     1, 3, 1, 3, 1, 3, 3, 3, 3, 3, "hidden_size", integer_setting(opt, "hidden_size"), "hidden_layers",
                     integer_setting(opt, "hidden_layers"), "output_size", 3, "activation", activation);
}

typedef struct network {
    const char *kind, *name;
    const char *folder; /* below the export's; NULL: the export's own */
    json_t *(*config)(const lopt_optimizer *opt);
    const char *argument; /* of PyLO's optimizer, for the folder */
} network;

static const network networks[] = {
    {"small_fc", "MetaMLP", NULL, meta_mlp_config, "hf_key"},
    {"velo", "VeLORNN", "rnn", velo_rnn_config, "hf_key_rnn"},
    {"velo", "VeLOMLP", "mlp", velo_mlp_config, "hf_key_mlp"},
    {"celo2", "CELO2MLP", NULL, celo2_mlp_config, "hf_key"},
};
enum { N_NETWORKS = sizeof networks / sizeof networks[0] };

static int has_network(const network *n, const lopt_optimizer *opt) {
    return strcmp(n->kind, lopt_info(opt)->kind) == 0;
}

/* ---- writing model.safetensors and config.json ----------------------------------------------- */

static json_t *metadata_of_theta(const mt_theta_file *theta) {
    const lopt_optimizer *opt = theta->optimizer;
    json_t *m = json_pack("{s:s, s:s, s:s}", "format", "pt", "optimizer", lopt_info(opt)->name, "pylo_class",
                          mt_pylo_class(opt));
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (f) {
        mt_pylo_print_arguments(f, opt);
        fclose(f);
        json_object_set_new(m, "pylo_arguments", json_string(text));
    }
    free(text);
    mt_add_provenance(m, theta);
    return m;
}

/* Whether an array belongs to this network and not to the other one of VeLO. */
static int belongs_to_kind(const network *n, const char *name) {
    return !n->folder || mt_pylo_in_velo_mlp(name) == (strcmp(n->folder, "mlp") == 0);
}

/* What VeLOMLP computes in each step is in its files too. Named like a bank without its '_'. */
static int add_scratch(mt_arrays *to, const mt_array *bank, lopt_error *err) {
    char name[MT_ARRAY_NAME];
    size_t end = strcspn(bank->name, ".") - 1;
    mt_array a = *bank;
    snprintf(name, sizeof name, "%.*s%s", (int)end, bank->name, bank->name + end + 1);
    a.name = name;
    a.rank = bank->rank - 1;
    a.n = bank->n / (size_t)bank->dim[0];
    memmove(a.dim, bank->dim + 1, (size_t)a.rank * sizeof a.dim[0]);
    a.data = mt_arrays_own(to, calloc(a.n, sizeof(float)));
    if (!a.data) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", to->source);
    return mt_arrays_add(to, &a, a.n * sizeof(float), err);
}

static int select_arrays(const network *n, const mt_arrays *all, mt_arrays *to, lopt_error *err) {
    for (size_t i = 0; i < all->n; i++) {
        const mt_array *a = &all->list[i];
        if (!belongs_to_kind(n, a->name)) continue;
        if (!mt_arrays_add(to, a, a->n * sizeof(float), err) ||
            (mt_pylo_in_velo_mlp(a->name) && !add_scratch(to, a, err)))
            return 0;
    }
    return 1;
}

static int write_tensors(const char *path, const network *n, const mt_theta_file *theta, lopt_error *err) {
    mt_arrays *all = mt_arrays_create(path, err), *own = mt_arrays_create(path, err);
    json_t *metadata = metadata_of_theta(theta);
    int ok = all && own && mt_arrays_from_theta(all, &mt_places_pylo, theta->optimizer, err) &&
             select_arrays(n, all, own, err) && mt_safetensors_write(path, own, metadata, err);
    json_decref(metadata);
    mt_arrays_free(own);
    mt_arrays_free(all);
    return ok;
}

static int write_pylo_config(const char *path, const network *n, const lopt_optimizer *opt, lopt_error *err) {
    json_t *config = n->config(opt);
    char *text = json_dumps(config, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(config);
    int ok = text ? mt_write_atomically(path, text, strlen(text), err)
                  : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    free(text);
    return ok;
}

static int write_network(const char *folder, const network *n, const mt_theta_file *theta, lopt_error *err) {
    char path[PATH_BYTES], file[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%.*s%s%s", PATH_BYTES - 32, folder, n->folder ? "/" : "", n->folder ? n->folder : "");
    if (!mt_make_folders(path, err)) return 0;
    snprintf(file, sizeof file, "%s/" TENSORS, path);
    if (!write_tensors(file, n, theta, err)) return 0;
    snprintf(file, sizeof file, "%s/" CONFIG, path);
    return write_pylo_config(file, n, theta->optimizer, err);
}

/* ---- README.md ------------------------------------------------------------------------------- */

static void print_provenance(FILE *f, const mt_theta_file *theta) {
    char digest[33];
    const char *config = NULL;
    const lopt_preset_info *info = lopt_info(theta->optimizer);
    mt_theta_digest(theta->optimizer, lopt_theta(theta->optimizer), digest);
    fprintf(f, "\n## Provenance\n\n| | |\n|---|---|\n| optimizer | %s (%s) |\n| digest of theta | %s |\n", info->name,
            info->source, digest);
    for (int i = 0; i < theta->n_notes; i++) {
        if (strchr(theta->note_value[i], '\n'))
            config = theta->note_value[i];
        else
            fprintf(f, "| %s | %s |\n", theta->note_name[i], theta->note_value[i]);
    }
    if (config) fprintf(f, "\nMeta-trained with this configuration:\n\n```yaml\n%s```\n", config);
}

static void print_decays_in_effect(FILE *f, const lopt_optimizer *opt) {
    mt_small_fc fc;
    if (!mt_small_fc_of(opt, &fc)) return;
    fprintf(f, "Decays in effect: momentum %.9g, %.9g, %.9g; rms %.9g; adafactor %.9g, %.9g, %.9g.\n\n",
            (double)fc.momentum[0], (double)fc.momentum[1], (double)fc.momentum[2], (double)fc.rms,
            (double)fc.factored[0], (double)fc.factored[1], (double)fc.factored[2]);
}

static void print_use(FILE *f, const lopt_optimizer *opt) {
    const char *class = mt_pylo_class(opt);
    fprintf(f, "```python\nfrom pylo.optim.%s import %s\noptimizer = %s(\n    model.parameters(),\n",
            mt_pylo_module(opt), class, class);
    for (int i = 0; i < N_NETWORKS; i++)
        if (has_network(&networks[i], opt))
            fprintf(f, "    %s=\"path/of/this/folder%s%s\",\n", networks[i].argument, networks[i].folder ? "/" : "",
                    networks[i].folder ? networks[i].folder : "");
    fputs("    ", f);
    mt_pylo_print_arguments(f, opt);
    fputs(",\n)\n```\n\n", f);
}

static void print_readme(FILE *f, const mt_theta_file *theta) {
    const lopt_optimizer *opt = theta->optimizer;
    const lopt_preset_info *info = lopt_info(opt);
    fprintf(f,
            "---\nlicense: apache-2.0\ntags: [learned-optimizer, pylo]\n---\n\n# A learned optimizer "
            "for PyLO\n\nWeights of %s (%s; %s)\nin the layout of PyLO's",
            info->name, info->summary, info->source);
    int n = 0;
    for (int i = 0; i < N_NETWORKS; i++)
        if (has_network(&networks[i], opt)) fprintf(f, "%s %s", n++ ? " and" : "", networks[i].name);
    fputs(", written by metatrain (Apache-2.0). Change the licence above if you publish them\nunder "
          "another, and keep that of weights that were imported.\n\n## Use\n\n",
          f);
    print_use(f, opt);
    fprintf(f,
            "The arguments are part of this optimizer: " TENSORS " and " CONFIG " hold the network "
            "alone%s.\n\n",
            lopt_block_find(opt, "momentum_decays") ? ", not the decays that were learned with it" : "");
    print_decays_in_effect(f, opt);
    mt_pylo_print_limits(f, "- ", opt);
    print_provenance(f, theta);
}

static int write_readme(const char *path, const mt_theta_file *theta, lopt_error *err) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    print_readme(f, theta);
    fclose(f);
    int ok = mt_write_atomically(path, text, n, err);
    free(text);
    return ok;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static int is_one_of(const char *name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0) return 1;
    return 0;
}

static int check_target(const char *path, int depth, lopt_error *err);

static int check_entry(const char *path, const char *name, int depth, lopt_error *err) {
    static const char *const files[] = {TENSORS, CONFIG, README, ".", ".."};
    static const char *const folders[] = {"rnn", "mlp"};
    char inner[PATH_BYTES];
    if (is_one_of(name, files, 5)) return 1;
    if (depth == 0 && is_one_of(name, folders, 2) &&
        snprintf(inner, sizeof inner, "%s/%s", path, name) < (int)sizeof inner)
        return check_target(inner, 1, err);
    return mt_error(err, LOPT_EARG, "%s: holds \"%.100s\", which is no part of an export; choose a new or empty folder",
                    path, name);
}

/* A folder with anything else in it is not ours to replace. */
static int check_target(const char *path, int depth, lopt_error *err) {
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ||
               mt_error(err, LOPT_EARG, "%s: cannot be replaced by a folder: %s", path, strerror(errno));
    int ok = 1;
    for (struct dirent *entry; ok && (entry = readdir(folder));) ok = check_entry(path, entry->d_name, depth, err);
    closedir(folder);
    return ok;
}

static int write_files(const char *folder, const mt_theta_file *theta, lopt_error *err) {
    char readme[PATH_BYTES + 32];
    for (int i = 0; i < N_NETWORKS; i++)
        if (has_network(&networks[i], theta->optimizer) && !write_network(folder, &networks[i], theta, err)) return 0;
    snprintf(readme, sizeof readme, "%s/" README, folder);
    return write_readme(readme, theta, err);
}

/* Built beside, then renamed. */
static int write_folder(const char *target, const mt_theta_file *theta, lopt_error *err) {
    char partial[PATH_BYTES];
    if (!check_target(target, 0, err) || !mt_partial_path(target, partial, sizeof partial, err)) return 0;
    mt_remove_tree(partial);
    if (!mt_make_folders(partial, err)) return 0;
    if (write_files(partial, theta, err) && mt_durable_replace_folder(partial, target, err)) return 1;
    mt_remove_tree(partial);
    return 0;
}

int mt_pylo_write(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err) {
    char target[PATH_BYTES - 16];
    const lopt_optimizer *opt = theta->optimizer;
    if (!mt_pylo_class(opt))
        return mt_error(err, LOPT_EARG,
                        "export to pylo: PyLO has no optimizer like %s (kind %s); it has those of kind "
                        "small_fc, velo and celo2",
                        lopt_info(opt)->name, lopt_info(opt)->kind);
    if (snprintf(target, sizeof target, "%s", path) >= (int)sizeof target)
        return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", path);
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/'; n--) target[n - 1] = '\0';
    if (!write_folder(target, theta, err)) return 0;
    fprintf(notes, "%s:", target);
    for (int i = 0; i < N_NETWORKS; i++)
        if (has_network(&networks[i], opt))
            fprintf(notes, " %s in %s%s,", networks[i].name, networks[i].folder ? networks[i].folder : TENSORS,
                    networks[i].folder ? "/" TENSORS : "");
    fprintf(notes, " " README "\nnot in the files, pass it to pylo.optim.%s: ", mt_pylo_class(opt));
    mt_pylo_print_arguments(notes, opt);
    fputs("\n", notes);
    mt_pylo_print_limits(notes, "", opt);
    mt_import_print_command(notes, target, &mt_places_pylo, opt);
    return 1;
}
