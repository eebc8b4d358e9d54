/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c - what every rank does: hold particles, unroll their windows, report, give and get. See
 * run.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "run/run.h"

#define LOOK_SECONDS 200e-6 /* between looks for messages while a window runs */
#define MESSAGES 1000       /* taken at a look: a flood of them must not keep a rank from its work */
#define SEND_SECONDS 1e-3   /* reports are sent together if they are done within such a time */

/* ---- bugs and the end of memory --------------------------------------------------------------- */

static __attribute__((noreturn)) void wrong_message(mt_run *run, const mt_message *m) {
    fprintf(stderr, "metatrain: rank %d: message %d of %zu bytes from rank %d makes no sense here\n", run->comm.rank,
            m->tag, m->n, m->from);
    mt_comm_abort(&run->comm, MT_FAILED);
}

static __attribute__((noreturn)) void out_of_memory(mt_run *run) {
    fprintf(stderr, "metatrain: rank %d: out of memory for a particle\n", run->comm.rank);
    mt_comm_abort(&run->comm, MT_FAILED);
}

/* ---- particles here ------------------------------------------------------------------------ */

int mt_run_deal(mt_run *run, int64_t step, lopt_error *err) {
    int64_t all = run->cfg->particles;
    int index = run->crew.index[run->comm.rank];
    run->n_todo = run->n_unsent = run->evaluate = 0;
    run->window = -1;
    for (int64_t p = 0; p < all; p++) {
        mt_particle_close(&run->particle[p]);
        mt_sampler_forget(&run->unroller.mixture, p);
        if (p % run->crew.n_live == index && !mt_particle_open(&run->particle[p], p, &run->unroller.mixture.sizes, err))
            return 0;
    }
    mt_async_deal(run);
    return mt_gradient_deal(run, err) && (step < 0 || mt_run_load_particles(run, step, err)) &&
           (run->comm.rank > 0 || mt_coordinator_dealt(run, err));
}

static double predict(const mt_run *run, int64_t particle) {
    return mt_predict_cost(&run->costs, run->cfg, &run->particle[particle].at, run->window);
}

static void add_todo(mt_run *run, int64_t particle) {
    double cost = predict(run, particle);
    int64_t i = run->n_todo++;
    for (; i > 0 && run->todo[i - 1].cost > cost; i--) run->todo[i] = run->todo[i - 1];
    run->todo[i] = (mt_todo){cost, particle};
}

static mt_todo take_todo(mt_run *run, int64_t i) {
    mt_todo taken = run->todo[i];
    run->n_todo--;
    memmove(run->todo + i, run->todo + i + 1, (size_t)(run->n_todo - i) * sizeof *run->todo);
    return taken;
}

static int longest_last(const void *a, const void *b) {
    const mt_todo *x = a, *y = b;
    if (x->cost != y->cost) return x->cost > y->cost ? 1 : -1;
    return (x->particle < y->particle) - (x->particle > y->particle);
}

