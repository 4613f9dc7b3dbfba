// SPDX-License-Identifier: Apache-2.0
// Reassignments (KIP-455) as decisions: begin, replace, cancel, finish.
#include <criterion/criterion.h>

#include "reassign.h"

#include <stdio.h>

enum { NODES = 20 };

struct setup {
    enum elect_state states[NODES];
    struct elect_view view;
    struct arena arena;
    struct image_partition now, next;
    int32_t replicas[4], isr[4];
};

static enum elect_state state_of(void *context, int32_t node)
{
    return ((struct setup *)context)->states[node];
}

// Replicas 1, 2, 3, all in sync, led by 1.
static void begin(struct setup *setup)
{
    *setup = (struct setup){.replicas = {1, 2, 3}, .isr = {1, 2, 3}};
    for (int i = 0; i < NODES; i++)
        setup->states[i] = ELECT_LIVE;
    arena_init(&setup->arena, 1 << 20);
    setup->view = (struct elect_view){.context = setup, .state = state_of, .stalled = -1, .lost = -1};
    setup->now = (struct image_partition){.leader = 1,
                                          .leader_epoch = 5,
                                          .partition_epoch = 9,
                                          .replicas = {setup->replicas, 3},
                                          .isr = {setup->isr, 3}};
}

#define IDS(...)                                                                                             \
    (struct image_ids)                                                                                       \
    {                                                                                                        \
        (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)             \
    }

static void expect(struct image_ids have, const char *text)
{
    char got[200] = "";
    for (size_t i = 0; i < have.count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), i > 0 ? " %d" : "%d", have.ids[i]);
    cr_assert_str_eq(got, text);
}

static enum status wish(struct setup *setup, struct image_ids target)
{
    return reassign_begin(&setup->now, target, &setup->view, &setup->arena, &setup->next);
}

// A follower of the next state comes into the ISR, as AlterIsr writes it.
static bool joins(struct setup *setup, int32_t node)
{
    setup->now = setup->next;
    int32_t *isr = arena_calloc(&setup->arena, setup->now.isr.count + 1, sizeof *isr);
    memcpy(isr, setup->now.isr.ids, setup->now.isr.count * sizeof *isr);
    isr[setup->now.isr.count] = node;
    setup->next.isr = (struct image_ids){isr, setup->now.isr.count + 1};
    setup->next.partition_epoch++;
    return reassign_finish(&setup->now, &setup->view, &setup->arena, &setup->next);
}

Test(reassign, the_target_comes_first_and_those_that_leave_stay_until_the_new_ones_are_in_sync)
{
    struct setup setup;
    begin(&setup);
    cr_assert_eq(wish(&setup, IDS(4, 5, 1)), ST_OK);
    expect(setup.next.replicas, "4 5 1 2 3");
    expect(setup.next.adding, "4 5");
    expect(setup.next.removing, "2 3");
    expect(setup.next.isr, "1 2 3");
    cr_assert_eq(setup.next.leader_epoch, 5);
    cr_assert_eq(setup.next.partition_epoch, 10);
    cr_assert_not(joins(&setup, 5));
    expect(setup.next.replicas, "4 5 1 2 3");
    cr_assert(joins(&setup, 4));
    expect(setup.next.replicas, "4 5 1");
    expect(setup.next.isr, "1 5 4");
    cr_assert_not(image_partition_moving(&setup.next));
    cr_assert_eq(setup.next.leader, 1);
    cr_assert_eq(setup.next.leader_epoch, 6, "a replica has left");
    cr_assert_eq(setup.next.partition_epoch, 12);
    arena_fini(&setup.arena);
}

Test(reassign, leadership_moves_when_the_leader_leaves_and_waits_for_somebody_alive)
{
    struct setup setup;
    begin(&setup);
    cr_assert_eq(wish(&setup, IDS(4, 2)), ST_OK);
    setup.states[4] = setup.states[2] = ELECT_GONE;
    cr_assert_not(joins(&setup, 4));
    setup.states[2] = ELECT_LIVE;
    cr_assert(reassign_finish(&setup.now, &setup.view, &setup.arena, &setup.next));
    cr_assert_eq(setup.next.leader, 2);
    cr_assert_eq(setup.next.leader_epoch, 6);
    expect(setup.next.replicas, "4 2");
    arena_fini(&setup.arena);
}

Test(reassign, a_sole_leader_that_is_away_leads_no_more_when_others_are_to_come)
{
    struct setup setup;
    begin(&setup);
    setup.now.replicas.count = setup.now.isr.count = 1;
    setup.states[1] = ELECT_GONE;
    cr_assert_eq(wish(&setup, IDS(4, 1)), ST_OK);
    cr_assert_eq(setup.next.leader, -1);
    cr_assert_eq(setup.next.leader_epoch, 6);
    expect(setup.next.isr, "1");
    arena_fini(&setup.arena);
}

