/* SPDX-License-Identifier: Apache-2.0
 *
 * Exported C headers of all presets: compiled without a warning, as C11 and (one preset of each kind) as C++17, they
 * step with the same bytes as liblopt's portable kernels (c_header_program.c).
 *
 * Timeout: 240 s */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/read_file.h"
#include "formats/c_header.h"
#include "scratch.h"
#include "some_theta.h"

TestSuite(c_header, .init = make_scratch, .fini = remove_scratch, .timeout = 240);

#define WARNINGS "-Wall -Wextra -Wshadow -Werror"

static const char *environment(const char *variable, const char *standard) {
    const char *name = getenv(variable);
    return name && name[0] ? name : standard;
}

static void write_header(const char *name, const char *preset, const lopt_setting *settings, size_t n_settings) {
    lopt_error err = {LOPT_OK, ""};
    char path[SCRATCH_PATH];
    mt_theta_file theta;
    make_some_theta(&theta, preset, settings, n_settings);
    cr_assert(mt_c_header_write(path_of(name, path), &theta, nowhere, &err), "%s", err.text);
    lopt_destroy(theta.optimizer);
}

/* Without optimization: compilers take long, and bits do not depend on it. */
static void assert_same_steps(const char *preset, const lopt_setting *settings, size_t n_settings, int cpp) {
    char command[1000];
    const char *sanitizer = environment("SANITIZE", "");
    write_header("opt.h", preset, settings, n_settings);
    snprintf(
        command, sizeof command,
        "%s -O0 " WARNINGS
        " %s%s -I%s -Iinclude %s tests/metatrain/formats/c_header_program.c -x none -o %s/program %s/liblopt.a -lm",
        cpp ? environment("CXX", "c++") : environment("CC", "cc"), sanitizer[0] ? "-fsanitize=" : "", sanitizer, folder,
        cpp ? "-std=c++17 -x c++" : "-std=c11", folder, environment("BUILD_DIR", "."));
    cr_assert(system(command) == 0, "%s: %s", preset, command);
    snprintf(command, sizeof command, "%s/program", folder);
    cr_assert(system(command) == 0, "%s%s: does not step like liblopt", preset, cpp ? " (C++)" : "");
}

/* Every n-th preset, under a sanitizer only the first of each kind; those with a large network get a small one. */
static void check_presets(size_t first, size_t n) {
    static const lopt_setting small[] = {{"lstm_hidden_size", "8"}};
    const lopt_preset_info *info, *before = NULL;
    lopt_hyper_info hyper;
    for (size_t i = 0; (info = lopt_preset(i)); before = info, i++) {
        int is_first = !before || strcmp(before->kind, info->kind) != 0;
        if (i % n != first || (!is_first && environment("SANITIZE", "")[0])) continue;
        int has_lstm = lopt_hyper(info->name, 0, &hyper) && strcmp(hyper.name, "lstm_hidden_size") == 0;
        assert_same_steps(info->name, small, has_lstm, 0);
        if (is_first) assert_same_steps(info->name, small, has_lstm, 1);
    }
}

Test(c_header, steps_like_the_library_1) {
    check_presets(0, 4);
}

Test(c_header, steps_like_the_library_2) {
    check_presets(1, 4);
}

Test(c_header, steps_like_the_library_3) {
    check_presets(2, 4);
}

Test(c_header, steps_like_the_library_4) {
    check_presets(3, 4);
}

Test(c_header, keeps_every_setting) {
    const lopt_setting small_fc[] = {{"hidden_size", "6"},     {"hidden_layers", "1"},   {"weight_decay", "0.1"},
                                     {"max_grad_norm", "0.5"}, {"clip_norm", "3"},       {"learning_rate", "0.7"},
                                     {"exp_mult", "0.01"},     {"tie_rule", "pylo-velo"}};
    const lopt_setting mulo[] = {{"hidden_size", "4"}, {"mup_hidden_lr_mult", "3"}};
    assert_same_steps("small-fc", small_fc, sizeof small_fc / sizeof small_fc[0], 0);
    assert_same_steps("mulo", mulo, 2, 0);
}

/* Two kinds in one program; names of files that are no names of C, or would be liblopt's. */
Test(c_header, names_begin_with_the_name_of_the_file) {
    static const char *const names[][2] = {
        {"My-opt.v2.h", "my_opt_step"}, {"3d.h", "learned_3d_step"}, {"lopt.h", "learned_lopt_step"}};
    const lopt_setting small = {"hidden_size", "2"};
    char path[SCRATCH_PATH], program[SCRATCH_PATH], command[600], includes[300] = "";
    size_t n;
    for (int i = 0; i < 3; i++) {
        write_header(names[i][0], i == 2 ? "adam" : i ? "small-fc" : "celo2", &small, i < 2);
        char *text = mt_text_read(path_of(names[i][0], path), 1 << 22, &n, NULL);
        cr_assert(text && strstr(text, names[i][1]), "%s has no %s", names[i][0], names[i][1]);
        free(text);
        snprintf(includes + strlen(includes), sizeof includes - strlen(includes), "#include \"%s\"\n", path);
    }
    write_bytes(path_of("program.c", program), includes, strlen(includes));
    snprintf(command, sizeof command, "%s -std=c11 " WARNINGS " -fsyntax-only -x c %s", environment("CC", "cc"),
             program);
    cr_assert(system(command) == 0, "%s", command);
    snprintf(command, sizeof command, "%s -std=c++17 " WARNINGS " -fsyntax-only -x c++ %s", environment("CXX", "c++"),
             program);
    cr_assert(system(command) == 0, "%s", command);
}
