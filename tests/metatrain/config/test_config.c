/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config.c - configurations and suites: every key's default, landing place, type and
 * range; messages with exact lines; overrides; text that loads back; broken files by the
 * thousand. */
#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "config/schema.h"
#include "core/suggest.h"
#include "rng/rng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Every key with a value that is not its default. */
static const char everything[] =
    "seed: 18446744073709551615\n"
    "optimizer:\n"
    "  name: small-fc-pylo\n"
    "  init: some/theta.h5\n"
    "  freeze: [w0, 'b*']\n"
    "  hidden_size: 8\n"
    "  momentum_decays: [0.5, 0.75, 0.875]\n"
    "  weight_decay_uses: before\n"
    "  nan_to_num: true\n"
    "tasks:\n"
    "- task: quadratic\n"
    "  weight: 2.5\n"
    "  dataset: /data/some where\n"
    "  batch_size: 3\n"
    "  image_size: 0\n"
    "  hidden: [5, 6, 7]\n"
    "  activation: gelu\n"
    "  dim: 12\n"
    "  noise: 0.25\n"
    "  augment: {reparam: {level: tensor, range: [1e-3, 1000]}}\n"
    "- {task: image_mlp, hidden: [], sample: {hidden: [2, 3], layers: [0, 4], batch_size: [5, 6],\n"
    "   image_size: [7, 8], dim: [9, 10], every: 11}}\n"
    "data:\n"
    "  path: /a:/b\n"
    "estimator:\n"
    "  name: gpes\n"
    "  compat: reference\n"
    "  std: 0.5\n"
    "  window: 20\n"
    "  noise_every: 40\n"
    "  meta_loss: inner_valid\n"
    "  meta_value: error\n"
    "  reduction: mean\n"
    "  reduction_batches: 7\n"
    "  reduction_split: outer_valid\n"
    "  clip: 0\n"
    "  shaping: centred_rank\n"
    "  shaping_scale: 3\n"
    "  schedule:\n"
    "    {name: constant, min: 30, max: 31, knot_steps: [5, 6.5], knot_lengths: [40, 60],\n"
    "     std: 4, multiple: 2, offset: 9}\n"
    "particles: 4\n"
    "outer:\n"
    "  steps: 123\n"
    "  optimizer: adamw\n"
    "  learning_rate: 0.1\n"
    "  beta1: 0.2\n"
    "  beta2: 0.3\n"
    "  epsilon: 1e-4\n"
    "  epsilon_root: 1e-5\n"
    "  weight_decay: 0.01\n"
    "  gradient_clip: 2\n"
    "  accumulate: 3\n"
    "  schedule:\n"
    "    {name: warmup_cosine, warmup: 10, start_fraction: 0.25, decay: 90, end_fraction: 0.5,\n"
    "     decay_per_step: 0.125, knot_steps: [0, 7], knot_fractions: [1, 0.75]}\n"
    "checkpoint:\n"
    "  every: 11\n"
    "  keep: 2\n";

static mt_config *parse(const char *text, lopt_error *err) {
    *err = (lopt_error){0};
    return mt_config_parse(text, "t.yaml", NULL, 0, err);
}

static mt_config *parse_or_fail(const char *text) {
    lopt_error err;
    mt_config *cfg = parse(text, &err);
    cr_assert(cfg, "%s", err.text);
    return cfg;
}

static mt_config *with_set(const char *set, lopt_error *err) {
    *err = (lopt_error){0};
    return mt_config_load(NULL, &set, 1, err);
}

/* The text is refused, with exactly this sentence and status 2. */
static void refuse(const char *text, const char *sentence) {
    lopt_error err;
    mt_config *cfg = parse(text, &err);
    cr_assert(!cfg, "accepted:\n%s", text);
    cr_assert(strcmp(err.text, sentence) == 0, "\n  found    %s\n  expected %s", err.text, sentence);
    cr_assert(err.status == LOPT_EARG);
}

static void refuse_set(const char *set, const char *sentence) {
    lopt_error err;
    mt_config *cfg = with_set(set, &err);
    cr_assert(!cfg, "accepted: %s", set);
    cr_assert(strcmp(err.text, sentence) == 0, "\n  found    %s\n  expected %s", err.text, sentence);
}

/* ---- landing places -------------------------------------------------------------------------- */

