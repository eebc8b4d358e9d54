/* SPDX-License-Identifier: Apache-2.0
 *
 * pylo_call.c - see formats/pylo_call.h. */
#include "formats/pylo_call.h"

#include <string.h>

#include "formats/small_fc_map.h"

enum { TEXT_BYTES = 256 };

/* ---- classes --------------------------------------------------------------------------------- */

enum { ADAFACLO = 1, ELO = 2, VELO = 4, CELO2 = 8, ELO_CELO2 = 16 };

/* `preset` steps like the class with default arguments: what the class has fixed, it has. */
typedef struct pylo_class {
    int mask;
    const char *name, *module, *preset;
} pylo_class;

static const pylo_class classes[] = {
    {ADAFACLO, "AdafacLO_naive", "AdafacLO_naive", "small-fc-pylo"},
    {ELO, "ELO_naive", "ELO_naive", "elo"},
    {VELO, "VeLO_naive", "Velo_naive", "velo-pylo"},
    {CELO2, "CELO2_naive", "CELO2_naive", "celo2-pylo"},
    {ELO_CELO2, "ELO_CELO2_naive", "ELO_CELO2_naive", "elo-celo2"},
};
enum { N_CLASSES = sizeof classes / sizeof classes[0] };

static int has_value(const lopt_optimizer *opt, const char *setting, const char *value) {
    char text[TEXT_BYTES];
    return lopt_get(opt, setting, text, sizeof text) && strcmp(text, value) == 0;
}

static int mask_of(const lopt_optimizer *opt) {
    const char *kind = lopt_info(opt)->kind;
    if (strcmp(kind, "small_fc") == 0) return has_value(opt, "weight_decay_uses", "after") ? ADAFACLO : ELO;
    if (strcmp(kind, "velo") == 0) return VELO;
    if (strcmp(kind, "celo2") == 0) return has_value(opt, "adam_moments", "shared") ? ELO_CELO2 : CELO2;
    return 0;
}

static const pylo_class *class_of(const lopt_optimizer *opt) {
    int mask = mask_of(opt);
    for (int i = 0; i < N_CLASSES; i++)
        if (classes[i].mask == mask) return &classes[i];
    return NULL;
}

const char *mt_pylo_class(const lopt_optimizer *opt) {
    const pylo_class *c = class_of(opt);
    return c ? c->name : NULL;
}

const char *mt_pylo_module(const lopt_optimizer *opt) {
    const pylo_class *c = class_of(opt);
    return c ? c->module : NULL;
}

/* ---- AdafacLO and ELO ------------------------------------------------------------------------ */

static void print_list(FILE *f, const char *name, const float *values, int n) {
    fprintf(f, "%s=[", name);
    for (int i = 0; i < n; i++) fprintf(f, "%s%.9g", i ? ", " : "", (double)values[i]);
    fputs("]", f);
}

static void print_call_offsets(FILE *f, const lopt_optimizer *opt, const char *family, int n) {
    static const float zero[MT_FC_DECAYS];
    const lopt_block *b = lopt_block_find(opt, family);
    print_list(f, family, b ? lopt_theta(opt) + b->offset : zero, n);
    fputs(", ", f);
}

/* A setting as a Python list; settings of one number have no brackets here. */
static void print_initial(FILE *f, const char *name, const lopt_optimizer *opt, const char *family) {
    char text[TEXT_BYTES];
    lopt_get(opt, family, text, sizeof text);
    fprintf(f, text[0] == '[' ? "%s=%s" : "%s=[%s]", name, text);
}

static void print_adafaclo_arguments(FILE *f, const lopt_optimizer *opt, const mt_small_fc *fc) {
    fprintf(f, "lr=%.9g, step_mult=%.9g, exp_mult=%.9g, ", fc->learning_rate, fc->step_mult, fc->exp_mult);
    print_call_offsets(f, opt, "momentum_decays", MT_FC_DECAYS);
    print_call_offsets(f, opt, "rms_decays", 1);
    print_call_offsets(f, opt, "adafactor_decays", MT_FC_DECAYS);
    print_initial(f, "initial_momentum_decays", opt, "momentum_decays");
    print_initial(f, ", initial_rms_decays", opt, "rms_decays");
    print_initial(f, ", initial_adafactor_decays", opt, "adafactor_decays");
    if (fc->max_grad_norm > 0) fprintf(f, ", max_grad_norm=%.9g", fc->max_grad_norm);
    if (fc->weight_decay > 0) fprintf(f, ", weight_decay=%.9g", fc->weight_decay);
}

