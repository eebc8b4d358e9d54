/* SPDX-License-Identifier: Apache-2.0
 *
 * VeLO: worked numbers, and recorded runs of PyLO with the parts of the controller given, both as
 * recorded and as another program computed them in double (tests/golden/README.md). The whole way
 * from losses to updates is test_replay.sh's. */
#include "optimizers/velo.h"

#include "formats/recorded_run.h"
#include "learned/controller.h"
#include "store/hdf5_file.h"
#include "worked.h"

/* ---- worked numbers -------------------------------------------------------------------------- */

static const worked_block blocks[] = {
    {"lstm_init_state/hidden", 0.1, 0.1},
    {"lstm_init_state/cell", 0.1, 0.2},
    {"rnn_params/linear_1/w", 0.3, 1},
    {"rnn_params/linear_1/b", 0.1, 2},
    {"rnn_params/linear_2/w", 0.3, 3},
    {"rnn_params/linear_2/b", 0.1, 4},
    {"rnn_params/rnn/linear/w", 0.3, 5},
    {"rnn_params/rnn/linear/b", 0.1, 6},
    {"rnn_params/rnn_to_controls/w", 0.3, 7},
    {"rnn_params/rnn_to_controls/b", 0.1, 8},
    {"rnn_params/step_size/w", 0.3, 9},
    {"rnn_params/step_size/b", 0.1, 10},
    {"ff_mod_stack/b0", 0.1, 14},
    {"ff_mod_stack/w1", 0.3, 12},
    {"ff_mod_stack/b1", 0.1, 15},
    {"ff_mod_stack/w2", 0.3, 13},
    {"ff_mod_stack/b2", 0.1, 16},
};
enum { N_BLOCKS = sizeof blocks / sizeof blocks[0] };

/* The first layer is one wave over [networks][30][hidden], cut into its 14 groups. */
static void cut_first_layer(lopt_optimizer *opt) {
    enum { NETWORKS = 4, FEATURES = 30, HIDDEN = 4, GROUPS = 14 };
    float wave[NETWORKS * FEATURES * HIDDEN], *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    char name[48];
    worked_waves(wave, NETWORKS * FEATURES * HIDDEN, 0.3, 0.37, 11);
    memcpy(theta, lopt_theta(opt), lopt_n_theta(opt) * sizeof *theta);
    for (int i = 0, first = 0; i < GROUPS; i++) {
        snprintf(name, sizeof name, "ff_mod_stack/w0__%d", i);
        const lopt_block *b = lopt_block_find(opt, name);
        int width = (int)b->dim[1];
        for (int k = 0; k < NETWORKS; k++)
            memcpy(theta + b->offset + k * width * HIDDEN, wave + (k * FEATURES + first) * HIDDEN,
                   (size_t)(width * HIDDEN) * sizeof *theta);
        first += width;
    }
    lopt_set_theta(opt, theta);
    free(theta);
}

static lopt_optimizer *worked_velo(const char *keep_state, const char *short_means) {
    lopt_setting settings[] = {{"lstm_hidden_size", "8"},
                               {"param_inits", "4"},
                               {"num_steps", "100"},
                               {"bugged_next_lstm_state", keep_state},
                               {"bugged_loss_features", short_means}};
    lopt_optimizer *opt = worked_create("velo", settings, 5);
    worked_theta(opt, blocks, N_BLOCKS);
    cut_first_layer(opt);
    return opt;
}

Test(velo, worked_numbers) {
    static const worked_case c = {5,
                                  5e-7,
                                  1e-6,
                                  1,
                                  {{0, {0.25319502, 0.29726729, 0.20273696, 0.02066412}, 2.9983075},
                                   {1, {0.27316707, 0.12799382, -0.07609411, -0.24056990}, 2.9583881},
                                   {2, {0.04210532, -0.15918152, -0.28541043, -0.27250689}, 9.2158489},
                                   {3, {-0.22724389, -0.30018014, -0.23067057, -0.04772080}, 0.9621441},
                                   {4, {-0.28797209}, 0.2879721}}};
    lopt_optimizer *opt = worked_velo("false", "false");
    worked_check(opt, &c);
    cr_assert(lopt_kernels_use("reference", NULL) == LOPT_OK);
    worked_check(opt, &c);
    lopt_destroy(opt);
}