Test(config, every_key_lands_in_its_place) {
    mt_config *c = parse_or_fail(everything);
    cr_assert(strcmp(c->file, "t.yaml") == 0);
    cr_assert(c->seed == UINT64_MAX);
    cr_assert(strcmp(c->optimizer.name, "small-fc-pylo") == 0 && strcmp(c->init, "some/theta.h5") == 0);
    cr_assert(c->n_freeze == 2 && strcmp(c->freeze[0], "w0") == 0 && strcmp(c->freeze[1], "b*") == 0);
    cr_assert(c->optimizer.n_settings == 4);
    cr_assert(strcmp(c->optimizer.settings[0].name, "hidden_size") == 0);
    cr_assert(strcmp(c->optimizer.settings[0].value, "8") == 0 && c->optimizer.settings[0].line == 6);
    cr_assert(strcmp(c->optimizer.settings[1].value, "[0.5, 0.75, 0.875]") == 0);
    cr_assert(strcmp(c->optimizer.settings[2].value, "before") == 0);
    cr_assert(strcmp(c->optimizer.settings[3].value, "true") == 0);
    const task_spec *s = &c->tasks[0].spec;
    cr_assert(c->n_tasks == 2 && strcmp(s->task, "quadratic") == 0 && c->tasks[0].weight == 2.5);
    cr_assert(strcmp(s->dataset, "/data/some where") == 0 && s->batch_size == 3 && s->image_size == 0);
    cr_assert(s->n_hidden == 3 && s->hidden[0] == 5 && s->hidden[1] == 6 && s->hidden[2] == 7);
    cr_assert(s->activation == TASK_GELU && s->dim == 12 && s->noise == 0.25);
    cr_assert(s->reparam == TASK_REPARAM_TENSOR && s->reparam_range[0] == 0.001 && s->reparam_range[1] == 1000);
    cr_assert(strcmp(s->data_path, "/a:/b") == 0 && strcmp(c->tasks[1].spec.data_path, "/a:/b") == 0);
    cr_assert(c->tasks[1].sample.hidden[1] == 3 && c->tasks[1].sample.layers[1] == 4 &&
              c->tasks[1].sample.batch_size[0] == 5 && c->tasks[1].sample.image_size[0] == 7 &&
              c->tasks[1].sample.dim[1] == 10 && c->tasks[1].sample.every == 11);
    cr_assert(c->tasks[1].spec.n_hidden == 0 && c->tasks[1].weight == 1);
    cr_assert(c->estimator.name == MT_GPES && c->estimator.std == 0.5 && c->estimator.window == 20);
    cr_assert(c->estimator.noise_every == 40 && c->estimator.reduction == MT_MEAN);
    cr_assert(c->estimator.reduction_batches == 7 && c->estimator.meta_loss == MT_LOSS_INNER_VALID);
    cr_assert(c->estimator.compat == MT_REFERENCE && c->estimator.meta_value == MT_VALUE_ERROR);
    cr_assert(c->estimator.reduction_split == TASK_OUTER_VALID && c->estimator.clip == 0);
    cr_assert(c->estimator.shaping == MT_CENTRED_RANK && c->estimator.shaping_scale == 3);
    cr_assert(c->estimator.schedule.std == 4 && c->estimator.schedule.multiple == 2 &&
              c->estimator.schedule.offset == 9);
    const mt_knots *lengths = &c->estimator.schedule.knots, *rates = &c->outer.schedule.knots;
    cr_assert(lengths->n_steps == 2 && lengths->step[1] == 6.5 && lengths->n_values == 2 && lengths->value[0] == 40 &&
              lengths->value[1] == 60);
    cr_assert(rates->n_steps == 2 && rates->step[1] == 7 && rates->n_values == 2 && rates->value[0] == 1 &&
              rates->value[1] == 0.75);
    cr_assert(c->outer.epsilon_root == 1e-5 && c->outer.accumulate == 3 && c->outer.schedule.start_fraction == 0.25 &&
              c->outer.schedule.decay_per_step == 0.125);
    cr_assert(c->estimator.schedule.name == MT_CONSTANT && c->estimator.schedule.min == 30);
    cr_assert(c->estimator.schedule.max == 31 && c->particles == 4 && c->outer.steps == 123);
    cr_assert(c->outer.optimizer == MT_OUTER_ADAMW && c->outer.learning_rate == 0.1);
    cr_assert(c->outer.beta1 == 0.2 && c->outer.beta2 == 0.3 && c->outer.epsilon == 1e-4);
    cr_assert(c->outer.weight_decay == 0.01 && c->outer.gradient_clip == 2);
    cr_assert(c->outer.schedule.name == MT_OUTER_WARMUP_COSINE && c->outer.schedule.warmup == 10 &&
              c->outer.schedule.decay == 90);
    cr_assert(c->outer.schedule.end_fraction == 0.5 && c->checkpoint.every == 11 && c->checkpoint.keep == 2);
    mt_config_free(c);
}

Test(config, defaults) {
    mt_config *c = mt_config_load(NULL, NULL, 0, NULL);
    cr_assert(c && c->seed == 1 && strcmp(c->optimizer.name, "small-fc") == 0 && !c->file[0]);
    cr_assert(!c->init[0] && c->n_freeze == 0 && c->optimizer.n_settings == 0 && !c->data_path[0]);
    task_spec standard = task_spec_default();
    cr_assert(c->n_tasks == 1 && strcmp(c->tasks[0].spec.task, standard.task) == 0 && c->tasks[0].weight == 1);
    cr_assert(c->tasks[0].spec.batch_size == standard.batch_size && c->tasks[0].spec.n_hidden == standard.n_hidden);
    cr_assert(c->estimator.name == MT_PES && c->estimator.std == 0.01 && c->estimator.window == 50);
    cr_assert(c->estimator.schedule.name == MT_LOG_UNIFORM && c->estimator.schedule.min == 100);
    cr_assert(c->estimator.schedule.max == 2000 && c->particles == 16 && c->outer.steps == 1000);
    cr_assert(c->outer.optimizer == MT_OUTER_ADAM && c->outer.beta1 == 0.9 && c->outer.beta2 == 0.999);
    cr_assert(c->outer.epsilon == 1e-8 && c->outer.gradient_clip == 0 && c->outer.weight_decay == 0);
    cr_assert(c->checkpoint.every == 100 && c->checkpoint.keep == 3);
    mt_config_free(c);
    mt_suite *s = mt_suite_load(NULL, NULL, 0, NULL);
    cr_assert(s && s->steps == 1000 && s->seeds == 5 && s->every == 10 && s->batches == 5 && s->last_batches == 20);
    cr_assert(s->n_sweep == 15 && s->n_tasks == 1 && s->n_baselines == 2);
    for (int i = 0; i < 15; i++) {
        double rate = (i % 2 ? 3 : 1) * pow(10, i / 2 - 7);
        cr_assert(fabs(s->sweep[i] / rate - 1) < 1e-12, "rate %d is %g", i, s->sweep[i]);
    }
    cr_assert(s->baselines[0].sweep && strcmp(s->baselines[1].optimizer.name, "sgdm") == 0);
    mt_suite_free(s);
}

/* ---- every key by its own row ---------------------------------------------------------------- */

/* Sets the key alone, in the schema's struct. Cross-key checks do not run, so only the row is
 * judged. */
static int fill_one(const mt_schema *schema, const mt_key *key, const char *value, lopt_error *err) {
    char assignment[2304];
    mt_schema plain = *schema;
    plain.n_checks = 0;
    plain.finish = NULL;
    void *into = malloc(schema->bytes);
    mt_yaml *root = mt_yaml_empty("t.yaml");
    snprintf(assignment, sizeof assignment, "%s=%s", key->path, value);
    *err = (lopt_error){0};
    int ok = mt_yaml_override(root, assignment, err) && mt_schema_fill(&plain, root, into, err);
    mt_yaml_free(root);
    free(into);
    return ok;
}

static void accept_value(const mt_schema *schema, const mt_key *key, const char *value) {
    lopt_error err;
    int ok = fill_one(schema, key, value, &err);
    cr_assert(ok, "%s%s = %s: %s", schema->name, key->path, value, err.text);
}

