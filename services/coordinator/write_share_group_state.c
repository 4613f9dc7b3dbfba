// SPDX-License-Identifier: Apache-2.0
// WriteShareGroupState (KIP-932): what became of records, said by the leader of the partition they are in.
#include "apis.h"
#include "base/mem.h"
#include "kafka/messages/write_share_group_state.h"

typedef struct kafka_write_share_group_state_request request_t;
typedef struct kafka_write_share_group_state_response response_t;
typedef struct kafka_write_share_group_state_request_write_state_data asked_topic;
typedef struct kafka_write_share_group_state_request_partition_data asked_t;
typedef struct kafka_write_share_group_state_response_write_state_result topic_t;
typedef struct kafka_write_share_group_state_response_partition_result result_t;

// The batches are new memory: they outlive the request's arena in no case.
static struct share_batches batches_of(const asked_t *asked)
{
    size_t count = (size_t)asked->state_batches_count;
    struct share_batches batches = {mem_calloc(count + 1, sizeof *batches.items), count};
    for (size_t i = 0; i < count; i++)
        batches.items[i] = (struct share_batch){
            asked->state_batches[i].first_offset, asked->state_batches[i].last_offset,
            asked->state_batches[i].delivery_state, asked->state_batches[i].delivery_count};
    return batches;
}

static int16_t write_next(struct share_shard *shard, const struct share_key *key,
                          const struct share_update *update)
{
    struct share_desk desk = share_shard_desk(shard, key);
    struct share_state next;
    int16_t error = share_state_write(&desk, update, &next);
    if (error != KAFKA_ERR_NONE)
        return error;
    enum status status = share_shard_write(shard, key, &next);
    share_state_fini(&next);
    if (status == ST_LIMIT)
        return KAFKA_ERR_RECORD_LIST_TOO_LARGE;
    return status == ST_OK ? KAFKA_ERR_NONE : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

static int16_t write(struct coordinator_request *request, const struct share_key *key, const asked_t *asked)
{
    struct share_update update = {.state_epoch = asked->state_epoch,
                                  .leader_epoch = asked->leader_epoch,
                                  .start_offset = asked->start_offset,
                                  .delivery_complete = asked->delivery_complete_count,
                                  .batches = batches_of(asked)};
    int16_t error = write_next(request->share_shard, key, &update);
    share_batches_fini(&update.batches);
    return error;
}

// false when the arena is full.
static bool put_topic(struct coordinator_request *request, const asked_topic *asked, topic_t *out)
{
    const request_t *in = request->body;
    out->topic_id = asked->topic_id;
    out->partitions = kafka_structure_array(&kafka_write_share_group_state_response_partition_result_type,
                                            &request->arena, asked->partitions_count);
    for (int32_t i = 0; out->partitions != NULL && i < asked->partitions_count; i++) {
        struct share_key key = {in->group_id, asked->topic_id, asked->partitions[i].partition};
        result_t *result = &out->partitions[out->partitions_count++];
        result->partition = key.partition;
        result->error_code = request_may_share(request, &key);
        if (result->error_code == KAFKA_ERR_NONE)
            result->error_code = write(request, &key, &asked->partitions[i]);
    }
    return out->partitions != NULL;
}

void coordinator_write_share_group_state(struct coordinator_request *request)
{
    const request_t *in = request->body;
    response_t response;
    kafka_defaults(&kafka_write_share_group_state_response_message, &response);
    response.results = kafka_structure_array(&kafka_write_share_group_state_response_write_state_result_type,
                                             &request->arena, in->topics_count);
    for (int32_t i = 0; response.results != NULL && i < in->topics_count; i++)
        if (put_topic(request, &in->topics[i], &response.results[response.results_count]))
            response.results_count++;
    request_answer(request, &response);
}
