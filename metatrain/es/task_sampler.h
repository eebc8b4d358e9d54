/* SPDX-License-Identifier: Apache-2.0
 *
 * task_sampler.h - which task a trajectory trains on, and what inner training on it needs.
 *
 *     mt_sampler_open(&m, cfg, optimizer, &err);         once a rank: creates the tasks, reads data
 *     mt_sampler_prepare(&m, particle, step, &err);      before each window of a particle
 *     mt_task_instance *f = mt_sampler_instance(&m, particle);    what its trajectory trains on
 *
 * A configuration lists tasks with weights; each trajectory draws one (trajectory.h). Where an entry says
 * `sample`, the structure of the task is drawn as well: widths, depth, batch and image sizes. Each
 * particle has a structure of its own and keeps it for `sample.every` outer steps on average: in every
 * outer step it takes a new one with probability 1 / every and begins a new trajectory. An entry
 * that names a parametric family, or draws augmentations, has no largest structure: its bounds say how
 * much memory a particle has, and what exceeds them is drawn again. All draws are addressed by
 * (particle, outer step), so any rank can rebuild a particle's tasks. */
#ifndef MT_TASK_SAMPLER_H
#define MT_TASK_SAMPLER_H

#include "config/config.h"
#include "es/particle.h"

/* A task and the optimizer states of the twins on it. */
typedef struct mt_task_instance {
    task *task;
    lopt_state *state[2];
    int64_t particle, entry, structure; /* of a sampled one: whose, of which entry, which draw */
} mt_task_instance;

typedef struct mt_task_sampler {
    const mt_config *cfg; /* borrowed, as the twins' optimizers */
    const lopt_optimizer *optimizer[2];
    mt_particle_sizes sizes; /* largest over all tasks this mixture can give */
    void *work;              /* [work_bytes] of the tasks, for one at a time; mt_sampler_prepare may move it */
    size_t work_bytes;
    mt_task_instance fixed[MT_MAX_TASKS]; /* by entry; empty where the structure is sampled */
    mt_task_instance *sampled;            /* [n_sampled]: one a particle and entry; task NULL: free */
    size_t n_sampled;
} mt_task_sampler;

int mt_sampler_open(mt_task_sampler *m, const mt_config *cfg, lopt_optimizer *const optimizer[2], lopt_error *err);
void mt_sampler_close(mt_task_sampler *m);
/* 0 and a sentence if a sampled task cannot be made. Does nothing where no structure is sampled. */
int mt_sampler_prepare(mt_task_sampler *m, mt_particle *p, int64_t outer_step, lopt_error *err);
/* Another rank has the particle now. */
void mt_sampler_forget(mt_task_sampler *m, int64_t particle);
/* What the particle's current trajectory trains on. */
mt_task_instance *mt_sampler_instance(mt_task_sampler *m, const mt_particle *p);

/* One of an entry's structures where ranges say which there are. */
task_spec mt_draw_structure(const mt_config *cfg, int64_t entry, int64_t particle, int64_t structure);

#endif
