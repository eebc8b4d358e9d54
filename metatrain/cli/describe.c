/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.c - see describe.h. */
#include "cli/describe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text_table.h"
#include "config/schema.h"
#include "store/theta_file.h"
#include "task.h"

enum { TEXT_BYTES = 256 };

/* ---- shared ---------------------------------------------------------------------------------- */

json_t *mt_shape_json(int rank, const int64_t *dim) {
    json_t *shape = json_array();
    for (int i = 0; i < rank; i++) json_array_append_new(shape, json_integer((json_int_t)dim[i]));
    return shape;
}

json_t *mt_setting_json(const lopt_optimizer *opt, const char *name) {
    char value[TEXT_BYTES];
    lopt_get(opt, name, value, sizeof value);
    json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
    return parsed ? parsed : json_string(value);
}

void mt_json_print(json_t *all, FILE *f) {
    char *text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fprintf(f, "%s\n", text ? text : "{}");
    free(text);
    json_decref(all);
}

/* note: a fourth cell, where the table has one */
static void add_shape(mt_text_table *table, const char *name, int rank, const int64_t *dim, size_t size,
                      const char *note) {
    char shape[100], numbers[32];
    mt_shape_text(rank, dim, shape, sizeof shape);
    snprintf(numbers, sizeof numbers, "%zu", size);
    mt_text_table_row(table, (const char *[]){name, shape, numbers, note});
}

static void finish_table(mt_text_table *table, FILE *f) {
    if (table) mt_text_table_print(table, f);
    mt_text_table_free(table);
}

/* ---- an optimizer ---------------------------------------------------------------------------- */

static lopt_optimizer *create_described(const char *preset, const mt_sets *sets, lopt_error *err) {
    mt_set_settings settings;
    if (!mt_settings_of_sets(sets, &settings, err)) return NULL;
    return lopt_create(preset, settings.at, settings.n, err);
}

/* Bytes that are remembered of n equal tensors; 0 if memory is short. */
static double state_bytes(const lopt_optimizer *opt, size_t n, int rank, int64_t dim) {
    const lopt_tensor one = lopt_tensor_make("", rank, (const int64_t[]){dim, dim, dim, dim});
    const lopt_tensor tensors[] = {one, one};
    lopt_state *state = lopt_state_create(opt, tensors, n, NULL);
    size_t bytes = 0;
    if (state) lopt_state_data(state, &bytes);
    lopt_state_destroy(state);
    return (double)bytes;
}

typedef struct costs {
    double matrix, vector; /* bytes per parameter of 1000x1000, of 1,000,000 */
    double tensor;         /* bytes of one more tensor of one number */
} costs;

static costs costs_of(const lopt_optimizer *opt) {
    return (costs){state_bytes(opt, 1, 2, 1000) / 1e6, state_bytes(opt, 1, 1, 1000000) / 1e6,
                   state_bytes(opt, 2, 0, 1) - state_bytes(opt, 1, 0, 1)};
}

/* "integer in [1, 1024]", "before or after" */
static void allowed_values(const lopt_hyper_info *h, char text[TEXT_BYTES]) {
    char list[32] = "";
    if (h->count > 1) snprintf(list, sizeof list, "%d times ", h->count);
    if (strcmp(h->type, "choice") == 0)
        snprintf(text, TEXT_BYTES, "%s%s", list, h->choices);
    else if (strcmp(h->type, "boolean") == 0)
        snprintf(text, TEXT_BYTES, "%strue|false", list);
    else
        snprintf(text, TEXT_BYTES, "%s%s in [%.9g, %.9g]", list, h->type, h->min, h->max);
}

static void print_hypers(const lopt_optimizer *opt, FILE *f) {
    static const mt_column columns[] = {{"hyperparameter", 'l'}, {"value", 'l'}, {"allowed", 'l'}, {"meaning", 'l'}};
    mt_text_table *table = mt_text_table_create(columns, 4);
    lopt_hyper_info h;
    for (size_t i = 0; table && lopt_hyper(lopt_info(opt)->name, i, &h); i++) {
        char value[TEXT_BYTES], range[TEXT_BYTES];
        lopt_get(opt, h.name, value, sizeof value);
        allowed_values(&h, range);
        mt_text_table_row(table, (const char *[]){h.name, value, range, h.help});
    }
    finish_table(table, f);
}

