// SPDX-License-Identifier: Apache-2.0
// DescribeCluster: the nodes of the cluster, from the image.
#include "answer_handlers.h"

#include "kafka/messages/describe_cluster.h"
#include "storage.h"

void handle_describe_cluster(struct storage_request *request)
{
    struct answers_scope scope = storage_scope(request);
    struct kafka_describe_cluster_response response;
    if (answers_describe_cluster(&scope, request->body, &response) == ST_OK)
        storage_answer(request, &response);
    else
        storage_answer_close(request, "out of memory for an answer");
}
