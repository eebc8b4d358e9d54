/* SPDX-License-Identifier: Apache-2.0
 *
 * test_loopback.c - the protocol of ranks, on virtual ranks in one process.
 *
 * A message that makes no sense, a particle that reports twice or not at all, ends the process (ranks/dispatch.c,
 * run/step_sync.c) or hangs: both fail here. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "ranks/loopback.h"
#include "run/handshake.h"
#include "run/run.h"
#include "scratch.h"

static const char base[] = "seed: 7\n"
                           "optimizer: {name: small-fc, hidden_size: 36, step_mult: 0.05}\n"
                           "tasks:\n"
                           "  - {task: quadratic, dim: 3}\n"
                           "  - {task: quadratic, dim: 9, weight: 2}\n"
                           "estimator: {std: 0.1, window: 4, schedule: {name: log_uniform, min: 4, max: 9}}\n"
                           "particles: 7\n"
                           "outer: {learning_rate: 0.01}\n"
                           "checkpoint: {every: 2}\n"
                           "faults: {silence: 2}\n";

/* Variants of the configuration, taken in turn by seed. */
static const char *const variant[][2] = {
    {"estimator.name=pes", "optimizer.hidden_size=2"},
    {"estimator.name=pes", "outer.share_from=0"}, /* three chunks of theta */
    {"estimator.name=nres", "evaluate.every=2"},
    {"estimator.window=40", "estimator.schedule={name: log_uniform, min: 40, max: 400}"}, /* long enough to steal */
};
enum { VARIANTS = sizeof variant / sizeof *variant, MAX_THETA = 8192 };

typedef struct scenario {
    const char *set[4];
    int n_sets, goal; /* outer steps */
    const char *dir;  /* "": nothing is written */
    int resume;
    /* results of rank 0 */
    int status, alive;
    size_t n;
    float theta[MAX_THETA];
    int64_t steps, migrations;
} scenario;

static mt_config *parse_config(const scenario *s) {
    lopt_error err;
    char goal[32];
    const char *sets[8] = {"evaluate.steps=3", "evaluate.batches=1", "evaluate.seeds=3", goal};
    snprintf(goal, sizeof goal, "outer.steps=%d", s->goal);
    for (int i = 0; i < s->n_sets; i++) sets[4 + i] = s->set[i];
    mt_config *cfg = mt_config_parse(base, "the test's configuration", sets, 4 + s->n_sets, &err);
    if (!cfg) fprintf(stderr, "%s\n", err.text), abort();
    return cfg;
}

static int run_coordinator(scenario *s, mt_session *session) {
    lopt_error err;
    int64_t step = -1;
    mt_run *run = calloc(1, sizeof *run);
    session->cfg = parse_config(s);
    snprintf(session->dir, sizeof session->dir, "%s", s->dir);
    if (s->resume && !mt_checkpoint_find(s->dir, &step, mt_print_warning, &err)) abort();
    int status = mt_start_run(run, session, step, &err) ? mt_finish_run(run, step) : mt_print_error(&err);
    s->n = run->theta.n;
    if (s->n > MAX_THETA) abort();
    memcpy(s->theta, run->theta.value, s->n * sizeof(float));
    s->steps = run->coordinator.counters.step;
    s->alive = session->members.n_live;
    mt_dismiss_workers(session, status);
    mt_close_run(run);
    free(run);
    return status;
}

static void run_rank(void *argument, mt_transport *transport) {
    scenario *s = argument;
    mt_session session;
    lopt_error err;
    if (!mt_session_open(&session, transport, &err)) abort();
    int status = transport->rank == 0 ? (s->status = run_coordinator(s, &session)) : mt_run_worker(&session);
    mt_session_close(&session, status);
}

