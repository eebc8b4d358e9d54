/* SPDX-License-Identifier: Apache-2.0
 *
 * keys_suite.c - every key of an evaluation suite but those of its tasks (keys_task.c), and the checks across them. */
#include <string.h>

#include "config/schema.h"

#define ANY_COUNT "[1, 1000000000]"
#define IN_BASELINE(field) offsetof(mt_baseline, field), sizeof(((mt_baseline *)0)->field)

static const mt_key baseline_keys[] = {
    {"name", MT_KEY_TEXT, IN_BASELINE(optimizer.name),
     .help = "optimizer (`metatrain list optimizers`); may be left out where a theta file names "
             "it"},
    {"theta", MT_KEY_TEXT, IN_BASELINE(theta),
     .help = "theta file of a learned optimizer, whose settings hold except those given here; empty: a random theta"},
    {"label", MT_KEY_TEXT, IN_BASELINE(label), .help = "name in tables and plots; empty: made from the settings"},
    {"search", MT_KEY_INTEGER, IN_BASELINE(search), .range = "[0, 1000]", .standard = "0", .unit = "trials",
     .help = "nadamw, optlist: number of trials of a random search over NAdamW's hyperparameters "
             "(docs/optimizers.md); settings given here are the same in every trial"},
    {"search_seed", MT_KEY_SEED, IN_BASELINE(search_seed), .standard = "1",
     .help = "search: seed of the trials; trial i of a seed is always the same"},
    {"*", MT_KEY_SETTINGS, offsetof(mt_baseline, optimizer), sizeof(mt_optimizer_config), 0,
     offsetof(mt_baseline, sweep), .range = "",
     .help = "hyperparameters of that optimizer; `learning_rate: sweep` tries every rate of `sweep`"},
};

static int check_random_search(const mt_key_item *item) {
    const mt_baseline *baseline = item->value;
    const char *name = baseline->optimizer.name;
    int searchable = strcmp(name, "nadamw") == 0 || strcmp(name, "optlist") == 0;
    return baseline->search == 0 || (searchable && !baseline->sweep) ||
           mt_item_error(item, "search", "found %lld, expected 0, as %s", (long long)baseline->search,
                         searchable ? "the search draws what `learning_rate: sweep` tries"
                                    : "only nadamw and optlist have a random search");
}

static int check_baseline(const mt_key_item *item) {
    const mt_baseline *baseline = item->value;
    char path[MT_KEY_PATH];
    mt_key_path(path, "%.*s", (int)strlen(item->path) - 1, item->path);
    return baseline->optimizer.name[0] || baseline->theta[0] ||
           mt_yaml_error(item->err, item->node, path,
                         "found no name, expected the name of an optimizer or a theta file");
}

static const mt_check baseline_checks[] = {
    {"`search` above 0 is for `nadamw` and `optlist`, without `learning_rate: sweep`.", check_random_search},
    {"Each of `optimizers` has a `name` or a `theta`.", check_baseline},
};

static const mt_schema baseline_schema = {.name = "optimizers[].",
                                          .n = MT_COUNT(baseline_keys),
                                          .bytes = sizeof(mt_baseline),
                                          .keys = baseline_keys,
                                          .n_checks = MT_COUNT(baseline_checks),
                                          .checks = baseline_checks};

#define IN_SUITE(field) offsetof(mt_suite, field), sizeof(((mt_suite *)0)->field)

static const mt_key suite_keys[] = {
    {"seed", MT_KEY_SEED, IN_SUITE(seed), .standard = "1", .help = "seed of all random numbers of the evaluation"},
    {"steps", MT_KEY_INTEGER, IN_SUITE(steps), .range = ANY_COUNT, .standard = "1000", .unit = "inner steps",
     .help = "length of every training"},
    {"seeds", MT_KEY_INTEGER, IN_SUITE(seeds), .range = "[1, 100000]", .standard = "5",
     .help = "trainings of each optimizer on each task, with different initial parameters and batches"},
    {"every", MT_KEY_INTEGER, IN_SUITE(every), .range = ANY_COUNT, .standard = "10", .unit = "inner steps",
     .help = "inner steps between evaluations"},
    {"batches", MT_KEY_INTEGER, IN_SUITE(batches), .range = "[1, 100000]", .standard = "5", .unit = "batches",
     .help = "batches of each split per evaluation"},
    {"last_batches", MT_KEY_INTEGER, IN_SUITE(last_batches), .range = "[1, 100000]", .standard = "20",
     .unit = "batches", .help = "batches of each split for the evaluation after the last step"},
    {"sweep_seeds", MT_KEY_INTEGER, IN_SUITE(sweep_seeds), .range = "[1, 100000]", .standard = "5",
     .help = "trainings behind each rate of a sweep and each row of a search; the best by their mean is taken"},
    {"extend_sweep", MT_KEY_CHOICE, IN_SUITE(extend_sweep), .range = "no|yes", .standard = "no",
     .help = "whether a sweep whose best rate is its lowest or highest goes on beyond it, by up to eight rates"},
    {"sweep", MT_KEY_NUMBER, offsetof(mt_suite, sweep), sizeof(double), MT_MAX_SWEEP, offsetof(mt_suite, n_sweep),
     "(0, 1000000]",
     .standard = "[1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]",
     .help = "learning rates tried where an optimizer says `learning_rate: sweep`"},
    {"data.path", MT_KEY_TEXT, IN_SUITE(data_path), .standard = "\"\"",
     .help = "folders searched for data sets before the system's, separated by colons"},
    {"tasks", MT_KEY_ITEMS, offsetof(mt_suite, tasks), sizeof(mt_task_config), MT_MAX_TASKS,
     offsetof(mt_suite, n_tasks), "", &mt_task_schema, "[{task: image_mlp}]",
     .help = "the tasks, with the keys of `tasks` above"},
    {"optimizers", MT_KEY_ITEMS, offsetof(mt_suite, baselines), sizeof(mt_baseline), MT_MAX_BASELINES,
     offsetof(mt_suite, n_baselines), "", &baseline_schema,
     "[{name: adam, learning_rate: sweep}, {name: sgdm, learning_rate: sweep}]",
     .help = "the optimizers that are compared"},
};

static int check_suite_tasks(const mt_key_item *item) {
    const mt_suite *suite = item->value;
    for (int i = 0; i < suite->n_tasks; i++)
        if (mt_is_sampled(&suite->tasks[i]))
            return mt_item_error(
                item, "tasks", "found sampled sizes in task %d, expected fixed ones, as all optimizers train the same",
                i);
    return 1;
}

static int check_sweep_rates(const mt_key_item *item) {
    const mt_suite *suite = item->value;
    for (int i = 0; i < suite->n_baselines; i++)
        if (suite->baselines[i].sweep && suite->n_sweep == 0)
            return mt_item_error(item, "sweep",
                                 "found no learning rates, expected some, as optimizers.%d.learning_rate is sweep", i);
    return 1;
}

static const mt_check suite_checks[] = {
    {"No task has sampled sizes: all optimizers train the same.", check_suite_tasks},
    {"`sweep` has learning rates where an optimizer says `learning_rate: sweep`.", check_sweep_rates},
};

static void finish_suite_paths(void *into) {
    mt_suite *suite = into;
    mt_set_data_path(suite->tasks, suite->n_tasks, suite->data_path);
}

const mt_schema mt_suite_schema = {.name = "",
                                   .n = MT_COUNT(suite_keys),
                                   .bytes = sizeof(mt_suite),
                                   .keys = suite_keys,
                                   .n_checks = MT_COUNT(suite_checks),
                                   .checks = suite_checks,
                                   .finish = finish_suite_paths};