static void reject_value(const mt_schema *schema, const mt_key *key, const char *value) {
    lopt_error err;
    char expected[MT_KEY_PATH];
    int ok = fill_one(schema, key, value, &err);
    cr_assert(!ok, "%s%s accepts %s", schema->name, key->path, value);
    snprintf(expected, sizeof expected, "--set: %s", key->path);
    cr_assert(strncmp(err.text, expected, strlen(expected)) == 0, "%s: %s", key->path, err.text);
    cr_assert(strstr(err.text, "found ") && strstr(err.text, "expected "), "%s", err.text);
}

/* Wraps a value where the key is a list (those that mean something else there are left out). */
static void try_value(const mt_schema *schema, const mt_key *key, const char *value, int good) {
    char list[2304];
    int n = key->n_at == MT_NOWHERE ? (int)key->max_n : 1;
    if (key->max_n && !value[0]) value = "''"; /* nothing between brackets is an empty list */
    if (key->max_n && (strchr(value, ',') || strncmp(value, "- ", 2) == 0)) return;
    list[0] = 0;
    for (int i = 0; i < n; i++) {
        size_t at = strlen(list);
        snprintf(list + at, sizeof list - at, "%s%s%s", i ? ", " : "[", value, i + 1 < n ? "" : "]");
    }
    (good ? accept_value : reject_value)(schema, key, key->max_n ? list : value);
}

static void check_range(const mt_schema *schema, const mt_key *key) {
    char opening, closing, text[64];
    double min, max;
    cr_assert(sscanf(key->range, "%c%lf, %lf%c", &opening, &min, &max, &closing) == 4, "%s: %s", key->path, key->range);
    double step = key->type == MT_KEY_INTEGER ? 1 : 1e-3;
    struct {
        double value;
        int good;
    } cases[] = {{min, opening == '['}, {max, closing == ']'},           {min - step, 0},
                 {max + step, 0},       {min + step, min + step <= max}, {-1e9, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof text, key->type == MT_KEY_INTEGER ? "%.0f" : "%.17g", cases[i].value);
        try_value(schema, key, text, cases[i].good);
    }
}

static const char *const not_numbers[] = {"x",       "0x10", "010", "1_000", "nan", ".nan",   "inf", "-.inf",
                                          "1e99999", "0.1x", "1,5", "true",  "~",   "1 2",    "--1", "+1",
                                          "1e",      "e5",   "'7'", "\"7\"", "",    "{a: 1}", "- 1", "."};
static const char *const not_integers[] = {"3.5", "1e3", "9223372036854775808", "-9223372036854775809",
                                           "99999999999999999999999999"};

static void check_key(const mt_schema *schema, const mt_key *key) {
    char text[2048];
    if (key->standard) accept_value(schema, key, key->standard);
    if (key->type <= MT_KEY_NUMBER)
        for (size_t i = 0; i < COUNT(not_numbers); i++) try_value(schema, key, not_numbers[i], 0);
    if (key->type <= MT_KEY_SEED)
        for (size_t i = 0; i < COUNT(not_integers); i++)
            if (key->type == MT_KEY_INTEGER || i != 2) try_value(schema, key, not_integers[i], 0);
    if (key->type == MT_KEY_INTEGER || key->type == MT_KEY_NUMBER) check_range(schema, key);
    if (key->type == MT_KEY_SEED) {
        accept_value(schema, key, "18446744073709551615");
        reject_value(schema, key, "18446744073709551616");
        reject_value(schema, key, "-1");
    }
    if (key->type == MT_KEY_CHOICE) {
        char word[64];
        for (int i = 0; task_choice_word(key->range, i, word, sizeof word), word[0]; i++)
            accept_value(schema, key, word);
        reject_value(schema, key, "nothing-of-the-kind");
        reject_value(schema, key, "[a]");
    }
    if (key->type == MT_KEY_TEXT) {
        memset(text, 'a', sizeof text);
        text[key->bytes] = 0;
        try_value(schema, key, text, 0);
        try_value(schema, key, "{a: 1}", 0);
        try_value(schema, key, "", !key->range);
    }
    if (key->max_n) {
        reject_value(schema, key, "1");
        reject_value(schema, key, "{a: 1}");
    }
}

static void check_schema(const mt_schema *schema) {
    for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);) {
        const mt_key *key = &w.key;
        cr_assert(key->help && key->help[0], "%s has no help", key->path);
        if (key->type != MT_KEY_SETTINGS) check_key(schema, key);
        if (key->items) check_schema(key->items);
    }
}

Test(config, every_key_refuses_other_types_and_ranges) {
    check_schema(&mt_config_schema);
    check_schema(&mt_suite_schema);
}

/* ---- sentences ------------------------------------------------------------------------------- */

Test(config, unknown_keys) {
    refuse("seed: 1\n\nouter:\n  # comment\n  lerning_rate: 3\n",
           "t.yaml:5: found the unknown key outer.lerning_rate, expected a key of `metatrain list "
           "keys` (did you mean outer.learning_rate?)");
    refuse("steps: 3\n", "t.yaml:1: found the unknown key steps, expected a key of `metatrain list keys` (did you "
                         "mean outer.steps?)");
    refuse("zzzzzzzz: 3\n", "t.yaml:1: found the unknown key zzzzzzzz, expected a key of `metatrain list keys`");
    refuse("tasks:\n- task: quadratic\n- task: quadratic\n  bach_size: 3\n",
           "t.yaml:4: found the unknown key tasks.1.bach_size, expected a key of `metatrain list "
           "keys` (did you mean batch_size?)");
    refuse("? [a, b]\n: 1\n", "t.yaml:1: found a key that is not a plain name, expected a name");
    refuse("\"a\\nb\": 1\n", "t.yaml:1: found the unknown key a?b, expected a key of `metatrain list keys`");
}

