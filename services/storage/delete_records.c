// SPDX-License-Identifier: Apache-2.0
// DeleteRecords, all versions: the start of a partition's log moves up to an offset, at most to the
// watermark. Answered when no live replica has anything below it any more, or when the client's time is over
// (Kafka's DelayedDeleteRecords). What a log no longer shows it removes in whole segments later
// (log/reclaim.c).
#include "handlers.h"
#include "kafka/messages/delete_records.h"
#include "lookup.h"
#include "partitions.h"

typedef struct kafka_delete_records_request_delete_records_partition asked_t;
typedef struct kafka_delete_records_response_delete_records_partition_result answer_t;

enum { OFFSET_WATERMARK = -1, LOW_WATERMARK_NONE = -1 };

struct deletion;

// One partition that waits for its replicas.
struct deletion_item {
    struct deletion *deletion;
    struct uuid topic_id;
    answer_t *answer;
    struct wait wait;
};

struct deletion {
    struct storage_request *request;
    struct kafka_delete_records_response response;
    struct timer timer;
    int remaining; // items that wait, and one while the request is taken in
    int count;
    struct deletion_item *items;
};

static struct env *env_of(const struct deletion *deletion)
{
    return storage_env(deletion->request->storage);
}

static void deletion_end(struct deletion *deletion)
{
    timer_stop(env_of(deletion), &deletion->timer);
    storage_answer(deletion->request, &deletion->response);
}

static void deletion_step(struct deletion *deletion)
{
    if (--deletion->remaining == 0)
        deletion_end(deletion);
}

static void set_error(answer_t *answer, int16_t error)
{
    answer->error_code = error;
    answer->low_watermark = LOW_WATERMARK_NONE;
}

static int64_t low_watermark(const struct deletion_item *item)
{
    const struct replica *replica = partitions_find(storage_partitions(item->deletion->request->storage),
                                                    item->topic_id, item->answer->partition_index);
    return replica != NULL ? partition_low_watermark(&replica->state) : LOW_WATERMARK_NONE;
}

static void item_on_low(struct wait *wait, enum status status)
{
    struct deletion_item *item = wait->context;
    if (status == ST_OK)
        item->answer->low_watermark = low_watermark(item);
    else
        set_error(item->answer, lookup_error(status));
    deletion_step(item->deletion);
}

static void item_begin(struct deletion_item *item, struct replica *replica, int64_t offset)
{
    answer_t *answer = item->answer;
    int64_t before = offset == OFFSET_WATERMARK ? replica->state.high_watermark : offset;
    enum status status = before < 0 ? ST_OUT_OF_RANGE : replica_delete_records(replica, before);
    if (status != ST_OK) {
        set_error(answer, lookup_error(status));
        return;
    }
    answer->low_watermark = partition_low_watermark(&replica->state);
    if (answer->low_watermark >= before)
        return;
    item->deletion->remaining++;
    wait_add(&replica->low_waits, &item->wait, before, item_on_low, item);
}

// Kafka's order: rights, existence, whose topic it is, leadership, policy.
static int16_t partition_check(const struct deletion *deletion, const struct image_topic *topic,
                               int32_t index, struct replica **replica)
{
    if (image_topic_partition(topic, index) == NULL)
        return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (topic->internal)
        return KAFKA_ERR_INVALID_TOPIC_EXCEPTION;
    int16_t error = lookup_leader(deletion->request, topic, index, -1, replica);
    if (error == KAFKA_ERR_NONE && !(*replica)->settings.deletes)
        error = KAFKA_ERR_POLICY_VIOLATION;
    return error;
}

