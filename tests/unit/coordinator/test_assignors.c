// SPDX-License-Identifier: Apache-2.0
// The assignors against what Kafka's own tests state about theirs (UniformHomogeneousAssignmentBuilderTest,
// UniformHeterogeneousAssignmentBuilderTest, RangeAssignorTest): balance, stickiness, who reads what.
#include "assignor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 8, TOPICS = 8 };

// Members "m0".. over topics 0..; subscription and current assignment as text: "0 1" and "0:0 0:1 1:2".
struct round {
    struct assignor_topic topics[TOPICS];
    struct assignor_member members[MEMBERS];
    int32_t lists[MEMBERS][TOPICS];
    char ids[MEMBERS][8];
    struct parts current[MEMBERS];
    struct assignor_input input;
};

static struct round r;

static void setup(void)
{
    memset(&r, 0, sizeof r);
    r.input = (struct assignor_input){.topics = r.topics, .members = r.members};
}

static void teardown(void)
{
    for (int i = 0; i < MEMBERS; i++) {
        parts_fini(&r.current[i]);
        parts_fini(&r.members[i].target);
    }
}

TestSuite(assignors, .init = setup, .fini = teardown);

static void topic(int32_t partitions)
{
    struct assignor_topic *topic = &r.topics[r.input.topic_count++];
    topic->id.bytes[0] = (uint8_t)r.input.topic_count;
    topic->partitions = partitions;
}

static struct parts_item item(int t, int p)
{
    return (struct parts_item){.topic = {{(uint8_t)(t + 1)}}, .index = p};
}

static void member(const char *subscription, const char *current, const char *instance)
{
    int at = r.input.member_count++;
    struct assignor_member *m = &r.members[at];
    snprintf(r.ids[at], sizeof r.ids[at], "m%d", at);
    m->id = slice_str(r.ids[at]);
    m->instance_id = slice_str(instance);
    m->topics = r.lists[at];
    char copy[256], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", subscription);
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0')
            r.lists[at][m->topic_count++] = (int32_t)strtol(word, NULL, 10);
    }
    snprintf(copy, sizeof copy, "%s", current);
    for (rest = copy; (word = strsep(&rest, " ")) != NULL;) {
        int t, p;
        char *colon = strchr(word, ':');
        if (colon == NULL)
            continue;
        t = (int)strtol(word, NULL, 10);
        p = (int)strtol(colon + 1, NULL, 10);
        struct parts_item one = item(t, p);
        parts_push(&r.current[at], &one);
    }
    parts_sort(&r.current[at]);
    m->current = &r.current[at];
}

static const char *has(int at)
{
    static char text[512];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < r.members[at].target.count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d:%d", i > 0 ? " " : "",
                                r.members[at].target.items[i].topic.bytes[0] - 1,
                                (int)r.members[at].target.items[i].index);
    return text;
}

// Every partition of a topic somebody reads belongs to exactly one member, who reads it.
static void expect_whole(void)
{
    for (int t = 0; t < r.input.topic_count; t++) {
        bool read = false;
        for (int m = 0; m < r.input.member_count; m++) {
            for (int i = 0; i < r.members[m].topic_count; i++)
                read = read || r.members[m].topics[i] == t;
        }
        for (int p = 0; p < r.topics[t].partitions; p++) {
            int owners = 0;
            struct parts_item one = item(t, p);
            for (int m = 0; m < r.input.member_count; m++)
                owners += parts_have(&r.members[m].target, &one) ? 1 : 0;
            cr_assert_eq(owners, read ? 1 : 0, "%d:%d has %d owners", t, p, owners);
        }
    }
    for (int m = 0; m < r.input.member_count; m++) {
        for (size_t i = 0; i < r.members[m].target.count; i++) {
            bool subscribed = false;
            for (int t = 0; t < r.members[m].topic_count; t++)
                subscribed =
                    subscribed || r.members[m].topics[t] == r.members[m].target.items[i].topic.bytes[0] - 1;
            cr_assert(subscribed, "m%d does not read what it has", m);
        }
    }
}

// ---- uniform, one subscription ----

Test(assignors, uniform_first_assignment_is_even)
{
    topic(3);
    topic(2);
    member("0 1", "", NULL);
    member("0 1", "", NULL);
    assignor_uniform(&r.input);
    expect_whole();
    cr_assert_eq(r.members[0].target.count, 3);
    cr_assert_eq(r.members[1].target.count, 2);
}

