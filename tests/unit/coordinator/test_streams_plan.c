// SPDX-License-Identifier: Apache-2.0
// What topologies come to on the topics there are: which must be made, with how many partitions, how many
// tasks there are, and why an application cannot run.
#include "streams_plan.h"
#include "streams_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

// Topics as "in:3 log:2".
static int32_t partitions(void *context, struct slice topic)
{
    char copy[256], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", (const char *)context);
    while ((word = strsep(&rest, " ")) != NULL) {
        char *colon = strchr(word, ':');
        if (colon != NULL && slice_equal(topic, slice_of(word, (size_t)(colon - word))))
            return (int32_t)strtol(colon + 1, NULL, 10);
    }
    return -1;
}

struct outcome {
    enum streams_status status;
    bool invalid;
    char detail[512];
    char missing[256]; // "log:3 rep:3"
    int32_t tasks[8];
};

static struct outcome plan_of(const char *text, const char *topics)
{
    struct streams_topology *topology = streams_world_topology(text, 0);
    struct streams_plan plan;
    streams_plan_init(&plan, topology, partitions, (void *)(uintptr_t)topics);
    struct outcome outcome = {.status = plan.status, .invalid = plan.invalid != NULL};
    snprintf(outcome.detail, sizeof outcome.detail, "%s", plan.detail == NULL ? "" : plan.detail);
    size_t at = 0;
    for (int32_t i = 0; i < plan.missing_count; i++)
        at +=
            (size_t)snprintf(outcome.missing + at, sizeof outcome.missing - at, "%s%.*s:%d", i > 0 ? " " : "",
                             (int)plan.missing[i].info->name.len,
                             (const char *)plan.missing[i].info->name.data, (int)plan.missing[i].partitions);
    for (int32_t s = 0; s < streams_topology_value_of(topology)->subtopologies_count; s++)
        outcome.tasks[s] = plan.tasks[s];
    streams_plan_fini(&plan);
    streams_topology_destroy(&topology);
    return outcome;
}

static void expect(const char *text, const char *topics, enum streams_status status, const char *detail)
{
    struct outcome outcome = plan_of(text, topics);
    cr_expect_eq(outcome.status, status, "%s: %d %s", text, outcome.status, outcome.detail);
    cr_expect(strstr(outcome.detail, detail) != NULL, "%s: %s", text, outcome.detail);
}

Test(streams_plan, internal_topics_follow_their_sources)
{
    struct outcome made = plan_of("0 <in >rep; 1 <<rep +log", "in:3");
    cr_expect_eq(made.status, STREAMS_MISSING_INTERNAL_TOPICS);
    cr_expect_str_eq(made.missing, "rep:3 log:3");
    cr_expect_str_eq(made.detail, "Internal topics are missing: log, rep");
    cr_expect_eq(made.tasks[0], 3);
    cr_expect_eq(made.tasks[1], 3);
    struct outcome ready = plan_of("0 <in >rep; 1 <<rep +log", "in:3 rep:3 log:3");
    cr_expect_eq(ready.status, STREAMS_READY);
    cr_expect_str_eq(ready.missing, "");
}

Test(streams_plan, counts_travel_along_a_chain)
{
    struct outcome made = plan_of("2 <<b +log; 1 <<a >b; 0 <x <y >a", "x:2 y:5");
    cr_expect_str_eq(made.missing, "a:5 b:5 log:5");
    struct outcome fixed = plan_of("0 <x >a; 1 <<a:7 >b; 2 <<b +log", "x:2");
    cr_expect_str_eq(fixed.missing, "a:7 b:7 log:7");
    cr_expect_eq(fixed.tasks[0], 2);
    cr_expect_eq(fixed.tasks[2], 7);
}

Test(streams_plan, what_cannot_be_counted_is_invalid)
{
    struct outcome loop = plan_of("0 <<a >b; 1 <<b >a", "");
    cr_expect(loop.invalid && strstr(loop.detail, "loops") != NULL, "%s", loop.detail);
    struct outcome orphan = plan_of("0 <in; 1 <<rep", "in:1");
    cr_expect(orphan.invalid && strstr(orphan.detail, "never used as a sink") != NULL, "%s", orphan.detail);
}

Test(streams_plan, sources_come_first)
{
    expect("0 <in <b <a >rep; 1 <<rep", "in:1", STREAMS_MISSING_SOURCE_TOPICS,
           "Source topics a, b are missing.");
}

Test(streams_plan, copartitioned_topics_get_the_same_count)
{
    struct outcome made = plan_of("0 <in >rep; 1 <other <<rep =other,rep +log", "in:2 other:6");
    cr_expect_str_eq(made.missing, "rep:6 log:6");
    struct outcome most = plan_of("0 <x >a; 1 <y >b; 2 <<a <<b =a,b", "x:2 y:5");
    cr_expect_str_eq(most.missing, "a:5 b:5");
    struct outcome follows = plan_of("0 <x >a; 1 <y >b; 2 <<a:3 <<b =a,b", "x:2 y:5");
    cr_expect_str_eq(follows.missing, "a:3 b:3");
}

