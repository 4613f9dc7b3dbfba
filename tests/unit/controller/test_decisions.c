// SPDX-License-Identifier: Apache-2.0
// The controller's pure decisions: who leads, who is in the ISR, where replicas go, who owns shards, which
// configuration values are taken.
#include <criterion/criterion.h>

#include "base/arena.h"
#include "cluster/configs.h"
#include "elect.h"
#include "place.h"
#include "shards.h"

struct world {
    enum elect_state states[8];
    bool heard[8];
};

static enum elect_state state_of(void *context, int32_t node)
{
    return ((struct world *)context)->states[node];
}

static bool heard_of(void *context, int32_t node)
{
    return ((struct world *)context)->heard[node];
}

// Replicas 1, 2, 3; ISR and leader as given.
struct setup {
    struct world world;
    struct elect_view view;
    struct arena arena;
    struct image_partition now, next;
    int32_t replicas[3], isr[3];
    bool unclean;
};

static void begin(struct setup *setup, int isr_count, int32_t leader)
{
    *setup = (struct setup){.replicas = {1, 2, 3}, .isr = {1, 2, 3}};
    for (int i = 0; i < 8; i++)
        setup->world.states[i] = ELECT_LIVE;
    arena_init(&setup->arena, 1 << 16);
    setup->view = (struct elect_view){.context = &setup->world, .state = state_of, .stalled = -1, .lost = -1};
    setup->now = (struct image_partition){.leader = leader,
                                          .leader_epoch = 5,
                                          .partition_epoch = 9,
                                          .replicas = {setup->replicas, 3},
                                          .isr = {setup->isr, (size_t)isr_count}};
}

static bool settle(struct setup *setup)
{
    return elect_settle(&setup->now, &setup->view, &setup->arena, &setup->next, &setup->unclean);
}

Test(elect, nothing_changes_while_everybody_lives)
{
    struct setup setup;
    begin(&setup, 3, 2);
    cr_assert_not(settle(&setup));
    arena_fini(&setup.arena);
}

Test(elect, a_dead_leader_is_replaced_from_the_isr_with_new_epochs)
{
    struct setup setup;
    begin(&setup, 3, 1);
    setup.world.states[1] = ELECT_GONE;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 2);
    cr_assert_eq(setup.next.leader_epoch, 6);
    cr_assert_eq(setup.next.partition_epoch, 10);
    cr_assert_eq(setup.next.isr.count, 2);
    cr_assert_not(image_ids_have(&setup.next.isr, 1));
    arena_fini(&setup.arena);
}

Test(elect, a_dead_follower_leaves_without_a_new_leader_epoch)
{
    struct setup setup;
    begin(&setup, 3, 1);
    setup.world.states[3] = ELECT_GONE;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 1);
    cr_assert_eq(setup.next.leader_epoch, 5);
    cr_assert_eq(setup.next.partition_epoch, 10);
    arena_fini(&setup.arena);
}

Test(elect, a_failed_replica_neither_leads_nor_stays_where_another_lives)
{
    struct setup setup;
    int32_t failed[] = {1};
    begin(&setup, 3, 1);
    setup.now.failed = (struct image_ids){failed, 1};
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 2);
    cr_assert_eq(setup.next.isr.count, 2);
    cr_assert_not(image_ids_have(&setup.next.isr, 1));
    cr_assert(image_ids_have(&setup.next.failed, 1));
    arena_fini(&setup.arena);
}

Test(elect, a_failed_last_member_stays_without_leading)
{
    struct setup setup;
    int32_t failed[] = {1};
    begin(&setup, 1, 1);
    setup.now.failed = (struct image_ids){failed, 1};
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, -1);
    cr_assert_eq(setup.next.isr.count, 1);
    setup.now = setup.next;
    setup.now.failed.count = 0;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 1, "it leads again when it can be used");
    arena_fini(&setup.arena);
}

Test(elect, a_failed_replica_is_no_unclean_leader_either)
{
    struct setup setup;
    int32_t failed[] = {2};
    begin(&setup, 1, 1);
    setup.now.failed = (struct image_ids){failed, 1};
    setup.view.unclean = true;
    setup.world.states[1] = ELECT_GONE;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 3);
    arena_fini(&setup.arena);
}

Test(elect, nobody_leaves_in_favour_of_nodes_not_heard_of)
{
    struct setup setup;
    begin(&setup, 3, 1);
    setup.world.states[1] = ELECT_GONE;
    setup.view.heard = heard_of;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 2);
    cr_assert_eq(setup.next.isr.count, 3, "2 and 3 may be down too");
    setup.world.heard[3] = true;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.isr.count, 2);
    arena_fini(&setup.arena);
}

