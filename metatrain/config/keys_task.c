/* SPDX-License-Identifier: Apache-2.0
 *
 * keys_task.c - the keys of a task, in configurations and evaluation suites alike. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/schema.h"
#include "core/suggest.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define IN_TASK(field) offsetof(mt_task_config, field), sizeof(((mt_task_config *)0)->field)
#define SAMPLED(field) MT_KEY_INTEGER, offsetof(mt_task_config, sample.field), sizeof(int), 2, MT_NOWHERE

_Static_assert(offsetof(task_spec, reparam_max) == offsetof(task_spec, reparam_min) + sizeof(double),
               "augment.reparam.range is read as a list of two");
_Static_assert(sizeof(mt_estimator) == sizeof(int) && sizeof(task_activation_kind) == sizeof(int),
               "choices are read as int");

static const mt_key task_keys[] = {
    {"task", MT_KEY_TEXT, IN_TASK(spec.task), .range = "filled",
     .help = "kind, published name or family (`metatrain list tasks`); a published name fixes the "
             "keys below that belong to it, a family draws them"},
    {"weight", MT_KEY_NUMBER, IN_TASK(weight), .range = "(0, 1000000]", .standard = "1",
     .help = "how often a trajectory takes this task, relative to the others"},
    {"dataset", MT_KEY_TEXT, IN_TASK(spec.dataset), .range = "filled",
     .help = "what `metatrain data list` names, a folder or a file ([data.md](data.md))"},
    {"batch_size", MT_KEY_INTEGER, IN_TASK(spec.batch_size), .range = "[1, 65536]", .unit = "examples",
     .help = "examples in a minibatch (images)"},
    {"image_size", MT_KEY_INTEGER, IN_TASK(spec.image_size), .range = "[0, 1024]", .unit = "pixels",
     .help = "images are resized to this many pixels a side; 0: left as they are"},
    {"grey", MT_KEY_CHOICE, IN_TASK(spec.grey), .range = "no|yes",
     .help = "yes: images in colour become the mean of their channels"},
    {"data_split", MT_KEY_CHOICE, IN_TASK(spec.data_split), .range = "clean|published",
     .help = "clean: 80 % of the training images are trained on; published: 1 % of cifar100, "
             "svhn_cropped and food101, as published results have it"},
    {"hidden", MT_KEY_INTEGER, offsetof(mt_task_config, spec.hidden), sizeof(int), TASK_MAX_HIDDEN,
     offsetof(mt_task_config, spec.n_hidden), "[1, 65536]", .unit = "units",
     .help = "widths of the hidden layers; `[]`: a linear model"},
    {"activation", MT_KEY_CHOICE, IN_TASK(spec.activation),
     .range = "relu|tanh|gelu|relu6|sigmoid|silu|selu|cos|sin|leaky_relu|folded_relu|elu",
     .help = "what follows each hidden layer"},
    {"norm", MT_KEY_CHOICE, IN_TASK(spec.norm), .range = "none|layer|batch",
     .help = "normalisation between a hidden layer and its activation (perceptrons)"},
    {"dropout", MT_KEY_NUMBER, IN_TASK(spec.dropout), .range = "[0, 0.999]",
     .help = "share of a hidden layer that is left out at random (perceptrons)"},
    {"loss", MT_KEY_CHOICE, IN_TASK(spec.loss), .range = "cross_entropy|squared_error",
     .help = "of classification; the squared error is that of one-hot labels"},
    {"sequence.tokens", MT_KEY_INTEGER, IN_TASK(spec.sequence.tokens), .range = "[259, 32768]",
     .help = "text: 259 are bytes, from 300 on byte pairs learned from the text"},
    {"sequence.vocab", MT_KEY_INTEGER, IN_TASK(spec.sequence.vocab), .range = "[0, 32768]",
     .help = "ids that a model of text knows, into which the others are folded; 0: sequence.tokens"},
    {"sequence.length", MT_KEY_INTEGER, IN_TASK(spec.sequence.length), .range = "[1, 65536]", .unit = "tokens",
     .help = "text: how many a model sees"},
    {"sequence.embed", MT_KEY_INTEGER, IN_TASK(spec.sequence.embed), .range = "[1, 65536]",
     .help = "numbers a token of text becomes; width of a transformer"},
    {"sequence.cell", MT_KEY_CHOICE, IN_TASK(spec.sequence.cell), .range = "lstm|gru|vanilla_rnn|irnn",
     .help = "of recurrent nets"},
    {"sequence.width", MT_KEY_INTEGER, IN_TASK(spec.sequence.width), .range = "[1, 65536]",
     .help = "numbers of a recurrent cell; of a patch in a mixer"},
    {"sequence.layers", MT_KEY_INTEGER, IN_TASK(spec.sequence.layers), .range = "[1, 1000]",
     .help = "blocks of transformers and mixers"},
    {"sequence.heads", MT_KEY_INTEGER, IN_TASK(spec.sequence.heads), .range = "[1, 1024]",
     .help = "of attention; heads times head_size is the width of a vision transformer"},
    {"sequence.head_size", MT_KEY_INTEGER, IN_TASK(spec.sequence.head_size), .range = "[1, 4096]",
     .help = "numbers of a head"},
    {"sequence.mlp", MT_KEY_INTEGER, IN_TASK(spec.sequence.mlp), .range = "[1, 65536]", .unit = "units",
     .help = "vision transformers and mixers: hidden width of a block's perceptron"},
    {"sequence.token_mlp", MT_KEY_INTEGER, IN_TASK(spec.sequence.token_mlp), .range = "[1, 65536]", .unit = "units",
     .help = "mixers: the same of the perceptron across patches"},
    {"sequence.patch", MT_KEY_INTEGER, IN_TASK(spec.sequence.patch), .range = "[1, 1024]", .unit = "pixels",
     .help = "vision transformers and mixers: side of a patch"},
    {"strided", MT_KEY_INTEGER, IN_TASK(spec.strided), .range = "[0, 8]", .unit = "layers",
     .help = "image_conv: how many of the first layers have stride 2"},
    {"resnet.version", MT_KEY_INTEGER, IN_TASK(spec.resnet.version), .range = "[1, 2]",
     .help = "residual nets: 1 normalises after each convolution, 2 before"},
    {"resnet.blocks", MT_KEY_INTEGER, offsetof(mt_task_config, spec.resnet.blocks), sizeof(int), 4, MT_NOWHERE,
     "[1, 64]", .help = "of each of the four groups"},
    {"resnet.channels", MT_KEY_INTEGER, offsetof(mt_task_config, spec.resnet.channels), sizeof(int), 4, MT_NOWHERE,
     "[4, 16384]", .help = "of each of the four groups"},
    {"resnet.stem_channels", MT_KEY_INTEGER, IN_TASK(spec.resnet.stem_channels), .range = "[1, 16384]",
     .help = "of the first convolution"},
    {"resnet.stem_size", MT_KEY_INTEGER, IN_TASK(spec.resnet.stem_size), .range = "[1, 64]", .unit = "pixels",
     .help = "side of its window"},
    {"resnet.stem_stride", MT_KEY_INTEGER, IN_TASK(spec.resnet.stem_stride), .range = "[1, 64]", .unit = "pixels",
     .help = "its stride"},
    {"resnet.pool", MT_KEY_CHOICE, IN_TASK(spec.resnet.pool), .range = "no|yes",
     .help = "the largest of 3x3, with stride 2, after it"},
    {"dim", MT_KEY_INTEGER, IN_TASK(spec.dim), .range = "[1, 1000000]", .unit = "parameters",
     .help = "size of a quadratic"},
    {"noise", MT_KEY_NUMBER, IN_TASK(spec.noise), .range = "[0, 1000000]",
     .help = "noise of a noisy quadratic (standard deviation)"},
    {"augment.reparam.level", MT_KEY_CHOICE, IN_TASK(spec.reparam), .range = "none|global|tensor|parameter",
     .help = "rescale the parameters seen by the optimizer: w = scale · stored, with one scale "
             "for all, per tensor or per parameter, drawn anew for every trajectory"},
    {"augment.reparam.range", MT_KEY_NUMBER, offsetof(mt_task_config, spec.reparam_min), sizeof(double), 2, MT_NOWHERE,
     "(0, 1000000000]", .help = "bounds of the scales, which are drawn log-uniformly"},
    {"augment.batch_fraction", MT_KEY_NUMBER, IN_TASK(spec.batch_fraction), .range = "(0, 1]",
     .help = "share of batch_size that is used, at least one example"},
    {"augment.es.pairs", MT_KEY_INTEGER, IN_TASK(spec.es_pairs), .range = "[0, 65536]", .unit = "pairs",
     .help = "gradients are estimated from so many antithetic pairs of losses; 0: true gradients"},
    {"augment.es.std", MT_KEY_NUMBER, IN_TASK(spec.es_std), .range = "(0, 1000000000]",
     .help = "standard deviation of their perturbations"},
    {"augment.dtype", MT_KEY_CHOICE, IN_TASK(spec.bf16), .range = "float32|bfloat16",
     .help = "what parameters, data and gradients are rounded to"},
    {"augment.gradient", MT_KEY_CHOICE, IN_TASK(spec.unit_gradient), .range = "plain|unit",
     .help = "unit: gradients are divided by their length"},
    {"augment.directions.count", MT_KEY_INTEGER, IN_TASK(spec.directions), .range = "[0, 65536]",
     .help = "gradients are known along so many random directions, drawn at every step; 0: wholly"},
    {"augment.directions.known", MT_KEY_CHOICE, IN_TASK(spec.direction_signs), .range = "slope|sign",
     .help = "what is known along a direction"},
    {"augment.delay", MT_KEY_INTEGER, IN_TASK(spec.delay), .range = "[0, 65536]", .unit = "inner steps",
     .help = "losses and gradients are those of the parameters of so many steps ago"},
    {"sample.hidden", SAMPLED(hidden), "[0, 65536]", .standard = "[0, 0]", .unit = "units",
     .help = "meta-training: hidden layers of a width drawn log-uniformly; [0, 0]: as `hidden` says"},
    {"sample.layers", SAMPLED(layers), "[0, 8]", .standard = "[1, 1]", .unit = "layers",
     .help = "sample.hidden: how many of them, drawn uniformly"},
    {"sample.batch_size", SAMPLED(batch_size), "[0, 65536]", .standard = "[0, 0]", .unit = "examples",
     .help = "the same for batch_size"},
    {"sample.image_size", SAMPLED(image_size), "[0, 1024]", .standard = "[0, 0]", .unit = "pixels",
     .help = "the same for image_size; each size in use is a data set in memory"},
    {"sample.dim", SAMPLED(dim), "[0, 1000000]", .standard = "[0, 0]", .unit = "parameters",
     .help = "the same for dim"},
    {"sample.augment", MT_KEY_CHOICE, IN_TASK(sample.augment), .range = "fixed|velo", .standard = "fixed",
     .help = "velo: augmentations are drawn with the structure, as VeLO's were, in place of "
             "`augment`"},
    {"sample.max_flops", MT_KEY_NUMBER, IN_TASK(sample.max_flops), .range = "[1, 1000000000000]",
     .standard = "20000000", .unit = "FLOP",
     .help = "of a family, or with sample.augment: draws whose loss and gradient cost more are "
             "drawn again"},
    {"sample.max_params", MT_KEY_NUMBER, IN_TASK(sample.max_params), .range = "[64, 1000000000]", .standard = "100000",
     .unit = "numbers",
     .help = "the same for parameters, with what late gradients keep of them: every particle has "
             "memory for so many, in 64 tensors"},
    {"sample.every", MT_KEY_INTEGER, IN_TASK(sample.every), .range = "[0, 1000000000]", .standard = "200",
     .unit = "outer steps", .help = "how long, on average, a particle keeps a drawn structure; 0: for good"},
};

static void begin_task(void *into) {
    ((mt_task_config *)into)->spec = task_spec_default();
}

static int unknown_task(const mt_yaml *item, const char *path, const char *name, lopt_error *err) {
    char where[MT_KEY_PATH], text[MT_KEY_PATH];
    const task_info *known;
    lopt__suggestion s = lopt__suggestion_for(name);
    for (size_t i = 0; (known = task_known(i)); i++) lopt__suggest_name(&s, known->name);
    const task_family *family;
    for (size_t i = 0; (family = task_family_known(i)); i++) lopt__suggest_name(&s, family->name);
    mt_key_path(where, "%stask", path);
    return mt_yaml_error(err, mt_yaml_nearest(item, "task"), where,
                         "found %s, expected a name of `metatrain list tasks`%s", name,
                         lopt__suggestion_text(&s, text, sizeof text));
}

/* A key that stands in the file may not differ from what a published name fixes. */
static int agrees(const mt_key *key, const mt_task_config *said, const mt_task_config *fixed, const mt_yaml *item,
                  const char *path, lopt_error *err) {
    const mt_yaml *node = mt_yaml_find(item, key->path);
    if (!node || strcmp(key->path, "task") == 0) return 1;
    char where[MT_KEY_PATH], *a = mt_key_text(key, said), *b = mt_key_text(key, fixed);
    int same = a && b && strcmp(a, b) == 0;
    mt_key_path(where, "%s%s", path, key->path);
    if (!same)
        mt_yaml_error(err, node, where, "found %s, expected %s as the published task %s fixes it", a ? a : "",
                      b ? b : "", said->spec.task);
    free(a);
    free(b);
    return same;
}

