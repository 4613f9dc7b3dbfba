// SPDX-License-Identifier: Apache-2.0
// ShareAcknowledge (KIP-932): a member says what became of records it holds, without asking for more. The
// answer waits until that is written. The last one of a session (epoch -1) releases what the member still
// holds.
#include "handlers.h"
#include "kafka/messages/share_acknowledge.h"
#include "share_caller.h"
#include "storage.h"

typedef struct kafka_share_acknowledge_request request_t;
typedef struct kafka_share_acknowledge_response response_t;
typedef struct kafka_share_acknowledge_request_acknowledge_partition asked_t;
typedef struct kafka_share_acknowledge_request_acknowledge_topic asked_topic;
typedef struct kafka_share_acknowledge_response_partition_data answer_t;
typedef struct kafka_share_acknowledge_response_share_acknowledge_topic_response topic_t;

struct share_acking;

struct acking_item {
    struct share_waiter waiter; // first
    struct share_acking *acking;
    answer_t *answer;
};

struct share_acking {
    struct share_caller caller;
    response_t response;
    struct acking_item *items;
    int32_t count;
    int32_t open; // items that wait, and one while the request is taken in
};

static void acking_step(struct share_acking *acking)
{
    if (--acking->open == 0)
        storage_answer(acking->caller.request, &acking->response);
}

static void item_on_written(struct share_waiter *waiter, int16_t error)
{
    struct acking_item *item = (struct acking_item *)waiter;
    item->answer->error_code = error;
    acking_step(item->acking);
}

static void acking_on_cancelled(struct storage_request *request)
{
    struct share_acking *acking = request->held;
    for (int32_t i = 0; i < acking->count; i++)
        share_waiter_cancel(&acking->items[i].waiter);
    storage_answer_none(request);
}

// NULL when the arena is full.
static struct share_ack *acks_of(struct arena *arena, const asked_t *asked)
{
    size_t count = (size_t)asked->acknowledgement_batches_count;
    struct share_ack *acks = arena_calloc(arena, count + 1, sizeof *acks);
    for (size_t i = 0; acks != NULL && i < count; i++)
        acks[i] = (struct share_ack){.first = asked->acknowledgement_batches[i].first_offset,
                                     .last = asked->acknowledgement_batches[i].last_offset,
                                     .types = asked->acknowledgement_batches[i].acknowledge_types,
                                     .count = asked->acknowledgement_batches[i].acknowledge_types_count};
    return acks;
}

static void item_begin(struct share_acking *acking, struct uuid topic_id, const asked_t *asked,
                       answer_t *answer)
{
    struct share_caller *caller = &acking->caller;
    struct acking_item *item = &acking->items[acking->count++];
    struct share_place place = {topic_id, asked->partition_index};
    const struct image_topic *topic;
    struct replica *replica;
    bool waits = false;
    *item = (struct acking_item){.waiter = {.done = item_on_written}, .acking = acking, .answer = answer};
    answer->partition_index = asked->partition_index;
    answer->error_code = share_caller_lead(caller, place, &topic, &replica);
    const struct image_partition *current = lookup_current(topic, place.index);
    if (answer->error_code == KAFKA_ERR_NOT_LEADER_OR_FOLLOWER && current != NULL) {
        answer->current_leader.leader_id = current->leader;
        answer->current_leader.leader_epoch = current->leader_epoch;
    }
    if (answer->error_code != KAFKA_ERR_NONE)
        return;
    struct share_ack *acks = acks_of(&caller->request->arena, asked);
    answer->error_code = KAFKA_ERR_INVALID_REQUEST;
    if (acks != NULL)
        answer->error_code = share_caller_acknowledge(
            caller, replica, acks, (size_t)asked->acknowledgement_batches_count, &item->waiter, &waits);
    acking->open += waits;
}

// false when the arena is full.
static bool topic_begin(struct share_acking *acking, const asked_topic *asked, topic_t *out)
{
    out->topic_id = asked->topic_id;
    out->partitions = kafka_structure_array(&kafka_share_acknowledge_response_partition_data_type,
                                            &acking->caller.request->arena, asked->partitions_count);
    for (int32_t i = 0; out->partitions != NULL && i < asked->partitions_count; i++)
        item_begin(acking, asked->topic_id, &asked->partitions[i], &out->partitions[out->partitions_count++]);
    return out->partitions != NULL;
}

static bool room(struct share_acking *acking)
{
    struct storage_request *request = acking->caller.request;
    const request_t *in = request->body;
    size_t count = 0;
    for (int32_t i = 0; i < in->topics_count; i++)
        count += (size_t)in->topics[i].partitions_count;
    acking->items = arena_calloc(&request->arena, count + 1, sizeof *acking->items);
    acking->response.responses =
        kafka_structure_array(&kafka_share_acknowledge_response_share_acknowledge_topic_response_type,
                              &request->arena, in->topics_count);
    return acking->items != NULL && acking->response.responses != NULL;
}

static void acking_begin(struct share_acking *acking, struct share_session *session)
{
    struct storage_request *request = acking->caller.request;
    const request_t *in = request->body;
    request->held = acking;
    request->on_cancelled = acking_on_cancelled;
    acking->open = 1;
    for (int32_t i = 0; i < in->topics_count; i++)
        if (topic_begin(acking, &in->topics[i],
                        &acking->response.responses[acking->response.responses_count]))
            acking->response.responses_count++;
    if (in->share_session_epoch == SHARE_EPOCH_LAST)
        share_groups_end_session(acking->caller.groups, session);
    acking_step(acking);
}

void storage_share_acknowledge(struct storage_request *request)
{
    const request_t *in = request->body;
    struct share_acking *acking = arena_calloc(&request->arena, 1, sizeof *acking);
    struct share_session *session = NULL;
    if (acking == NULL) {
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    kafka_defaults(&kafka_share_acknowledge_response_message, &acking->response);
    int16_t error = share_caller_open(&acking->caller, request, in->group_id, in->member_id);
    acking->caller.renews = in->is_renew_ack;
    struct share_session_key key = {in->group_id, in->member_id};
    if (error == KAFKA_ERR_NONE)
        error = share_sessions_use(share_groups_sessions(acking->caller.groups), &key,
                                   in->share_session_epoch, &session);
    if (error == KAFKA_ERR_NONE && !room(acking))
        error = KAFKA_ERR_INVALID_REQUEST;
    acking->response.error_code = error;
    if (error == KAFKA_ERR_NONE) {
        if (request->version >= 2)
            acking->response.acquisition_lock_timeout_ms =
                share_groups_lock_ms(acking->caller.groups, acking->caller.group_text);
        acking_begin(acking, session);
    } else {
        storage_answer(request, &acking->response);
    }
    share_session_unref(&session);
}