Test(config, wrong_values) {
    refuse("outer:\n  steps: many\n", "t.yaml:2: outer.steps: found many, expected an integer in [1, 1000000000]");
    refuse("particles: -16\n", "t.yaml:1: particles: found -16, expected an integer in [1, 1000000]");
    refuse("particles: \"16\"\n", "t.yaml:1: particles: found \"16\", expected an integer in [1, 1000000]");
    refuse("estimator:\n  std:\n    1e99\n", "t.yaml:3: estimator.std: found 1e99, expected a number in [1e-12, 1000]");
    refuse("estimator:\n  std:\n  window: 3\n",
           "t.yaml:2: estimator.std: found nothing, expected a number in [1e-12, 1000]");
    refuse("faults: {silence: 1}\n", /* ranks speak once a second */
           "t.yaml:1: faults.silence: found 1, expected a number in [2, 1000000]");
    refuse("outer: 3\n", "t.yaml:1: outer: found 3, expected a mapping");
    refuse("outer:\n  schedule:\n  - 1\n", "t.yaml:2: outer.schedule: found a list, expected a mapping");
    refuse("seed: {a: 1}\n", "t.yaml:1: seed: found a mapping, expected an integer in [0, 18446744073709551615]");
    refuse("estimator:\n  name: ess\n",
           "t.yaml:2: estimator.name: found ess, expected one of es, tes, pes, nres, gpes");
    refuse("tasks: []\n", "t.yaml:1: tasks: found 0 values, expected 1 to 32");
    refuse("tasks:\n- 3\n", "t.yaml:2: tasks.0: found 3, expected a mapping");
    refuse("tasks:\n- task: quadratic\n  hidden: [1, 2,\n    x]\n",
           "t.yaml:4: tasks.0.hidden.2: found x, expected an integer in [1, 65536]");
    refuse("tasks:\n- augment: {reparam: {range: [1]}}\n",
           "t.yaml:2: tasks.0.augment.reparam.range: found 1 values, expected 2");
    refuse("tasks:\n- task: ''\n", "t.yaml:2: tasks.0.task: found an empty string, expected a string of 1 to 63 bytes");
    refuse("data: {path: [a]}\n", "t.yaml:1: data.path: found a list, expected a string of at most 1023 bytes");
}

Test(config, names_of_optimizers_and_tasks) {
    refuse("optimizer:\n  name: smal-fc\n",
           "t.yaml:2: optimizer.name: found smal-fc, expected a name of `metatrain list optimizers` "
           "(did you mean small-fc?)");
    refuse("optimizer: {name: adam}\n",
           "t.yaml:1: optimizer.name: found adam, expected a learned optimizer, as this one has no "
           "theta to meta-train");
    refuse("optimizer:\n  hidden_size: 0\n",
           "t.yaml:2: optimizer.hidden_size: found 0, expected an integer in [1, 1024]");
    refuse("optimizer:\n  step_mult: fast\n",
           "t.yaml:2: optimizer.step_mult: found fast, expected a number in [0, 1000000]");
    refuse("optimizer:\n  nan_to_num: maybe\n",
           "t.yaml:2: optimizer.nan_to_num: found maybe, expected one of true, false");
    refuse("optimizer:\n  weight_decay_uses: never\n",
           "t.yaml:2: optimizer.weight_decay_uses: found never, expected one of before, after");
    refuse("optimizer:\n  momentum_decays: [0.1, 0.2]\n",
           "t.yaml:2: optimizer.momentum_decays: found a list of another length, expected a list of "
           "3 values");
    refuse("optimizer:\n  momentum_decays:\n  - 0.1\n  - 0.2\n  - 1.5\n",
           "t.yaml:5: optimizer.momentum_decays.2: found 1.5, expected a number in [0, 1]");
    refuse("tasks:\n- task: quadratik\n",
           "t.yaml:2: tasks.0.task: found quadratik, expected a name of `metatrain list tasks` (did "
           "you mean quadratic?)");
    lopt_error err;
    cr_assert(!parse("optimizer:\n  init: x\n  hiden_size: 3\n", &err));
    const char *begin = "t.yaml:3: found the unknown key optimizer.hiden_size, expected a setting of small-fc "
                        "(hidden_size, ";
    cr_assert(strncmp(err.text, begin, strlen(begin)) == 0, "%s", err.text);
    cr_assert(strstr(err.text, "(did you mean hidden_size?)"), "%s", err.text);
}

Test(config, published_tasks_fix_their_sizes) {
    mt_config *c = parse_or_fail("tasks:\n- task: ImageMLP_FashionMnist16_Relu32\n");
    cr_assert(strcmp(c->tasks[0].spec.task, "ImageMLP_FashionMnist16_Relu32") == 0, "the name stays");
    cr_assert(c->tasks[0].spec.batch_size == 128 && c->tasks[0].spec.image_size == 16);
    mt_config_free(c);
    refuse("tasks:\n- task: ImageMLP_FashionMnist16_Relu32\n  hidden: [32]\n  batch_size: 64\n",
           "t.yaml:4: tasks.0.batch_size: found 64, expected 128 as the published task "
           "ImageMLP_FashionMnist16_Relu32 fixes it");
    mt_config_free(parse_or_fail("tasks:\n- task: ImageMLP_FashionMnist16_Relu32\n  batch_size: 128\n"));
}

Test(config, checks_across_keys) {
    refuse("estimator:\n  schedule:\n    min: 300\n    max: 200\n",
           "t.yaml:3: estimator.schedule.min: found 300, expected at most 200 "
           "(estimator.schedule.max)");
    refuse("estimator:\n  window: 150\n  schedule: {max: 200}\n",
           "t.yaml:3: estimator.schedule.min: found 100, expected at least 150 (estimator.window), "
           "as a window may hold one reset");
    refuse("estimator:\n  window: 150\n  schedule: {name: constant, max: 140}\n",
           "t.yaml:3: estimator.schedule.max: found 140, expected at least 150 (estimator.window), "
           "as a window may hold one reset");
    mt_config_free(parse_or_fail("estimator:\n  window: 150\n  name: es\n"));
    refuse("estimator:\n  name: gpes\n  window: 30\n  noise_every: 70\n",
           "t.yaml:4: estimator.noise_every: found 70, expected a multiple of 30 (estimator.window)");
    refuse("estimator: {name: pes, reduction: last}\n",
           "t.yaml:1: estimator.reduction: found last, expected mean, as only es reduces whole "
           "trajectories");
    mt_config_free(parse_or_fail("estimator: {name: es, reduction: last_fresh}\n"));
    refuse("outer:\n  weight_decay: 0.1\n",
           "t.yaml:2: outer.weight_decay: found 0.1, expected 0, as only outer.optimizer adamw and "
           "lion decay theta");
    refuse("outer:\n  schedule:\n    decay: 10\n    name: warmup_cosine\n    warmup: 10\n",
           "t.yaml:5: outer.schedule.warmup: found 10, expected fewer than 10 (outer.schedule.decay)");
    refuse("estimator:\n  schedule: {name: scheduled}\n",
           "t.yaml:2: estimator.schedule.knot_steps: found no steps, expected some, as schedule "
           "scheduled needs them");
    refuse("estimator:\n  schedule: {knot_steps: [1, 2], knot_lengths: [400, 40]}\n",
           "t.yaml:2: estimator.schedule.knot_lengths: found 40, expected at least 100 "
           "(estimator.schedule.min)");
    refuse("outer:\n  schedule:\n    knot_steps: [1, 2, 2]\n",
           "t.yaml:3: outer.schedule.knot_steps: found 2 after 2, expected increasing steps");
    refuse("outer:\n  schedule: {knot_steps: [1, 2]}\n",
           "t.yaml:2: outer.schedule.knot_fractions: found 0 values, expected 2, one for each step of "
           "outer.schedule.knot_steps");
    refuse("tasks:\n- sample:\n    dim: [0, 4]\n",
           "t.yaml:3: tasks.0.sample.dim: found [0, 4], expected the smaller number first, and that at "
           "least 1");
    refuse("estimator:\n  clip: 3\n  shaping: sign\n",
           "t.yaml:2: estimator.clip: found 3, expected 0, as estimator.shaping bounds the "
           "differences");
    refuse("tasks:\n- augment:\n    reparam:\n      range: [2, 1]\n",
           "t.yaml:4: tasks.0.augment.reparam.range: found [2, 1], expected the smaller number first");
}

