// SPDX-License-Identifier: Apache-2.0
// DescribeTopicPartitions: topics and their replicas page by page, from the image.
#include "answer_handlers.h"

#include "kafka/messages/describe_topic_partitions.h"
#include "storage.h"

void handle_describe_topic_partitions(struct storage_request *request)
{
    struct answers_scope scope = storage_scope(request);
    struct kafka_describe_topic_partitions_response response;
    if (answers_describe_topic_partitions(&scope, request->body, &response) == ST_OK)
        storage_answer(request, &response);
    else
        storage_answer_close(request, "out of memory for an answer");
}
