// SPDX-License-Identifier: Apache-2.0
// Metadata: nodes, topics, leaders from the image. A topic that was named and does not exist is created when
// request and configuration allow. Kafka answers UNKNOWN_TOPIC_OR_PARTITION meanwhile, and librdkafka then
// waits a second before it asks again; here the answer waits a moment for the topic, and says the same when
// that is not enough.
#include "answer_handlers.h"

#include "auto_create.h"
#include "cluster/shard.h"
#include "kafka/messages/metadata.h"
#include "partitions.h"
#include "storage.h"

enum {
    CREATE_MAX = 100,     // topics created for one request
    CREATE_WAIT_MS = 1000 // an answer waits for them so long
};

typedef struct kafka_metadata_response_metadata_response_topic answered_topic;

static bool leader_lost(const void *context, int32_t node)
{
    const struct partitions *partitions = storage_partitions(context);
    return partitions != NULL && partitions_leader_lost(partitions, node);
}

static bool node_away(const void *context, int32_t node)
{
    const struct partitions *partitions = storage_partitions(context);
    return partitions != NULL && partitions_node_away(partitions, node);
}

struct answers_scope storage_scope(struct storage_request *request)
{
    return (struct answers_scope){.image = storage_image(request->storage),
                                  .principal = &request->principal,
                                  .self = storage_node_id(request->storage),
                                  .version = request->version,
                                  .arena = &request->arena,
                                  .lost = leader_lost,
                                  .away = node_away,
                                  .context = request->storage};
}

// Internal topics are the controller's to make, with their own settings.
static bool may_create(const struct storage_request *request, struct slice name)
{
    if (slice_is(name, SHARD_TOPIC_GROUPS) || slice_is(name, SHARD_TOPIC_TRANSACTIONS) ||
        slice_is(name, SHARD_TOPIC_SHARE))
        return false;
    return authorise(&request->principal, OPERATION_CREATE, RESOURCE_TYPE_TOPIC, name);
}

static int32_t create_missing(struct storage_request *request, const struct kafka_metadata_response *response)
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
    return created;
}

// An answer that waits for topics it has asked for.
struct metadata_hold {
    struct storage_request *request;
    struct auto_create_wait wait;
    struct timer timer;
};

static void metadata_answer(struct storage_request *request)
{
    struct answers_scope scope = storage_scope(request);
    struct kafka_metadata_response response;
    if (answers_metadata(&scope, request->body, &response) == ST_OK)
        storage_answer(request, &response);
    else
        storage_answer_close(request, "out of memory for an answer");
}

static void hold_end(struct metadata_hold *hold)
{
    auto_create_wait_cancel(&hold->wait);
    timer_stop(storage_env(hold->request->storage), &hold->timer);
}

static void hold_on_ended(void *context)
{
    struct metadata_hold *hold = context;
    const struct kafka_metadata_request *asked = hold->request->body;
    for (int32_t i = 0; i < asked->topics_count; i++)
        if (asked->topics[i].name.data != NULL &&
            auto_create_busy(storage_auto_create(hold->request->storage), asked->topics[i].name))
            return;
    hold_end(hold);
    metadata_answer(hold->request);
}

static void hold_on_timeout(struct timer *timer)
{
    struct metadata_hold *hold = timer->context;
    hold_end(hold);
    metadata_answer(hold->request);
}

static void hold_on_cancelled(struct storage_request *request)
{
    hold_end(request->held);
    storage_answer_none(request);
}

static bool hold_begin(struct storage_request *request)
{
    struct metadata_hold *hold = arena_alloc(&request->arena, sizeof *hold);
    if (hold == NULL)
        return false;
    hold->request = request;
    request->held = hold;
    request->on_cancelled = hold_on_cancelled;
    timer_init(&hold->timer, hold_on_timeout, hold);
    timer_start_ms(storage_env(request->storage), &hold->timer, CREATE_WAIT_MS);
    auto_create_wait(storage_auto_create(request->storage), &hold->wait, hold_on_ended, hold);
    return true;
}

void handle_metadata(struct storage_request *request)
{
    const struct kafka_metadata_request *asked = request->body;
    struct answers_scope scope = storage_scope(request);
    struct kafka_metadata_response response;
    bool held = false;
    if (answers_metadata(&scope, asked, &response) != ST_OK) {
        storage_answer_close(request, "out of memory for an answer");
        return;
    }
    if (asked->allow_auto_topic_creation &&
        config_bool(storage_config(request->storage), "auto.create.topics.enable"))
        held = create_missing(request, &response) > 0 && hold_begin(request);
    if (!held)
        storage_answer(request, &response);
}
