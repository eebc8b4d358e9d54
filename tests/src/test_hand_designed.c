/* SPDX-License-Identifier: Apache-2.0
 *
 * test_hand_designed.c - hand-designed optimizers against trajectories of optax and torch.optim
 * (tests/golden/record_hand_designed.py), schedules at their knots, what must hold for all. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "classical/elementwise_update.h"
#include "classical/newton_schulz.h"
#include "classical/orthogonal_basis.h"
#include "eval/nadamw_search.h"

#define GOLDEN "tests/golden/hand/hand_designed.json"
#define MAX_TENSORS 8

/* ---- the inputs of the recordings: the same integer hash ----------------------------------- */

static uint32_t mix(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    return x ^ (x >> 16);
}

static void uniform(uint32_t stream, double scale, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(((mix((uint32_t)i + mix(stream)) >> 8) / 16777216.0 - 0.5) * scale);
}

/* A model: tensors, their scales, one buffer each of parameters, gradients and updates. */
typedef struct model {
    size_t n;
    lopt_tensor tensor[MAX_TENSORS];
    double grad_scale[MAX_TENSORS], param_scale[MAX_TENSORS];
    int64_t offset[MAX_TENSORS + 1];
    float *params, *grads, *updates;
} model;

static void place(model *m) {
    for (size_t k = 0; k < m->n; k++) m->offset[k + 1] = m->offset[k] + lopt_tensor_size(&m->tensor[k]);
    size_t floats = (size_t)m->offset[m->n];
    m->params = calloc(3 * floats, sizeof(float));
    cr_assert(m->params != NULL, "out of memory");
    m->grads = m->params + floats;
    m->updates = m->grads + floats;
    for (size_t k = 0; k < m->n; k++)
        uniform((uint32_t)k + 1, m->param_scale[k], lopt_tensor_size(&m->tensor[k]), m->params + m->offset[k]);
}

static void draw_grads(model *m, int step) {
    for (size_t k = 0; k < m->n; k++)
        uniform(1000u * ((uint32_t)step + 1) + (uint32_t)k + 1, m->grad_scale[k] * pow(2, step % 3 - 1),
                lopt_tensor_size(&m->tensor[k]), m->grads + m->offset[k]);
}

/* Tensors of every kind: a number, a vector, matrices, four axes, no gradient, no parameters. */
static model small_model(void) {
    static const struct {
        int rank;
        int64_t dim[4];
        double grad_scale, param_scale;
    } shapes[] = {{0, {0}, 1, 1},          {1, {7}, 1.0 / 4096, 1}, {2, {5, 3}, 1, 1}, {2, {3, 5}, 1024, 1},
                  {2, {20, 33}, 0.125, 1}, {4, {2, 3, 3, 2}, 1, 2}, {1, {3}, 0, 1},    {1, {4}, 1, 0}};
    model m = {.n = sizeof shapes / sizeof shapes[0]};
    for (size_t k = 0; k < m.n; k++) {
        m.tensor[k] = lopt_tensor_make("t", shapes[k].rank, shapes[k].dim);
        m.grad_scale[k] = shapes[k].grad_scale;
        m.param_scale[k] = shapes[k].param_scale;
    }
    place(&m);
    return m;
}

static lopt_optimizer *create(const char *preset, const lopt_setting *settings, size_t n) {
    lopt_error err;
    lopt_optimizer *opt = lopt_create(preset, settings, n, &err);
    cr_assert(opt != NULL, "%s: %s", preset, err.text);
    return opt;
}

static lopt_state *begin(const lopt_optimizer *opt, const model *m, int64_t num_steps) {
    lopt_error err;
    lopt_state *state = lopt_state_create(opt, m->tensor, m->n, &err);
    cr_assert(state != NULL, "%s", err.text);
    lopt_state_reset(opt, state, num_steps);
    return state;
}

/* ---- golden trajectories ------------------------------------------------------------------- */

static json_t *golden(void) {
    json_error_t err;
    json_t *root = json_load_file(GOLDEN, 0, &err);
    cr_assert(root != NULL, GOLDEN ": line %d: %s", err.line, err.text);
    return root;
}

static int64_t integer_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static model recorded_model(const json_t *root, const char *set) {
    const json_t *tensors = json_object_get(json_object_get(root, "tensors"), set), *entry;
    model m = {.n = json_array_size(tensors)};
    size_t k;
    cr_assert(m.n >= 1 && m.n <= MAX_TENSORS, "set %s has %zu tensors", set, m.n);
    json_array_foreach((json_t *)tensors, k, entry) {
        const json_t *shape = json_object_get(entry, "shape");
        int64_t dim[LOPT_MAX_RANK] = {0};
        for (size_t a = 0; a < json_array_size(shape); a++) dim[a] = json_integer_value(json_array_get(shape, a));
        m.tensor[k] = lopt_tensor_make("t", (int)json_array_size(shape), dim);
        m.grad_scale[k] = json_number_value(json_object_get(entry, "gradient_scale"));
        m.param_scale[k] = json_number_value(json_object_get(entry, "parameter_scale"));
    }
    place(&m);
    return m;
}