Test(assignors, uniform_members_beyond_the_partitions_have_nothing)
{
    topic(2);
    member("0", "", NULL);
    member("0", "", NULL);
    member("0", "", NULL);
    assignor_uniform(&r.input);
    expect_whole();
    cr_assert_str_eq(has(2), "");
}

Test(assignors, uniform_without_topics_gives_nothing)
{
    member("", "", NULL);
    assignor_uniform(&r.input);
    cr_assert_str_eq(has(0), "");
}

Test(assignors, uniform_changes_nothing_that_is_even)
{
    topic(3);
    topic(3);
    member("0 1", "0:0 0:2 1:1", NULL);
    member("0 1", "0:1 1:0 1:2", NULL);
    assignor_uniform(&r.input);
    cr_assert_str_eq(has(0), "0:0 0:2 1:1");
    cr_assert_str_eq(has(1), "0:1 1:0 1:2");
}

Test(assignors, uniform_the_extra_partition_stays_where_it_is)
{
    topic(3);
    member("0", "0:0", NULL);
    member("0", "0:1 0:2", NULL);
    assignor_uniform(&r.input);
    cr_assert_str_eq(has(0), "0:0");
    cr_assert_str_eq(has(1), "0:1 0:2");
}

Test(assignors, uniform_new_partitions_go_to_who_has_least)
{
    topic(5);
    member("0", "0:0 0:1", NULL);
    member("0", "0:2", NULL);
    assignor_uniform(&r.input);
    expect_whole();
    cr_assert_eq(strncmp(has(0), "0:0 0:1", 7), 0);
    cr_assert_leq(r.members[0].target.count, 3);
    cr_assert_geq(r.members[1].target.count, 2);
}

Test(assignors, uniform_a_new_member_takes_only_what_is_too_much_elsewhere)
{
    topic(6);
    member("0", "0:0 0:1 0:2", NULL);
    member("0", "0:3 0:4 0:5", NULL);
    member("0", "", NULL);
    assignor_uniform(&r.input);
    expect_whole();
    cr_assert_str_eq(has(0), "0:0 0:1");
    cr_assert_str_eq(has(1), "0:3 0:4");
    cr_assert_str_eq(has(2), "0:2 0:5");
}

Test(assignors, uniform_what_a_gone_member_had_is_shared_and_the_rest_stays)
{
    topic(6);
    member("0", "0:0 0:1", NULL);
    member("0", "0:2 0:3", NULL);
    assignor_uniform(&r.input); // 4 and 5 are nobody's
    expect_whole();
    cr_assert_eq(r.members[0].target.count, 3);
    cr_assert_eq(r.members[1].target.count, 3);
    cr_assert_eq(strncmp(has(0), "0:0 0:1", 7), 0);
    cr_assert_eq(strncmp(has(1), "0:2 0:3", 7), 0);
}

Test(assignors, uniform_forgets_topics_nobody_reads_any_more)
{
    topic(2);
    topic(2);
    member("1", "0:0 1:0", NULL);
    member("1", "0:1 1:1", NULL);
    assignor_uniform(&r.input);
    cr_assert_str_eq(has(0), "1:0");
    cr_assert_str_eq(has(1), "1:1");
}

Test(assignors, uniform_passes_over_partitions_that_do_not_exist)
{
    topic(1);
    member("0", "0:0 0:7 5:0", NULL);
    assignor_uniform(&r.input);
    cr_assert_str_eq(has(0), "0:0");
}

// ---- uniform, different subscriptions ----

Test(assignors, uniform_heterogeneous_gives_topics_to_their_readers_evenly)
{
    topic(3);
    topic(6);
    topic(2);
    member("0 1", "", NULL);
    member("2", "", NULL);
    member("1 2", "", NULL);
    assignor_uniform(&r.input);
    expect_whole();
    cr_assert_eq(r.members[1].target.count, 2); // all of topic 2: it can read nothing else
    size_t a = r.members[0].target.count, b = r.members[2].target.count;
    cr_assert_leq(a > b ? a - b : b - a, 1);
}

Test(assignors, uniform_heterogeneous_keeps_what_it_can)
{
    topic(4);
    topic(2);
    member("0", "0:0 0:1", NULL);
    member("0 1", "0:2 1:0 1:1", NULL); // 0:3 is new
    assignor_uniform(&r.input);
    expect_whole();
    cr_assert_str_eq(has(0), "0:0 0:1 0:3");
    cr_assert_str_eq(has(1), "0:2 1:0 1:1");
}

