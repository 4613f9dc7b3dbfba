// SPDX-License-Identifier: Apache-2.0
// UnregisterBroker (API 64): a storage node that is gone for good is forgotten. Kafka takes it at its word;
// here it is refused while the node is alive or named as a replica, since a partition whose replica nobody
// knows any more can neither be repaired nor explained. The node's way out is: drain, stop, remove.
#include "relay.h"

#include "kafka/errors.h"
#include "kafka/messages/unregister_broker.h"
#include "topics.h"

#include <stdio.h>

static bool refuse_replicas(const struct image *image, int32_t id, struct topics_error *error)
{
    size_t held = 0;
    for (size_t t = 0; t < image_topic_count(image); t++) {
        const struct image_topic *topic = image_topic_at(image, t);
        for (size_t p = 0; p < topic->partition_count; p++)
            held += image_ids_have(&topic->partitions[p]->replicas, id);
    }
    if (held == 0)
        return true;
    return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST,
                         "Broker %d holds %zu replica(s); drain it first (millrace.node.draining=true).", id,
                         held);
}

static bool check(const struct image *image, int32_t id, struct topics_error *error)
{
    const struct image_node *node = image_node(image, id);
    if (node == NULL || node->role != MILLRACE__ROLE__ROLE_STORAGE)
        return topics_refuse(error, KAFKA_ERR_BROKER_ID_NOT_REGISTERED,
                             "Broker ID %d is not currently registered", id);
    if (!refuse_replicas(image, id, error))
        return false;
    if (!node->fenced)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "Broker %d is alive; stop it first.", id);
    return true;
}

// What was set for it goes too: should a node come again under this id, it is a new one.
static void forget(const struct image *image, int32_t id, struct decision *decision)
{
    size_t count;
    char *name = arena_printf(&decision->arena, "%d", id);
    const Millrace__ResourceType type = MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER;
    const struct image_config *configs = image_configs(image, type, name, &count);
    for (size_t i = 0; i < count; i++)
        decision_config(decision, type, name, configs[i].key, NULL);
    decision_node_removed(decision, id);
}

void unregister_broker(struct relay *relay)
{
    const struct kafka_unregister_broker_request *request = relay->request;
    struct kafka_unregister_broker_response *response = relay->response;
    const struct image *image = metadata_image(relay->controller->metadata);
    struct topics_error error = {0};
    struct decision decision;
    decision_init(&decision);
    if (!authorise(&relay->principal, OPERATION_ALTER, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME))) {
        topics_refuse(&error, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, "Authorization failed.");
    } else if (check(image, request->broker_id, &error)) {
        forget(image, request->broker_id, &decision);
        if (relay_append(relay, &decision, &error))
            DIAG_INFO(&relay->controller->env->diag, "node removed node=%d", request->broker_id);
    }
    decision_fini(&decision);
    response->error_code = error.code;
    response->error_message = relay_text(relay, &error);
}