/* ELO has one rate: lr (step + wd p), where ours is lr (step_mult step + wd p). */
static void print_elo_arguments(FILE *f, const mt_small_fc *fc) {
    double decay = fc->step_mult > 0 ? fc->weight_decay / fc->step_mult : 0;
    fprintf(f, "lr=%.9g, exp_mult=%.9g, weight_decay=%.9g, ", fc->learning_rate * fc->step_mult, fc->exp_mult, decay);
    print_list(f, "initial_momentum_decays", fc->momentum, MT_FC_DECAYS);
    print_list(f, ", initial_rms_decays", &fc->rms, 1);
    print_list(f, ", initial_adafactor_decays", fc->factored, MT_FC_DECAYS);
    if (fc->clip_norm > 0) fprintf(f, ", clip_grad=True, clip_norm=%.9g", fc->clip_norm);
}

/* What neither the folder nor the constructor can say. */
static void print_small_fc_limits(FILE *f, const char *indent, const char *class, const mt_small_fc *fc) {
    if (fc->decay_uses_updated && fc->clip_norm > 0)
        fprintf(f,
                "%s%s cannot clip the norm of all gradients together (clip_norm %.9g): do it "
                "yourself.\n",
                indent, class, fc->clip_norm);
    if (!fc->decay_uses_updated && fc->max_grad_norm > 0)
        fprintf(f, "%s%s cannot clip the gradient of each tensor (max_grad_norm %.9g): do it yourself.\n", indent,
                class, fc->max_grad_norm);
    if (fc->tie_pylo_velo)
        fprintf(f, "%s%s factors square tensors by another rule than tie_rule pylo-velo.\n", indent, class);
    if (fc->mup >= 0)
        fprintf(f,
                "%s%s has no multipliers of muP: PyLO's MuLO has them, or give each weight between "
                "hidden layers %.9g / inputs of the layer times lr.\n",
                indent, class, fc->mup);
    if (fc->decay_uses_updated == fc->nan_to_num)
        fprintf(f, "%s%s %s gradients that are not finite; this optimizer %s.\n", indent, class,
                fc->nan_to_num ? "does not replace" : "replaces", fc->nan_to_num ? "does" : "does not");
}

/* ---- VeLO and CELO2 -------------------------------------------------------------------------- */

/* How a setting is written as an argument. */
typedef enum form {
    AS_IS,
    BOOLEAN,
    ONE_LIST, /* of one number */
    OPTIONAL, /* negative: None */
    LIMIT,    /* two arguments: whether, and to what */
    VECTORS,  /* adam_for: whether Adam steps vectors */
    STEPS,    /* 0: the user's own number */
} form;

typedef struct argument {
    int classes;
    const char *name, *setting;
    form form;
} argument;

static const argument arguments[] = {
    {VELO | CELO2 | ELO_CELO2, "lr", "learning_rate", AS_IS},
    {VELO, "step_mult", "step_mult", AS_IS},
    {VELO | CELO2 | ELO_CELO2, "exp_mult", "exp_mult", AS_IS},
    {VELO, "num_steps", "num_steps", STEPS},
    {VELO | CELO2 | ELO_CELO2, "weight_decay", "weight_decay", AS_IS},
    {CELO2 | ELO_CELO2, "adam_lr_mult", "adam_lr_mult", AS_IS},
    {CELO2 | ELO_CELO2, "adam_weight_decay", "adam_weight_decay", OPTIONAL},
    {CELO2, "adam_betas", "adam_betas", AS_IS},
    {CELO2, "adam_eps", "adam_epsilon", AS_IS},
    {CELO2 | ELO_CELO2, "use_adamw_for_1d", "adam_for", VECTORS},
    {CELO2 | ELO_CELO2, "orthogonalize", "orthogonalize", BOOLEAN},
    {CELO2 | ELO_CELO2, "clip", "clip_norm", LIMIT},
    {CELO2 | ELO_CELO2, "rmsmult", "rms_mult", AS_IS},
    {CELO2 | ELO_CELO2, "param_scale_mult", "param_scale_mult", BOOLEAN},
    {CELO2 | ELO_CELO2, "ns_coeffs", "ns_coefficients", AS_IS},
    {CELO2 | ELO_CELO2, "ns_iters", "ns_steps", AS_IS},
    {CELO2 | ELO_CELO2, "ns_eps", "ns_epsilon", AS_IS},
    {CELO2 | ELO_CELO2, "grad_clip_val", "grad_limit", AS_IS},
    {VELO | CELO2 | ELO_CELO2, "initial_momentum_decays", "momentum_decays", AS_IS},
    {VELO | CELO2 | ELO_CELO2, "initial_rms_decays", "rms_decays", ONE_LIST},
    {VELO | CELO2 | ELO_CELO2, "initial_adafactor_decays", "adafactor_decays", AS_IS},
};
enum { N_ARGUMENTS = sizeof arguments / sizeof arguments[0] };

