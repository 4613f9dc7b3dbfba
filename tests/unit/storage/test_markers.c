// SPDX-License-Identifier: Apache-2.0
// WriteMarkers at a storage node: a partition that does not get on holds up no other, what is under way is
// not written twice, and the markers of a call share a flush.
#include "base/mem.h"
#include "io/env_posix.h"
#include "markers.h"
#include "partitions_state.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SELF = 1, FOLLOWER = 2, PARTITIONS = 2, GETS_ON = 0, HANGS = 1, PRODUCER = 7 };

static struct env *env;
static struct image *image;
static struct dirs *dirs;
static struct partitions *partitions;
static struct markers *markers;
static struct replica replicas[PARTITIONS];
static const struct uuid topic_id = {{1}};

static int answers;
static int32_t statuses[PARTITIONS]; // of the last answer

static bool lease_held(void *context)
{
    return true;
}

static void put_topic(void)
{
    Millrace__TopicRecord body = MILLRACE__TOPIC_RECORD__INIT;
    body.topic_id =
        (ProtobufCBinaryData){.len = sizeof topic_id.bytes, .data = (uint8_t *)(uintptr_t)topic_id.bytes};
    body.name = "t";
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.version = 1;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC;
    record.topic = &body;
    cr_assert_eq(image_apply(image, &record, 0), ST_OK, "%s", image_error(image));
}

// The one that hangs has a follower in sync that never says anything.
static void replica_make(int index)
{
    struct replica *replica = &replicas[index];
    uint8_t key[PARTITIONS_KEY_SIZE];
    char name[16];
    snprintf(name, sizeof name, "t-%d", index);
    struct log_config config = log_config_default();
    *replica = (struct replica){.partitions = partitions, .topic = "t", .index = index, .topic_id = topic_id};
    cr_assert_eq(dirs_create(dirs, name, topic_id, &config, &replica->log), ST_OK);
    log_attach(replica->log, replica);
    struct partition_view view = {
        .leader = SELF,
        .leader_epoch = 1,
        .min_isr = 1,
        .replica_count = index == HANGS ? 2 : 1,
        .replicas = {{.node = SELF, .incarnation = 5, .in_isr = true}, {.node = FOLLOWER, .in_isr = true}}};
    partition_init(&replica->state, SELF, 0, 0, 0);
    partition_view(&replica->state, &view, 0);
    map_put(&partitions->replicas, partitions_key(key, topic_id, index), replica);
}

static void setup(void)
{
    char directory[] = "/tmp/millrace-markers-XXXXXX";
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(env_posix_new("markers", 1, &env), ST_OK);
    struct log_set_config config = log_set_config_default();
    config.free_bytes_min = 0;
    struct log_set *set;
    cr_assert_eq(log_set_open(env, directory, &config, &set), ST_OK);
    dirs = dirs_of(env, set);
    image = image_new();
    put_topic();
    struct partitions_options options = {.env = env,
                                         .dirs = dirs,
                                         .image = image,
                                         .node_id = SELF,
                                         .rpc_endpoint = "",
                                         .lease_held = lease_held};
    partitions = partitions_new(&options);
    for (int i = 0; i < PARTITIONS; i++)
        replica_make(i);
    markers = markers_new(partitions);
}

static void teardown(void)
{
    markers_destroy(&markers);
    for (int i = 0; i < PARTITIONS; i++) {
        uint8_t key[PARTITIONS_KEY_SIZE];
        map_remove(&partitions->replicas, partitions_key(key, topic_id, i));
        log_attach(replicas[i].log, NULL);
        partition_fini(&replicas[i].state);
    }
    partitions_destroy(&partitions);
    dirs_destroy(&dirs);
    image_destroy(&image);
    env_posix_destroy(&env);
}

static void on_answer(const Millrace__WriteMarkersReply *reply, void *call)
{
    cr_assert_leq(reply->n_status, PARTITIONS);
    for (size_t i = 0; i < reply->n_status; i++)
        statuses[i] = reply->status[i];
    answers++;
}

// Tells how a transaction of the old flow ended, at one or both of the partitions.
static void tell(int32_t first, size_t count, int64_t started_ms)
{
    int32_t indexes[PARTITIONS] = {first, first + 1};
    Millrace__MarkerTopic topic = MILLRACE__MARKER_TOPIC__INIT, *topics = &topic;
    topic.name = "t";
    topic.partitions = indexes;
    topic.n_partitions = count;
    Millrace__Marker marker = MILLRACE__MARKER__INIT, *list = &marker;
    marker.producer_id = PRODUCER;
    marker.commit = true;
    marker.started_ms = started_ms;
    marker.topics = &topics;
    marker.n_topics = 1;
    Millrace__WriteMarkersRequest request = MILLRACE__WRITE_MARKERS_REQUEST__INIT;
    request.markers = &list;
    request.n_markers = 1;
    markers_serve(markers, &request, on_answer, NULL);
}