Test(config, text_that_is_no_configuration) {
    refuse("", "t.yaml: found nothing, expected keys and values");
    refuse("# only a comment\n", "t.yaml: found nothing, expected keys and values");
    refuse("- 1\n", "t.yaml:1: found a list, expected keys and values");
    refuse("hello\n", "t.yaml:1: found hello, expected keys and values");
    refuse("seed: 1\n---\nseed: 2\n", "t.yaml:3: found a second YAML document, expected one");
    refuse("seed: 1\nseed: 2\n", "t.yaml:2: seed: found the key a second time, expected it once");
    refuse("outer:\n  steps: 1\n\n  steps: 1\n", "t.yaml:4: steps: found the key a second time, expected it once");
    refuse("a: &x 1\n", "t.yaml:1: found an anchor, alias or tag (&, *, !), expected plain values");
    refuse("a: &x [*x]\n", "t.yaml:1: found an anchor, alias or tag (&, *, !), expected plain values");
    refuse("b: 1\na: *x\n", "t.yaml:2: found an anchor, alias or tag (&, *, !), expected plain values");
    refuse("seed: !!int 3\n", "t.yaml:1: found an anchor, alias or tag (&, *, !), expected plain values");
    refuse("seed: \"1\\0002\"\n", "t.yaml:1: found a zero byte, expected text");
    refuse("seed: [1\n", "t.yaml:2: found text that is not YAML (did not find expected ',' or ']'), expected keys "
                         "and values");
    refuse("seed: 1\nx: \x01\n", "t.yaml:2: found text that is not YAML (control characters are not allowed), expected "
                                 "keys and values");
    refuse("seed: [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]\n",
           "t.yaml:1: found values nested deeper than 16 levels, expected fewer");
    refuse("seed: [[[[[[[[[[[[[[1]]]]]]]]]]]]]]\n",
           "t.yaml:1: seed: found a list, expected an integer in [0, 18446744073709551615]");
    mt_config_free(parse_or_fail("\xef\xbb\xbfseed: 1\r\n"));
}

Test(config, sizes_and_files) {
    lopt_error err;
    char *text = malloc(MT_YAML_MAX_BYTES + 2);
    memset(text, '#', MT_YAML_MAX_BYTES + 1);
    memcpy(text, "seed: 1\n", 8);
    text[MT_YAML_MAX_BYTES] = 0;
    mt_config_free(parse_or_fail(text));
    text[MT_YAML_MAX_BYTES] = '#';
    text[MT_YAML_MAX_BYTES + 1] = 0;
    refuse(text, "t.yaml: found more than 65536 bytes, expected at most that");
    memset(text, '[', MT_YAML_MAX_BYTES); /* quadratic in libyaml, if it got so far */
    text[MT_YAML_MAX_BYTES] = 0;
    refuse(text, "t.yaml:1: found values nested deeper than 16 levels, expected fewer");
    free(text);
    cr_assert(!mt_config_load("no/such.yaml", NULL, 0, &err) && err.status == LOPT_EARG);
    cr_assert(strstr(err.text, "no/such.yaml") && strstr(err.text, "No such file"), "%s", err.text);
    cr_assert(!mt_config_load("configs", NULL, 0, &err) && err.status == LOPT_EARG, "a folder: %s", err.text);
}

/* ---- overrides ------------------------------------------------------------------------------- */

