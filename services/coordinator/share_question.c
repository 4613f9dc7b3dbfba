// SPDX-License-Identifier: Apache-2.0
// See share_question.h. Each partition is a topic entry of its own: these requests go between coordinators,
// and none of them minds.
#include "share_question.h"

#include "base/mem.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/messages/delete_share_group_state.h"
#include "kafka/messages/initialize_share_group_state.h"
#include "kafka/messages/read_share_group_state_summary.h"

#include <stdlib.h>

typedef struct kafka_initialize_share_group_state_request init_request;
typedef struct kafka_initialize_share_group_state_request_initialize_state_data init_topic;
typedef struct kafka_initialize_share_group_state_request_partition_data init_part;
typedef struct kafka_delete_share_group_state_request delete_request;
typedef struct kafka_delete_share_group_state_request_delete_state_data delete_topic;
typedef struct kafka_delete_share_group_state_request_partition_data delete_part;
typedef struct kafka_read_share_group_state_summary_request summary_request;
typedef struct kafka_read_share_group_state_summary_request_read_state_summary_data summary_topic;
typedef struct kafka_read_share_group_state_summary_request_partition_data summary_part;
typedef struct kafka_read_share_group_state_summary_response summary_response;

enum { FRAME_MAX = 8 << 20, ARENA_MAX = 16 << 20 };

static const struct question {
    int16_t api, version;
} questions[] = {
    [SHARE_ASK_INITIALIZE] = {KAFKA_API_INITIALIZE_SHARE_GROUP_STATE, 0},
    [SHARE_ASK_DELETE] = {KAFKA_API_DELETE_SHARE_GROUP_STATE, 0},
    [SHARE_ASK_SUMMARY] = {KAFKA_API_READ_SHARE_GROUP_STATE_SUMMARY, 1},
};

// ---- requests ----

static const void *make_initialize(const struct share_asked *asked, struct arena *arena)
{
    init_request *request = arena_calloc(arena, 1, sizeof *request);
    init_topic *topics = arena_calloc(arena, asked->count, sizeof *topics);
    init_part *parts = arena_calloc(arena, asked->count, sizeof *parts);
    if (request == NULL || topics == NULL || parts == NULL)
        return NULL;
    for (size_t i = 0; i < asked->count; i++) {
        parts[i] = (init_part){.partition = asked->items[i].part.index,
                               .state_epoch = asked->state_epoch,
                               .start_offset = asked->items[i].start};
        topics[i] = (init_topic){
            .topic_id = asked->items[i].part.topic, .partitions = &parts[i], .partitions_count = 1};
    }
    *request =
        (init_request){.group_id = asked->group, .topics = topics, .topics_count = (int32_t)asked->count};
    return request;
}

static const void *make_delete(const struct share_asked *asked, struct arena *arena)
{
    delete_request *request = arena_calloc(arena, 1, sizeof *request);
    delete_topic *topics = arena_calloc(arena, asked->count, sizeof *topics);
    delete_part *parts = arena_calloc(arena, asked->count, sizeof *parts);
    if (request == NULL || topics == NULL || parts == NULL)
        return NULL;
    for (size_t i = 0; i < asked->count; i++) {
        parts[i] = (delete_part){.partition = asked->items[i].part.index};
        topics[i] = (delete_topic){
            .topic_id = asked->items[i].part.topic, .partitions = &parts[i], .partitions_count = 1};
    }
    *request =
        (delete_request){.group_id = asked->group, .topics = topics, .topics_count = (int32_t)asked->count};
    return request;
}

static const void *make_summary(const struct share_asked *asked, struct arena *arena)
{
    summary_request *request = arena_calloc(arena, 1, sizeof *request);
    summary_topic *topics = arena_calloc(arena, asked->count, sizeof *topics);
    summary_part *parts = arena_calloc(arena, asked->count, sizeof *parts);
    if (request == NULL || topics == NULL || parts == NULL)
        return NULL;
    for (size_t i = 0; i < asked->count; i++) {
        parts[i] = (summary_part){.partition = asked->items[i].part.index, .leader_epoch = -1};
        topics[i] = (summary_topic){
            .topic_id = asked->items[i].part.topic, .partitions = &parts[i], .partitions_count = 1};
    }
    *request =
        (summary_request){.group_id = asked->group, .topics = topics, .topics_count = (int32_t)asked->count};
    return request;
}