static lopt_optimizer *recorded_optimizer(const json_t *run) {
    lopt_setting settings[LOPT__MAX_HYPERS];
    const char *name;
    json_t *value;
    size_t n = 0;
    json_object_foreach(json_object_get(run, "settings"), name, value) settings[n++] =
        (lopt_setting){name, json_string_value(value)};
    return create(json_string_value(json_object_get(run, "optimizer")), settings, n);
}

static float from_hex(const char *hex) {
    char digits[9];
    memcpy(digits, hex, 8);
    digits[8] = '\0';
    uint32_t bits = (uint32_t)strtoul(digits, NULL, 16);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Largest difference over the largest recorded update of a tensor; recorded: hexadecimal floats. */
static double tensor_error(const float *updates, int64_t size, const char *recorded, size_t kept) {
    size_t count = (size_t)size < kept ? (size_t)size : kept;
    double worst = 0, largest = 0;
    cr_assert(recorded && strlen(recorded) == 8 * count, "expected %zu recorded numbers", count);
    for (size_t k = 0; k < count; k++) {
        double expected = from_hex(recorded + 8 * k), found = updates[(int64_t)k * size / (int64_t)count];
        cr_assert(isfinite(found), "update %zu is %g", k, found);
        worst = fmax(worst, fabs(found - expected));
        largest = fmax(largest, fabs(expected));
    }
    return worst == 0 ? 0 : worst / largest;
}

typedef struct replayed {
    double worst;
    int step;
    size_t tensor;
} replayed;

static void compare(const model *m, const json_t *recorded, size_t kept, int step, replayed *r) {
    for (size_t k = 0; k < m->n; k++) {
        double error = tensor_error(m->updates + m->offset[k], lopt_tensor_size(&m->tensor[k]),
                                    json_string_value(json_array_get(recorded, k)), kept);
        if (error > r->worst) *r = (replayed){error, step, k};
    }
}

/* The parameters to measure at after the last step, where they are recorded. */
static void compare_average(const json_t *root, const json_t *run, const lopt_optimizer *opt, const lopt_state *state,
                            model *m, replayed *r) {
    const json_t *average = json_object_get(run, "average");
    if (!average) return;
    lopt_eval_params(opt, state, m->params, m->updates);
    compare(m, average, (size_t)integer_of(root, "kept"), (int)integer_of(root, "steps"), r);
}

static replayed replay(const json_t *root, const json_t *run) {
    model m = recorded_model(root, json_string_value(json_object_get(run, "tensors")));
    lopt_optimizer *opt = recorded_optimizer(run);
    int steps = (int)integer_of(root, "steps");
    lopt_state *state = begin(opt, &m, steps);
    const json_t *kept_steps = json_object_get(root, "kept_steps"), *updates = json_object_get(run, "updates");
    replayed r = {0};
    size_t next = 0;
    for (int step = 0; step < steps; step++) {
        draw_grads(&m, step);
        lopt_step(opt, state, m.params, m.grads, 0, m.updates);
        if (json_integer_value(json_array_get(kept_steps, next)) == step)
            compare(&m, json_array_get(updates, next++), (size_t)integer_of(root, "kept"), step, &r);
    }
    cr_assert(next == json_array_size(kept_steps) && next == json_array_size(updates), "steps are missing");
    compare_average(root, run, opt, state, &m, &r);
    lopt_state_destroy(state);
    lopt_destroy(opt);
    free(m.params);
    return r;
}

Test(hand_designed, golden_trajectories, .timeout = 50) {
    json_t *root = golden(), *runs = json_object_get(root, "runs"), *run;
    int verbose = getenv("VERBOSE") != NULL;
    size_t i;
    json_array_foreach(runs, i, run) {
        const char *name = json_string_value(json_object_get(run, "name"));
        double tolerance = json_number_value(json_object_get(run, "tolerance"));
        replayed r = replay(root, run);
        if (verbose)
            fprintf(stderr, "%-22s %8.1e of %.0e  step %d tensor %zu\n", name, r.worst, tolerance, r.step, r.tensor);
        cr_expect(r.worst <= tolerance, "%s: step %d, tensor %zu is off by %.2e of its largest update, allowed %.0e",
                  name, r.step, r.tensor, r.worst, tolerance);
    }
    cr_assert(i >= 40, "only %zu recordings", i);
    json_decref(root);
}

/* ---- schedules at their knots -------------------------------------------------------------- */

typedef struct knot {
    int64_t step;
    double rate;
} knot;

static void check_schedule(const char *what, const lopt_setting *settings, size_t n, int64_t num_steps,
                           const knot *knots, size_t n_knots) {
    lopt_optimizer *opt = create("sgd", settings, n);
    for (size_t i = 0; i < n_knots; i++) {
        double rate = lopt__rate_at_step(opt, 0, knots[i].step, num_steps);
        cr_expect(fabs(rate - knots[i].rate) <= 1e-12, "%s: rate at step %lld is %.15g, expected %.15g", what,
                  (long long)knots[i].step, rate, knots[i].rate);
    }
    lopt_destroy(opt);
}

#define SETTINGS(...) (lopt_setting[]){__VA_ARGS__}, sizeof((lopt_setting[]){__VA_ARGS__}) / sizeof(lopt_setting)
#define KNOTS(...) (knot[]){__VA_ARGS__}, sizeof((knot[]){__VA_ARGS__}) / sizeof(knot)

Test(hand_designed, schedules_at_their_knots) {
    lopt_setting rate = {"learning_rate", "0.1"}, floor = {"min_learning_rate_mult", "0.1"};
    lopt_setting warm = {"warmup_fraction", "0.2"}, cosine = {"schedule", "cosine"};
    check_schedule("constant", SETTINGS(rate), 100, KNOTS({0, 0.1}, {99, 0.1}, {1000, 0.1}));
    check_schedule("constant, warm-up", SETTINGS(rate, warm), 100, KNOTS({0, 0}, {5, 0.025}, {20, 0.1}, {100, 0.1}));
    check_schedule("cosine", SETTINGS(rate, cosine, warm, floor), 100,
                   KNOTS({0, 0}, {10, 0.05}, {20, 0.1}, {40, 0.1 - 0.09 * (1 - cos(acos(-1) / 4)) / 2}, {60, 0.055},
                         {100, 0.01}, {150, 0.01}));
    check_schedule("cosine, constant part", SETTINGS(rate, cosine, warm, {"constant_fraction", "0.5"}), 100,
                   KNOTS({10, 0.05}, {20, 0.1}, {50, 0.1}, {75, 0.05}, {100, 0}));
    check_schedule("linear", SETTINGS(rate, floor, {"schedule", "linear"}, {"warmup_steps", "20"}), 100,
                   KNOTS({0, 0}, {10, 0.05}, {20, 0.1}, {60, 0.055}, {100, 0.01}, {101, 0.01}));
    check_schedule("exponential", SETTINGS(rate, {"schedule", "exponential"}, {"decay_per_step", "0.5"}), 0,
                   KNOTS({0, 0.1}, {1, 0.05}, {3, 0.0125}));
    check_schedule("exponential, warm-up",
                   SETTINGS(rate, {"schedule", "exponential"}, {"decay_per_step", "0.5"}, {"warmup_steps", "4"}), 0,
                   KNOTS({2, 0.05}, {4, 0.1}, {5, 0.05}));
    check_schedule("sqrt_decay", SETTINGS(rate, {"schedule", "sqrt_decay"}, {"warmup_steps", "1000"}), 0,
                   KNOTS({0, 1e-4}, {1, 1e-4}, {500, 0.05}, {1000, 0.1}, {4000, 0.05}));
    check_schedule(
        "piecewise",
        SETTINGS({"schedule", "piecewise"}, {"knot_steps", "[10, 20, 40, 40]"}, {"knot_rates", "[1, 2, 0, 0]"}), 0,
        KNOTS({0, 1}, {10, 1}, {15, 1.5}, {20, 2}, {30, 1}, {40, 0}, {50, 0}));
}

/* learned_optimization's cosine: the warm-up lasts as long as the constant part if longer. */
Test(hand_designed, warmup_rule_of_optlist) {
    lopt_setting rate = {"learning_rate", "0.1"}, cosine = {"schedule", "cosine"};
    lopt_setting rule = {"warmup_rule", "optlist"}, half = {"constant_fraction", "0.5"};
    check_schedule("longer constant part", SETTINGS(rate, cosine, rule, half, {"warmup_fraction", "0.01"}), 100,
                   KNOTS({0, 0}, {25, 0.05}, {50, 0.1}, {75, 0.05}, {100, 0}));
    check_schedule("longer warm-up", SETTINGS(rate, cosine, rule, half, {"warmup_fraction", "0.75"}), 100,
                   KNOTS({0, 0}, {60, 0.08}, {75, 0.05}, {100, 0}));
    check_schedule("no warm-up", SETTINGS(rate, cosine, rule, half), 100, KNOTS({0, 0.1}, {50, 0.1}, {75, 0.05}));
}

Test(hand_designed, without_a_planned_length_the_rate_stays) {
    lopt_setting rate = {"learning_rate", "0.1"};
    check_schedule("cosine", SETTINGS(rate, {"schedule", "cosine"}, {"warmup_fraction", "0.5"}), 0,
                   KNOTS({0, 0.1}, {1000, 0.1}));
    check_schedule("linear", SETTINGS(rate, {"schedule", "linear"}, {"warmup_steps", "10"}), 0,
                   KNOTS({5, 0.05}, {1000, 0.1}));
}

/* ---- what holds for every kind ------------------------------------------------------------- */

#define N_STEPS 12

/* Names of the presets of hand-designed optimizers; NULL past the last. */
static const char *hand_designed(size_t i) {
    const lopt_preset_info *info;
    for (size_t k = 0; (info = lopt_preset(k)); k++)
        if (!info->learned && i-- == 0) return info->name;
    return NULL;
}

static void run_steps(const lopt_optimizer *opt, lopt_state *state, model *m, int from, int to) {
    for (int step = from; step < to; step++) {
        draw_grads(m, step);
        lopt_step(opt, state, m->params, m->grads, 0, m->updates);
    }
}

static model train(const lopt_optimizer *opt, model m) {
    lopt_state *state = begin(opt, &m, N_STEPS);
    run_steps(opt, state, &m, 0, N_STEPS);
    lopt_state_destroy(state);
    return m;
}

Test(hand_designed, all_presets_are_there) {
    static const char *const names[] = {"sgd",
                                        "sgdm",
                                        "adam",
                                        "adamw",
                                        "nadamw",
                                        "rmsprop",
                                        "adafactor",
                                        "adagrad",
                                        "lamb",
                                        "lars",
                                        "adabelief",
                                        "yogi",
                                        "radam",
                                        "sm3",
                                        "fromage",
                                        "lion",
                                        "muon",
                                        "optlist",
                                        "schedule-free-adamw",
                                        "schedule-free-sgd",
                                        "adopt",
                                        "ademamix",
                                        "adan",
                                        "prodigy",
                                        "soap",
                                        "shampoo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) lopt_destroy(create(names[i], NULL, 0));
}

Test(hand_designed, params_move_by_the_updates) {
    const char *name;
    for (size_t i = 0; (name = hand_designed(i)); i++) {
        lopt_optimizer *opt = create(name, NULL, 0);
        model m = small_model();
        lopt_state *state = begin(opt, &m, N_STEPS);
        float before[1000];
        for (int step = 0; step < N_STEPS; step++) {
            memcpy(before, m.params, (size_t)m.offset[m.n] * sizeof(float));
            run_steps(opt, state, &m, step, step + 1);
            for (int64_t k = 0; k < m.offset[m.n]; k++)
                cr_assert(m.params[k] == before[k] + m.updates[k], "%s, step %d, element %lld", name, step,
                          (long long)k);
        }
        free(m.params);
        lopt_state_destroy(state);
        lopt_destroy(opt);
    }
}

/* A state saved and restored into another goes on bit for bit, with or without updates. */
Test(hand_designed, saving_and_restoring_changes_no_bit) {
    const char *name;
    for (size_t i = 0; (name = hand_designed(i)); i++) {
        lopt_optimizer *opt = create(name, NULL, 0);
        model whole = train(opt, small_model()), m = small_model();
        size_t bytes, bytes2;
        lopt_state *first = begin(opt, &m, N_STEPS), *second = begin(opt, &m, 99);
        run_steps(opt, first, &m, 0, 5);
        void *saved = lopt_state_data(first, &bytes), *restored = lopt_state_data(second, &bytes2);
        cr_assert(bytes == bytes2);
        memcpy(restored, saved, bytes);
        lopt_state_destroy(first);
        float *updates = m.updates;
        m.updates = NULL;
        run_steps(opt, second, &m, 5, N_STEPS);
        m.updates = updates;
        cr_assert(memcmp(m.params, whole.params, (size_t)m.offset[m.n] * sizeof(float)) == 0, "%s", name);
        free(m.params);
        free(whole.params);
        lopt_state_destroy(second);
        lopt_destroy(opt);
    }
}

/* The tensors in reverse order, with the same values. */
static model reversed(const model *m) {
    model r = {.n = m->n};
    for (size_t k = 0; k < m->n; k++) r.tensor[k] = m->tensor[m->n - 1 - k];
    place(&r);
    return r;
}

static void copy_reversed(const model *from, const float *source, const model *to, float *target) {
    for (size_t k = 0; k < from->n; k++) {
        size_t other = from->n - 1 - k;
        memcpy(target + to->offset[other], source + from->offset[k],
               (size_t)lopt_tensor_size(&from->tensor[k]) * sizeof(float));
    }
}

Test(hand_designed, permuting_tensors_permutes_updates) {
    const char *name;
    for (size_t i = 0; (name = hand_designed(i)); i++) {
        lopt_optimizer *opt = create(name, NULL, 0);
        model m = small_model(), r = reversed(&m);
        float expected[1000];
        lopt_state *state = begin(opt, &m, N_STEPS), *other = begin(opt, &r, N_STEPS);
        copy_reversed(&m, m.params, &r, r.params);
        for (int step = 0; step < N_STEPS; step++) {
            run_steps(opt, state, &m, step, step + 1);
            copy_reversed(&m, m.grads, &r, r.grads);
            lopt_step(opt, other, r.params, r.grads, 0, r.updates);
            copy_reversed(&m, m.updates, &r, expected);
            cr_assert(memcmp(expected, r.updates, (size_t)m.offset[m.n] * sizeof(float)) == 0, "%s, step %d", name,
                      step);
        }
        free(m.params);
        free(r.params);
        lopt_state_destroy(state);
        lopt_state_destroy(other);
        lopt_destroy(opt);
    }
}

/* The first step of ADOPT and SOAP only remembers the gradient: the first one that counts. */
static void first_update(const char *preset, const lopt_optimizer *opt, lopt_state *state, float *params,
                         const float *grads, float *updates) {
    if (strcmp(preset, "adopt") == 0 || strcmp(preset, "soap") == 0) lopt_step(opt, state, params, grads, 0, NULL);
    lopt_step(opt, state, params, grads, 0, updates);
}

/* The update of one step of a vector under a preset, with lr_scale and weight_decay of its own. */
static void one_step(const char *preset, const lopt_setting *settings, size_t n_settings, float lr_scale,
                     float weight_decay, float updates[3]) {
    lopt_error err;
    lopt_optimizer *opt = create(preset, settings, n_settings);
    lopt_tensor t = lopt_tensor_make("t", 1, (int64_t[]){3});
    t.lr_scale = lr_scale;
    t.weight_decay = weight_decay;
    lopt_state *state = lopt_state_create(opt, &t, 1, &err);
    cr_assert(state != NULL, "%s", err.text);
    float params[] = {0.5f, -1, 2}, grads[] = {0.25f, 1, -3};
    first_update(preset, opt, state, params, grads, updates);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* lr_scale 3 is three times the update; three times the rate where the rule is not linear in it. */
Test(hand_designed, lr_scale_scales_one_tensor) {
    const char *name;
    for (size_t i = 0; (name = hand_designed(i)); i++) {
        if (strcmp(name, "fromage") == 0) continue;
        float once[3], thrice[3];
        one_step(name, NULL, 0, 1, -1, once);
        one_step(name, NULL, 0, 3, -1, thrice);
        double allowed = strcmp(name, "soap") == 0 ? 1e-3 : 1e-5; /* its decay is that of p after the step */
        for (int k = 0; k < 3; k++)
            cr_assert(once[k] != 0 && fabsf(thrice[k] / once[k] - 3) < allowed, "%s: %g and %g", name, once[k],
                      thrice[k]);
    }
    float scaled[3], rated[3];
    one_step("fromage", NULL, 0, 3, -1, scaled);
    one_step("fromage", SETTINGS({"learning_rate", "0.03"}), 1, -1, rated);
    for (int k = 0; k < 3; k++) cr_assert(fabsf(scaled[k] / rated[k] - 1) < 1e-5, "fromage, element %d", k);
}

/* Decoupled decay adds -rate decay p, in the kinds whose rule has it outside of norms. */
Test(hand_designed, decoupled_weight_decay) {
    const float p[] = {0.5f, -1, 2};
    const char *name;
    for (size_t i = 0; (name = hand_designed(i)); i++) {
        int own = strcmp(name, "lamb") == 0 || strcmp(name, "lars") == 0 || strcmp(name, "adan") == 0 ||
                  strcmp(name, "soap") == 0;
        double rate = strcmp(name, "adafactor") == 0 ? 1 : 0.01;
        if (strcmp(name, "nadamw") == 0 || strcmp(name, "optlist") == 0) rate *= sqrt(1e-3) / 0.1;
        if (strcmp(name, "muon") == 0) rate *= 0.015;
        if (strcmp(name, "prodigy") == 0) rate *= 1e-6;
        float without[3], with[3], of_tensor[3];
        lopt_setting fixed[] = {{"learning_rate", "0.01"},
                                {"schedule", "constant"},
                                {"weight_decay", "0"},
                                {"beta1", "0.9"},
                                {"beta2", "0.999"}};
        size_t n = strcmp(name, "optlist") == 0 ? 5 : 3;
        one_step(name, fixed, n, 1, -1, without);
        one_step(name, fixed, n, 1, 0.1f, of_tensor);
        fixed[2].value = "0.1";
        one_step(name, fixed, n, 1, -1, with);
        for (int k = 0; k < 3; k++) {
            cr_assert(with[k] == of_tensor[k], "%s: decay of the tensor is another than that of all", name);
            double added = (double)with[k] - without[k];
            cr_assert(own || fabs(added + rate * 0.1 * p[k]) < 2e-8 + 1e-6 * fabs(without[k]), "%s: element %d: %g",
                      name, k, added);
        }
    }
}

Test(hand_designed, weight_decay_in_the_gradient) {
    float without[3], with[3];
    lopt_setting decay = {"weight_decay", "0.1"}, form = {"weight_decay_form", "gradient"};
    one_step("sgd", NULL, 0, 1, -1, without);
    one_step("sgd", SETTINGS(decay, form), 1, -1, with);
    const float p[] = {0.5f, -1, 2};
    for (int k = 0; k < 3; k++) cr_assert(fabs(with[k] - (without[k] - 0.01 * 0.1 * p[k])) < 1e-8);
    one_step("lion", SETTINGS(decay, form, {"learning_rate", "1"}), 1, -1, with);
    for (int k = 0; k < 3; k++) cr_assert(fabsf(with[k]) == 1, "lion's decay went past the sign: %g", with[k]);
}

Test(hand_designed, nan_gradients_are_not_hidden) {
    const char *name;
    for (size_t i = 0; (name = hand_designed(i)); i++) {
        lopt_error err;
        lopt_optimizer *opt = create(name, NULL, 0);
        lopt_tensor t = lopt_tensor_make("t", 2, (int64_t[]){3, 2});
        lopt_state *state = lopt_state_create(opt, &t, 1, &err);
        float params[6] = {1, 2, 3, 4, 5, 6}, grads[6] = {1, 2, NAN, 4, 5, 6}, updates[6];
        first_update(name, opt, state, params, grads, updates);
        int whole = strcmp(name, "adafactor") == 0; /* clipping spreads it over the tensor */
        for (int k = 0; k < 6; k++)
            cr_assert(isnan(updates[k]) || !(whole || k == 2), "%s: update %d is %g", name, k, updates[k]);
        cr_assert(isnan(updates[2]) && isnan(params[2]), "%s: update is %g", name, updates[2]);
        lopt_state_destroy(state);
        lopt_destroy(opt);
    }
}

/* A gradient of zero is no step where nothing is added to the root either. */
Test(hand_designed, adagrad_of_nothing) {
    lopt_optimizer *opt = create("adagrad", SETTINGS({"initial_accumulator", "0"}, {"epsilon", "0"}));
    lopt_tensor t = lopt_tensor_make("t", 0, NULL);
    lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
    float p = 1, g = 0, update = 1;
    lopt_step(opt, state, &p, &g, 0, &update);
    cr_assert(p == 1 && update == 0, "update is %g", update);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* ---- rules of one kind --------------------------------------------------------------------- */

/* AdaBelief as it was: at the first step e = g, so that the root is |g| and the step the rate. */
Test(hand_designed, adabelief_residual_of_old) {
    float updates[3];
    one_step("adabelief", SETTINGS({"residual_of", "old"}), 1, -1, updates);
    const float sign[] = {1, 1, -1};
    for (int k = 0; k < 3; k++) cr_assert(fabsf(updates[k] + 0.01f * sign[k]) < 1e-6f, "%g", updates[k]);
    one_step("adabelief", NULL, 0, 1, -1, updates); /* e = 0.9 g */
    for (int k = 0; k < 3; k++) cr_assert(fabsf(updates[k] + 0.01f * sign[k] / 0.9f) < 1e-6f, "%g", updates[k]);
}

Test(hand_designed, lion_remembers_after_it_steps) {
    lopt_optimizer *opt = create("lion", SETTINGS({"learning_rate", "1"}, {"weight_decay", "0"}));
    lopt_tensor t = lopt_tensor_make("t", 0, NULL);
    lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
    /* m before each step: 0, 0.01, 0.0091; the second step still follows it, the third does not. */
    const float grads[] = {1, -0.08f, -0.1f}, expected[] = {-1, -1, 1};
    for (int k = 0; k < 3; k++) {
        float p = 0, update;
        lopt_step(opt, state, &p, &grads[k], 0, &update);
        cr_assert(update == expected[k], "step %d: %g", k, update);
    }
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* Sum over the other axis of products of two rows (or columns) of a matrix. */
static double product(const float *x, int64_t i, int64_t j, int64_t across, int64_t along, int64_t length) {
    double sum = 0;
    for (int64_t k = 0; k < length; k++) sum += (double)x[i * across + k * along] * x[j * across + k * along];
    return sum;
}

/* X X^T of the shorter side has eigenvalues in [0.68^2, 1.14^2]: five steps come no nearer to
 * orthogonal. An entry of A - 1 is at most its spectral norm. */
static void check_orthogonal(const float *x, int64_t rows, int64_t cols, double bound) {
    int64_t n = rows < cols ? rows : cols, length = rows < cols ? cols : rows;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double a = rows < cols ? product(x, i, j, cols, 1, length) : product(x, i, j, 1, cols, length);
            cr_assert(fabs(a - (i == j)) <= bound, "%lld x %lld, product of %lld and %lld is %g", (long long)rows,
                      (long long)cols, (long long)i, (long long)j, a);
        }
}

static void orthogonalise(float *x, int64_t rows, int64_t cols, float *scratch) {
    lopt__newton_schulz(x, rows, cols, 5, lopt__newton_schulz_published, 1e-30f, scratch);
}

/* Before the first step, and for all others after any, the parameters are what is measured. */
Test(hand_designed, eval_params_are_the_params_or_their_average) {
    const char *name;
    for (size_t i = 0; (name = hand_designed(i)); i++) {
        lopt_optimizer *opt = create(name, NULL, 0);
        model m = small_model();
        lopt_state *state = begin(opt, &m, N_STEPS);
        size_t bytes = (size_t)m.offset[m.n] * sizeof(float);
        float out[1000];
        int averages = strncmp(name, "schedule-free", 13) == 0;
        for (int step = 0; step < 3; step++) {
            lopt_eval_params(opt, state, m.params, out);
            cr_assert((memcmp(out, m.params, bytes) == 0) == (step < 2 || !averages), "%s, step %d", name, step);
            run_steps(opt, state, &m, step, step + 1);
        }
        free(m.params);
        lopt_state_destroy(state);
        lopt_destroy(opt);
    }
}

/* Steps of -1 in z = -1, -2, -3; their mean x with equal weights, y = x / 2 + z / 2. */
Test(hand_designed, schedule_free_averages_its_steps) {
    lopt_optimizer *opt = create("schedule-free-sgd", SETTINGS({"beta1", "0.5"}));
    lopt_tensor t = lopt_tensor_make("t", 0, NULL);
    lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
    const float x[] = {-1, -1.5f, -2}, y[] = {-1, -1.75f, -2.5f};
    float p = 0, g = 1, found;
    for (int k = 0; k < 3; k++) {
        lopt_step(opt, state, &p, &g, 0, NULL);
        lopt_eval_params(opt, state, &p, &found);
        cr_assert(fabsf(p - y[k]) < 1e-6f && fabsf(found - x[k]) < 1e-6f, "step %d: y %g, x %g", k, p, found);
    }
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

Test(hand_designed, newton_schulz_orthogonalises) {
    static const int64_t shapes[][2] = {{4, 4}, {3, 50}, {50, 3}, {17, 40}, {40, 17}, {1, 9}, {9, 1}, {1, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        int64_t rows = shapes[s][0], cols = shapes[s][1];
        float x[700], scratch[5000];
        cr_assert(lopt__newton_schulz_scratch(rows, cols) <= 5000);
        uniform((uint32_t)s, 1e-3, rows * cols, x);
        orthogonalise(x, rows, cols, scratch);
        check_orthogonal(x, rows, cols, 0.55);
        orthogonalise(x, rows, cols, scratch);
        check_orthogonal(x, rows, cols, 0.55);
    }
}

#define BASIS_N 12

/* x x^T of uniform numbers x[n][rank]. */
static void draw_gram(int64_t n, int64_t rank, double *gram) {
    float x[BASIS_N * BASIS_N];
    uniform((uint32_t)(n + rank), 1, n * rank, x);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            gram[i * n + j] = 0;
            for (int64_t k = 0; k < rank; k++) gram[i * n + j] += (double)x[i * rank + k] * x[j * rank + k];
        }
}

/* Largest entry of rows rows^T - 1. */
static double distance_from_orthonormal(int64_t n, const double *rows) {
    double worst = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++) sum += rows[i * n + k] * rows[j * n + k];
            worst = fmax(worst, fabs(sum - (i == j)));
        }
    return worst;
}

static const int64_t basis_cases[][2] = {{1, 1}, {2, 1}, {3, 0}, {5, 5}, {7, 3}, {12, 12}, {12, 1}}; /* n, rank */
enum { N_BASIS_CASES = sizeof basis_cases / sizeof basis_cases[0] };

Test(hand_designed, symmetric_matrices_are_the_sum_of_their_eigenvectors) {
    for (int c = 0; c < N_BASIS_CASES; c++) {
        int64_t n = basis_cases[c][0], rank = basis_cases[c][1];
        double a[BASIS_N * BASIS_N], lost[BASIS_N * BASIS_N], vectors[BASIS_N * BASIS_N], values[BASIS_N], work[200];
        cr_assert(lopt__basis_work(n) <= 200);
        draw_gram(n, rank, a);
        memcpy(lost, a, sizeof a);
        lopt__decompose_symmetric(n, lost, values, vectors, work);
        cr_assert(distance_from_orthonormal(n, vectors) < 1e-13);
        for (int64_t i = 0; i < n * n; i++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++) sum += values[k] * vectors[k * n + i / n] * vectors[k * n + i % n];
            cr_assert(fabs(sum - a[i]) < 1e-13, "%lld of rank %lld: %g, expected %g", (long long)n, (long long)rank,
                      sum, a[i]);
        }
    }
    double a[] = {1, NAN, NAN, 2}, values[2], vectors[4], work[20];
    lopt__decompose_symmetric(2, a, values, vectors, work);
    cr_assert(isnan(values[0]) && isnan(vectors[3]), "NaN is lost");
}

/* Row i of x has no part along rows j > i of the basis, also where rows depend on each other. */
Test(hand_designed, rows_become_orthonormal_in_their_order) {
    for (int c = 0; c < N_BASIS_CASES; c++) {
        int64_t n = basis_cases[c][0];
        double x[BASIS_N * BASIS_N], q[BASIS_N * BASIS_N], work[200];
        draw_gram(n, basis_cases[c][1], x);
        memcpy(q, x, sizeof x);
        lopt__orthonormalise_rows(n, q, work);
        cr_assert(distance_from_orthonormal(n, q) < 1e-13);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = i + 1; j < n; j++) {
                double sum = 0;
                for (int64_t k = 0; k < n; k++) sum += x[i * n + k] * q[j * n + k];
                cr_assert(fabs(sum) < 1e-13, "%lld: row %lld along %lld is %g", (long long)n, (long long)i,
                          (long long)j, sum);
            }
    }
}

/* Orthogonalising commutes with the transpose and does not see the scale. */
Test(hand_designed, newton_schulz_transposed_and_scaled) {
    float x[15], y[15], z[15], scratch[300];
    cr_assert(lopt__newton_schulz_scratch(5, 3) <= 300);
    uniform(1, 1, 15, x);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 3; j++) y[j * 5 + i] = x[i * 3 + j], z[i * 3 + j] = 1024 * x[i * 3 + j];
    orthogonalise(x, 5, 3, scratch);
    orthogonalise(y, 3, 5, scratch);
    orthogonalise(z, 5, 3, scratch);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 3; j++) {
            cr_assert(x[i * 3 + j] == y[j * 5 + i], "transposed: (%d, %d)", i, j);
            cr_assert(x[i * 3 + j] == z[i * 3 + j], "scaled: (%d, %d)", i, j);
        }
    float zero[6] = {0};
    orthogonalise(zero, 2, 3, scratch);
    for (int i = 0; i < 6; i++) cr_assert(zero[i] == 0);
}