Test(velo, size_of_the_published_weights) {
    lopt_optimizer *opt = worked_create("velo", NULL, 0);
    cr_assert(lopt_n_theta(opt) == 2320385, "%zu", lopt_n_theta(opt));
    const lopt_block *gates = lopt_block_find(opt, "rnn_params/rnn/linear/w");
    const lopt_block *bank = lopt_block_find(opt, "ff_mod_stack/w0__13");
    cr_assert(gates && gates->rank == 2 && gates->dim[0] == 1024 && gates->dim[1] == 2048);
    cr_assert(bank && bank->rank == 3 && bank->dim[0] == 256 && bank->dim[1] == 3 && bank->dim[2] == 4);
    lopt_destroy(opt);
}

/* ---- flags of old weights -------------------------------------------------------------------- */

static lopt_state *run(const lopt_optimizer *opt, int n_steps) {
    lopt_tensor t[WORKED_TENSORS];
    float p[WORKED_PARAMS], g[WORKED_PARAMS];
    worked_tensors(t);
    worked_params(t, p);
    lopt_state *state = lopt_state_create(opt, t, WORKED_TENSORS, NULL);
    cr_assert(state);
    for (int step = 0; step < n_steps; step++) {
        worked_grads(t, step, g);
        lopt_step(opt, state, p, g, worked_losses[step], NULL);
    }
    return state;
}

Test(velo, the_recurrent_state_stays_if_asked) {
    for (int stays = 0; stays < 2; stays++) {
        lopt_optimizer *opt = worked_velo(stays ? "true" : "false", "false");
        lopt_state *state = run(opt, 3);
        lopt__run memory = lopt__run_in_memory(state->global, 8, WORKED_TENSORS);
        const float *initial = lopt_theta(opt) + lopt_block_find(opt, "lstm_init_state/hidden")->offset;
        for (int r = 0; r < WORKED_TENSORS; r++)
            cr_assert((memcmp(memory.hidden + r * 8, initial, 8 * sizeof(float)) == 0) == stays);
        lopt_state_destroy(state);
        lopt_destroy(opt);
    }
}