Test(config, overrides_win_and_are_checked_alike) {
    const char *sets[] = {"outer.steps=20",
                          "outer.steps=30",
                          "tasks.0.hidden=[16, 8]",
                          "tasks.1.task=quadratic",
                          "tasks.1.augment.reparam.level=global",
                          "optimizer.hidden_size=16",
                          "optimizer.init=",
                          "data.path=/a=b"};
    lopt_error err;
    mt_config *c = mt_config_parse("outer: {steps: 10, beta1: 0.5}\noptimizer: {init: x, hidden_size: 4}\n", "t.yaml",
                                   sets, COUNT(sets), &err);
    cr_assert(c, "%s", err.text);
    cr_assert(c->outer.steps == 30 && c->outer.beta1 == 0.5 && c->n_tasks == 2);
    cr_assert(c->tasks[0].spec.n_hidden == 2 && c->tasks[0].spec.hidden[1] == 8);
    cr_assert(strcmp(c->tasks[0].spec.task, "image_mlp") == 0, "the default list is there to reach into");
    cr_assert(strcmp(c->tasks[1].spec.task, "quadratic") == 0);
    cr_assert(c->tasks[1].spec.reparam == TASK_REPARAM_GLOBAL);
    cr_assert(c->optimizer.n_settings == 1 && strcmp(c->optimizer.settings[0].value, "16") == 0);
    cr_assert(!c->init[0] && strcmp(c->data_path, "/a=b") == 0);
    mt_config_free(c);
    refuse_set("outer.steps=many", "--set: outer.steps: found many, expected an integer in [1, 1000000000]");
    refuse_set("outer.steps=", "--set: outer.steps: found nothing, expected an integer in [1, 1000000000]");
    refuse_set("outer.step=3", "--set: found the unknown key outer.step, expected a key of `metatrain list keys` (did "
                               "you mean outer.steps?)");
    refuse_set("outer.steps", "--set: found outer.steps, expected KEY=VALUE");
    refuse_set("outer..steps=1", "--set: found the key outer..steps, expected names joined by dots (outer.steps)");
    refuse_set("=1", "--set: found the key , expected names joined by dots (outer.steps)");
    refuse_set("tasks.7.dim=1", "--set: tasks.7.dim: found 7, expected an index from 0 to 1 (the last appends)");
    refuse_set("tasks.x.dim=1", "--set: tasks.x.dim: found x, expected an index from 0 to 1 (the last appends)");
    refuse_set("tasks.0.dim=[1", "--set: found text that is not YAML (did not find expected ',' or ']'), expected keys "
                                 "and values");
    refuse_set("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1", "--set: found the key a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q, "
                                                      "expected names joined by dots (outer.steps)");
    const char *into_a_number = "seed.x=1";
    cr_assert(!mt_config_parse("seed: 3\n", "t.yaml", &into_a_number, 1, &err));
    cr_assert(strcmp(err.text, "t.yaml:1: found 3, expected a mapping or a list, because of --set seed.x") == 0, "%s",
              err.text);
}

/* ---- every rule of the reference ------------------------------------------------------------- */

/* Whether check number i alone refuses the text as an item of the schema. */
static int is_refused(const mt_schema *schema, size_t i, const char *text) {
    lopt_error err;
    mt_schema one = *schema;
    mt_yaml *root = mt_yaml_read(text, strlen(text), "t.yaml", &err);
    void *into = malloc(schema->bytes);
    one.checks = &schema->checks[i];
    one.n_checks = 1;
    one.finish = NULL;
    int refused = root && !mt_schema_fill(&one, root, into, &err);
    if (refused) cr_assert(strncmp(err.text, "t.yaml:", 7) == 0 && strstr(err.text, "expected "), "%s", err.text);
    free(into);
    mt_yaml_free(root);
    return refused;
}

