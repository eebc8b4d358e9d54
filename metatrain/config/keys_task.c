/* SPDX-License-Identifier: Apache-2.0
 *
 * keys_task.c - the keys of a task, in configurations and evaluation suites alike. */
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "core/suggest.h"

#define IN_TASK(field) offsetof(mt_task_config, field), sizeof(((mt_task_config *)0)->field)
#define SAMPLED(field) MT_KEY_INTEGER, offsetof(mt_task_config, sample.field), sizeof(int), 2, MT_NOWHERE

static const mt_key task_keys[] = {
    {"task", MT_KEY_TEXT, IN_TASK(spec.task), .range = "filled",
     .help = "kind, published name or family (`metatrain list tasks`); a published name fixes the sizes below, a "
             "family draws them"},
    {"weight", MT_KEY_NUMBER, IN_TASK(weight), .range = "(0, 1000000]", .standard = "1",
     .help = "probability of the task, relative to the others"},
    {.type = MT_KEY_TASK, .at = offsetof(mt_task_config, spec), .path = ""},
    {"sample.hidden", SAMPLED(hidden), "[0, 65536]", .standard = "[0, 0]", .unit = "units",
     .help = "meta-training: width of the hidden layers, drawn log-uniformly; [0, 0]: as in `hidden`"},
    {"sample.layers", SAMPLED(layers), "[0, 8]", .standard = "[1, 1]", .unit = "layers",
     .help = "sample.hidden: number of hidden layers, drawn uniformly"},
    {"sample.batch_size", SAMPLED(batch_size), "[0, 65536]", .standard = "[0, 0]", .unit = "examples",
     .help = "the same for batch_size"},
    {"sample.image_size", SAMPLED(image_size), "[0, 1024]", .standard = "[0, 0]", .unit = "pixels",
     .help = "the same for image_size; each size in use is a data set in memory"},
    {"sample.dim", SAMPLED(dim), "[0, 1000000]", .standard = "[0, 0]", .unit = "parameters",
     .help = "the same for dim"},
    {"sample.augment", MT_KEY_CHOICE, IN_TASK(sample.augment), .range = TASK_WORDS(MT_AUGMENTATIONS),
     .standard = "fixed",
     .help = "velo: augmentations are drawn with the structure, as for VeLO, in place of `augment`"},
    {"sample.max_flops", MT_KEY_NUMBER, IN_TASK(sample.max_flops), .range = "[1, 1000000000000]",
     .standard = "20000000", .unit = "FLOP",
     .help = "of a family, or with sample.augment: structures whose loss and gradient cost more are drawn again"},
    {"sample.max_params", MT_KEY_NUMBER, IN_TASK(sample.max_params), .range = "[64, 1000000000]", .standard = "100000",
     .unit = "parameters",
     .help = "the same for parameters and what delayed gradients keep of them; every particle has memory for this "
             "many, in 64 tensors"},
    {"sample.every", MT_KEY_INTEGER, IN_TASK(sample.every), .range = "[0, 1000000000]", .standard = "200",
     .unit = "outer steps", .help = "mean time that a particle keeps a drawn structure; 0: always"},
};

static void begin_task_config(void *into) {
    ((mt_task_config *)into)->spec = task_spec_default();
}

/* Whether what is drawn must be held against the entry's bounds. */
int mt_is_bounded(const mt_task_config *entry) {
    return entry->sample.family || entry->sample.augment != MT_AUGMENT_FIXED;
}

int mt_is_sampled(const mt_task_config *entry) {
    return mt_is_bounded(entry) || entry->sample.hidden[1] > 0 || entry->sample.batch_size[1] > 0 ||
           entry->sample.image_size[1] > 0 || entry->sample.dim[1] > 0;
}

void mt_set_data_path(mt_task_config *tasks, int n, const char *data_path) {
    for (int i = 0; i < n; i++) memcpy(tasks[i].spec.data_path, data_path, sizeof tasks[i].spec.data_path);
}

/* ---- checks across keys ---------------------------------------------------------------------- */

static int is_task_family(const char *name) {
    const task_family *family;
    for (size_t i = 0; (family = task_family_at(i)) && strcmp(name, family->name) != 0;) i++;
    return family != NULL;
}

static int check_task_name(const mt_key_item *item) {
    const mt_task_config *t = item->value;
    task_spec spec = t->spec;
    if (is_task_family(spec.task) || task_spec_resolve(&spec, NULL)) return 1;
    char text[MT_KEY_PATH];
    const task_info *known;
    const task_family *family;
    lopt__suggestion s = lopt__suggestion_for(spec.task);
    for (size_t i = 0; (known = task_name_at(i)); i++) lopt__suggest_name(&s, known->name);
    for (size_t i = 0; (family = task_family_at(i)); i++) lopt__suggest_name(&s, family->name);
    return mt_item_error(item, "task", "found %s, expected a name of `metatrain list tasks`%s", spec.task,
                         lopt__suggestion_text(&s, text, sizeof text));
}