static struct block *encode(const struct question *question, const void *body)
{
    const struct kafka_api *api = kafka_api(question->api);
    struct kafka_request_header header = {.request_api_key = question->api,
                                          .request_api_version = question->version};
    struct kafka_out out;
    struct block *block = NULL;
    kafka_out_init(&out, FRAME_MAX);
    if (kafka_encode(&kafka_request_header_message, kafka_request_header_version(api, question->version),
                     &header, &out) == ST_OK &&
        kafka_encode(api->request, question->version, body, &out) == ST_OK)
        block = block_copy(buf_slice(&out.bytes));
    kafka_out_fini(&out);
    return block;
}

struct block *share_question_frame(const struct share_asked *asked)
{
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    const void *body = NULL;
    switch (asked->question) {
    case SHARE_ASK_INITIALIZE:
        body = make_initialize(asked, &arena);
        break;
    case SHARE_ASK_DELETE:
        body = make_delete(asked, &arena);
        break;
    case SHARE_ASK_SUMMARY:
        body = make_summary(asked, &arena);
        break;
    }
    struct block *frame = body != NULL ? encode(&questions[asked->question], body) : NULL;
    arena_fini(&arena);
    return frame;
}

// ---- answers ----

static int by_part(const void *left, const void *right)
{
    return parts_compare(&((const struct share_round_item *)left)->part,
                         &((const struct share_round_item *)right)->part);
}

struct share_round_item *share_question_find(struct share_round_item *items, size_t count, struct uuid topic,
                                             int32_t partition)
{
    struct share_round_item wanted = {.part = {.topic = topic, .index = partition}};
    return count == 0 ? NULL : bsearch(&wanted, items, count, sizeof *items, by_part);
}

static void take_error(struct share_round_item *item, int16_t error)
{
    if (item != NULL)
        item->error = error;
}

// The answers of the first two questions have the same shape, in structs of their own.
static void take_initialized(const struct kafka_initialize_share_group_state_response *answer,
                             struct share_round_item *items, size_t count)
{
    for (int32_t i = 0; i < answer->results_count; i++)
        for (int32_t k = 0; k < answer->results[i].partitions_count; k++)
            take_error(share_question_find(items, count, answer->results[i].topic_id,
                                           answer->results[i].partitions[k].partition),
                       answer->results[i].partitions[k].error_code);
}

static void take_deleted(const struct kafka_delete_share_group_state_response *answer,
                         struct share_round_item *items, size_t count)
{
    for (int32_t i = 0; i < answer->results_count; i++)
        for (int32_t k = 0; k < answer->results[i].partitions_count; k++)
            take_error(share_question_find(items, count, answer->results[i].topic_id,
                                           answer->results[i].partitions[k].partition),
                       answer->results[i].partitions[k].error_code);
}

static void take_summary(const summary_response *answer, struct share_round_item *items, size_t count)
{
    for (int32_t i = 0; i < answer->results_count; i++) {
        for (int32_t k = 0; k < answer->results[i].partitions_count; k++) {
            const struct kafka_read_share_group_state_summary_response_partition_result *result =
                &answer->results[i].partitions[k];
            struct share_round_item *item =
                share_question_find(items, count, answer->results[i].topic_id, result->partition);
            if (item == NULL)
                continue;
            item->error = result->error_code;
            item->start = result->start_offset;
            item->leader_epoch = result->leader_epoch;
            item->state_epoch = result->state_epoch;
            item->complete = result->delivery_complete_count;
        }
    }
}

static enum status decode(const struct question *question, struct slice frame, struct arena *arena, void *out)
{
    const struct kafka_api *api = kafka_api(question->api);
    struct kafka_response_header header;
    size_t used;
    enum status status = kafka_decode_prefix(&kafka_response_header_message,
                                             kafka_response_header_version(api, question->version), frame,
                                             arena, &header, &used);
    if (status != ST_OK)
        return status;
    return kafka_decode(api->response, question->version, slice_of(frame.data + used, frame.len - used),
                        arena, out);
}

void share_question_answers(enum share_question question, struct slice frame, struct share_round_item *items,
                            size_t count)
{
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    void *answer = arena_alloc(&arena, kafka_api(questions[question].api)->response->structure->size);
    if (answer != NULL && decode(&questions[question], frame, &arena, answer) == ST_OK) {
        if (question == SHARE_ASK_INITIALIZE)
            take_initialized(answer, items, count);
        else if (question == SHARE_ASK_DELETE)
            take_deleted(answer, items, count);
        else
            take_summary(answer, items, count);
    }
    arena_fini(&arena);
}
