/* SPDX-License-Identifier: Apache-2.0
 *
 * LearnableSGD, LearnableSGDM and LearnableAdam are their hand-designed twins with the constants
 * that theta says. */
#include "worked.h"

enum { N_STEPS = 30 };

static void set_initial(lopt_optimizer *opt) {
    float theta[4];
    lopt_init_theta(opt, 1, theta);
    lopt_set_theta(opt, theta);
}

static void check_same(const char *name, lopt_optimizer *learnable, lopt_optimizer *plain) {
    float start[WORKED_PARAMS], p[WORKED_PARAMS], q[WORKED_PARAMS];
    lopt_tensor t[WORKED_TENSORS];
    worked_tensors(t);
    worked_params(t, start);
    worked_train(learnable, N_STEPS, p);
    worked_train(plain, N_STEPS, q);
    for (int i = 0; i < WORKED_PARAMS; i++) {
        double move = fabs((double)q[i] - (double)start[i]);
        cr_assert(move > 0 && fabs((double)p[i] - (double)q[i]) < 2e-5 * move + 6e-8,
                  "%s, parameter %d: %.9g, not %.9g", name, i, (double)p[i], (double)q[i]);
    }
    lopt_destroy(learnable);
    lopt_destroy(plain);
}

Test(learnable, initial_theta_is_the_hand_designed_optimizer) {
    static const struct {
        const char *learnable, *plain, *rate;
    } twins[] = {
        {"learnable-sgd", "sgd", "0.01"}, {"learnable-sgdm", "sgdm", "0.01"}, {"learnable-adam", "adam", "0.001"}};
    for (int i = 0; i < 3; i++) {
        lopt_optimizer *learnable = worked_create(twins[i].learnable, NULL, 0);
        set_initial(learnable);
        check_same(twins[i].learnable, learnable,
                   worked_create(twins[i].plain, (lopt_setting[]){{"learning_rate", twins[i].rate}}, 1));
    }
}

Test(learnable, theta_sets_the_constants) {
    lopt_optimizer *sgdm = worked_create("learnable-sgdm", NULL, 0);
    lopt_set_theta(sgdm, (float[]){logf(0.05f), logf(0.25f)});
    check_same("sgdm", sgdm,
               worked_create("sgdm", (lopt_setting[]){{"learning_rate", "0.05"}, {"momentum", "0.75"}}, 2));

    /* In theta's order: rate, beta1, beta2, epsilon. */
    lopt_optimizer *adam = worked_create("learnable-adam", NULL, 0);
    lopt_set_theta(adam, (float[]){logf(0.02f), logf(0.5f), logf(0.03125f), logf(0.01f)});
    check_same(
        "adam", adam,
        worked_create(
            "adam",
            (lopt_setting[]){{"learning_rate", "0.02"}, {"beta1", "0.5"}, {"beta2", "0.96875"}, {"epsilon", "0.01"}},
            4));
}

Test(learnable, settings_multiply_the_rate_and_decay_weights) {
    static const lopt_setting settings[] = {{"learning_rate", "0.5"}, {"weight_decay", "0.1"}};
    lopt_optimizer *opt = worked_create("learnable-sgd", settings, 2);
    set_initial(opt);
    check_same("learnable-sgd", opt,
               worked_create("sgd", (lopt_setting[]){{"learning_rate", "0.005"}, {"weight_decay", "0.1"}}, 2));
}