static void print_optimizer(const lopt_optimizer *opt, FILE *f) {
    const lopt_preset_info *info = lopt_info(opt);
    costs c = costs_of(opt);
    fprintf(f, "%s: %s\nsource: %s\nkind: %s (src/optimizers/%s.c), %s\n", info->name, info->summary, info->source,
            info->kind, info->kind, info->learned ? "learned" : "hand-designed");
    fprintf(f,
            "state: %.1f bytes per parameter of a 1000x1000 matrix, %.1f of a vector of 1000000; "
            "%.0f for another tensor of one number\ntheta: %zu numbers\n\n",
            c.matrix, c.vector, c.tensor, lopt_n_theta(opt));
    print_hypers(opt, f);
    if (lopt_n_blocks(opt) == 0) return;
    fputc('\n', f);
    static const mt_column columns[] = {{"block of theta", 'l'}, {"shape", 'l'}, {"numbers", 'r'}};
    mt_text_table *table = mt_text_table_create(columns, 3);
    for (size_t i = 0; table && i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        add_shape(table, b->name, b->rank, b->dim, b->size, NULL);
    }
    finish_table(table, f);
}

static json_t *hypers_json(const lopt_optimizer *opt) {
    json_t *all = json_array();
    lopt_hyper_info h;
    for (size_t i = 0; lopt_hyper(lopt_info(opt)->name, i, &h); i++) {
        json_t *one = json_pack("{s:s, s:o, s:s, s:i, s:s}", "name", h.name, "value", mt_setting_json(opt, h.name),
                                "type", h.type, "count", h.count, "help", h.help);
        if (h.choices) {
            json_object_set_new(one, "choices", json_string(h.choices));
        } else if (strcmp(h.type, "boolean") != 0) {
            json_object_set_new(one, "min", json_real(h.min));
            json_object_set_new(one, "max", json_real(h.max));
        }
        json_array_append_new(all, one);
    }
    return all;
}

static json_t *optimizer_json(const lopt_optimizer *opt) {
    const lopt_preset_info *info = lopt_info(opt);
    costs c = costs_of(opt);
    json_t *blocks = json_array();
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        json_array_append_new(blocks, json_pack("{s:s, s:o, s:I, s:I}", "name", b->name, "shape",
                                                mt_shape_json(b->rank, b->dim), "size", (json_int_t)b->size, "offset",
                                                (json_int_t)b->offset));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:{s:f, s:f}, s:f, s:o, s:I, s:o}", "optimizer", info->name, "kind",
                     info->kind, "summary", info->summary, "source", info->source, "learned", info->learned,
                     "state_bytes_per_parameter", "matrix_1000x1000", c.matrix, "vector_1000000", c.vector,
                     "state_bytes_per_tensor", c.tensor, "hyperparameters", hypers_json(opt), "n_theta",
                     (json_int_t)lopt_n_theta(opt), "blocks", blocks);
}

int mt_show_optimizer(const char *name, const mt_sets *sets, int json, FILE *f, lopt_error *err) {
    lopt_optimizer *opt = create_described(name, sets, err);
    if (!opt) return 0;
    if (json)
        mt_json_print(optimizer_json(opt), f);
    else
        print_optimizer(opt, f);
    lopt_destroy(opt);
    return 1;
}

/* ---- a task ---------------------------------------------------------------------------------- */

/* The task as a suite would say it, so that --set has the keys of `tasks[]`. */
static mt_suite *load_task(const char *name, const mt_sets *sets, lopt_error *err) {
    char item[TEXT_BYTES], keys[MT_MAX_SETS][TEXT_BYTES];
    const char *all[MT_MAX_SETS + 1] = {item};
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "%s", name);
    if (!task_spec_resolve(&spec, err)) return NULL; /* now the name is one that YAML can hold */
    snprintf(item, sizeof item, "tasks=[{task: %s}]", name);
    for (int i = 0; i < sets->n; i++) {
        if (snprintf(keys[i], sizeof keys[i], "tasks.0.%s", sets->text[i]) >= TEXT_BYTES) {
            mt_error(err, LOPT_EARG, "--set: \"%.80s...\" is too long", sets->text[i]);
            return NULL;
        }
        all[i + 1] = keys[i];
    }
    return mt_suite_load(NULL, all, sets->n + 1, err);
}

/* The next key that is a setting of the task's kind or of an augmentation, and its value, for the caller to free; NULL
 * past the last. */
static char *next_setting(mt_key_walk *walk, const task *t, const mt_task_config *config) {
    while (t->inner) t = t->inner;
    while (mt_next_key(walk)) {
        int found = strncmp(walk->key.path, "augment.", 8) == 0;
        for (size_t i = 0; i < t->kind->n_settings; i++) found |= strcmp(walk->key.path, t->kind->settings[i].key) == 0;
        if (found) return mt_key_text(&walk->key, config);
    }
    return NULL;
}