Test(elect, a_replica_outside_of_the_isr_does_not_lead)
{
    struct setup setup;
    begin(&setup, 1, 1);
    setup.world.states[1] = ELECT_GONE;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, -1);
    cr_assert_eq(setup.next.isr.count, 1, "the last member must stay: only it has everything");
    arena_fini(&setup.arena);
}

Test(elect, unclean_only_when_configured_and_said_so)
{
    struct setup setup;
    begin(&setup, 1, 1);
    setup.world.states[1] = ELECT_GONE;
    setup.view.unclean = true;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 2);
    cr_assert(setup.unclean);
    cr_assert_eq(setup.next.isr.count, 1);
    cr_assert_eq(setup.next.isr.ids[0], 2);
    arena_fini(&setup.arena);
}

Test(elect, the_last_member_leads_again_when_it_returns)
{
    struct setup setup;
    begin(&setup, 1, -1);
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 1);
    cr_assert_eq(setup.next.leader_epoch, 6);
    arena_fini(&setup.arena);
}

// Replica 1 alone, led by it, its node away.
static void begin_sole(struct setup *setup)
{
    begin(setup, 1, 1);
    setup->now.replicas.count = 1;
    setup->world.states[1] = ELECT_GONE;
    setup->view.sole_stays = true;
}

Test(elect, a_sole_replica_leads_on_in_its_epoch_while_its_node_is_away)
{
    struct setup setup;
    begin_sole(&setup);
    cr_assert_not(settle(&setup));
    cr_assert_eq(setup.next.leader, 1);
    setup.view.sole_stays = false;
    cr_assert(settle(&setup), "what it acknowledged may not be on its disk");
    cr_assert_eq(setup.next.leader, -1);
    arena_fini(&setup.arena);
}

Test(elect, a_sole_replica_that_has_failed_or_lost_its_data_leads_no_more)
{
    struct setup setup;
    int32_t failed[] = {1};
    begin_sole(&setup);
    setup.view.lost = 1;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, -1);
    setup.view.lost = -1;
    setup.now.failed = (struct image_ids){failed, 1};
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, -1);
    cr_assert_eq(setup.next.leader_epoch, 6);
    arena_fini(&setup.arena);
}

Test(elect, the_last_in_sync_of_several_replicas_gives_up_the_lead)
{
    struct setup setup;
    begin_sole(&setup);
    setup.now.replicas.count = 2;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, -1);
    cr_assert_eq(setup.next.leader_epoch, 6);
    arena_fini(&setup.arena);
}

Test(elect, a_draining_leader_hands_over_but_stays_in_sync)
{
    struct setup setup;
    begin(&setup, 3, 1);
    setup.world.states[1] = ELECT_AVOID;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 2);
    cr_assert_eq(setup.next.isr.count, 3);
    arena_fini(&setup.arena);
    begin(&setup, 1, 1);
    setup.world.states[1] = ELECT_AVOID;
    cr_assert_not(settle(&setup), "it leads on when it is the only one");
    arena_fini(&setup.arena);
}

Test(elect, a_stalled_disk_leaves_the_isr_but_never_as_its_last_member)
{
    struct setup setup;
    begin(&setup, 2, 1);
    setup.world.states[1] = ELECT_AVOID;
    setup.view.stalled = 1;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 2);
    cr_assert_eq(setup.next.isr.count, 1);
    arena_fini(&setup.arena);
    begin(&setup, 1, 1);
    setup.world.states[1] = ELECT_AVOID;
    setup.view.stalled = 1;
    cr_assert_not(settle(&setup));
    arena_fini(&setup.arena);
}

Test(elect, lost_data_leaves_the_isr_even_as_its_last_member)
{
    struct setup setup;
    begin(&setup, 1, 1);
    setup.view.lost = 1;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, -1);
    cr_assert_eq(setup.next.isr.count, 0);
    cr_assert_eq(setup.next.last_known.count, 1);
    arena_fini(&setup.arena);
}

Test(elect, leadership_returns_to_the_preferred_replica_only_when_asked)
{
    struct setup setup;
    begin(&setup, 3, 2);
    cr_assert_not(settle(&setup));
    setup.view.preferred = true;
    cr_assert(settle(&setup));
    cr_assert_eq(setup.next.leader, 1);
    arena_fini(&setup.arena);
}

// ---- placement ----

