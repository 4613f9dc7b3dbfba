// SPDX-License-Identifier: Apache-2.0
// What a new owner makes of a consumer group's records, whole or cut at any of them, in any order that
// compaction leaves, and written by a Kafka without our tags.
#include "consumer_world.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct consumer_world w;

static void setup(void)
{
    consumer_world_init(&w);
    consumer_world_topic(&w, "a", 4);
}

static void teardown(void)
{
    consumer_world_fini(&w);
}

TestSuite(consumer_takeover, .init = setup, .fini = teardown);

static struct heard beat(const char *member, int32_t epoch, const char *owned)
{
    return consumer_world_beat(&w, member, (struct said){.epoch = epoch, .owned = owned});
}

Test(consumer_takeover, everything_goes_on_where_it_was)
{
    consumer_world_join(&w, "m1", "a");
    struct said said = {.topics = "a", .instance = "i", .assignor = "range", .owned = "", .rebalance_ms = 9};
    consumer_world_beat(&w, "m2", said);
    beat("m1", 1, "a0 a1 a2 a3");
    consumer_world_take_over(&w, 0);
    cr_assert_not(consumer_dirty(w.group));
    cr_assert_eq(consumer_epoch(w.group), 2);
    cr_assert_eq(consumer_target_epoch(w.group), 2);
    cr_assert_eq(consumer_state(w.group), CONSUMER_RECONCILING);
    cr_assert_str_eq(consumer_world_target(&w, "m2"), "a0 a1"); // range: static members first
    cr_assert_eq(beat("m1", 1, "a1 a2 a3").epoch, 1);           // still waits for its word
    cr_assert_eq(beat("m1", 1, "a2 a3").epoch, 2);
    cr_assert_str_eq(consumer_world_beat(&w, "m2", (struct said){.instance = "i", .epoch = 2}).assignment,
                     "a0 a1");
    cr_assert(slice_is(consumer_assignor(w.group), "range"));
}

Test(consumer_takeover, an_idle_group_writes_nothing_after_it)
{
    consumer_world_join(&w, "m1", "a");
    consumer_world_take_over(&w, 0);
    size_t before = w.logged;
    cr_assert_not(beat("m1", 1, NULL).told);
    cr_assert_eq(w.logged, before);
}

Test(consumer_takeover, session_and_rebalance_clocks_start_again)
{
    consumer_world_join(&w, "m1", "a");
    consumer_world_join(&w, "m2", "a");
    beat("m1", 1, "a0 a1 a2 a3");
    consumer_world_pass(&w, 9000);
    consumer_world_take_over(&w, 0);
    consumer_world_pass(&w, 9000);
    cr_assert_eq(beat("m1", 1, NULL).error, KAFKA_ERR_NONE);
    consumer_world_pass(&w, 1001);
    cr_assert_eq(beat("m1", 1, NULL).error, KAFKA_ERR_UNKNOWN_MEMBER_ID); // it never gave up
}

Test(consumer_takeover, members_that_left_stay_away)
{
    consumer_world_join(&w, "m1", "a");
    consumer_world_join(&w, "m2", "a");
    beat("m1", CONSUMER_LEAVE, NULL);
    consumer_world_take_over(&w, 0);
    cr_assert_eq(consumer_size(w.group), 1);
    cr_assert_str_eq(beat("m2", 2, NULL).assignment, "a0 a1 a2 a3");
    consumer_world_take_over(&w, 0);
    size_t before = w.logged;
    consumer_world_write(&w);
    cr_assert_eq(w.logged, before); // their tombstones are not written over and over
}

Test(consumer_takeover, a_group_that_is_buried_leaves_nothing)
{
    consumer_world_topic(&w, "b", 1);
    consumer_world_beat(&w, "m1", (struct said){.topics = "a", .regex = "b", .owned = "", .rebalance_ms = 9});
    consumer_world_join(&w, "m2", "a");
    cr_assert_not(consumer_world_buried(&w));
    struct consumer_world *world = &w;
    size_t at = w.logged;
    beat("m1", CONSUMER_LEAVE, NULL);
    beat("m2", CONSUMER_LEAVE, NULL);
    cr_assert_gt(w.logged, at);
    cr_assert_eq(consumer_world_bury(world), ST_OK);
    cr_assert(consumer_world_buried(&w));
}

// The log ends behind any record, as it may when an owner dies between two batches: the group is whole all
// the same, nobody owns what somebody else does, and everybody gets on.
Test(consumer_takeover, a_log_cut_at_any_record_gives_a_group_that_gets_on)
{
    for (size_t cut = 1;; cut++) {
        consumer_world_join(&w, "m1", "a");
        consumer_world_join(&w, "m2", "a");
        beat("m1", 1, "a0 a1 a2 a3");
        beat("m1", 1, "a0 a1");
        beat("m2", 2, NULL);
        beat("m1", CONSUMER_LEAVE, NULL);
        consumer_world_join(&w, "m3", "a");
        size_t all = w.logged;
        if (cut > all)
            break;
        consumer_world_take_over(&w, cut);
        consumer_world_write(&w);
        const char *members[] = {"m1", "m2", "m3"};
        const char *has[3] = {"", "", ""};
        static char texts[3][512];
        for (int turn = 0; turn < 8; turn++) {
            for (int i = 0; i < 3; i++) {
                struct heard heard = turn == 0
                                         ? consumer_world_join(&w, members[i], "a")
                                         : beat(members[i], consumer_world_epoch(&w, members[i]), has[i]);
                cr_assert_eq(heard.error, KAFKA_ERR_NONE, "cut %zu turn %d: %d", cut, turn, heard.error);
                if (heard.told)
                    snprintf(texts[i], sizeof texts[i], "%s", heard.assignment);
                has[i] = texts[i];
            }
        }
        cr_assert_eq(consumer_state(w.group), CONSUMER_STABLE, "cut %zu", cut);
        size_t total = 0;
        for (int i = 0; i < 3; i++) {
            struct parts parts = consumer_world_parts(&w, consumer_world_has(&w, members[i]));
            total += parts.count;
            parts_fini(&parts);
        }
        cr_assert_eq(total, 4, "cut %zu", cut);
        teardown();
        setup();
    }
}