static void print_task_settings(const task *t, const mt_task_config *config, FILE *f) {
    static const mt_column columns[] = {{"setting", 'l'}, {"value", 'l'}, {"allowed", 'l'}, {"meaning", 'l'}};
    mt_text_table *table = mt_text_table_create(columns, 4);
    mt_key_walk w = {.schema = &mt_task_schema};
    for (char *value; table && (value = next_setting(&w, t, config)); free(value))
        mt_text_table_row(
            table, (const char *[]){w.key.path, value, w.key.type == MT_KEY_TEXT ? "" : w.key.range, w.key.help});
    finish_table(table, f);
}

static const char *summary_of(const char *name) {
    const task_info *info;
    for (size_t i = 0; (info = task_name_at(i)); i++)
        if (strcmp(info->name, name) == 0) return info->summary;
    return "";
}

static void print_task_description(const char *name, const task *t, const mt_task_config *config, FILE *f) {
    fprintf(f, "%s: %s\nis: %s\nparameters: %zu in %zu tensors\n", name, summary_of(name), t->name, t->n_params,
            t->n_tensors);
    fprintf(f, "sampled values: %zu per trajectory\n", t->n_tau);
    fprintf(f, "work: %.0f FLOP a loss and gradient, %zu bytes of memory\n", t->flops_per_step, t->work_bytes);
    if (isfinite(t->loss_bound))
        fprintf(f, "loss: clipped at %.4g", t->loss_bound);
    else
        fputs("loss: unbounded", f);
    fprintf(f, "%s\n\n", task_has_accuracy(t) ? "; reports accuracy" : "");
    print_task_settings(t, config, f);
    fputc('\n', f);
    static const mt_column columns[] = {{"tensor", 'l'}, {"shape", 'l'}, {"numbers", 'r'}, {"role", 'l'}};
    mt_text_table *table = mt_text_table_create(columns, 4);
    for (size_t i = 0; table && i < t->n_tensors; i++) {
        const lopt_tensor *x = &t->tensors[i];
        add_shape(table, x->name, x->rank, x->dim, (size_t)lopt_tensor_size(x),
                  x->role == LOPT_ROLE_EMBEDDING ? "embedding"
                  : x->hidden_fan_in > 0         ? "between hidden layers"
                                                 : "");
    }
    finish_table(table, f);
}

static json_t *describe_task_json(const char *name, const task *t, const mt_task_config *config) {
    json_t *tensors = json_array(), *settings = json_object();
    mt_key_walk w = {.schema = &mt_task_schema};
    for (char *value; (value = next_setting(&w, t, config)); free(value)) {
        json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
        json_object_set_new(settings, w.key.path, parsed ? parsed : json_string(value));
    }
    for (size_t i = 0; i < t->n_tensors; i++) {
        const lopt_tensor *x = &t->tensors[i];
        json_array_append_new(
            tensors, json_pack("{s:s, s:o, s:I, s:b, s:I}", "name", x->name, "shape", mt_shape_json(x->rank, x->dim),
                               "size", (json_int_t)lopt_tensor_size(x), "embedding", x->role == LOPT_ROLE_EMBEDDING,
                               "hidden_fan_in", (json_int_t)x->hidden_fan_in));
    }
    json_t *bound = isfinite(t->loss_bound) ? json_real(t->loss_bound) : json_null();
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:o, s:b, s:o, s:o}", "task", name, "summary",
                     summary_of(name), "description", t->name, "n_params", (json_int_t)t->n_params, "n_sampled",
                     (json_int_t)t->n_tau, "flops_per_step", t->flops_per_step, "work_bytes", (json_int_t)t->work_bytes,
                     "loss_bound", bound, "has_accuracy", task_has_accuracy(t), "settings", settings, "tensors",
                     tensors);
}

int mt_show_task(const char *name, const mt_sets *sets, int json, FILE *f, lopt_error *err) {
    mt_suite *suite = load_task(name, sets, err);
    task *t = suite ? task_create(&suite->tasks[0].spec, err) : NULL;
    if (t && json)
        mt_json_print(describe_task_json(name, t, &suite->tasks[0]), f);
    else if (t)
        print_task_description(name, t, &suite->tasks[0], f);
    int shown = t != NULL;
    task_destroy(t);
    mt_suite_free(suite);
    return shown;
}