Test(place, leaders_and_replicas_are_even)
{
    struct place_node nodes[4] = {{1, "", "", 0, 0, false},
                                  {2, "", "", 0, 0, false},
                                  {3, "", "", 0, 0, false},
                                  {4, "", "", 0, 0, false}};
    int32_t out[40 * 3];
    cr_assert_eq(place_replicas(nodes, 4, 40, 3, out), ST_OK);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(nodes[i].leaders, 10);
        cr_assert_eq(nodes[i].replicas, 30);
    }
    for (int i = 0; i < 40; i++)
        cr_assert(out[i * 3] != out[i * 3 + 1] && out[i * 3] != out[i * 3 + 2] &&
                  out[i * 3 + 1] != out[i * 3 + 2]);
}

Test(place, replicas_of_a_partition_are_in_different_racks_then_hosts)
{
    struct place_node nodes[4] = {{1, "a", "x", 0, 0, false},
                                  {2, "a", "x", 0, 0, false},
                                  {3, "b", "y", 0, 0, false},
                                  {4, "b", "z", 0, 0, false}};
    int32_t out[20 * 3];
    cr_assert_eq(place_replicas(nodes, 4, 20, 3, out), ST_OK);
    for (int i = 0; i < 20; i++) {
        bool a = false, b = false;
        int on_x = 0;
        for (int k = 0; k < 3; k++) {
            int32_t id = out[i * 3 + k];
            a |= id <= 2;
            b |= id >= 3;
            on_x += id <= 2;
        }
        cr_assert(a && b);
        cr_assert_eq(on_x, 1, "one machine has two replicas although another was free");
    }
}

Test(place, more_replicas_than_nodes_are_refused)
{
    struct place_node nodes[1] = {{1, "", "", 0, 0, false}};
    int32_t out[3];
    cr_assert_eq(place_replicas(nodes, 1, 1, 3, out), ST_LIMIT);
}

Test(place, nodes_that_are_down_are_taken_last)
{
    struct place_node nodes[3] = {
        {1, "a", "", 50, 50, true}, {2, "b", "", 9, 90, false}, {3, "b", "", 9, 90, false}};
    int32_t out[2 * 3];
    cr_assert_eq(place_replicas(nodes, 3, 2, 2, out), ST_OK);
    for (int i = 0; i < 4; i++)
        cr_assert_neq(out[i], 1, "although it would be another rack, and empty");
    cr_assert_eq(place_replicas(nodes, 3, 2, 3, out), ST_OK);
    cr_assert_eq(out[2], 1);
    cr_assert_eq(out[5], 1);
}

Test(place, a_further_replica_goes_to_the_emptiest_other_node)
{
    struct place_node nodes[3] = {
        {1, "", "", 0, 0, false}, {2, "", "", 0, 7, false}, {3, "", "", 0, 3, false}};
    int32_t have[2] = {1, 0};
    cr_assert_eq(place_one_more(nodes, 3, have, 1), 3);
    int32_t all[3] = {1, 2, 3};
    cr_assert_eq(place_one_more(nodes, 3, all, 3), -1);
}

Test(place, the_preferred_leader_evens_the_numbers)
{
    struct place_node nodes[2] = {{1, "", "", 10, 10, false}, {2, "", "", 0, 0, false}};
    for (int i = 0; i < 10; i++) {
        int32_t replicas[2] = {1, 2};
        place_prefer(nodes, 2, replicas, 2);
    }
    cr_assert_eq(nodes[0].leaders, 5);
    cr_assert_eq(nodes[1].leaders, 5);
}

// ---- shards ----

Test(shards, they_spread_over_the_live_owners_and_stay_there)
{
    int32_t owners[50], out[50], live[3] = {4, 5, 6};
    for (int i = 0; i < 50; i++)
        owners[i] = -1;
    shards_assign(owners, 50, live, 3, out);
    int counts[3] = {0};
    for (int i = 0; i < 50; i++)
        counts[out[i] - 4]++;
    for (int i = 0; i < 3; i++)
        cr_assert(counts[i] == 16 || counts[i] == 17);
    shards_assign(out, 50, live, 3, owners);
    cr_assert_arr_eq(owners, out, sizeof out, "owners moved without need");
}

Test(shards, a_dead_owners_shards_move_and_no_others)
{
    int32_t owners[50], first[50], out[50], live[3] = {4, 5, 6}, rest[2] = {4, 6};
    for (int i = 0; i < 50; i++)
        owners[i] = -1;
    shards_assign(owners, 50, live, 3, first);
    shards_assign(first, 50, rest, 2, out);
    for (int i = 0; i < 50; i++)
        cr_assert(first[i] == 5 ? out[i] != 5 : out[i] == first[i]);
}

