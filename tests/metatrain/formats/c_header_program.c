/* SPDX-License-Identifier: Apache-2.0
 *
 * c_header_program.c - steps an exported header, opt.h, and liblopt with the portable kernels side by side: 0 if
 * parameters and states have the same bytes after every step. Compiled by test_c_header.c, as C and as C++. */
#include "opt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lopt.h"

enum { N_TENSORS = 9, N_PARAMS = 1 + 7 + 36 + 33 * 18 + 10 + 80 + 3 * 3 * 4 * 8 + 50 + 48, STEPS = 20 };

static const opt_tensor shapes[N_TENSORS] = {{0, {0, 0, 0, 0}},   {1, {7, 0, 0, 0}},  {2, {6, 6, 0, 0}},
                                             {2, {33, 18, 0, 0}}, {2, {10, 1, 0, 0}}, {3, {4, 5, 4, 0}},
                                             {4, {3, 3, 4, 8}},   {4, {2, 5, 5, 1}},  {2, {3, 16, 0, 0}}};
static const char *const names[N_TENSORS] = {"scalar", "bias", "square", "hidden", "column",
                                             "cube",   "conv", "flat",   "embed"};

static float value(unsigned i, unsigned t) {
    unsigned x = (i + 1) * 2654435761u + t * 40503u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return (float)(x >> 8) / 8388608.0f - 1.0f;
}

static lopt_optimizer *create_optimizer(void) {
    lopt_setting settings[40];
    size_t n = sizeof opt_settings / sizeof opt_settings[0];
    for (size_t i = 0; i < n; i++) {
        settings[i].name = opt_settings[i].name;
        settings[i].value = opt_settings[i].value;
    }
    lopt_optimizer *opt = lopt_create(opt_PRESET, settings, n, NULL);
    if (opt) lopt_set_theta(opt, opt_theta);
    return opt;
}

/* described: tensors have names and a role, as far as both know of them. */
static lopt_state *create_state(const lopt_optimizer *opt, int described) {
    lopt_tensor tensors[N_TENSORS];
    for (int i = 0; i < N_TENSORS; i++) {
        int64_t dim[4];
        for (int a = 0; a < 4; a++) dim[a] = shapes[i].dim[a];
        tensors[i] = lopt_tensor_make(described ? names[i] : "", shapes[i].rank, dim);
    }
    if (described) tensors[N_TENSORS - 1].role = LOPT_ROLE_EMBEDDING;
    tensors[1].lr_scale = 0.5f;
    tensors[3].hidden_fan_in = 33;
    return lopt_state_create(opt, tensors, N_TENSORS, NULL);
}

static opt_state *create_exported(int described) {
    opt_lopt_tensor tensors[N_TENSORS];
    for (int i = 0; i < N_TENSORS; i++) {
        int64_t dim[4];
        for (int a = 0; a < 4; a++) dim[a] = shapes[i].dim[a];
        tensors[i] = opt_lopt_tensor_make(names[i], shapes[i].rank, dim);
    }
    tensors[N_TENSORS - 1].role = opt_LOPT_ROLE_EMBEDDING;
    opt_state *state = described ? opt_create_from(tensors, N_TENSORS) : opt_create(shapes, N_TENSORS);
    if (state) opt_set_lr_scale(state, 1, 0.5f);
#ifdef opt_MUP
    if (state) opt_set_lr_scale(state, 3, opt_MUP / 33);
#endif
    return state;
}

static int differ(const lopt_optimizer *opt, lopt_state *ours, opt_state *theirs) {
    static float a[N_PARAMS], b[N_PARAMS], g[N_PARAMS];
    for (unsigned i = 0; i < N_PARAMS; i++) a[i] = b[i] = 0.1f * value(i, 1000);
    for (unsigned t = 0; t < STEPS; t++) {
        float loss = 2 + value(0, t) / (float)(t + 1);
        for (unsigned i = 0; i < N_PARAMS; i++) g[i] = t < 3 && i % 5 == 0 ? 0 : value(i, t) * (float)(1 + i % 13);
        if (t % 7 == 6) {
            lopt_tell_valid_loss(opt, ours, loss);
            opt_tell_valid_loss(theirs, loss);
        }
        lopt_step(opt, ours, a, g, loss, NULL);
        opt_tell_loss(theirs, loss);
        opt_step(theirs, b, g, 1);
        if (memcmp(a, b, sizeof a) != 0) return printf("%s: other parameters after step %u\n", opt_PRESET, t);
    }
    size_t n, m;
    const void *memory = lopt_state_data(ours, &n), *exported = opt_lopt_state_data(theirs->memory, &m);
    if (n != m || memcmp(memory, exported, n) != 0) return printf("%s: another state\n", opt_PRESET);
    return a[1] == 0.1f * value(1, 1000) ? printf("%s: nothing moves\n", opt_PRESET) : 0;
}

int main(void) {
    lopt_optimizer *opt = create_optimizer();
    int failed = !opt || lopt_kernels_use("portable", NULL) != LOPT_OK;
    for (int described = 0; described < 2 && !failed; described++) {
        lopt_state *ours = create_state(opt, described);
        opt_state *theirs = create_exported(described);
        failed = !ours || !theirs || differ(opt, ours, theirs);
        if (!failed) {
            lopt_state_reset(opt, ours, 100);
            opt_reset_for(theirs, 100);
            failed = differ(opt, ours, theirs);
        }
        lopt_state_destroy(ours);
        opt_destroy(theirs);
    }
    lopt_destroy(opt);
    return failed;
}
