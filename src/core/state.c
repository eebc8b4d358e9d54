/* SPDX-License-Identifier: Apache-2.0
 *
 * state.c - states: their memory, and steps. */
#include <stdlib.h>
#include <string.h>

#include "core/optimizer.h"
#include "core/set_error.h"

#define MAX_ELEMENTS ((int64_t)1 << 40)

/* The muP multiplier of a tensor. */
static float mup_scale_of_tensor(const lopt_optimizer *opt, const lopt_tensor *t) {
    double base = lopt_get_number(opt, "mup_base_fan_in", 0); /* NaN if the kind has no such setting */
    if (!(base > 0) || t->hidden_fan_in < 1) return 1;
    return lopt_mup_lr_scale(1, t->hidden_fan_in, (int64_t)base, (float)lopt_get_number(opt, "mup_hidden_lr_mult", 0));
}

static int check_tensor_shape(const lopt_tensor *t, int64_t *total, lopt_error *err) {
    if (t->rank < 0 || t->rank > LOPT_MAX_RANK)
        return lopt__set_error(err, LOPT_ESHAPE, "tensor \"%.60s\" has %d axes, expected 0 to %d", t->name,
                               (int)t->rank, LOPT_MAX_RANK);
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] < 1)
            return lopt__set_error(err, LOPT_ESHAPE,
                                   "axis %d of tensor \"%.60s\" has %lld elements, expected 1 or more", i, t->name,
                                   (long long)t->dim[i]);
        if (t->dim[i] > MAX_ELEMENTS / n)
            return lopt__set_error(err, LOPT_ESHAPE, "tensor \"%.60s\" has more than 2^40 elements", t->name);
        n *= t->dim[i];
    }
    *total += n;
    if (*total > MAX_ELEMENTS)
        return lopt__set_error(err, LOPT_ESHAPE, "the tensors have more than 2^40 elements together");
    return 1;
}

static int check_tensor_shapes(const lopt_tensor *tensors, size_t n, lopt_error *err) {
    int64_t total = 0;
    for (size_t i = 0; i < n; i++)
        if (!check_tensor_shape(&tensors[i], &total, err)) return 0;
    return 1;
}

static void lay_out_tensors(const lopt_optimizer *opt, lopt_state *state, const lopt_tensor *tensors) {
    lopt__tie tie = opt->kind->tie ? opt->kind->tie(opt) : LOPT__TIE_STABLE;
    for (size_t i = 0; i < state->n_tensors; i++) {
        lopt__tensor *t = &state->tensors[i];
        t->spec = tensors[i];
        t->spec.name[sizeof t->spec.name - 1] = '\0';
        t->spec.lr_scale *= mup_scale_of_tensor(opt, &t->spec);
        t->offset = (int64_t)state->n_params;
        lopt__make_view(&t->view, &t->spec, tie);
        state->n_params += (size_t)t->view.size;
    }
}

static size_t padded_float_bytes(size_t n) {
    return (size_t)lopt__round_up((int64_t)n) * sizeof(float);
}

static size_t tensor_data_bytes(const lopt_optimizer *opt, const lopt__tensor *t) {
    return opt->kind->tensor_floats ? padded_float_bytes(opt->kind->tensor_floats(opt, &t->view)) : 0;
}

/* Bytes after [lopt_state][tensors]; sets the pointers unless memory is NULL. */
static size_t place_state_arrays(const lopt_optimizer *opt, lopt_state *state, char *memory) {
    const lopt__kind *kind = opt->kind;
    size_t at = padded_float_bytes(sizeof *state->header / sizeof(float));
    size_t global = at;
    if (kind->global_floats) at += padded_float_bytes(kind->global_floats(opt, state->n_tensors));
    for (size_t i = 0; i < state->n_tensors; i++) {
        if (memory) state->tensors[i].data = (float *)(memory + at);
        at += tensor_data_bytes(opt, &state->tensors[i]);
    }
    if (memory) {
        state->header = (lopt__header *)memory;
        state->global = (float *)(memory + global);
        state->data_bytes = at;
        state->scratch = (float *)(memory + at);
    }
    if (kind->scratch_floats) at += padded_float_bytes(kind->scratch_floats(opt, state));
    return at;
}

void lopt_state_destroy(lopt_state *state) {
    if (state) lopt__team_destroy(state->team);
    free(state);
}

void lopt_state_reset(const lopt_optimizer *opt, lopt_state *state, int64_t num_steps) {
    memset(state->header, 0, state->data_bytes);
    state->header->num_steps = num_steps;
    if (opt->kind->reset) opt->kind->reset(opt, state);
}

lopt_state *lopt_state_create(const lopt_optimizer *opt, const lopt_tensor *tensors, size_t n_tensors,
                              lopt_error *err) {
    if (!check_tensor_shapes(tensors, n_tensors, err)) return NULL;
    size_t head = sizeof(lopt_state) + n_tensors * sizeof(lopt__tensor);
    head = (head + 63) / 64 * 64;
    lopt_state *plan = (lopt_state *)calloc(1, head);
    void *memory = NULL;
    size_t bytes = 0;
    if (plan) {
        plan->tensors = (lopt__tensor *)(plan + 1);
        plan->n_tensors = n_tensors;
        plan->n_threads = opt->n_threads;
        lay_out_tensors(opt, plan, tensors);
        bytes = head + place_state_arrays(opt, plan, NULL);
        memory = aligned_alloc(64, bytes);
    }
    if (!memory) {
        free(plan);
        lopt__set_error(err, LOPT_ENOMEM, "not enough memory for the state of optimizer %s (%zu bytes)",
                        opt->preset->info.name, bytes);
        return NULL;
    }
    memset(memory, 0, bytes);
    memcpy(memory, plan, head);
    free(plan);
    lopt_state *state = (lopt_state *)memory;
    state->tensors = (lopt__tensor *)(state + 1);
    place_state_arrays(opt, state, (char *)memory + head);
    if (state->n_threads > 1 && !(state->team = lopt__team_create(state->n_threads))) {
        lopt__set_error(err, LOPT_ENOMEM, "the system cannot start %d threads", state->n_threads - 1);
        lopt_state_destroy(state);
        return NULL;
    }
    lopt_state_reset(opt, state, 0);
    return state;
}

void *lopt_state_data(lopt_state *state, size_t *n_bytes) {
    *n_bytes = state->data_bytes;
    return state->header;
}

int64_t lopt_state_step(const lopt_state *state) {
    return state->header->step;
}

void lopt_step(const lopt_optimizer *opt, lopt_state *state, float *params, const float *grads, float loss,
               float *updates) {
    const lopt__io io = {params, grads, loss, updates, state->team};
    opt->kind->step(opt, state, &io);
    state->header->step++;
}

void lopt_eval_params(const lopt_optimizer *opt, const lopt_state *state, const float *params, float *out) {
    if (opt->kind->eval_params && state->header->step > 0)
        opt->kind->eval_params(opt, state, params, out);
    else
        memcpy(out, params, state->n_params * sizeof *out);
}

void lopt_tell_valid_loss(const lopt_optimizer *opt, lopt_state *state, float loss) {
    if (opt->kind->valid_loss) opt->kind->valid_loss(opt, state, loss);
}