Test(shards, nobody_owns_when_nobody_lives)
{
    int32_t owners[2] = {4, 4}, out[2];
    shards_assign(owners, 2, NULL, 0, out);
    cr_assert_eq(out[0], -1);
    cr_assert_eq(out[1], -1);
}

// ---- configuration keys ----

static enum status check(const char *key, const char *value)
{
    char why[CONFIGS_WHY_SIZE];
    const struct configs_key *found = configs_topic_key(slice_str(key));
    cr_assert_not_null(found, "%s", key);
    return configs_check(found, slice_str(value), why);
}

Test(configs, values_are_held_against_type_range_and_words)
{
    cr_assert_eq(check("retention.ms", "-1"), ST_OK);
    cr_assert_eq(check("retention.ms", "-2"), ST_INVALID);
    cr_assert_eq(check("retention.ms", "9223372036854775807"), ST_OK);
    cr_assert_eq(check("retention.ms", "9223372036854775808"), ST_INVALID);
    cr_assert_eq(check("segment.bytes", "2147483648"), ST_INVALID);
    cr_assert_eq(check("segment.bytes", ""), ST_INVALID);
    cr_assert_eq(check("cleanup.policy", "compact,delete"), ST_OK);
    cr_assert_eq(check("cleanup.policy", "compact,forget"), ST_INVALID);
    cr_assert_eq(check("compression.type", "zstd"), ST_OK);
    cr_assert_eq(check("compression.type", "zst"), ST_INVALID);
    cr_assert_eq(check("min.cleanable.dirty.ratio", "0.75"), ST_OK);
    cr_assert_eq(check("min.cleanable.dirty.ratio", "1.5"), ST_INVALID);
    cr_assert_eq(check("preallocate", "yes"), ST_INVALID);
    cr_assert_eq(check("leader.replication.throttled.replicas", "*"), ST_OK);
    cr_assert_eq(check("leader.replication.throttled.replicas", "0:1,12:100"), ST_OK);
    cr_assert_eq(check("follower.replication.throttled.replicas", "0:1,x"), ST_INVALID);
    cr_assert_eq(check("follower.replication.throttled.replicas", "1:2:3"), ST_INVALID);
    cr_assert_eq(check("follower.replication.throttled.replicas", ":3"), ST_INVALID);
}

static const char *kept(const char *key, const char *value, struct arena *arena)
{
    cr_expect_eq(check(key, value), ST_OK, "%s=%s", key, value);
    return configs_kept(configs_topic_key(slice_str(key)), slice_str(value), arena);
}

Test(configs, values_are_kept_as_their_readers_want_them)
{
    struct arena arena;
    arena_init(&arena, 1 << 16);
    cr_expect_str_eq(kept("min.insync.replicas", " 2 ", &arena), "2");
    cr_expect_str_eq(kept("preallocate", "True", &arena), "true");
    cr_expect_str_eq(kept("preallocate", " FALSE", &arena), "false");
    cr_expect_str_eq(kept("cleanup.policy", " compact , delete", &arena), "compact,delete");
    cr_expect_str_eq(kept("cleanup.policy", "", &arena), "");
    cr_expect_str_eq(kept("compression.type", "zstd", &arena), "zstd");
    arena_fini(&arena);
}

Test(configs, storage_that_is_not_there_cannot_be_asked_for)
{
    cr_expect_eq(check("remote.storage.enable", "false"), ST_OK);
    cr_expect_eq(check("remote.storage.enable", "true"), ST_INVALID);
}

Test(configs, every_default_passes_its_own_check_and_names_ascend)
{
    char why[CONFIGS_WHY_SIZE];
    for (int i = 0; i < configs_topic_count; i++) {
        const struct configs_key *key = &configs_topic_keys[i];
        cr_assert(key->fallback == NULL || configs_check(key, slice_str(key->fallback), why) == ST_OK, "%s",
                  key->name);
        cr_assert(i == 0 || strcmp(configs_topic_keys[i - 1].name, key->name) < 0, "%s", key->name);
        cr_assert(key->node_key == NULL || configs_node_key(slice_str(key->node_key)) != NULL, "%s",
                  key->node_key);
    }
    for (int i = 0; i < configs_node_count; i++) {
        const struct configs_key *key = &configs_node_keys[i];
        cr_assert(key->fallback == NULL || configs_check(key, slice_str(key->fallback), why) == ST_OK, "%s",
                  key->name);
        cr_assert(i == 0 || strcmp(configs_node_keys[i - 1].name, key->name) < 0, "%s", key->name);
    }
}