// In one batch the record of who got a partition may come before that of who gave it up.
// One of two members leaves, the cut comes anywhere in what that writes, and the other one goes on alone.
Test(consumer_takeover, what_who_left_had_is_not_lost_by_a_cut)
{
    bool done = false;
    for (size_t more = 0; !done; more++) {
        teardown();
        setup();
        consumer_world_join(&w, "m1", "a");
        consumer_world_join(&w, "m2", "a");
        for (int i = 0; i < 3; i++) {
            beat("m1", consumer_world_epoch(&w, "m1"), consumer_world_has(&w, "m1"));
            beat("m2", consumer_world_epoch(&w, "m2"), consumer_world_has(&w, "m2"));
        }
        size_t before = w.logged;
        beat("m2", CONSUMER_LEAVE, NULL);
        done = before + more >= w.logged;
        consumer_world_take_over(&w, done ? 0 : before + more);
        for (int i = 0; i < 60; i++) {
            beat("m1", consumer_world_epoch(&w, "m1"), consumer_world_has(&w, "m1"));
            consumer_world_pass(&w, 1000);
        }
        cr_expect_str_eq(consumer_world_has(&w, "m1"), "a0 a1 a2 a3", "cut %zu behind", more);
    }
}

Test(consumer_takeover, a_partition_two_records_claim_belongs_to_the_later_epoch)
{
    for (size_t more = 1;; more++) {
        consumer_world_topic(&w, "b", 1);
        consumer_world_join(&w, "m1", "a");
        consumer_world_join(&w, "m2", "a");
        beat("m1", 1, "a0 a1");
        cr_assert_str_eq(beat("m2", 2, NULL).assignment, "a2 a3");
        size_t before = w.logged;
        w.held = true;
        consumer_world_beat(&w, "m2", (struct said){.topics = "b", .epoch = 2, .owned = ""});
        cr_assert_str_eq(beat("m1", 2, NULL).assignment, "a0 a1 a2 a3");
        w.held = false;
        size_t batch = consumer_world_write(&w);
        if (more > batch)
            break;
        consumer_world_take_over(&w, before + more);
        consumer_world_write(&w);
        struct parts one = consumer_world_parts(&w, consumer_world_has(&w, "m1"));
        struct parts two = consumer_world_parts(&w, consumer_world_has(&w, "m2"));
        cr_assert_not(parts_meet(&one, &two), "behind %zu of %zu records", more, batch);
        parts_fini(&one);
        parts_fini(&two);
        teardown();
        setup();
    }
}

// Compaction keeps the last record of each key where it was written: any order can come.
Test(consumer_takeover, records_in_any_order_give_the_same_group)
{
    consumer_world_join(&w, "m1", "a");
    consumer_world_join(&w, "m2", "a");
    beat("m1", 1, "a0 a1");
    beat("m2", 2, NULL);
    for (size_t i = 0; i < w.logged / 2; i++) { // without doubles the order is free
        struct logged last = w.log[w.logged - 1 - i];
        w.log[w.logged - 1 - i] = w.log[i];
        w.log[i] = last;
    }
    struct logged kept[64];
    size_t count = 0;
    for (size_t i = 0; i < w.logged; i++) { // now the first of a key is the newest
        bool seen = false;
        for (size_t j = 0; j < count; j++)
            seen = seen || slice_equal(block_slice(kept[j].key), block_slice(w.log[i].key));
        if (!seen) {
            kept[count++] = w.log[i];
            continue;
        }
        block_unref(&w.log[i].key);
        block_unref(&w.log[i].value);
    }
    memcpy(w.log, kept, count * sizeof *kept);
    w.logged = count;
    consumer_world_take_over(&w, 0);
    cr_assert_str_eq(consumer_world_has(&w, "m1"), "a0 a1");
    cr_assert_str_eq(consumer_world_has(&w, "m2"), "a2 a3");
    cr_assert_eq(consumer_state(w.group), CONSUMER_STABLE);
}

// The state a newer Kafka may have written: the member starts over, with nothing.
Test(consumer_takeover, a_member_in_an_unknown_state_is_fenced_until_it_has_nothing)
{
    consumer_world_join(&w, "m1", "a");
    for (size_t i = 0; i < w.logged; i++) {
        if (w.log[i].key->data[1] == CONSUMER_KEY_CURRENT)
            w.log[i].value->data[2 + 8] = 99; // behind version and two epochs
    }
    consumer_world_take_over(&w, 0);
    cr_assert_eq(beat("m1", 1, NULL).error, KAFKA_ERR_FENCED_MEMBER_EPOCH);
    cr_assert_str_eq(consumer_world_join(&w, "m1", "a").assignment, "a0 a1 a2 a3");
}