static const char *python_boolean(int truth) {
    return truth ? "True" : "False";
}

static void print_argument(FILE *f, const argument *a, const lopt_optimizer *opt) {
    char text[TEXT_BYTES];
    double number = lopt_get_number(opt, a->setting, 0);
    lopt_get(opt, a->setting, text, sizeof text);
    if (a->form == LIMIT && number > 0)
        fprintf(f, "%s_grad=True, %s_norm=%s", a->name, a->name, text);
    else if (a->form == LIMIT)
        fprintf(f, "%s_grad=False", a->name);
    else if (a->form == VECTORS)
        fprintf(f, "%s=%s", a->name, python_boolean(strcmp(text, "vectors") == 0));
    else if (a->form == BOOLEAN)
        fprintf(f, "%s=%s", a->name, python_boolean(number != 0));
    else if (a->form == STEPS && number == 0)
        fprintf(f, "%s=number_of_your_steps", a->name);
    else if (a->form == OPTIONAL && number < 0)
        fprintf(f, "%s=None", a->name);
    else
        fprintf(f, a->form == ONE_LIST ? "%s=[%s]" : "%s=%s", a->name, text);
}

static const argument *argument_of(int mask, const char *setting) {
    for (int i = 0; i < N_ARGUMENTS; i++)
        if ((arguments[i].classes & mask) && strcmp(arguments[i].setting, setting) == 0) return &arguments[i];
    return NULL;
}

/* Sizes of the network are in config.json. */
static int in_config(const char *setting) {
    static const char *const sizes[] = {"hidden_size", "hidden_layers", "lstm_hidden_size", "param_inits",
                                        "activation"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (strcmp(sizes[i], setting) == 0) return 1;
    return 0;
}

/* Settings that are no argument must be those of the class. */
static void print_fixed(FILE *f, const char *indent, const pylo_class *class, const lopt_optimizer *opt) {
    lopt_optimizer *fixed = lopt_create(class->preset, NULL, 0, NULL);
    lopt_hyper_info h;
    for (size_t i = 0; fixed && lopt_hyper(class->preset, i, &h); i++) {
        char here[TEXT_BYTES], there[TEXT_BYTES];
        const argument *a = argument_of(class->mask, h.name);
        lopt_get(opt, h.name, here, sizeof here);
        lopt_get(fixed, h.name, there, sizeof there);
        if (a && a->form == VECTORS && strcmp(here, "biases") == 0) a = NULL; /* knows shapes, not names */
        if (!a && !in_config(h.name) && strcmp(here, there) != 0)
            fprintf(f, "%s%s has %s %s and no argument for it; this optimizer has %s.\n", indent, class->name, h.name,
                    there, here);
    }
    lopt_destroy(fixed);
}

/* ---- any class ------------------------------------------------------------------------------- */

void mt_pylo_print_arguments(FILE *f, const lopt_optimizer *opt) {
    mt_small_fc fc;
    int mask = mask_of(opt), n = 0;
    if ((mask & (ADAFACLO | ELO)) && mt_small_fc_of(opt, &fc)) {
        if (mask == ADAFACLO)
            print_adafaclo_arguments(f, opt, &fc);
        else
            print_elo_arguments(f, &fc);
        return;
    }
    for (int i = 0; i < N_ARGUMENTS; i++) {
        if (!(arguments[i].classes & mask)) continue;
        fputs(n++ ? ", " : "", f);
        print_argument(f, &arguments[i], opt);
    }
}

void mt_pylo_print_limits(FILE *f, const char *indent, const lopt_optimizer *opt) {
    const pylo_class *class = class_of(opt);
    mt_small_fc fc;
    if (class && (class->mask & (ADAFACLO | ELO)) && mt_small_fc_of(opt, &fc))
        print_small_fc_limits(f, indent, class->name, &fc);
    else if (class)
        print_fixed(f, indent, class, opt);
}
