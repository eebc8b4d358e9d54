/* SPDX-License-Identifier: Apache-2.0
 *
 * particle.h - one ongoing inner training under theta+delta and its twin under theta-delta.
 *
 * Both twins have the same task, initial parameters and batches. Everything a particle remembers
 * between windows is the counters below and one block of memory, sized for the largest task of the
 * run, so that moving or saving a particle is copying a buffer. A new particle has length 0: its
 * first window starts trajectory 0. */
#ifndef MT_PARTICLE_H
#define MT_PARTICLE_H

#include "es/trajectory.h"
#include "lopt.h"
#include "store/checkpoint.h"

/* Largest sizes over the tasks of a run. */
typedef struct mt_particle_sizes {
    size_t n_tau, n_params, state_bytes;
} mt_particle_sizes;

typedef struct mt_particle {
    mt_particle_counters at;
    float *tau; /* sampled task, the twins share it */
    float *params[2];
    void *state[2]; /* lopt_state_data of each twin */
    void *memory;
} mt_particle;

int mt_particle_open(mt_particle *p, int64_t number, const mt_particle_sizes *sizes, lopt_error *err);
void mt_particle_close(mt_particle *p);

/* A particle as one buffer of mt_particle_bytes, to move it to another rank; unpacking opens it. */
size_t mt_particle_bytes(const mt_particle_sizes *sizes);
void mt_particle_pack(const mt_particle *p, const mt_particle_sizes *sizes, void *buffer);
int mt_particle_unpack(mt_particle *p, const mt_particle_sizes *sizes, const void *buffer, lopt_error *err);

/* Its memory as named items of a checkpoint, to save or to load into. */
#define MT_PARTICLE_ITEMS 6
#define MT_PARTICLE_NAME 48
void mt_particle_items(mt_particle *p, const mt_particle_sizes *sizes, mt_item items[MT_PARTICLE_ITEMS],
                       char names[MT_PARTICLE_ITEMS][MT_PARTICLE_NAME]);

#endif