static double seconds_of_this_process(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- moving them --------------------------------------------------------------------------- */

static void send_particle(mt_run *run, int64_t particle, int to) {
    size_t bytes = sizeof run->window + mt_particle_bytes(&run->unroller.mixture.sizes);
    double start = seconds_of_this_process();
    char *buffer = malloc(bytes);
    if (!buffer) out_of_memory(run);
    memcpy(buffer, &run->window, sizeof run->window);
    mt_particle_pack(&run->particle[particle], &run->unroller.mixture.sizes, buffer + sizeof run->window);
    mt_comm_send(&run->comm, to, MT_TAG_PARTICLE, buffer, bytes);
    mt_particle_close(&run->particle[particle]);
    mt_sampler_forget(&run->unroller.mixture, particle);
    free(buffer);
    run->costs.ship += 0.1 * (seconds_of_this_process() - start - run->costs.ship);
}

/* It may come before the window that it is for: theta takes another way. */
static void take_particle(mt_run *run, const mt_message *m) {
    int64_t window;
    mt_particle arrived;
    if (m->n != sizeof window + mt_particle_bytes(&run->unroller.mixture.sizes)) wrong_message(run, m);
    memcpy(&window, m->data, sizeof window);
    if (!mt_particle_unpack(&arrived, &run->unroller.mixture.sizes, (char *)m->data + sizeof window, NULL))
        out_of_memory(run);
    int64_t number = arrived.at.number;
    if (number < 0 || number >= run->cfg->particles || run->particle[number].memory) wrong_message(run, m);
    run->particle[number] = arrived;
    if (window == run->window) add_todo(run, number);
}

void mt_run_give(mt_run *run, int to, double asked) {
    mt_steal answer = {.window = run->window, .particle = -1, .asked = asked, .to = to};
    double *cost = malloc(((size_t)run->n_todo + 1) * sizeof *cost);
    if (!cost) out_of_memory(run);
    for (int64_t i = 0; i < run->n_todo; i++) cost[i] = run->todo[i].cost;
    double busy = run->hand_free - mt_seconds();
    int64_t i = mt_choose_migration(cost, run->n_todo, busy > 0 ? busy : 0, run->costs.move);
    free(cost);
    if (i >= 0) answer.particle = take_todo(run, i).particle;
    if (run->comm.rank > 0) /* first: the thief's report shall not come before */
        mt_comm_send(&run->comm, 0, MT_TAG_GAVE, &answer, sizeof answer);
    if (i >= 0) send_particle(run, answer.particle, to);
    if (run->comm.rank == 0) mt_take_gift(run, 0, &answer);
}

/* ---- one window ---------------------------------------------------------------------------- */

void mt_send_reports(mt_run *run) {
    struct {
        double cpu;
        mt_report report[MT_UNSENT];
    } message = {.cpu = seconds_of_this_process()};
    size_t bytes = (size_t)run->n_unsent * sizeof *run->unsent;
    memcpy(message.report, run->unsent, bytes);
    run->n_unsent = 0;
    run->sent = mt_seconds();
    if (run->comm.rank > 0) {
        mt_comm_send(&run->comm, 0, MT_TAG_REPORTS, &message, sizeof message.cpu + bytes);
        return;
    }
    run->cpu[0] = message.cpu;
    mt_take_reports(run, 0, message.report, bytes / sizeof *run->unsent);
}

void mt_run_begin(mt_run *run, const mt_window_head *head, const mt_move *move) {
    run->window = head->window;
    run->costs = head->costs;
    run->n_todo = 0;
    mt_unroller_set_theta(&run->unroller, run->theta);
    for (int64_t i = 0; i < head->n_moves; i++)
        if (move[i].from == run->comm.rank) send_particle(run, move[i].particle, move[i].to);
    for (int64_t p = 0; p < run->cfg->particles; p++)
        if (run->particle[p].memory) run->todo[run->n_todo++] = (mt_todo){predict(run, p), p};
    qsort(run->todo, (size_t)run->n_todo, sizeof *run->todo, longest_last);
}

static void prepare_task(mt_run *run, mt_particle *p) {
    lopt_error err;
    if (mt_sampler_prepare(&run->unroller.mixture, p, run->window, &err)) return;
    mt_print_error(&err);
    mt_comm_abort(&run->comm, MT_FAILED);
}

void mt_run_window(mt_run *run, int64_t particle, double cost) {
    double start = mt_seconds();
    mt_report *report = &run->unsent[run->n_unsent++];
    run->hand_free = start + cost;
    prepare_task(run, &run->particle[particle]);
    mt_unroll_window(&run->unroller, &run->particle[particle], run->window, report);
    report->wall_seconds = mt_seconds() - start;
    run->hand_free = 0;
}

void mt_run_todo(mt_run *run) {
    while (run->n_todo > 0 && run->restart_step == MT_NO_RESTART && run->crew.n_lost == 0) {
        mt_todo next = take_todo(run, run->n_todo - 1);
        mt_run_window(run, next.particle, next.cost);
        if (run->n_todo == 0 || run->n_unsent == MT_UNSENT || mt_seconds() > run->sent + SEND_SECONDS)
            mt_send_reports(run);
        mt_hear(run);
    }
    /* The last one was given away after a window. */
    if (run->n_unsent > 0 && run->restart_step == MT_NO_RESTART && run->crew.n_lost == 0) mt_send_reports(run);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

static void report_score(mt_run *run, const mt_scores *scores) {
    if (run->comm.rank == 0)
        mt_take_scores(run, scores);
    else
        mt_comm_send(&run->comm, 0, MT_TAG_SCORES, scores, sizeof *scores);
}

/* Dealt by place: job j to place j mod n_live. */
void mt_run_snapshot(mt_run *run) {
    lopt_error err;
    run->evaluate = 0;
    mt_snapshot_begin(&run->snapshot, run->theta);
    for (int64_t job = run->crew.index[run->comm.rank];
         job < run->snapshot.n_jobs && run->restart_step == MT_NO_RESTART && run->crew.n_lost == 0;
         job += run->crew.n_live) {
        mt_scores scores = {.job = job};
        double start = seconds_of_this_process();
        if (!mt_snapshot_run(&run->snapshot, job, run->unroller.between, run->unroller.listener, &scores.loss, &err)) {
            mt_print_error(&err);
            mt_comm_abort(&run->comm, MT_FAILED);
        }
        scores.cpu = seconds_of_this_process() - start;
        report_score(run, &scores);
        mt_hear(run);
    }
}

/* ---- messages ------------------------------------------------------------------------------ */

static void take_window(mt_run *run, const mt_message *m) {
    mt_window_head head;
    size_t theta_bytes = lopt_n_theta(run->optimizer) * sizeof(float);
    mt_crew_pass_on(&run->crew, &run->comm, MT_TAG_WINDOW, m->data, m->n);
    if (m->n < sizeof head) wrong_message(run, m);
    memcpy(&head, m->data, sizeof head);
    if (m->n != sizeof head + (size_t)head.n_moves * sizeof(mt_move) + theta_bytes) wrong_message(run, m);
    const mt_move *move = (const mt_move *)((const char *)m->data + sizeof head);
    memcpy(run->theta, move + head.n_moves, theta_bytes);
    mt_run_begin(run, &head, move);
}

static void take_evaluate(mt_run *run, const mt_message *m) {
    mt_crew_pass_on(&run->crew, &run->comm, MT_TAG_EVALUATE, m->data, m->n);
    if (m->n != lopt_n_theta(run->optimizer) * sizeof(float)) wrong_message(run, m);
    memcpy(run->theta, m->data, m->n);
    run->evaluate = 1;
}

/* Obeyed when no window is in hand. */
static void take_save(mt_run *run, const mt_message *m) {
    if (m->n != sizeof run->save) wrong_message(run, m);
    memcpy(&run->save, m->data, sizeof run->save);
    run->save_due = 1;
}

static void obey_save(mt_run *run) {
    lopt_error err = {LOPT_OK, ""};
    run->save_due = 0;
    run->async.paused = 1;
    mt_run_save_particles(run, &err);
    mt_gradient_hand_in(run); /* before the answer: rank 0 has it all when that comes */
    mt_comm_send(&run->comm, 0, MT_TAG_SAVED, &err, sizeof err);
}

/* Obeyed when the window in hand is through (mt_work): what it says until then is of the old epoch. */
static void take_restart(mt_run *run, const mt_message *m) {
    int64_t step;
    if (m->n < sizeof step) wrong_message(run, m);
    memcpy(&step, m->data, sizeof step);
    mt_crew_set(&run->crew, (const int32_t *)((const char *)m->data + sizeof step),
                (int)((m->n - sizeof step) / sizeof(int32_t)));
    run->restart_step = step;
    run->restart_epoch = m->epoch;
    run->n_todo = 0;
    run->evaluate = run->planned = run->save_due = 0;
}

static void take_end(mt_run *run, const mt_message *m) {
    int32_t end[2];
    if (m->n != sizeof end) wrong_message(run, m);
    memcpy(end, m->data, sizeof end);
    run->ended = 1;
    run->status = end[0];
    run->crew.ever_lost += end[1];
    run->n_todo = 0;
    run->async.paused = 1;
}

static void take_steal(mt_run *run, const mt_message *m) {
    mt_steal steal;
    if (m->n != sizeof steal) wrong_message(run, m);
    memcpy(&steal, m->data, sizeof steal);
    if (steal.window == run->window) mt_run_give(run, steal.to, steal.asked);
}

static void require(mt_run *run, const mt_message *m, int makes_sense) {
    if (!makes_sense) wrong_message(run, m);
}

static void take(mt_run *run, const mt_message *m) {
    if (m->tag == MT_TAG_PARTICLE)
        take_particle(run, m);
    else if (m->tag == MT_TAG_SUMS)
        require(run, m, mt_gradient_takes_sums(run, m));
    else if (run->comm.rank == 0)
        require(run, m, mt_coordinator_takes(run, m));
    else if (m->tag == MT_TAG_PLAN)
        require(run, m, mt_gradient_takes_plan(run, m));
    else if (m->tag == MT_TAG_WINDOW)
        take_window(run, m);
    else if (m->tag == MT_TAG_THETA)
        require(run, m, mt_async_takes_theta(run, m));
    else if (m->tag == MT_TAG_STEAL)
        take_steal(run, m);
    else if (m->tag == MT_TAG_EVALUATE)
        take_evaluate(run, m);
    else if (m->tag == MT_TAG_SAVE)
        take_save(run, m);
    else if (m->tag == MT_TAG_RESTART)
        take_restart(run, m);
    else if (m->tag == MT_TAG_END)
        take_end(run, m);
    else
        wrong_message(run, m);
}

int mt_hear(mt_run *run) {
    mt_message m;
    int n = 0;
    double start = seconds_of_this_process();
    run->next_look = mt_seconds() + LOOK_SECONDS;
    for (; n < MESSAGES && mt_comm_take(&run->comm, &m); n++) {
        if (mt_crew_heard(&run->crew, &run->comm, &m)) continue;
        if (run->crew.index[m.from] >= 0) take(run, &m);
        free(m.data);
    }
    if (n > 0) run->measured.message += 0.01 * ((seconds_of_this_process() - start) / n - run->measured.message);
    mt_crew_beat(&run->crew, &run->comm);
    return n;
}

static void between_inner_steps(void *listener) {
    mt_run *run = listener;
    if (mt_seconds() < run->next_look) return;
    mt_hear(run);
    mt_async_interrupt(run);
}

void mt_listen(mt_run *run) {
    if (run->comm.size > 1) run->unroller.between = between_inner_steps;
    run->unroller.listener = run;
}

static void obey_restart(mt_run *run) {
    lopt_error err = {LOPT_OK, ""};
    int64_t step = run->restart_step;
    run->comm.epoch = run->restart_epoch;
    run->restart_step = MT_NO_RESTART;
    mt_run_deal(run, step, &err);
    mt_say_ready(run, &err);
}

int mt_work(mt_run *run) {
    if (run->cfg) run->crew.silence = run->cfg->faults.silence;
    for (int looks = 0; !run->ended; looks++) {
        if (mt_hear(run) > 0) looks = 0;
        if (run->restart_step != MT_NO_RESTART)
            obey_restart(run);
        else if (run->n_todo > 0)
            mt_run_todo(run);
        else if (run->planned)
            mt_run_gradient(run);
        else if (run->save_due)
            obey_save(run);
        else if (run->evaluate)
            mt_run_snapshot(run);
        else if (mt_async_may_work(run))
            mt_async_window(run);
        else if (looks > 0)
            mt_comm_rest(&run->comm, looks);
    }
    return run->status;
}
