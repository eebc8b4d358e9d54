/* SPDX-License-Identifier: Apache-2.0
 *
 * family.c - structures drawn from a parametric family, none of them too costly. */
#include <string.h>

#include "base/task_error.h"
#include "task.h"

int task_family_sample(task_spec *spec, lopt_rng_stream *r, double max_flops, lopt_error *err) {
    enum { DRAWS = 512 };
    const task_family *family;
    for (size_t i = 0; (family = task_family_at(i)) && strcmp(spec->task, family->name) != 0;) i++;
    if (!family) return task_set_error(err, LOPT_EUNKNOWN, "there is no family \"%.64s\"", spec->task);
    for (int i = 0; i < DRAWS; i++) {
        task_spec drawn = *spec;
        lopt_error why = {LOPT_OK, ""};
        family->sample(&drawn, r);
        task *t = max_flops > 0 ? task_create(&drawn, &why) : NULL;
        if (max_flops > 0 && !t && why.status != LOPT_ESHAPE) return task_set_error(err, why.status, "%s", why.text);
        int cheap = t ? t->flops_per_step <= max_flops : max_flops <= 0;
        task_destroy(t);
        if (cheap) {
            *spec = drawn;
            return 1;
        }
    }
    return task_set_error(err, LOPT_EARG, "%s: none of %d draws costs at most %g FLOP a step", family->name, DRAWS,
                          max_flops);
}