static bool topic_begin(struct deletion *deletion,
                        const struct kafka_delete_records_request_delete_records_topic *asked,
                        struct kafka_delete_records_response_delete_records_topic_result *out)
{
    const struct lookup_topic named = {.name = asked->name};
    const struct image_topic *topic;
    int16_t topic_error = lookup_topic(deletion->request, &named, OPERATION_DELETE, &topic);
    out->name = asked->name;
    out->partitions_count = asked->partitions_count;
    out->partitions =
        kafka_structure_array(&kafka_delete_records_response_delete_records_partition_result_type,
                              &deletion->request->arena, asked->partitions_count);
    for (int i = 0; out->partitions != NULL && i < asked->partitions_count; i++) {
        struct deletion_item *item = &deletion->items[deletion->count++];
        struct replica *replica = NULL;
        out->partitions[i].partition_index = asked->partitions[i].partition_index;
        int16_t error =
            topic_error != KAFKA_ERR_NONE
                ? topic_error
                : partition_check(deletion, topic, asked->partitions[i].partition_index, &replica);
        *item = (struct deletion_item){.deletion = deletion, .answer = &out->partitions[i]};
        if (error != KAFKA_ERR_NONE) {
            set_error(item->answer, error);
            continue;
        }
        item->topic_id = topic->id;
        item_begin(item, replica, asked->partitions[i].offset);
    }
    return out->partitions != NULL;
}

static void waits_cancel(struct deletion *deletion)
{
    for (int i = 0; i < deletion->count; i++)
        wait_cancel(&deletion->items[i].wait);
}

// A sole replica's start has only to be written down here, which Kafka does later: with any time-out, also 0,
// it is answered without an error (ReplicaManager.delayedDeleteRecordsRequired).
static bool is_sole(const struct deletion_item *item)
{
    const struct replica *replica = partitions_find(storage_partitions(item->deletion->request->storage),
                                                    item->topic_id, item->answer->partition_index);
    return replica != NULL && replica->state.replica_count == 1;
}

static void deletion_on_timeout(struct timer *timer)
{
    struct deletion *deletion = timer->context;
    for (int i = 0; i < deletion->count; i++) {
        struct deletion_item *item = &deletion->items[i];
        if (item->wait.list == NULL || is_sole(item))
            continue;
        wait_cancel(&item->wait);
        item->answer->error_code = KAFKA_ERR_REQUEST_TIMED_OUT;
        item->answer->low_watermark = low_watermark(item);
        deletion->remaining--;
    }
    if (deletion->remaining == 0)
        deletion_end(deletion);
}

static void deletion_on_cancelled(struct storage_request *request)
{
    struct deletion *deletion = request->held;
    waits_cancel(deletion);
    timer_stop(env_of(deletion), &deletion->timer);
    storage_answer_none(request);
}

static struct deletion *deletion_new(struct storage_request *request)
{
    const struct kafka_delete_records_request *body = request->body;
    struct deletion *deletion = arena_calloc(&request->arena, 1, sizeof *deletion);
    if (deletion == NULL)
        return NULL;
    size_t total = 0;
    for (int i = 0; i < body->topics_count; i++)
        total += (size_t)body->topics[i].partitions_count;
    deletion->request = request;
    deletion->remaining = 1;
    timer_init(&deletion->timer, deletion_on_timeout, deletion);
    kafka_defaults(&kafka_delete_records_response_message, &deletion->response);
    deletion->response.topics = kafka_structure_array(
        &kafka_delete_records_response_delete_records_topic_result_type, &request->arena, body->topics_count);
    deletion->response.topics_count = body->topics_count;
    deletion->items = arena_calloc(&request->arena, total, sizeof *deletion->items);
    return deletion->response.topics != NULL && deletion->items != NULL ? deletion : NULL;
}

void storage_delete_records(struct storage_request *request)
{
    const struct kafka_delete_records_request *body = request->body;
    struct deletion *deletion = deletion_new(request);
    bool room = deletion != NULL;
    for (int i = 0; room && i < body->topics_count; i++)
        room = topic_begin(deletion, &body->topics[i], &deletion->response.topics[i]);
    if (!room) {
        if (deletion != NULL)
            waits_cancel(deletion);
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    request->held = deletion;
    request->on_cancelled = deletion_on_cancelled;
    if (deletion->remaining > 1)
        timer_start_ms(env_of(deletion), &deletion->timer, body->timeout_ms > 0 ? body->timeout_ms : 0);
    deletion_step(deletion);
}