static float muon_first_update(int rank, const int64_t *dim, lopt_role role, const char *scale) {
    lopt_error err;
    lopt_optimizer *opt = create("muon", SETTINGS({"scale", scale}, {"learning_rate", "1"}));
    lopt_tensor t = lopt_tensor_make("t", rank, dim);
    t.role = role;
    lopt_state *state = lopt_state_create(opt, &t, 1, &err);
    float params[64] = {0}, grads[64], updates[64];
    uniform(3, 1, lopt_tensor_size(&t), grads);
    lopt_step(opt, state, params, grads, 0, updates);
    lopt_state_destroy(state);
    lopt_destroy(opt);
    return updates[0];
}

Test(hand_designed, muon_treats_matrices_apart) {
    int64_t tall[] = {16, 4}, wide[] = {4, 16}, cube[] = {4, 4, 4};
    float none = muon_first_update(2, tall, LOPT_ROLE_WEIGHT, "none");
    cr_assert(fabsf(muon_first_update(2, tall, LOPT_ROLE_WEIGHT, "rows_over_cols") / none - 2) < 1e-6f);
    cr_assert(fabsf(muon_first_update(2, tall, LOPT_ROLE_WEIGHT, "cols_over_rows") / none - 1) < 1e-6f);
    cr_assert(fabsf(muon_first_update(2, tall, LOPT_ROLE_WEIGHT, "match_rms_adamw") / none - 0.8f) < 1e-6f);
    none = muon_first_update(2, wide, LOPT_ROLE_WEIGHT, "none");
    cr_assert(fabsf(muon_first_update(2, wide, LOPT_ROLE_WEIGHT, "rows_over_cols") / none - 1) < 1e-6f);
    cr_assert(fabsf(muon_first_update(2, wide, LOPT_ROLE_WEIGHT, "cols_over_rows") / none - 2) < 1e-6f);
    /* Adam's first step is the rate, 0.015 of Muon's. */
    cr_assert(fabsf(fabsf(muon_first_update(2, wide, LOPT_ROLE_EMBEDDING, "none")) - 0.015f) < 1e-6f);
    cr_assert(fabsf(fabsf(muon_first_update(3, cube, LOPT_ROLE_WEIGHT, "none")) - 0.015f) < 1e-6f);
    cr_assert(fabsf(fabsf(muon_first_update(1, wide, LOPT_ROLE_WEIGHT, "none")) - 0.015f) < 1e-6f);
}