Test(velo, means_of_ten_steps_if_asked) {
    lopt_optimizer *opt = worked_velo("false", "true");
    lopt_state *state = run(opt, 1);
    lopt__run memory = lopt__run_in_memory(state->global, 8, WORKED_TENSORS);
    for (int i = 0; i < LOPT__N_LOSS_MEANS; i++) cr_assert(memory.losses->decay[i] == expf(-0.1f));
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* ---- recorded runs --------------------------------------------------------------------------- */

enum { N_STEPS = 5, N_TENSORS = 8, N_PARAMS = 739, SIZE = 64, NETWORKS = 32 };
enum { FIRST_LOSS_INPUT = 9, AFTER_LOSS_INPUTS = 18 };

/* Five steps of case 0 of velo_small.h5; [0] PyLO's numbers, [1] the companion in double. */
typedef struct recording {
    lopt_tensor tensor[N_TENSORS];
    size_t offset[N_TENSORS + 1];
    float loss[N_STEPS], grads[N_STEPS][N_PARAMS], before[N_STEPS][N_PARAMS];
    double updates[2][N_STEPS][N_PARAMS];
    double inputs[2][N_STEPS][N_TENSORS][LOPT__VELO_INPUTS];
    double controls[2][N_STEPS][N_TENSORS][NETWORKS];
    double step_size[2][N_STEPS][N_TENSORS];
} recording;

static void read_numbers(mt_hdf5 *f, const char *name, mt_item_type type, size_t n, void *out) {
    lopt_error err = {0};
    cr_assert(mt_hdf5_read(f, name, type, n, out, &err), "%s", err.text);
}

/* Floats or, in the companion, doubles. */
static void read_both(mt_hdf5 *f, const char *name, size_t n, double *recorded, double *companion) {
    char path[100];
    float *x = malloc(n * sizeof *x);
    snprintf(path, sizeof path, "case_0/%s", name);
    read_numbers(f, path, MT_FLOATS, n, x);
    for (size_t i = 0; i < n; i++) recorded[i] = x[i];
    free(x);
    snprintf(path, sizeof path, "double/case_0/%s", name);
    read_numbers(f, path, MT_DOUBLES, n, companion);
}

/* [step][size] of one tensor into rows of all of them. */
static void spread(const double *from, size_t size, size_t offset, double to[N_STEPS][N_PARAMS]) {
    for (int t = 0; t < N_STEPS; t++) memcpy(to[t] + offset, from + (size_t)t * size, size * sizeof *from);
}

static void read_tensor(mt_hdf5 *f, recording *r, int i) {
    char name[100];
    lopt_error err = {0};
    mt_hdf5_shape shape;
    snprintf(name, sizeof name, "case_0/tensor_%d/param0", i);
    cr_assert(mt_hdf5_shape_of(f, name, &shape, &err), "%s", err.text);
    size_t n = (size_t)shape.n, at = r->offset[i];
    r->tensor[i] = lopt_tensor_make(name, shape.rank, shape.dim);
    r->offset[i + 1] = at + n;
    cr_assert(at + n <= N_PARAMS);
    float *x = malloc(2 * N_STEPS * n * sizeof *x), *grads = x + N_STEPS * n;
    double *updates = malloc(2 * N_STEPS * n * sizeof *updates), *companion = updates + N_STEPS * n;
    read_numbers(f, name, MT_FLOATS, n, r->before[0] + at);
    snprintf(name, sizeof name, "case_0/tensor_%d/params", i);
    read_numbers(f, name, MT_FLOATS, N_STEPS * n, x);
    snprintf(name, sizeof name, "case_0/tensor_%d/grads", i);
    read_numbers(f, name, MT_FLOATS, N_STEPS * n, grads);
    for (int t = 0; t < N_STEPS; t++) {
        memcpy(r->grads[t] + at, grads + (size_t)t * n, n * sizeof *x);
        if (t + 1 < N_STEPS) memcpy(r->before[t + 1] + at, x + (size_t)t * n, n * sizeof *x);
    }
    snprintf(name, sizeof name, "tensor_%d/updates", i);
    read_both(f, name, N_STEPS * n, updates, companion);
    spread(updates, n, at, r->updates[0]);
    spread(companion, n, at, r->updates[1]);
    free(x);
    free(updates);
}

static recording *read_recording(void) {
    lopt_error err = {0};
    recording *r = calloc(1, sizeof *r);
    mt_hdf5 *f = mt_hdf5_open("tests/golden/velo_small.h5", &err);
    cr_assert(f, "%s", err.text);
    read_numbers(f, "case_0/loss", MT_FLOATS, N_STEPS, r->loss);
    for (int i = 0; i < N_TENSORS; i++) read_tensor(f, r, i);
    read_both(f, "aux/rnn_inputs", sizeof r->inputs[0] / sizeof(double), &r->inputs[0][0][0][0],
              &r->inputs[1][0][0][0]);
    read_both(f, "aux/controls", sizeof r->controls[0] / sizeof(double), &r->controls[0][0][0][0],
              &r->controls[1][0][0][0]);
    read_both(f, "aux/lr_mult", sizeof r->step_size[0] / sizeof(double), &r->step_size[0][0][0],
              &r->step_size[1][0][0]);
    mt_hdf5_close(f);
    return r;
}

static lopt_optimizer *recorded_optimizer(void) {
    lopt_error err = {0};
    mt_golden *g = mt_golden_open("tests/golden/velo_small.h5", &err);
    cr_assert(g, "%s", err.text);
    lopt_optimizer *opt = lopt_clone(g->optimizer);
    cr_assert(opt);
    mt_golden_close(g);
    return opt;
}

static double worst(const float *u, const double *expected, size_t n) {
    double difference = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs(u[i] - expected[i]);
        difference = d <= difference ? difference : d;
        scale = fabs(expected[i]) > scale ? fabs(expected[i]) : scale;
    }
    return difference / scale;
}

static void check_updates(const recording *r, int which, int t, int tensor, const float *u, double tolerance) {
    size_t at = r->offset[tensor], n = r->offset[tensor + 1] - at;
    double error = worst(u, r->updates[which][t] + at, n);
    cr_assert(error < tolerance, "%s, step %d, tensor %d: %.2e", which ? "double" : "PyLO", t, tensor, error);
}

/* What the controller is told, apart from the losses, whose features cancel: 4e-2 between float and
 * double. */
