// SPDX-License-Identifier: Apache-2.0
// Metadata: nodes, topics, leaders from the image. A topic that was named and does not exist is created on
// the side when request and configuration allow; this answer says UNKNOWN_TOPIC_OR_PARTITION for it, as
// Kafka's does, and the client asks again.
#include "answer_handlers.h"

#include "auto_create.h"
#include "cluster/shard.h"
#include "kafka/messages/metadata.h"
#include "storage.h"

enum { CREATE_MAX = 100 }; // topics created for one request

typedef struct kafka_metadata_response_metadata_response_topic answered_topic;

struct answers_scope storage_scope(struct storage_request *request)
{
    return (struct answers_scope){.image = storage_image(request->storage),
                                  .principal = &request->principal,
                                  .self = storage_node_id(request->storage),
                                  .version = request->version,
                                  .arena = &request->arena};
}

// Internal topics are the controller's to make, with their own settings.
static bool may_create(const struct storage_request *request, struct slice name)
{
    if (slice_is(name, SHARD_TOPIC_GROUPS) || slice_is(name, SHARD_TOPIC_TRANSACTIONS) ||
        slice_is(name, SHARD_TOPIC_SHARE))
        return false;
    return authorise(&request->principal, OPERATION_CREATE, RESOURCE_TYPE_TOPIC, name);
}

static void create_missing(struct storage_request *request, const struct kafka_metadata_response *response)
{
    int32_t created = 0;
    for (int32_t i = 0; i < response->topics_count && created < CREATE_MAX; i++) {
        const answered_topic *topic = &response->topics[i];
        if (topic->error_code != KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION || topic->name.data == NULL ||
            !may_create(request, topic->name))
            continue;
        auto_create_topic(storage_auto_create(request->storage), &request->principal, topic->name);
        created++;
    }
}

void handle_metadata(struct storage_request *request)
{
    const struct kafka_metadata_request *asked = request->body;
    struct answers_scope scope = storage_scope(request);
    struct kafka_metadata_response response;
    if (answers_metadata(&scope, asked, &response) != ST_OK) {
        storage_answer_close(request, "out of memory for an answer");
        return;
    }
    if (asked->allow_auto_topic_creation &&
        config_bool(storage_config(request->storage), "auto.create.topics.enable"))
        create_missing(request, &response);
    storage_answer(request, &response);
}
