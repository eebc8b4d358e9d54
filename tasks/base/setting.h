/* SPDX-License-Identifier: Apache-2.0
 *
 * setting.h - the settings of tasks as tables: a setting is one row in the table of its kind.
 *
 *     static const task_setting settings[] = {
 *         TASK_DATA_SETTINGS,
 *         {"strided", TASK_INTEGER(strided), "[0, 8]", "1", "layers", "how many of the first layers have stride 2"},
 *     };
 *
 * The keys of a configuration, defaults, checks and docs/configuration.md come from the rows. A key may stand in the
 * tables of several kinds: with the same field and default, the first row's help, and each kind's own range.
 *
 * Range    "[0, 1)": a bracket says whether the end belongs to it. Of a choice, its words: "a|b|c" for 0, 1, 2. Of a
 *          text, "filled" where it may not be empty.
 * Lists    max_n values from `at` on, and their number as an int at n_at; TASK_EXACTLY: always max_n. */
#ifndef TASK_SETTING_H
#define TASK_SETTING_H

#include "base/spec.h"

typedef enum task_setting_type {
    TASK_SETTING_INTEGER, /* int */
    TASK_SETTING_NUMBER,  /* double */
    TASK_SETTING_CHOICE,  /* int or an enum */
    TASK_SETTING_TEXT     /* char[bytes] */
} task_setting_type;

typedef struct task_setting {
    const char *key;
    task_setting_type type;
    size_t at, bytes; /* in a task_spec; size of one value */
    int max_n;        /* 0: one value */
    size_t n_at;
    const char *range, *standard, *unit, *help;
} task_setting;

#define TASK_EXACTLY ((size_t)-1)
#define TASK_COUNT(array) (sizeof(array) / sizeof(array)[0])
#define TASK_FIELD(field) offsetof(task_spec, field), sizeof(((task_spec *)0)->field)
#define TASK_INTEGER(field) TASK_SETTING_INTEGER, TASK_FIELD(field), 0, 0
#define TASK_INTEGERS(field, max_n, n_at) TASK_SETTING_INTEGER, offsetof(task_spec, field), sizeof(int), max_n, n_at
#define TASK_NUMBERS(field, max_n, n_at) TASK_SETTING_NUMBER, offsetof(task_spec, field), sizeof(double), max_n, n_at
#define TASK_NUMBER(field) TASK_SETTING_NUMBER, TASK_FIELD(field), 0, 0
#define TASK_CHOICE(field) TASK_SETTING_CHOICE, TASK_FIELD(field), 0, 0
#define TASK_TEXT(field) TASK_SETTING_TEXT, TASK_FIELD(field), 0, 0

// clang-format off
#define TASK_STANDARD_DATASET "fashion_mnist"
#define TASK_DATA_SETTINGS                                                                                             \
    {"dataset", TASK_TEXT(dataset), "filled", TASK_STANDARD_DATASET, NULL,                                             \
     "what `metatrain data list` names, a folder or a file ([data.md](data.md))"},                                     \
    {"batch_size", TASK_INTEGER(batch_size), "[1, 65536]", "64", "examples", "examples in a minibatch"}
// clang-format on

/* NaN is in no range. */
int task_is_in_range(const char *range, double value);
/* Word number i of "a|b|c"; "" past the last. The number of a word, or -1. */
void task_choice_word(const char *choices, int i, char *word, size_t word_bytes);
int task_choice_index(const char *choices, const char *word);

void task_set_standard(const task_setting *s, task_spec *spec);
int task_is_standard(const task_setting *s, const task_spec *spec);
void task_copy_setting(const task_setting *s, const task_spec *from, task_spec *to);
/* That every value is in its range; 0 and *err else. Texts are checked by who uses them. */
int task_check_settings(const char *task, const task_setting *settings, size_t n, const task_spec *spec,
                        lopt_error *err);

#endif
