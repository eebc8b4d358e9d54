/* SPDX-License-Identifier: Apache-2.0
 *
 * test_placement.c - who runs which particle: longest first, staying put, giving away. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "ranks/load_balance.h"

enum { N = 40, RANKS = 5 };

static double largest_load(const double *cost, const int *placed, int n, int ranks) {
    double load[64] = {0}, most = 0;
    for (int p = 0; p < n; p++) most = fmax(most, load[placed[p]] += cost[p]);
    (void)ranks;
    return most;
}

static void costs_of(double cost[N], unsigned seed) {
    srand(seed);
    for (int p = 0; p < N; p++) cost[p] = (rand() % 10 == 0 ? 10 : 1) * (1 + (rand() % 100) / 1000.0);
}

Test(placement, unplaced_particles_are_spread_evenly) {
    double cost[N], sum = 0, longest = 0;
    int owner[N], placed[N];
    costs_of(cost, 1);
    for (int p = 0; p < N; p++) {
        owner[p] = -1;
        sum += cost[p];
        longest = fmax(longest, cost[p]);
    }
    cr_assert(mt_assign_particles(cost, owner, N, RANKS, 0, 0.01, placed) == N);
    double most = largest_load(cost, placed, N, RANKS);
    cr_assert(most <= 4.0 / 3 * fmax(sum / RANKS, longest), "%g of %g", most, sum / RANKS);
    for (int p = 0; p < N; p++) cr_assert(placed[p] >= 0 && placed[p] < RANKS);
}

Test(placement, equal_loads_stay) {
    double cost[N];
    int owner[N], placed[N];
    for (int p = 0; p < N; p++) {
        cost[p] = 1;
        owner[p] = p % RANKS;
    }
    cr_assert(mt_assign_particles(cost, owner, N, RANKS, 0, 0.01, placed) == 0);
    for (int p = 0; p < N; p++) cr_assert(placed[p] == owner[p]);
}

Test(placement, unequal_loads_move_as_few_as_needed) {
    double cost[N];
    int owner[N], placed[N];
    for (int p = 0; p < N; p++) {
        cost[p] = 1;
        owner[p] = p % RANKS;
    }
    owner[0] = owner[5] = 1; /* rank 0: 6, rank 1: 10, others 8 */
    int64_t moves = mt_assign_particles(cost, owner, N, RANKS, 0, 0.01, placed);
    cr_assert(moves == 2, "%lld moves", (long long)moves);
    cr_assert(largest_load(cost, placed, N, RANKS) == 8);
}

Test(placement, nothing_moves_for_less_than_a_move_costs) {
    double cost[] = {3, 3, 3};
    int owner[] = {0, 0, 1}, placed[3];
    cr_assert(mt_assign_particles(cost, owner, 3, 3, 0, 4, placed) == 0);
    cr_assert(mt_assign_particles(cost, owner, 3, 3, 0, 0.1, placed) == 1);
}

Test(placement, a_busy_coordinator_gets_fewer) {
    double cost[N];
    int owner[N], placed[N], on_0 = 0;
    for (int p = 0; p < N; p++) {
        cost[p] = 1;
        owner[p] = p % RANKS;
    }
    cr_assert(mt_assign_particles(cost, owner, N, RANKS, 5, 0.01, placed) == 4);
    for (int p = 0; p < N; p++) on_0 += placed[p] == 0;
    cr_assert(on_0 == 4, "%d", on_0);
}

Test(placement, gives_what_lets_both_end_soonest) {
    const double cost[] = {5, 2, 1};
    cr_assert(mt_choose_migration(cost, 3, 1, 0.1) == 0, "9 seconds left: both end after 5.1");
    cr_assert(mt_choose_migration(cost + 1, 2, 0.5, 0.1) == 0);
    cr_assert(mt_choose_migration(cost, 3, 0, 100) == -1);
    cr_assert(mt_choose_migration(cost, 1, 0, 0.1) == -1, "the thief would end later than the victim");
    cr_assert(mt_choose_migration(cost, 0, 5, 0.1) == -1);
}

Test(placement, board_matches_idle_and_busy) {
    const double cost[] = {1, 1, 1, 1, 1};
    const int placed[] = {0, 0, 0, 0, 1};
    int thief, victim;
    mt_load_board b;
    cr_assert(mt_board_open(&b, 3));
    mt_board_start(&b, cost, placed, 5, 0.01);
    cr_assert(mt_board_match(&b, &thief, &victim) && thief == 2 && victim == 0);
    mt_board_reported(&b, 1, 1);
    cr_assert(!mt_board_match(&b, &thief, &victim), "one at a time");
    mt_board_migrated(&b, 0, 2, 1);
    cr_assert(mt_board_match(&b, &thief, &victim) && thief == 1 && victim == 0);
    mt_board_refused(&b, 1);
    cr_assert(!mt_board_match(&b, &thief, &victim), "who refused is not asked again");
    cr_assert(b.left[0] == 3 && b.left[1] == 0 && b.left[2] == 1);
    mt_board_close(&b);
}

Test(placement, report_before_its_steal_reply) {
    const double cost[] = {1, 1, 1, 1};
    const int placed[] = {0, 0, 0, 0};
    int thief, victim;
    mt_load_board b;
    cr_assert(mt_board_open(&b, 2));
    mt_board_start(&b, cost, placed, 4, 0.01);
    cr_assert(mt_board_match(&b, &thief, &victim) && thief == 1 && victim == 0);
    mt_board_reported(&b, 1, 1);
    cr_assert(!mt_board_match(&b, &thief, &victim), "the victim has not answered");
    mt_board_migrated(&b, 0, 1, 1);
    cr_assert(b.left[0] == 3 && b.left[1] == 0 && b.load[0] == 3 && b.load[1] == 0);
    cr_assert(mt_board_match(&b, &thief, &victim) && thief == 1 && victim == 0);
    mt_board_close(&b);
}

Test(placement, heap_keeps_the_largest_on_top) {
    mt_heap h;
    double key[17] = {0};
    srand(7);
    cr_assert(mt_heap_open(&h, 17));
    for (int i = 0; i < 1000; i++) {
        int r = rand() % 17, most = 0;
        mt_heap_set(&h, r, key[r] = rand() % 50);
        for (int k = 1; k < 17; k++)
            if (key[k] > key[most]) most = k;
        cr_assert(mt_heap_top(&h) == most);
    }
    mt_heap_close(&h);
}