/* Whether the two have one value for a key; if not, and wanted, a message about it. */
static int compare_key_values(const mt_key *key, const mt_task_config *t, const mt_task_config *other,
                              const mt_key_item *item) {
    char *a = mt_key_text(key, t), *b = mt_key_text(key, other);
    int same = a && b && strcmp(a, b) == 0;
    if (!same && item)
        mt_item_error(item, key->path, "found %s, expected %s as the published task %s fixes it", a ? a : "",
                      b ? b : "", t->spec.task);
    free(a);
    free(b);
    return same;
}

static int check_published_sizes(const mt_key_item *item) {
    const mt_task_config *t = item->value;
    mt_task_config fixed = *t;
    if (is_task_family(t->spec.task) || !task_spec_resolve(&fixed.spec, NULL)) return 1;
    for (mt_key_walk w = {.schema = &mt_task_schema}; mt_next_key(&w);)
        if (strcmp(w.key.path, "task") != 0 && mt_yaml_find(item->node, w.key.path) &&
            !compare_key_values(&w.key, t, &fixed, item))
            return 0;
    return 1;
}

/* Keys that a family draws, or sections of them. The default may stand there: a run's own configuration has all. */
static int check_family_draws(const mt_key_item *item) {
    static const char *const drawn[] = {"batch_size",
                                        "image_size",
                                        "hidden",
                                        "activation",
                                        "dim",
                                        "noise",
                                        "encoder.",
                                        "vae.",
                                        "sample.hidden",
                                        "sample.layers",
                                        "sample.batch_size",
                                        "sample.image_size",
                                        "sample.dim"};
    const mt_task_config *t = item->value, plain = {.spec = task_spec_default(), .sample = {.layers = {1, 1}}};
    if (!is_task_family(t->spec.task)) return 1;
    for (mt_key_walk w = {.schema = &mt_task_schema}; mt_next_key(&w);)
        for (size_t i = 0; i < MT_COUNT(drawn); i++)
            if (strncmp(w.key.path, drawn[i], strlen(drawn[i])) == 0 && mt_yaml_find(item->node, w.key.path) &&
                !compare_key_values(&w.key, t, &plain, NULL))
                return mt_item_error(item, w.key.path, "found a value, expected none, as the family %s draws it",
                                     t->spec.task);
    return 1;
}

static int check_reparam_range(const mt_key_item *item) {
    const double *range = ((const mt_task_config *)item->value)->spec.reparam_range;
    return range[0] <= range[1] ||
           mt_item_error(item, "augment.reparam.range", "found [%g, %g], expected the smaller number first", range[0],
                         range[1]);
}

static int check_sampled_ranges(const mt_key_item *item) {
    const mt_task_config *t = item->value;
    const struct {
        const char *key;
        const int *range;
        int least;
    } ranges[] = {{"sample.hidden", t->sample.hidden, 1},
                  {"sample.layers", t->sample.layers, 0},
                  {"sample.batch_size", t->sample.batch_size, 1},
                  {"sample.image_size", t->sample.image_size, 1},
                  {"sample.dim", t->sample.dim, 1}};
    for (size_t i = 0; i < MT_COUNT(ranges); i++) {
        const int *r = ranges[i].range;
        if ((r[0] == 0 && r[1] == 0) || (r[0] >= ranges[i].least && r[0] <= r[1])) continue;
        return mt_item_error(item, ranges[i].key,
                             "found [%d, %d], expected the smaller number first, and that at least %d", r[0], r[1],
                             ranges[i].least);
    }
    return 1;
}

static const mt_check checks[] = {
    {"`task` is a name of `metatrain list tasks`.", check_task_name},
    {"A published task name fixes its sizes: another value for one of them is an error.", check_published_sizes},
    {"A family draws its sizes: another value than the default for one of them is an error.", check_family_draws},
    {"`augment.reparam.range` is [min, max].", check_reparam_range},
    {"Ranges of `sample` are [min, max] with min at least 1 (`layers`: 0), or [0, 0].", check_sampled_ranges},
};

/* The sizes that a published name fixes; spec.task stays the name a person chose. */
static void finish_task_config(void *into) {
    mt_task_config *t = into;
    task_spec fixed = t->spec;
    t->sample.family = is_task_family(t->spec.task);
    if (t->sample.family || !task_spec_resolve(&fixed, NULL)) return;
    memcpy(fixed.task, t->spec.task, sizeof fixed.task);
    t->spec = fixed;
}

const mt_schema mt_task_schema = {.name = "tasks[].",
                                  .n = MT_COUNT(task_keys),
                                  .bytes = sizeof(mt_task_config),
                                  .keys = task_keys,
                                  .n_checks = MT_COUNT(checks),
                                  .checks = checks,
                                  .begin = begin_task_config,
                                  .finish = finish_task_config};
