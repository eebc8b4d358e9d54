/* SPDX-License-Identifier: Apache-2.0
 *
 * particle.c - see particle.h. */
#include "es/particle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static size_t round_to_line(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t memory_bytes(const mt_particle_sizes *sizes) {
    return round_to_line(sizes->n_tau * sizeof(float)) +
           2 * (round_to_line(sizes->n_params * sizeof(float)) + round_to_line(sizes->state_bytes));
}

int mt_particle_open(mt_particle *p, int64_t number, const mt_particle_sizes *sizes, lopt_error *err) {
    size_t tau = round_to_line(sizes->n_tau * sizeof(float)), params = round_to_line(sizes->n_params * sizeof(float));
    size_t state = round_to_line(sizes->state_bytes), total = memory_bytes(sizes);
    *p = (mt_particle){.at = {.number = number, .trajectory = -1, .noise = -1}};
    p->memory = aligned_alloc(64, total + 64);
    if (!p->memory) return mt_error(err, LOPT_ENOMEM, "out of memory for a particle of %zu bytes", total);
    memset(p->memory, 0, total + 64);
    char *next = p->memory;
    p->tau = (float *)next, next += tau;
    for (int twin = 0; twin < 2; twin++) {
        p->params[twin] = (float *)next, next += params;
        p->state[twin] = next, next += state;
    }
    return 1;
}

void mt_particle_close(mt_particle *p) {
    free(p->memory);
    *p = (mt_particle){0};
}

size_t mt_particle_bytes(const mt_particle_sizes *sizes) {
    return sizeof(mt_particle_counters) + memory_bytes(sizes);
}

void mt_particle_pack(const mt_particle *p, const mt_particle_sizes *sizes, void *buffer) {
    memcpy(buffer, &p->at, sizeof p->at);
    memcpy((char *)buffer + sizeof p->at, p->memory, memory_bytes(sizes));
}

int mt_particle_unpack(mt_particle *p, const mt_particle_sizes *sizes, const void *buffer, lopt_error *err) {
    if (!mt_particle_open(p, 0, sizes, err)) return 0;
    memcpy(&p->at, buffer, sizeof p->at);
    memcpy(p->memory, (const char *)buffer + sizeof p->at, memory_bytes(sizes));
    return 1;
}

void mt_particle_items(mt_particle *p, const mt_particle_sizes *sizes, mt_item items[MT_PARTICLE_ITEMS],
                       char names[MT_PARTICLE_ITEMS][MT_PARTICLE_NAME]) {
    const mt_item all[MT_PARTICLE_ITEMS] = {
        {"counters", MT_INTEGERS, &p->at, sizeof p->at / sizeof(int64_t)},
        {"tau", MT_FLOATS, p->tau, sizes->n_tau},
        {"params_plus", MT_FLOATS, p->params[0], sizes->n_params},
        {"params_minus", MT_FLOATS, p->params[1], sizes->n_params},
        {"state_plus", MT_BYTES, p->state[0], sizes->state_bytes},
        {"state_minus", MT_BYTES, p->state[1], sizes->state_bytes},
    };
    for (int i = 0; i < MT_PARTICLE_ITEMS; i++) {
        snprintf(names[i], MT_PARTICLE_NAME, "particle_%06lld/%s", (long long)p->at.number, all[i].name);
        items[i] = all[i];
        items[i].name = names[i];
    }
}