/* A sampled range is [0, 0] or has its smaller number first; only depth and none may be 0. */
static int check_sampled(const mt_task_config *t, const mt_yaml *item, const char *path, lopt_error *err) {
    const struct {
        const char *key;
        const int *range;
        int least;
    } ranges[] = {{"sample.hidden", t->sample.hidden, 1},
                  {"sample.layers", t->sample.layers, 0},
                  {"sample.batch_size", t->sample.batch_size, 1},
                  {"sample.image_size", t->sample.image_size, 1},
                  {"sample.dim", t->sample.dim, 1}};
    for (size_t i = 0; i < COUNT(ranges); i++) {
        const int *r = ranges[i].range;
        char where[MT_KEY_PATH];
        if ((r[0] == 0 && r[1] == 0) || (r[0] >= ranges[i].least && r[0] <= r[1])) continue;
        mt_key_path(where, "%s%s", path, ranges[i].key);
        return mt_yaml_error(err, mt_yaml_nearest(item, ranges[i].key), where,
                             "found [%d, %d], expected the smaller number first, and that at least "
                             "%d",
                             r[0], r[1], ranges[i].least);
    }
    return 1;
}

static int is_standard(const char *key, const mt_task_config *t) {
    mt_task_config plain = {.spec = task_spec_default(), .sample = {.layers = {1, 1}}};
    size_t k = 0;
    while (strcmp(task_keys[k].path, key) != 0) k++;
    char *a = mt_key_text(&task_keys[k], t), *b = mt_key_text(&task_keys[k], &plain);
    int same = a && b && strcmp(a, b) == 0;
    free(a);
    free(b);
    return same;
}