Test(config, every_rule_has_a_configuration_that_breaks_it) {
    static const char *const train[] = {
        "optimizer: {name: adam}",
        "estimator: {schedule: {min: 900, max: 800}}",
        "estimator: {window: 500}",
        "estimator: {schedule: {knot_steps: [0], knot_lengths: [8]}}",
        "estimator: {schedule: {name: scheduled}}",
        "estimator: {name: gpes, window: 3, noise_every: 4}",
        "estimator: {clip: 1, shaping: sign}",
        "estimator: {reduction: min}",
        "outer: {weight_decay: 1}",
        "outer: {schedule: {name: linear, warmup: 9, decay: 9}}",
        "outer: {batch: 1}",
        "outer: {schedule: {knot_steps: [2, 1], knot_fractions: [0, 1]}}",
        "evaluate: {every: 1, tasks: [{task: quadratic, sample: {dim: [1, 2]}}]}",
    };
    static const char *const of_task[] = {
        "task: quadratics",
        "{task: ImageMLP_FashionMnist8_Relu32, hidden: [8]}",
        "{task: vit_family, batch_size: 8}",
        "augment: {reparam: {range: [2, 1]}}",
        "sample: {dim: [2, 1]}",
    };
    static const char *const suite[] = {
        "tasks: [{task: vit_family}]",
        "{sweep: [], optimizers: [{name: adam, learning_rate: sweep}]}",
    };
    const struct {
        const mt_schema *schema;
        const char *const *broken;
        size_t n;
    } tables[] = {{&mt_config_schema, train, COUNT(train)},
                  {&mt_task_schema, of_task, COUNT(of_task)},
                  {&mt_suite_schema, suite, COUNT(suite)}};
    for (size_t t = 0; t < COUNT(tables); t++) {
        cr_assert(tables[t].schema->n_checks == tables[t].n, "a rule without a configuration that breaks it");
        for (size_t i = 0; i < tables[t].n; i++)
            for (size_t k = 0; k < tables[t].n; k++) {
                int refused = is_refused(tables[t].schema, i, tables[t].broken[k]);
                cr_assert(refused == (i == k), "%s: %s", tables[t].broken[k], tables[t].schema->checks[i].rule);
            }
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

static void check_round_trip(const char *text) {
    lopt_error err;
    mt_config *a = parse_or_fail(text);
    char *first = mt_config_text(a);
    cr_assert(first);
    mt_config *b = parse(first, &err);
    cr_assert(b, "%s\n%s", err.text, first);
    char *second = mt_config_text(b);
    cr_assert(strcmp(first, second) == 0, "%s\n--- is not ---\n%s", first, second);
    for (int i = 0; i < MT_MAX_SETTINGS; i++) a->optimizer.settings[i].line = b->optimizer.settings[i].line = 0;
    /* Tasks are the same by their text: copies of a task_spec may have other bytes between its fields. */
    memset(a->tasks, 0, sizeof a->tasks);
    memset(b->tasks, 0, sizeof b->tasks);
    cr_assert(memcmp(a, b, sizeof *a) == 0, "not the same bytes:\n%s", first);
    free(first);
    free(second);
    mt_config_free(a);
    mt_config_free(b);
}

Test(config, every_task_loads_back_from_the_resolved_text) {
    const task_info *info;
    const task_family *family;
    for (size_t i = 0, n = 0; (info = task_name_at(i)) || (family = task_family_at(n)); i++, n += !info) {
        char text[128];
        snprintf(text, sizeof text, "tasks: [{task: %s}]", info ? info->name : family->name);
        check_round_trip(text);
    }
}

Test(config, text_loads_to_the_same_bytes) {
    check_round_trip(everything);
    check_round_trip("seed: 0\n");
    check_round_trip("outer: {learning_rate: 0.1234567890123456789, epsilon: 4.9e-324,\n"
                     "  beta1: 0.30000000000000004}\n"
                     "optimizer: {step_mult: 0.1000000000000000055}\n");
    check_round_trip("optimizer: {init: \"odd: # 'name' \\\"\\t\\u00e9\\x7f\\ufeff &*!|>%@`\"}\n"
                     "data: {path: ' spaces '}\n");
    check_round_trip("optimizer: {init: \"true\"}\ndata: {path: \"a\\nb\\n\"}\n");
    check_round_trip("tasks:\n- task: ImageMLP_FashionMnist8_Relu32\n- task: quadratic\n  hidden: []\n");
    char family[256];
    for (size_t i = 0; task_family_at(i); i++) {
        snprintf(family, sizeof family, "tasks:\n- {task: %s, sample: {augment: velo}}\n", task_family_at(i)->name);
        check_round_trip(family);
    }
    refuse("tasks:\n- {task: vit_family, batch_size: 8}\n",
           "t.yaml:2: tasks.0.batch_size: found a value, expected none, as the family vit_family draws it");
    refuse("tasks:\n- {task: mlp_vae_family, vae: {latent: 5}}\n",
           "t.yaml:2: tasks.0.vae.latent: found a value, expected none, as the family mlp_vae_family draws it");
}

Test(config, shipped_files_load) {
    static const char *const files[] = {"configs/quickstart.yaml",          "configs/fashion-small-fc.yaml",
                                        "configs/quadratic.yaml",           "configs/recipes/celo2.yaml",
                                        "configs/recipes/celo-phase1.yaml", "configs/recipes/celo-phase2.yaml",
                                        "configs/recipes/mulo-small.yaml",  "configs/recipes/velo-phase1.yaml"};
    lopt_error err;
    for (size_t i = 0; i < COUNT(files); i++) {
        mt_config *c = mt_config_load(files[i], NULL, 0, &err);
        cr_assert(c, "%s", err.text);
        lopt_optimizer *opt = mt_optimizer_create(&c->optimizer, c->file, &err);
        cr_assert(opt && lopt_n_theta(opt) > 0, "%s", err.text);
        lopt_destroy(opt);
        char *text = mt_config_text(c);
        check_round_trip(text);
        free(text);
        mt_config_free(c);
    }
    mt_suite *s = mt_suite_load("configs/eval/quickstart.yaml", NULL, 0, &err);
    cr_assert(s, "%s", err.text);
    mt_suite_free(s);
}

Test(config, suites) {
    const char *sets[] = {"steps=7", "sweep=[0.5, 1]",
                          ("optimizers=[{theta: a.h5, label: mine}, {name: sgdm, "
                           "learning_rate: sweep, momentum: 0.5}, {name: adam, learning_rate: 0.25}]")};
    lopt_error err;
    mt_suite *s = mt_suite_load(NULL, sets, COUNT(sets), &err);
    cr_assert(s, "%s", err.text);
    cr_assert(s->steps == 7 && s->n_sweep == 2 && s->sweep[0] == 0.5 && s->n_baselines == 3);
    cr_assert(strcmp(s->baselines[0].theta, "a.h5") == 0 && strcmp(s->baselines[0].label, "mine") == 0);
    cr_assert(!s->baselines[0].sweep && s->baselines[1].sweep && !s->baselines[2].sweep);
    cr_assert(s->baselines[1].optimizer.n_settings == 1, "the swept rate is not a setting");
    cr_assert(strcmp(s->baselines[2].optimizer.settings[0].value, "0.25") == 0);
    char *text = mt_suite_text(s), path[] = "/tmp/test_config_suite_XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
    mt_suite *again = mt_suite_load(path, NULL, 0, &err);
    cr_assert(again, "%s\n%s", err.text, text);
    char *second = mt_suite_text(again);
    cr_assert(strcmp(text, second) == 0, "%s\n--- is not ---\n%s", text, second);
    unlink(path);
    free(text);
    free(second);
    mt_suite_free(s);
    mt_suite_free(again);
}

Test(config, suite_errors) {
    static const struct {
        const char *set, *sentence;
    } cases[] = {
        {"tasks.0.sample.hidden=[2, 3]",
         "--set: tasks: found sampled sizes in task 0, expected fixed ones, as all optimizers train "
         "the same"},
        {"optimizers=[{label: x}]",
         "--set: optimizers.0: found no name, expected the name of an optimizer or a theta file"},
        {"optimizers=[{theta: x, step_mult: 3}]",
         "--set: optimizers.0.step_mult: found a setting, expected the optimizer's name beside it"},
        {"optimizers.0.learning_rate=swep",
         "--set: optimizers.0.learning_rate: found swep, expected a number in [0, 1000000]"},
        {"optimizers.0.name=adm", "--set: optimizers.0.name: found adm, expected a name of `metatrain list optimizers` "
                                  "(did you mean adam?)"},
        {"sweep=[]", "--set: sweep: found no learning rates, expected some, as optimizers.0.learning_rate is "
                     "sweep"},
        {"stepps=3", "--set: found the unknown key stepps, expected a key of `metatrain list keys` (did you "
                     "mean steps?)"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        lopt_error err = {0};
        cr_assert(!mt_suite_load(NULL, &cases[i].set, 1, &err), "accepted: %s", cases[i].set);
        cr_assert(strcmp(err.text, cases[i].sentence) == 0, "\n  found    %s\n  expected %s", err.text,
                  cases[i].sentence);
    }
}

Test(config, optimizer_errors_have_the_line_of_the_setting) {
    lopt_error err;
    mt_optimizer_config cfg = {.name = "small-fc", .n_settings = 1, .settings = {{"hidden_size", "0", 17}}};
    cr_assert(!mt_optimizer_create(&cfg, "t.yaml", &err));
    cr_assert(strncmp(err.text, "t.yaml:17: optimizer: ", 22) == 0, "%s", err.text);
    mt_optimizer_config unknown = {.name = "no-such"};
    cr_assert(!mt_optimizer_create(&unknown, "t.yaml", &err));
    cr_assert(strncmp(err.text, "t.yaml: optimizer: ", 19) == 0, "%s", err.text);
}

/* ---- the environment, the reference ---------------------------------------------------------- */

/* A locale with a decimal comma: one that is installed, or one made here; 0 if neither can be
 * had. */
static int use_decimal_comma(void) {
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "pt_BR.UTF-8", "ru_RU.UTF-8"};
    char dir[] = "/tmp/test_config_locale_XXXXXX", command[256];
    for (size_t i = 0; i < COUNT(names); i++)
        if (setlocale(LC_ALL, names[i])) return 1;
    if (!mkdtemp(dir)) return 0;
    snprintf(command, sizeof command, "localedef --no-archive -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1", dir, dir);
    int made = system(command) == 0 && setenv("LOCPATH", dir, 1) == 0 && setlocale(LC_ALL, "de_DE.UTF-8");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) == 0 && made;
}

Test(config, decimal_points_in_any_locale) {
    if (!use_decimal_comma()) cr_skip_test("no locale with a decimal comma can be had");
    cr_assert(strtod("0,5", NULL) == 0.5, "the locale is in force");
    check_round_trip(everything);
    cr_assert(strtod("0,5", NULL) == 0.5, "the locale is back");
}

Test(config, reference_is_up_to_date) {
    char *printed = NULL;
    size_t size;
    FILE *f = open_memstream(&printed, &size);
    mt_config_print_reference(f);
    fclose(f);
    FILE *file = fopen("docs/configuration.md", "rb");
    cr_assert(file, "docs/configuration.md is missing");
    char *stored = calloc(size + 2, 1);
    size_t n = fread(stored, 1, size + 1, file);
    fclose(file);
    cr_assert(n == size && memcmp(stored, printed, size) == 0,
              "docs/configuration.md is out of date: metatrain list keys > docs/configuration.md");
    free(stored);
    free(printed);
}

Test(suggest, nearest_name) {
    static const struct {
        const char *word, *candidates[3], *best;
    } cases[] = {
        {"trian", {"train", "list", "eval"}, "train"},
        {"sohw", {"sxhx", "show", "eval"}, "show"}, /* two letters swapped are one slip */
        {"lst", {"train", "list", "eval"}, "list"},
        {"shw", {"train", "show", "eval"}, "show"},
        {"frobnicate", {"train", "list", "eval"}, NULL},
        {"outer.lr", {"outer.steps", "seed", "tasks"}, NULL},
        {"window", {"estimator.window", "seed", "tasks"}, "estimator.window"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        lopt__suggestion s = lopt__suggestion_for(cases[i].word);
        for (int k = 0; k < 3; k++) lopt__suggest_name(&s, cases[i].candidates[k]);
        int right = cases[i].best ? s.best && strcmp(s.best, cases[i].best) == 0 : !s.best;
        cr_assert(right, "%s: %s", cases[i].word, s.best ? s.best : "(none)");
    }
}

/* ---- broken files ---------------------------------------------------------------------------- */

/* One random change; text has room for n + 32 bytes. */
static size_t mutate(lopt_rng_stream *r, char *text, size_t n) {
    static const char *const pieces[] = {"[",     "]",   "{",      "}",   ": ",    "- ",           "\n",  "\t",
                                         "&a ",   "*a",  "!!int ", "\"",  "'",     "|\n",          ">",   "#",
                                         "---\n", "...", "? ",     "\\x", "1e999", "-1",           "nan", "\xff",
                                         "\x01",  "%",   "<<: ",   ", ",  "0x1",   "\xef\xbb\xbf", "\r"};
    size_t at = (size_t)lopt_rng_draw_below(r, n), length;
    switch (lopt_rng_draw_below(r, 5)) {
    case 0:
        text[at] = (char)(1 + lopt_rng_draw_below(r, 255));
        return n;
    case 1:
        return at + 1; /* cut off */
    case 2:            /* leave some out */
        length = (size_t)lopt_rng_draw_below(r, n - at < 40 ? n - at : 40);
        memmove(text + at, text + at + length, n - at - length);
        return n - length;
    case 3: /* repeat some */
        length = (size_t)lopt_rng_draw_below(r, 32);
        if (length > n - at) length = n - at;
        memmove(text + at + length, text + at, n - at);
        return n + length;
    default: {
        const char *piece = pieces[lopt_rng_draw_below(r, COUNT(pieces))];
        length = strlen(piece);
        memmove(text + at + length, text + at, n - at);
        memcpy(text + at, piece, length);
        return n + length;
    }
    }
}

/* Whatever happens to a file, it is refused with a sentence or gives a configuration that loads
 * back. */
Test(config, broken_files_never_crash) {
    lopt_rng_stream r;
    lopt_rng_seed_stream(&r, 20, 1);
    for (int round = 0; round < 3000; round++) {
        char text[sizeof everything + 5 * 32];
        size_t n = sizeof everything - 1;
        memcpy(text, everything, n);
        for (uint64_t changes = 1 + lopt_rng_draw_below(&r, 4); changes > 0 && n > 0; changes--)
            n = mutate(&r, text, n);
        text[n] = 0;
        lopt_error err;
        mt_config *c = parse(text, &err);
        if (!c) {
            cr_assert(strncmp(err.text, "t.yaml", 6) == 0 && !strchr(err.text, '\n'), "%s", err.text);
            cr_assert(strstr(err.text, "found") && strstr(err.text, "expected"), "%s", err.text);
            continue;
        }
        mt_config_free(c);
        check_round_trip(text);
    }
}

Test(config, broken_overrides_never_crash) {
    static const char *const good[] = {"tasks.0.augment.reparam.range=[0.1, 1]", "optimizer.momentum_decays=[0,0,0]",
                                       "estimator.schedule.name=constant", "optimizers.0.learning_rate=sweep"};
    lopt_rng_stream r;
    lopt_rng_seed_stream(&r, 20, 2);
    for (int round = 0; round < 2000; round++) {
        char text[256];
        const char *start = good[lopt_rng_draw_below(&r, COUNT(good))], *set = text;
        size_t n = strlen(start);
        memcpy(text, start, n);
        for (uint64_t changes = 1 + lopt_rng_draw_below(&r, 3); changes > 0 && n > 0; changes--)
            n = mutate(&r, text, n);
        text[n] = 0;
        lopt_error of_config = {0}, of_suite = {0};
        mt_config *c = mt_config_load(NULL, &set, 1, &of_config);
        mt_suite *s = mt_suite_load(NULL, &set, 1, &of_suite);
        cr_assert(!c == (of_config.text[0] != 0) && !s == (of_suite.text[0] != 0), "%s: \"%s\", \"%s\"", text,
                  of_config.text, of_suite.text);
        mt_config_free(c);
        mt_suite_free(s);
    }
}