Test(assignors, uniform_heterogeneous_moves_until_nothing_gets_better)
{
    topic(6);
    topic(1);
    member("0", "0:0 0:1 0:2 0:3 0:4 0:5", NULL);
    member("0 1", "1:0", NULL);
    member("0", "", NULL);
    assignor_uniform(&r.input);
    expect_whole();
    for (int a = 0; a < 3; a++) {
        cr_assert_geq(r.members[a].target.count, 2);
        cr_assert_leq(r.members[a].target.count, 3);
    }
}

Test(assignors, uniform_heterogeneous_leaves_a_topic_nobody_reads)
{
    topic(2);
    topic(2);
    topic(1);
    member("0", "", NULL);
    member("2", "", NULL);
    assignor_uniform(&r.input);
    expect_whole();
    cr_assert_str_eq(has(1), "2:0");
}

Test(assignors, uniform_is_balanced_and_sticky_over_random_histories)
{
    uint32_t seed = 7;
    for (int turn = 0; turn < 300; turn++) {
        teardown();
        setup();
        seed = seed * 1664525 + 1013904223;
        int partitions = 1 + (int)(seed >> 20) % 20, members = 1 + (int)(seed >> 10) % 7;
        topic(partitions);
        char current[MEMBERS][256] = {{0}};
        for (int p = 0; p < partitions; p++) {
            seed = seed * 1664525 + 1013904223;
            int m = (int)(seed >> 16) % (members + 1);
            size_t len = strlen(current[m]);
            snprintf(current[m] + len, sizeof current[m] - len, " 0:%d", p);
        }
        for (int m = 0; m < members; m++)
            member("0", current[m], NULL);
        assignor_uniform(&r.input);
        expect_whole();
        size_t moved = 0, excess = 0, least = (size_t)(partitions / members);
        for (int m = 0; m < members; m++) {
            struct parts lost = parts_without(&r.current[m], &r.members[m].target);
            moved += lost.count;
            parts_fini(&lost);
            cr_assert_geq(r.members[m].target.count, least);
            cr_assert_leq(r.members[m].target.count, least + 1);
            excess += r.current[m].count > least ? r.current[m].count - least : 0;
        }
        cr_assert_leq(moved, excess, "moved more than was too much");
    }
}

// ---- range ----

Test(assignors, range_gives_runs_and_the_first_members_one_more)
{
    topic(7);
    member("0", "", NULL);
    member("0", "", NULL);
    member("0", "", NULL);
    assignor_range(&r.input);
    cr_assert_str_eq(has(0), "0:0 0:1 0:2");
    cr_assert_str_eq(has(1), "0:3 0:4");
    cr_assert_str_eq(has(2), "0:5 0:6");
}

Test(assignors, range_splits_topics_of_one_size_at_the_same_places)
{
    topic(4);
    topic(4);
    member("0 1", "1:3", NULL); // what it had does not matter
    member("0 1", "", NULL);
    assignor_range(&r.input);
    cr_assert_str_eq(has(0), "0:0 0:1 1:0 1:1");
    cr_assert_str_eq(has(1), "0:2 0:3 1:2 1:3");
}

Test(assignors, range_more_members_than_partitions)
{
    topic(2);
    member("0", "", NULL);
    member("0", "", NULL);
    member("0", "", NULL);
    assignor_range(&r.input);
    expect_whole();
    cr_assert_str_eq(has(2), "");
}

Test(assignors, range_counts_only_who_reads_the_topic)
{
    topic(3);
    topic(2);
    member("0 1", "", NULL);
    member("0", "", NULL);
    member("1", "", NULL);
    assignor_range(&r.input);
    cr_assert_str_eq(has(0), "0:0 0:1 1:0");
    cr_assert_str_eq(has(1), "0:2");
    cr_assert_str_eq(has(2), "1:1");
}

Test(assignors, range_static_members_come_first_by_instance_id)
{
    topic(3);
    member("0", "", NULL);
    member("0", "", "b");
    member("0", "", "a");
    assignor_range(&r.input);
    cr_assert_str_eq(has(2), "0:0");
    cr_assert_str_eq(has(1), "0:1");
    cr_assert_str_eq(has(0), "0:2");
}

Test(assignors, are_found_by_kafkas_names)
{
    cr_assert_eq(assignor_named(slice_str("uniform")), assignor_uniform);
    cr_assert_eq(assignor_named(slice_str("range")), assignor_range);
    cr_assert_null(assignor_named(slice_str("sticky")));
}
