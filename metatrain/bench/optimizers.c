/* SPDX-License-Identifier: Apache-2.0
 *
 * optimizers.c - the optimizers that are measured, and the work that their networks are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bench/bench.h"

/* Kinds with a network that every parameter meets. */
typedef struct network {
    const char *kind;
    int own;             /* inputs that depend on the parameter */
    int shared;          /* inputs that are the same for all of a tensor: a bias, so no work */
    int outputs;         /* as published, used or not */
    int kernel_features; /* inputs that the kernels of src/kernels/ make, or 0 */
} network;

static const network networks[] = {
    {"small_fc", 28, 11, 2, 28}, {"adafac_nominal", 28, 11, 4, 28}, {"celo", 30, 0, 3, 30},     {"celo2", 30, 0, 3, 30},
    {"velo", 30, 0, 3, 30},      {"mlp_lopt", 8, 11, 2, 0},         {"rnn_mlp", 23, 31, 18, 0},
};

static const network *network_of(const lopt_optimizer *opt) {
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (strcmp(networks[i].kind, lopt_info(opt)->kind) == 0) return &networks[i];
    return NULL;
}

double mt_bench_network_flop(const lopt_optimizer *opt) {
    const network *n = network_of(opt);
    double width = lopt_get_number(opt, "hidden_size", 0);
    double layers = lopt_get_number(opt, "hidden_layers", 0);
    if (!n) return NAN;
    return 2 * (n->own * width + (layers - 1) * width * width + width * n->outputs);
}

int mt_bench_kernel_features(const lopt_optimizer *opt) {
    const network *n = network_of(opt);
    return n ? n->kernel_features : 0;
}

void mt_bench_network_text(const lopt_optimizer *opt, char *text, size_t bytes) {
    const network *n = network_of(opt);
    int layers = n ? (int)lopt_get_number(opt, "hidden_layers", 0) : 0;
    size_t used = n ? (size_t)snprintf(text, bytes, "%d", n->own + n->shared) : 0;
    for (int i = 0; i < layers && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "-%.0f", lopt_get_number(opt, "hidden_size", 0));
    if (n && used < bytes) snprintf(text + used, bytes - used, "-%d", n->outputs);
    if (!n) snprintf(text, bytes, "-");
}

lopt_optimizer *mt_bench_optimizer(const char *name, lopt_error *err) {
    lopt_optimizer *opt = lopt_create(name, NULL, 0, err);
    if (!opt) return NULL;
    float *theta = malloc((lopt_n_theta(opt) + 1) * sizeof *theta);
    if (theta) {
        lopt_init_theta(opt, 1, theta);
        lopt_set_theta(opt, theta);
        free(theta);
        return opt;
    }
    lopt_destroy(opt);
    mt_error(err, LOPT_ENOMEM, "out of memory for the theta of %s", name);
    return NULL;
}

size_t mt_bench_names(const mt_bench *b, const char *names[MT_BENCH_MAX_NAMES]) {
    size_t n = 0;
    if (b->n_names) {
        memcpy(names, b->names, b->n_names * sizeof names[0]);
        return b->n_names;
    }
    for (; n < lopt_n_presets() && n < MT_BENCH_MAX_NAMES; n++) names[n] = lopt_preset(n)->name;
    return n;
}

int mt_bench_asked(const mt_bench *b, const char *name) {
    for (size_t i = 0; i < b->n_names; i++)
        if (strcmp(b->names[i], name) == 0) return 1;
    return b->n_names == 0;
}