/* Virtual ranks run one at a time: a turn is passed on soonest where they share a processor. */
static void use_one_processor(void) {
    static int chosen;
    cpu_set_t one;
    if (chosen++) return;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Returns how many messages `count` sent. */
static int64_t play(scenario *s, const mt_loopback_plan *plan, int count) {
    use_one_processor();
    mt_loopback *net = mt_loopback_open(plan);
    mt_run_loopback(net, run_rank, s);
    int64_t sent = mt_count_sent(net, count);
    s->migrations = mt_count_tag(net, MT_TAG_PARTICLE);
    mt_loopback_close(net);
    return sent;
}

static void play_seed(scenario *s, int ranks, uint64_t seed) {
    double delay = (const double[]){1e-4, 0.02, 0.4}[seed % 3];
    play(s, &(mt_loopback_plan){.ranks = ranks, .seed = seed, .delay = delay, .lost_rank = -1}, 0);
    cr_assert(s->status == MT_DONE && s->steps == s->goal, "%d ranks, seed %llu: status %d at outer step %lld", ranks,
              (unsigned long long)seed, s->status, (long long)s->steps);
}

/* A sanitizer takes ten times as long: every tenth seed and every fourth message will do. */
static int is_sanitized(void) {
    const char *sanitizer = getenv("SANITIZE");
    return sanitizer && sanitizer[0];
}

static scenario make_scenario(int which, const char *more) {
    scenario s = {.set = {variant[which][0], variant[which][1], more}, .n_sets = more ? 3 : 2, .goal = 5, .dir = ""};
    return s;
}

static int same_theta(const scenario *a, const scenario *b) {
    return a->n == b->n && a->n > 0 && memcmp(a->theta, b->theta, a->n * sizeof(float)) == 0;
}

/* ---- every order of messages ----------------------------------------------------------------- */

static void check_seeds(int ranks) {
    scenario alone[VARIANTS];
    int64_t migrations = 0;
    for (int v = 0; v < VARIANTS; v++) {
        alone[v] = make_scenario(v, NULL);
        alone[v].goal = 3;
        play_seed(&alone[v], 1, 1);
    }
    for (uint64_t seed = 0; seed < 200; seed++) {
        int v = (int)(seed % VARIANTS);
        if (is_sanitized() && seed / VARIANTS % 10 > 0) continue;
        scenario s = make_scenario(v, NULL);
        s.goal = 3;
        play_seed(&s, ranks, seed);
        cr_assert(same_theta(&s, &alone[v]), "%d ranks, seed %llu: another theta", ranks, (unsigned long long)seed);
        migrations += s.migrations;
    }
    cr_assert(ranks == 8 || is_sanitized() || migrations > 20, "%lld particles migrated in all", (long long)migrations);
}

Test(loopback, two_ranks_give_the_theta_of_one) {
    check_seeds(2);
}
Test(loopback, three_ranks_give_the_theta_of_one) {
    check_seeds(3);
}
Test(loopback, five_ranks_give_the_theta_of_one) {
    check_seeds(5);
}
Test(loopback, eight_ranks_give_the_theta_of_one) {
    check_seeds(8);
}

/* Alone the asynchronous mode is the synchronous one; with others it makes its steps, and theta is finite. */
Test(loopback, asynchronous_ranks_go_on) {
    scenario sync = make_scenario(0, NULL), alone = make_scenario(0, "outer.mode=asynchronous");
    play_seed(&sync, 1, 1);
    play_seed(&alone, 1, 1);
    cr_assert(same_theta(&sync, &alone));
    for (uint64_t seed = 0; seed < 200; seed++) {
        if (is_sanitized() && seed / 8 % 10 > 0) continue;
        scenario s = make_scenario(seed % 2 ? 0 : 2, "outer.mode=asynchronous");
        play_seed(&s, (int[]){2, 3, 5, 8}[seed / 2 % 4], seed);
        for (size_t i = 0; i < s.n; i++) cr_assert(isfinite(s.theta[i]));
        cr_assert(!same_theta(&s, &(scenario){.n = s.n}));
    }
}

/* ---- the epoch ------------------------------------------------------------------------------- */

static int count_message(void *counted, const mt_message *m) {
    (void)m;
    ++*(int *)counted;
    return 1;
}

static void post_across_epochs(void *counted, mt_transport *transport) {
    mt_session session;
    lopt_error err;
    if (!mt_session_open(&session, transport, &err)) abort();
    mt_dispatch *d = &session.dispatch;
    mt_register_handler(d, MT_TAG_SAVED, count_message, counted, 0, 0);
    mt_post_message(d, 0, MT_TAG_SAVED, NULL, 0);
    transport->epoch++;
    mt_poll_messages(d);
    mt_post_message(d, 0, MT_TAG_SAVED, NULL, 0);
    mt_poll_messages(d);
    mt_session_close(&session, MT_DONE);
}

Test(loopback, messages_to_oneself_end_with_their_epoch) {
    int counted = 0;
    mt_loopback *net = mt_loopback_open(&(mt_loopback_plan){.ranks = 1, .seed = 1, .lost_rank = -1});
    mt_run_loopback(net, post_across_epochs, &counted);
    mt_loopback_close(net);
    cr_assert(counted == 1, "%d of two messages were handled", counted);
}

/* ---- the loss of a rank ---------------------------------------------------------------------- */

/* A folder in memory: a run syncs its files, which takes a disk a while. */
static void make_folder(void) {
    if (access("/dev/shm", W_OK) == 0) snprintf(folder, sizeof folder, "/dev/shm/mt-test-XXXXXX");
    make_scratch();
}

static void silence_output(void) {
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    dup2(null, 2);
    close(null);
    setenv("PATH", "/nowhere", 1); /* no gnuplot: a picture a run takes longer than all else */
}

static const char *fresh_dir(char path[200]) {
    static int n;
    snprintf(path, 200, "%s/run-%d", folder, n++);
    return path;
}

/* After each of its messages in turn; the others return to a checkpoint. */
static void lose_worker(int which, int rank, double delay, int sees_deaths, const char *mode) {
    scenario want = make_scenario(which, mode);
    play_seed(&want, 1, 1);
    int64_t messages = 1, before = 0, stride = is_sanitized() ? 4 : 1;
    char path[200];
    for (int64_t last = 1; last <= messages; last += stride) {
        scenario s = make_scenario(which, mode);
        s.dir = fresh_dir(path);
        cr_assert(mkdir(path, 0700) == 0);
        mt_loopback_plan plan = {.ranks = 3,
                                 .seed = (uint64_t)last,
                                 .delay = delay,
                                 .sees_deaths = sees_deaths,
                                 .lost_rank = rank,
                                 .last_message = last};
        int64_t sent = play(&s, &plan, rank);
        if (sent == last) messages = last + stride;
        int64_t step;
        if (s.status == MT_FAILED && mt_checkpoint_find(path, &step, mt_print_warning, NULL) && step < 0) {
            cr_assert(++before <= 20); /* lost before there was a checkpoint: a message, and nothing is done */
            continue;
        }
        cr_assert(s.status == MT_DONE && s.steps == s.goal, "rank %d, message %lld: status %d at outer step %lld", rank,
                  (long long)last, s.status, (long long)s.steps);
        cr_assert(mode || same_theta(&s, &want), "rank %d, message %lld: another theta", rank, (long long)last);
    }
    cr_assert(messages - before * stride > 4, "only %lld messages were tried", (long long)messages);
}

/* Old messages arrive when the loss is noticed; others are in the middle of a window; nobody notices but by silence. */
Test(loopback, a_lost_worker_changes_nothing, .init = make_folder, .fini = remove_scratch) {
    silence_output();
    lose_worker(1, 1, 0.4, 1, NULL);
    lose_worker(3, 2, 1e-4, 1, NULL);
    lose_worker(1, 2, 1e-4, 0, NULL);
}

Test(loopback, a_lost_worker_does_not_stop_the_asynchronous_mode, .init = make_folder, .fini = remove_scratch) {
    silence_output();
    lose_worker(1, 1, 0.4, 1, "outer.mode=asynchronous");
    lose_worker(3, 1, 1e-4, 1, "outer.mode=asynchronous");
    lose_worker(1, 2, 1e-4, 0, "outer.mode=asynchronous");
}

static void end_process(void) {
    _exit(0);
}

/* The process of rank 0 ends after each of its messages in turn; a resume gives the same theta. */
Test(loopback, a_lost_coordinator_resumes, .init = make_folder, .fini = remove_scratch) {
    char path[200];
    silence_output();
    scenario want = make_scenario(1, NULL);
    play_seed(&want, 1, 1);
    int64_t messages = play(&want, &(mt_loopback_plan){.ranks = 3, .seed = 1, .lost_rank = -1}, 0);
    cr_assert(messages > 15);
    for (int64_t last = 1; last <= messages; last += is_sanitized() ? 4 : 1) {
        scenario s = make_scenario(1, NULL);
        s.dir = fresh_dir(path);
        cr_assert(mkdir(path, 0700) == 0);
        pid_t child = fork();
        if (child == 0) {
            play(&s, &(mt_loopback_plan){.ranks = 3, .seed = 1, .last_message = last, .on_loss = end_process}, 0);
            _exit(0);
        }
        int status;
        cr_assert(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "message %lld: the process failed", (long long)last);
        s.resume = 1;
        play(&s, &(mt_loopback_plan){.ranks = 2, .seed = 2, .lost_rank = -1}, 0);
        cr_assert(s.status == MT_DONE && same_theta(&s, &want), "message %lld: status %d, or another theta",
                  (long long)last, s.status);
    }
}
