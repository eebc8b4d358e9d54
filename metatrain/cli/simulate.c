/* SPDX-License-Identifier: Apache-2.0
 *
 * simulate.c - `metatrain simulate`: how a meta-training would run on more ranks than there are. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "config/config.h"
#include "simulate/simulation.h"

enum { MOST = 1000000 };

typedef struct simulate_options {
    const char *config, *costs;
    mt_sets sets;
    double workers, cores, particles, steps, theta, latency, bandwidth;
} simulate_options;

static const char doc[] =
    "Play the meta-training that CONFIG describes on N ranks, without training.\v"
    "What windows take comes from costs.json of a real run of CONFIG; who runs what is decided by "
    "the "
    "code that decides it in training; the update of theta is timed here. Prints outer steps per "
    "second, the share of the cores' time spent in windows, and what the rest is. docs/scaling.md "
    "says what is modelled and how it compares with real runs.\n\n"
    "Examples:\n"
    "  metatrain simulate configs/quickstart.yaml --costs runs/quickstart/costs.json --workers 64\n"
    "  metatrain simulate configs/quickstart.yaml --costs runs/quickstart/costs.json \\\n"
    "      --workers 10000 --particles 40000 --theta 2000000\n";

static const struct argp_option options[] = {{"workers", 'n', "N", 0, "ranks, up to 1000000 (required)", 0},
                                             {"costs", 'c', "FILE", 0, "costs.json of a run (required)", 0},
                                             {"cores", 'k', "N", 0, "cores that the ranks share; default: one each", 0},
                                             {"particles", 'p', "N", 0, "default: as CONFIG says", 0},
                                             {"steps", 's', "N", 0, "outer steps to play (50)", 0},
                                             {"theta", 'T', "N", 0, "numbers in theta; default: as CONFIG says", 0},
                                             {"latency", 'l', "SECONDS", 0, "of a message between ranks (2e-5)", 0},
                                             {"bandwidth", 'b', "BYTES", 0, "a second, of one rank (1e9)", 0},
                                             {"set", 'S', "KEY=VALUE", 0, "override a key of CONFIG (repeatable)", 0},
                                             {0}};

static error_t number_option(struct argp_state *state, const char *name, const char *arg, double most, double *value) {
    char *end;
    *value = strtod(arg, &end);
    if (end != arg && !*end && *value > 0 && *value <= most) return 0;
    return argp_error(state, "--%s: found \"%s\", expected a number above 0, up to %g", name, arg, most), EINVAL;
}

static error_t count_option(struct argp_state *state, const char *name, const char *arg, double most, double *value) {
    error_t failed = number_option(state, name, arg, most, value);
    if (failed || *value == floor(*value)) return failed;
    return argp_error(state, "--%s: found \"%s\", expected a whole number", name, arg), EINVAL;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    simulate_options *o = state->input;
    switch (key) {
    case 'n':
        return count_option(state, "workers", arg, MOST, &o->workers);
    case 'k':
        return number_option(state, "cores", arg, MOST, &o->cores);
    case 'p':
        return count_option(state, "particles", arg, 1e8, &o->particles);
    case 's':
        return count_option(state, "steps", arg, 1e6, &o->steps);
    case 'T':
        return count_option(state, "theta", arg, 1e9, &o->theta);
    case 'l':
        return number_option(state, "latency", arg, 10, &o->latency);
    case 'b':
        return number_option(state, "bandwidth", arg, 1e15, &o->bandwidth);
    case 'c':
        o->costs = arg;
        return 0;
    case 'S':
        return mt_take_set(state, arg, &o->sets);
    case ARGP_KEY_ARG:
        return mt_take_only(state, "CONFIG", arg, &o->config);
    case ARGP_KEY_END:
        if (!o->config || !o->costs || !(o->workers > 0))
            return argp_error(state, "CONFIG, --costs and --workers are needed"), EINVAL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int theta_of(const mt_config *cfg, int64_t *n, lopt_error *err) {
    lopt_optimizer *opt = mt_optimizer_create(&cfg->optimizer, cfg->file, err);
    *n = opt ? (int64_t)lopt_n_theta(opt) : 0;
    lopt_destroy(opt);
    return *n > 0;
}

static void print_simulation(const mt_simulation *how, const mt_simulated *r) {
    double steps = (double)how->outer_steps, all = r->seconds;
    printf("%d ranks on %d cores, %lld particles, theta of %lld numbers, %lld outer steps\n", how->workers, how->cores,
           (long long)how->particles, (long long)how->theta, (long long)how->outer_steps);
    printf("outer steps per second  %.4g\n", steps / all);
    printf("utilisation             %.1f %%\n", 100 * r->utilisation);
    printf("an outer step takes     %.4g s: windows %.1f %%, reports waiting at rank 0 %.1f %%, "
           "placing %.1f %%, gradient %.1f %%, updating theta %.1f %%\n",
           all / steps, 100 * r->windows / all, 100 * r->waiting / all, 100 * r->placing / all, 100 * r->gradient / all,
           100 * r->updating / all);
    printf("of the windows          %.4g s for theta to reach the last rank\n", r->sending / steps);
    printf("particles an outer step %.3g moved, %.3g stolen\n", (double)r->moved / steps, (double)r->stolen / steps);
}

/* What the run measured for its own theta and particles, for those that are asked about. */
static int scale_update(mt_simulation *how, int64_t own, lopt_error *err) {
    mt_profile *m = &how->measured;
    mt_update there, here;
    if (!mt_measure_update(how->cfg, own, &there, err) || !mt_measure_update(how->cfg, how->theta, &here, err))
        return 0;
    if (how->theta != own) {
        m->noise_seconds *= here.draw / there.draw;
        m->coordinator_seconds += here.outer - there.outer;
        how->perturb = fmax((double)(how->theta - own) * m->noise_seconds, 0);
    }
    m->coordinator_seconds += (double)(how->particles - how->cfg->particles) * here.plan;
    m->coordinator_seconds = fmax(m->coordinator_seconds, 0);
    return 1;
}

static int simulate_ranks(const simulate_options *o, const mt_config *cfg, lopt_error *err) {
    mt_simulation how = {.cfg = cfg,
                         .workers = (int)o->workers,
                         .cores = (int)(o->cores > 0 ? ceil(o->cores) : o->workers),
                         .particles = o->particles > 0 ? (int64_t)o->particles : cfg->particles,
                         .outer_steps = o->steps > 0 ? (int64_t)o->steps : 50,
                         .latency = o->latency > 0 ? o->latency : 2e-5,
                         .bandwidth = o->bandwidth > 0 ? o->bandwidth : 1e9};
    mt_simulated result;
    int64_t own;
    if (!mt_profile_read(o->costs, &how.measured, cfg, err) || !theta_of(cfg, &own, err)) return 0;
    how.theta = o->theta > 0 ? (int64_t)o->theta : own;
    if (!scale_update(&how, own, err)) return 0;
    if (!mt_simulate_run(&how, &result, err)) return 0;
    print_simulation(&how, &result);
    return 1;
}

int mt_command_simulate(int argc, char **argv) {
    static const struct argp parser = {options, parse, "CONFIG", doc, 0, 0, 0};
    simulate_options o = {0};
    lopt_error err = {LOPT_OK, ""};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    mt_config *cfg = mt_config_load(o.config, o.sets.text, o.sets.n, &err);
    int ok = cfg && simulate_ranks(&o, cfg, &err);
    mt_config_free(cfg);
    return ok ? MT_DONE : mt_print_error(&err);
}