Test(reassign, fewer_replicas_or_another_order_need_no_waiting)
{
    struct setup setup;
    begin(&setup);
    cr_assert_eq(wish(&setup, IDS(2)), ST_OK);
    expect(setup.next.replicas, "2");
    expect(setup.next.isr, "2");
    cr_assert_eq(setup.next.leader, 2);
    cr_assert_eq(setup.next.leader_epoch, 6);
    cr_assert_eq(wish(&setup, IDS(3, 1, 2)), ST_OK);
    expect(setup.next.replicas, "3 1 2");
    cr_assert_eq(setup.next.leader, 1);
    cr_assert_eq(setup.next.leader_epoch, 5);
    cr_assert_eq(wish(&setup, IDS(1, 2, 3)), ST_EXISTS);
    arena_fini(&setup.arena);
}

Test(reassign, nobody_in_sync_would_be_left)
{
    struct setup setup;
    begin(&setup);
    setup.now.isr.count = 1; // 1
    cr_assert_eq(wish(&setup, IDS(2)), ST_OK);
    expect(setup.next.replicas, "2 1 3"); // until 2 is in sync
    expect(setup.next.removing, "1 3");
    cr_assert(joins(&setup, 2));
    expect(setup.next.replicas, "2");
    arena_fini(&setup.arena);
}

Test(reassign, a_cancelled_one_leads_back)
{
    struct setup setup;
    begin(&setup);
    cr_assert_eq(wish(&setup, IDS(4, 1, 2)), ST_OK);
    setup.now = setup.next;
    cr_assert_eq(reassign_cancel(&setup.now, &setup.view, &setup.arena, &setup.next), ST_OK);
    expect(setup.next.replicas, "1 2 3");
    cr_assert_not(image_partition_moving(&setup.next));
    cr_assert_eq(setup.next.leader_epoch, 6);
    setup.now = setup.next;
    cr_assert_eq(reassign_cancel(&setup.now, &setup.view, &setup.arena, &setup.next), ST_NOT_FOUND);
    arena_fini(&setup.arena);
}

Test(reassign, one_that_only_the_added_replica_survives_cannot_be_cancelled)
{
    struct setup setup;
    begin(&setup);
    cr_assert_eq(wish(&setup, IDS(4, 5)), ST_OK);
    setup.now = setup.next;
    setup.now.isr = IDS(4);
    setup.now.leader = 4;
    cr_assert_eq(reassign_cancel(&setup.now, &setup.view, &setup.arena, &setup.next), ST_INVALID);
    arena_fini(&setup.arena);
}

Test(reassign, a_new_wish_replaces_the_running_one_and_keeps_what_it_also_wants)
{
    struct setup setup;
    begin(&setup);
    cr_assert_eq(wish(&setup, IDS(4, 5, 1)), ST_OK);
    setup.now = setup.next;
    cr_assert_eq(wish(&setup, IDS(4, 5, 1)), ST_EXISTS);
    cr_assert_eq(wish(&setup, IDS(4, 6)), ST_OK);
    expect(setup.next.replicas, "4 6 1 2 3");
    expect(setup.next.adding, "4 6");
    cr_assert_eq(setup.next.leader_epoch, 6, "5 has left");
    setup.now = setup.next;
    cr_assert_eq(reassign_cancel(&setup.now, &setup.view, &setup.arena, &setup.next), ST_OK);
    expect(setup.next.replicas, "1 2 3");
    arena_fini(&setup.arena);
}

Test(reassign, too_many_at_once)
{
    struct setup setup;
    begin(&setup);
    cr_assert_eq(wish(&setup, IDS(4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)), ST_LIMIT);
    arena_fini(&setup.arena);
}

Test(reassign, an_unclean_leader_is_no_replica_that_is_still_empty)
{
    struct setup setup;
    bool unclean;
    begin(&setup);
    cr_assert_eq(wish(&setup, IDS(4, 1)), ST_OK);
    setup.now = setup.next;
    setup.states[1] = setup.states[2] = setup.states[3] = ELECT_GONE;
    setup.view.unclean = true;
    cr_assert(elect_settle(&setup.now, &setup.view, &setup.arena, &setup.next, &unclean));
    cr_assert_eq(setup.next.leader, -1);
    setup.view.anybody = true;
    cr_assert(elect_settle(&setup.now, &setup.view, &setup.arena, &setup.next, &unclean));
    cr_assert_eq(setup.next.leader, 4);
    cr_assert(unclean);
    arena_fini(&setup.arena);
}