static void await_answers(int wanted)
{
    for (int64_t until = env_now_us(env) + 2000000; answers < wanted && env_now_us(env) < until;)
        env_posix_turn(env, 10000);
    cr_assert_eq(answers, wanted);
}

static int64_t metric_of(const char *name)
{
    for (const struct metric *metric = env->metrics->first; metric != NULL; metric = metric->next)
        if (strcmp(metric->name, name) == 0)
            return metric->value;
    cr_assert_fail("no metric %s", name);
    return -1;
}

// The follower that hung is taken out of the ISR.
static void go_on(void)
{
    struct partition_view view = {
        .leader = SELF,
        .leader_epoch = 1,
        .partition_epoch = 1,
        .min_isr = 1,
        .replica_count = 2,
        .replicas = {{.node = SELF, .incarnation = 5, .in_isr = true}, {.node = FOLLOWER}}};
    replica_act(&replicas[HANGS], partition_view(&replicas[HANGS].state, &view, env_now_us(env)));
}

TestSuite(markers, .init = setup, .fini = teardown, .timeout = 60);

Test(markers, one_that_does_not_get_on_holds_up_no_other)
{
    tell(0, PARTITIONS, 1000);
    cr_expect_eq(answers, 0);
    await_answers(1);
    cr_expect_eq(statuses[GETS_ON], ST_OK);
    cr_expect_eq(statuses[HANGS], ST_AGAIN);
    cr_expect_eq(metric_of("millrace_storage_markers_late"), 1);
}

Test(markers, what_is_under_way_is_waited_for_when_it_is_told_again)
{
    for (int i = 1; i <= 3; i++) {
        tell(HANGS, 1, 1000);
        await_answers(i);
        cr_expect_eq(statuses[0], ST_AGAIN);
        cr_expect_eq(replicas[HANGS].state.log_end, 1, "written once");
        cr_expect_eq(metric_of("millrace_storage_markers_late"), 1);
    }
    tell(HANGS, 1, 1000);
    go_on();
    await_answers(4);
    cr_expect_eq(statuses[0], ST_OK);
    cr_expect_eq(replicas[HANGS].state.log_end, 1);
    cr_expect_eq(metric_of("millrace_storage_markers_late"), 0);
}

Test(markers, one_of_a_later_transaction_is_another)
{
    tell(HANGS, 1, 1000);
    await_answers(1);
    tell(HANGS, 1, 2000);
    cr_expect_eq(replicas[HANGS].state.log_end, 2);
    await_answers(2);
    cr_expect_eq(metric_of("millrace_storage_markers_late"), 2);
    go_on();
    cr_expect_eq(metric_of("millrace_storage_markers_late"), 0);
}

Test(markers, what_is_lost_with_leadership_is_written_anew)
{
    tell(HANGS, 1, 1000);
    await_answers(1);
    wait_fail(&replicas[HANGS].commit_waits, ST_NOT_LEADER);
    cr_expect_eq(metric_of("millrace_storage_markers_late"), 0);
    tell(HANGS, 1, 1000);
    cr_expect_eq(replicas[HANGS].state.log_end, 2);
    await_answers(2);
}

static void on_room(struct wait *wait, enum status status)
{
}

Test(markers, batches_that_wait_for_room_hold_up_none)
{
    struct wait batch = {.wake = NULL};
    replica_wait_room(&replicas[GETS_ON], &batch, on_room, NULL);
    tell(GETS_ON, 1, 1000);
    cr_expect_eq(replicas[GETS_ON].state.log_end, 1, "there is room for it");
    await_answers(1);
    cr_expect_eq(statuses[0], ST_OK);
    wait_cancel(&batch);
    wait_cancel(&replicas[GETS_ON].room);
}

Test(markers, those_of_a_call_share_a_flush)
{
    go_on();
    int64_t rounds = metric_of("millrace_log_flush_rounds_total");
    tell(0, PARTITIONS, 1000);
    await_answers(1);
    cr_expect_eq(statuses[GETS_ON], ST_OK);
    cr_expect_eq(statuses[HANGS], ST_OK);
    cr_expect_eq(metric_of("millrace_log_flush_rounds_total"), rounds + 1);
}