Test(streams_plan, copartitioned_topics_that_differ_are_told)
{
    expect("0 <x <y =x,y", "x:2 y:5", STREAMS_INCORRECTLY_PARTITIONED,
           "Following topics do not have the same number of partitions: [{x=2, y=5}]");
    expect("0 <x >a; 1 <y <<a:4 =y,a", "x:2 y:5", STREAMS_INCORRECTLY_PARTITIONED,
           "Number of partitions [4] of repartition topic [a] doesn't match number of partitions [5]");
    expect("0 <x >a; 1 <y >b; 2 <<a:3 <<b:4 =a,b", "x:2 y:5", STREAMS_INCORRECTLY_PARTITIONED, "{a=3, b=4}");
}

Test(streams_plan, an_existing_topic_must_fit)
{
    expect("0 <in >rep; 1 <<rep +log", "in:3 rep:3 log:2", STREAMS_INCORRECTLY_PARTITIONED,
           "Existing topic log has different number of partitions: expected 3, found 2");
    expect("0 <in >rep; 1 <<rep:4", "in:3 rep:3", STREAMS_INCORRECTLY_PARTITIONED, "expected 4, found 3");
}

Test(streams_plan, tasks_are_limited)
{
    expect("0 <a; 1 <b", "a:60000 b:60000", STREAMS_INCORRECTLY_PARTITIONED, "has 120000 tasks");
}

// ---- topologies ----

static void refused(streams_topology_value *value, int16_t error)
{
    const char *text = NULL;
    cr_expect_eq(streams_topology_check(value, &text), error, "%s", text);
    cr_expect_not_null(text);
}

Test(streams_topology, what_is_wrong_is_refused)
{
    refused(streams_world_value("0 <a; 0 <b", 0), KAFKA_ERR_STREAMS_INVALID_TOPOLOGY);
    refused(streams_world_value("0 <a +log:3", 0), KAFKA_ERR_STREAMS_INVALID_TOPOLOGY);
    refused(streams_world_value("0 <<rep:-1", 0), KAFKA_ERR_STREAMS_INVALID_TOPOLOGY);
    refused(streams_world_value("0 +log", 0), KAFKA_ERR_STREAMS_INVALID_TOPOLOGY);
    static char longest[STREAMS_SUBTOPOLOGY_ID_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    streams_topology_value *named = streams_world_value("0 <a", 0);
    named->subtopologies[0].subtopology_id = slice_str(longest);
    refused(named, KAFKA_ERR_STREAMS_INVALID_TOPOLOGY);
    refused(streams_world_value("0 <a", -1), KAFKA_ERR_STREAMS_INVALID_TOPOLOGY);
    struct slice pattern = slice_str("a.*");
    streams_topology_value *value = streams_world_value("0 <a", 0);
    value->subtopologies[0].source_topic_regex = &pattern;
    value->subtopologies[0].source_topic_regex_count = 1;
    refused(value, KAFKA_ERR_INVALID_REQUEST);
    value = streams_world_value("0 <a <<b =a,b", 0);
    value->subtopologies[0].copartition_groups[0].source_topics[0] = 1;
    refused(value, KAFKA_ERR_STREAMS_INVALID_TOPOLOGY);
}

Test(streams_topology, order_of_subtopologies_is_nothing)
{
    struct streams_topology *one = streams_world_topology("0 <a >b; 1 <<b", 3);
    struct streams_topology *two = streams_world_topology("1 <<b; 0 <a >b", 3);
    struct streams_topology *other = streams_world_topology("1 <<b; 0 <a >b", 4);
    cr_expect(streams_topology_equal(one, two));
    cr_expect(!streams_topology_equal(one, other));
    cr_expect_eq(streams_topology_find(one, streams_key(slice_str("1"))), 1);
    cr_expect_eq(streams_topology_find(one, streams_key(slice_str("2"))), -1);
    cr_expect_eq(streams_topology_reader(one, slice_str("b")), 1);
    cr_expect_eq(streams_topology_reader(one, slice_str("c")), -1);
    streams_topology_destroy(&one);
    streams_topology_destroy(&two);
    streams_topology_destroy(&other);
}

Test(streams_topology, its_bytes_are_bounded)
{
    struct streams_topology *topology;
    cr_expect_eq(streams_topology_new(streams_world_value("0 <a", 0), 8, &topology), ST_LIMIT);
    cr_expect_null(topology);
}

Test(streams_topology, long_ids_have_keys_of_their_own)
{
    struct uuid one = streams_key(slice_str("a-long-subtopology-1")),
                two = streams_key(slice_str("a-long-subtopology-2"));
    cr_expect(!uuid_equal(one, two));
    cr_expect(!uuid_equal(one, streams_key(slice_str("a-long-subtopol"))));
}