Test(velo, inputs_of_the_controller) {
    recording *r = read_recording();
    lopt_optimizer *opt = recorded_optimizer();
    lopt_state *state = lopt_state_create(opt, r->tensor, N_TENSORS, NULL);
    for (int t = 0; t < N_STEPS; t++) {
        lopt__io io = {r->before[t], r->grads[t], r->loss[t], NULL, NULL};
        const float *x = lopt__velo_set_inputs(opt, state, &io);
        for (int i = 0; i < N_TENSORS * LOPT__VELO_INPUTS; i++) {
            int input = i % LOPT__VELO_INPUTS, is_loss = input >= FIRST_LOSS_INPUT && input < AFTER_LOSS_INPUTS;
            for (int which = 0; which < 2; which++) {
                double d = fabs(x[i] - (&r->inputs[which][t][0][0])[i]);
                cr_assert(d < (is_loss && which ? 4e-2 : 2e-6), "%s, step %d, tensor %d, input %d: off by %.2e",
                          which ? "double" : "PyLO", t, i / LOPT__VELO_INPUTS, input, d);
            }
        }
        lopt__velo_step_from_inputs(opt, state, &io);
        state->header->step++;
    }
    lopt_state_destroy(state);
    lopt_destroy(opt);
    free(r);
}

/* Loss features as recorded, all else by us. */
static void check_given_losses(int which) {
    recording *r = read_recording();
    lopt_optimizer *opt = recorded_optimizer();
    lopt_state *state = lopt_state_create(opt, r->tensor, N_TENSORS, NULL);
    static float u[N_PARAMS];
    for (int t = 0; t < N_STEPS; t++) {
        lopt__io io = {r->before[t], r->grads[t], r->loss[t], u, NULL};
        float *x = lopt__velo_set_inputs(opt, state, &io);
        for (int i = 0; i < N_TENSORS; i++)
            for (int k = FIRST_LOSS_INPUT; k < AFTER_LOSS_INPUTS; k++)
                x[i * LOPT__VELO_INPUTS + k] = (float)r->inputs[which][t][i][k];
        lopt__velo_step_from_inputs(opt, state, &io);
        state->header->step++;
        for (int i = 0; i < N_TENSORS; i++) check_updates(r, which, t, i, u + r->offset[i], 1e-4);
    }
    lopt_state_destroy(state);
    lopt_destroy(opt);
    free(r);
}

Test(velo, given_loss_features) {
    check_given_losses(0);
}

Test(velo, given_loss_features_in_double) {
    check_given_losses(1);
}

/* Controls and step size of one tensor become the biases of layers whose weights are 0. */
static void give(lopt_optimizer *opt, const double *controls, double step_size) {
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    memcpy(theta, lopt_theta(opt), lopt_n_theta(opt) * sizeof *theta);
    const lopt_block *w = lopt_block_find(opt, "rnn_params/rnn_to_controls/w");
    const lopt_block *b = lopt_block_find(opt, "rnn_params/rnn_to_controls/b");
    memset(theta + w->offset, 0, w->size * sizeof *theta);
    for (int k = 0; k < NETWORKS; k++) theta[b->offset + (size_t)k] = (float)controls[k];
    w = lopt_block_find(opt, "rnn_params/step_size/w");
    memset(theta + w->offset, 0, w->size * sizeof *theta);
    theta[lopt_block_find(opt, "rnn_params/step_size/b")->offset] = (float)step_size;
    lopt_set_theta(opt, theta);
    free(theta);
}

/* Each tensor by itself, since the controller, where tensors meet, is given. */
static void check_given_controls(int which) {
    recording *r = read_recording();
    lopt_optimizer *opt = recorded_optimizer();
    static float u[N_PARAMS];
    for (int i = 0; i < N_TENSORS; i++) {
        lopt_state *state = lopt_state_create(opt, &r->tensor[i], 1, NULL);
        for (int t = 0; t < N_STEPS; t++) {
            give(opt, r->controls[which][t][i], r->step_size[which][t][i]);
            lopt_step(opt, state, r->before[t] + r->offset[i], r->grads[t] + r->offset[i], r->loss[t], u);
            check_updates(r, which, t, i, u, 5e-5);
        }
        lopt_state_destroy(state);
    }
    lopt_destroy(opt);
    free(r);
}

Test(velo, given_controls_and_step_size) {
    check_given_controls(0);
}

Test(velo, given_controls_and_step_size_in_double) {
    check_given_controls(1);
}