Test(hand_designed, factored_state_is_small) {
    size_t whole, factored, sm3;
    lopt_tensor t = lopt_tensor_make("t", 2, (int64_t[]){256, 512});
    const char *names[] = {"adam", "adafactor", "sm3"};
    size_t *bytes[] = {&whole, &factored, &sm3};
    for (int i = 0; i < 3; i++) {
        lopt_optimizer *opt = create(names[i], NULL, 0);
        lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
        lopt_state_data(state, bytes[i]);
        lopt_state_destroy(state);
        lopt_destroy(opt);
    }
    cr_assert(whole >= 8 * 256 * 512 && factored < 4 * (256 + 512) + 256 && sm3 < 4 * (256 * 512 + 256 + 512) + 256);
}

/* ---- random search over OptList's ranges --------------------------------------------------- */

static double number_of(const lopt__optlist *row, const char *name) {
    for (int i = 0; i < LOPT__OPTLIST_SETTINGS; i++)
        if (strcmp(row->setting[i].name, name) == 0) return atof(row->setting[i].value);
    cr_assert(0, "no setting %s", name);
    return 0;
}

Test(hand_designed, optlist_rows_lie_in_the_published_ranges) {
    int warm = 0, both = 0;
    double largest = 0, smallest = 1;
    for (uint64_t i = 0; i < 1000; i++) {
        lopt__optlist row;
        lopt__optlist_row(&row, 7, i);
        lopt_destroy(create("nadamw", row.setting, LOPT__OPTLIST_SETTINGS));
        double rate = number_of(&row, "learning_rate"), constant = number_of(&row, "constant_fraction");
        double decay = number_of(&row, "weight_decay"), l2 = number_of(&row, "l2_weight_decay");
        cr_assert(rate >= 1e-5 && rate <= 1 && constant >= 0 && constant <= 1);
        cr_assert(number_of(&row, "beta1") <= 0.999 && number_of(&row, "beta2") <= 0.99999);
        cr_assert(decay + l2 > 0 && decay <= 0.1 && l2 <= 0.1);
        warm += number_of(&row, "warmup_fraction") > 0;
        both += decay > 0 && l2 > 0;
        largest = fmax(largest, rate);
        smallest = fmin(smallest, rate);
    }
    cr_assert(abs(warm - 500) < 80 && abs(both - 333) < 75, "%d with warm-up, %d with both decays", warm, both);
    cr_assert(largest > 0.9 && smallest < 1.1e-5, "rates from %g to %g", smallest, largest);
}

Test(hand_designed, an_optlist_row_is_a_function_of_its_address) {
    lopt__optlist a, b, c;
    lopt__optlist_row(&a, 7, 3);
    lopt__optlist_row(&b, 7, 3);
    lopt__optlist_row(&c, 7, 4);
    for (int i = 0; i < LOPT__OPTLIST_SETTINGS; i++)
        cr_assert(strcmp(a.setting[i].value, b.setting[i].value) == 0, "%s", a.setting[i].name);
    cr_assert(strcmp(a.setting[0].value, c.setting[0].value) != 0);
}