/* What a family draws may not stand beside it, but for the standard values: a run's own configuration has all. */
static int check_family(const mt_task_config *t, const mt_yaml *item, const char *path, lopt_error *err) {
    static const char *const drawn[] = {"batch_size",        "image_size",    "hidden",
                                        "activation",        "dim",           "noise",
                                        "sample.hidden",     "sample.layers", "sample.batch_size",
                                        "sample.image_size", "sample.dim"};
    for (size_t i = 0; i < COUNT(drawn); i++) {
        const mt_yaml *node = mt_yaml_find(item, drawn[i]);
        char where[MT_KEY_PATH];
        if (!node || is_standard(drawn[i], t)) continue;
        mt_key_path(where, "%s%s", path, drawn[i]);
        return mt_yaml_error(err, node, where, "found a value, expected none, as the family %s draws it", t->spec.task);
    }
    return 1;
}

static int is_family(const char *name) {
    const task_family *family;
    for (size_t i = 0; (family = task_family_known(i)); i++)
        if (!strcmp(name, family->name)) return 1;
    return 0;
}

static int finish_task(void *into, const mt_yaml *item, const char *path, lopt_error *err) {
    mt_task_config *said = into, fixed = *said;
    char where[MT_KEY_PATH];
    if ((said->sample.family = is_family(said->spec.task))) return check_family(said, item, path, err);
    if (!task_spec_resolve(&fixed.spec, NULL)) return unknown_task(item, path, said->spec.task, err);
    for (size_t i = 0; i < COUNT(task_keys); i++)
        if (!agrees(&task_keys[i], said, &fixed, item, path, err)) return 0;
    if (fixed.spec.reparam_min > fixed.spec.reparam_max) {
        mt_key_path(where, "%saugment.reparam.range", path);
        return mt_yaml_error(err, mt_yaml_nearest(item, "augment.reparam.range"), where,
                             "found [%g, %g], expected the smaller number first", fixed.spec.reparam_min,
                             fixed.spec.reparam_max);
    }
    if (!check_sampled(&fixed, item, path, err)) return 0;
    memcpy(fixed.spec.task, said->spec.task, sizeof fixed.spec.task); /* the name a person chose */
    *said = fixed;
    return 1;
}

const mt_schema mt_task_schema = {"tasks[].", COUNT(task_keys), sizeof(mt_task_config),
                                  task_keys,  begin_task,       finish_task};
