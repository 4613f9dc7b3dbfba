// SPDX-License-Identifier: Apache-2.0
// DescribeProducers: what the log of a replica here knows of its producers, and which of them have a
// transaction open.
#include "handlers.h"
#include "kafka/messages/describe_producers.h"
#include "lookup.h"

typedef struct kafka_describe_producers_response_topic_response topic_out;
typedef struct kafka_describe_producers_response_partition_response partition_out;
typedef struct kafka_describe_producers_response_producer_state producer_out;

static void put_producer(void *context, const struct log_producer_view *view)
{
    partition_out *out = context;
    out->active_producers[out->active_producers_count++] = (producer_out){
        .producer_id = view->id,
        .producer_epoch = view->epoch,
        .last_sequence = view->last_sequence,
        .last_timestamp = view->last_timestamp,
        .coordinator_epoch = view->coordinator_epoch,
        .current_txn_start_offset = view->txn_first_offset,
    };
}

static bool put_partition(struct storage_request *request, const struct image_topic *topic, int16_t error,
                          partition_out *out)
{
    struct replica *replica = NULL;
    if (error == KAFKA_ERR_NONE)
        error = lookup_readable(request, topic, out->partition_index, -1, &replica);
    out->error_code = error;
    if (error != KAFKA_ERR_NONE)
        return true;
    size_t count = log_producer_count(replica->log);
    out->active_producers = arena_calloc(&request->arena, count + 1, sizeof(producer_out));
    if (out->active_producers == NULL)
        return false;
    log_each_producer(replica->log, put_producer, out);
    return true;
}

static bool put_topic(struct storage_request *request,
                      const struct kafka_describe_producers_request_topic_request *asked, topic_out *out)
{
    struct lookup_topic named = {.name = asked->name};
    const struct image_topic *topic;
    int16_t error = lookup_topic(request, &named, OPERATION_READ, &topic);
    out->name = asked->name;
    out->partitions_count = asked->partition_indexes_count;
    out->partitions = kafka_structure_array(&kafka_describe_producers_response_partition_response_type,
                                            &request->arena, out->partitions_count);
    for (int32_t p = 0; out->partitions != NULL && p < out->partitions_count; p++) {
        out->partitions[p].partition_index = asked->partition_indexes[p];
        if (!put_partition(request, topic, error, &out->partitions[p]))
            return false;
    }
    return out->partitions != NULL;
}

void storage_describe_producers(struct storage_request *request)
{
    const struct kafka_describe_producers_request *body = request->body;
    struct kafka_describe_producers_response response;
    kafka_defaults(&kafka_describe_producers_response_message, &response);
    response.topics = kafka_structure_array(&kafka_describe_producers_response_topic_response_type,
                                            &request->arena, body->topics_count);
    bool done = response.topics != NULL;
    for (int32_t t = 0; done && t < body->topics_count; t++)
        done = put_topic(request, &body->topics[t], &response.topics[response.topics_count++]);
    if (done)
        storage_answer(request, &response);
    else
        storage_answer_close(request, "the request needs too much memory");
}
