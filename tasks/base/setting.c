/* SPDX-License-Identifier: Apache-2.0
 *
 * setting.c - see setting.h. */
#include "base/setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"

int task_is_in_range(const char *range, double value) {
    char opening, closing;
    double min, max;
    if (sscanf(range, "%c%lf, %lf%c", &opening, &min, &max, &closing) != 4) return 0;
    int above = opening == '(' ? value > min : value >= min;
    return above && (closing == ')' ? value < max : value <= max);
}

void task_choice_word(const char *choices, int i, char *word, size_t word_bytes) {
    for (; i > 0 && *choices; i--) {
        choices += strcspn(choices, "|");
        choices += *choices == '|';
    }
    snprintf(word, word_bytes, "%.*s", i < 0 ? 0 : (int)strcspn(choices, "|"), choices);
}

int task_choice_index(const char *choices, const char *word) {
    char one[64];
    for (int i = 0; task_choice_word(choices, i, one, sizeof one), one[0]; i++)
        if (strcmp(one, word) == 0) return i;
    return -1;
}

/* A default is trusted: "8", "[8, 16]" or "relu". */
void task_set_standard(const task_setting *s, task_spec *spec) {
    char *to = (char *)spec + s->at;
    int n = 0;
    if (s->type == TASK_SETTING_TEXT) snprintf(to, s->bytes, "%s", s->standard);
    if (s->type == TASK_SETTING_CHOICE) *(int *)(void *)to = task_choice_index(s->range, s->standard);
    if (s->type == TASK_SETTING_NUMBER || s->type == TASK_SETTING_INTEGER)
        for (const char *text = s->standard; *text; n++) {
            char *end;
            double value = strtod(text += strspn(text, "[, "), &end);
            if (end == text) break;
            if (s->type == TASK_SETTING_NUMBER)
                ((double *)(void *)to)[n] = value;
            else
                ((int *)(void *)to)[n] = (int)value;
            text = end;
        }
    if (s->max_n && s->n_at != TASK_EXACTLY) *(int *)(void *)((char *)spec + s->n_at) = n;
}

static int count_setting_values(const task_setting *s, const task_spec *spec) {
    if (!s->max_n || s->n_at == TASK_EXACTLY) return s->max_n ? s->max_n : 1;
    return *(const int *)(const void *)((const char *)spec + s->n_at);
}

void task_copy_setting(const task_setting *s, const task_spec *from, task_spec *to) {
    memcpy((char *)to + s->at, (const char *)from + s->at, s->bytes * (size_t)(s->max_n ? s->max_n : 1));
    if (s->max_n && s->n_at != TASK_EXACTLY) *(int *)(void *)((char *)to + s->n_at) = count_setting_values(s, from);
}

int task_is_standard(const task_setting *s, const task_spec *spec) {
    task_spec standard = {.task = ""};
    task_set_standard(s, &standard);
    const char *at = (const char *)spec + s->at, *expected = (const char *)&standard + s->at;
    if (s->type == TASK_SETTING_TEXT) return strcmp(at, expected) == 0;
    int n = count_setting_values(s, spec);
    return n == count_setting_values(s, &standard) && memcmp(at, expected, s->bytes * (size_t)n) == 0;
}

static int check_setting_value(const char *task, const task_setting *s, const char *at, lopt_error *err) {
    char word[64] = "";
    double value = s->type == TASK_SETTING_NUMBER ? *(const double *)(const void *)at : *(const int *)(const void *)at;
    if (s->type == TASK_SETTING_CHOICE) task_choice_word(s->range, (int)value, word, sizeof word);
    if (word[0] || (s->type != TASK_SETTING_CHOICE && task_is_in_range(s->range, value))) return 1;
    return task_set_error(err, LOPT_EARG, "task %s: %s is %g, allowed: %s", task, s->key, value, s->range);
}

int task_check_settings(const char *task, const task_setting *settings, size_t n, const task_spec *spec,
                        lopt_error *err) {
    for (const task_setting *s = settings; s < settings + n; s++) {
        int count = count_setting_values(s, spec);
        if (s->type == TASK_SETTING_TEXT) continue;
        if (count < 0 || (s->max_n && count > s->max_n))
            return task_set_error(err, LOPT_EARG, "task %s: %s has %d values, allowed: 0 to %d", task, s->key, count,
                                  s->max_n);
        for (int i = 0; i < count; i++)
            if (!check_setting_value(task, s, (const char *)spec + s->at + (size_t)i * s->bytes, err)) return 0;
    }
    return 1;
}
