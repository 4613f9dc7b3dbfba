// SPDX-License-Identifier: Apache-2.0
// DeleteTopics (API 20), by name or (from version 6) by id. Storage nodes remove the files when they see the
// record, also those that were down: a topic id is never used again.
#include "relay.h"

#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/delete_topics.h"
#include "twice.h"

typedef struct kafka_delete_topics_response_deletable_topic_result topic_result;

// The topic meant; by_id: the client named it by its id.
static const struct image_topic *find(const struct relay *relay, const topic_result *result, bool by_id)
{
    const struct image *image = metadata_image(relay->controller->metadata);
    return by_id ? image_topic(image, result->topic_id) : image_topic_slice(image, result->name);
}

static bool decide(struct relay *relay, topic_result *result, bool by_id, struct decision *decision,
                   struct topics_error *error)
{
    const struct image_topic *topic = find(relay, result, by_id);
    if (!config_bool(relay->controller->config, "delete.topic.enable"))
        return topics_refuse(
            error, relay->version < 3 ? KAFKA_ERR_INVALID_REQUEST : KAFKA_ERR_TOPIC_DELETION_DISABLED,
            "Topic deletion is disabled.");
    struct slice name = topic != NULL ? slice_str(topic->name) : result->name;
    if (name.data != NULL && !authorise(&relay->principal, OPERATION_DELETE, RESOURCE_TYPE_TOPIC, name))
        return topics_refuse(error, KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED, "Authorization failed.");
    if (relay->version >= 6 && by_id == uuid_is_zero(result->topic_id))
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST,
                             "Either the topic's name or its id is to be given.");
    if (topic == NULL)
        return topics_refuse(error, by_id ? KAFKA_ERR_UNKNOWN_TOPIC_ID : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION,
                             by_id ? "This server does not host this topic ID."
                                   : "This server does not host this topic-partition.");
    if (topic->internal)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "An internal topic cannot be deleted.");
    const char *copy = arena_strndup(&relay->arena, topic->name, strlen(topic->name));
    result->name = slice_str(copy);
    result->topic_id = topic->id;
    decision_topic_removed(decision, topic->id);
    return true;
}

// Which are named twice by names, or by ids, as the client gave them; NULL at the arena's cap.
static bool *named_twice(struct relay *relay, const topic_result *results, int32_t count, bool by_id)
{
    struct twice_key *keys = arena_calloc(&relay->arena, (size_t)count + 1, sizeof *keys);
    for (int32_t i = 0; keys != NULL && i < count; i++) {
        const struct uuid *id = &results[i].topic_id;
        if (!by_id)
            keys[i].name = results[i].name;
        else if (!uuid_is_zero(*id))
            keys[i].name = slice_of(id->bytes, sizeof id->bytes);
    }
    return keys != NULL ? twice_find(&relay->arena, keys, count) : NULL;
}

static void delete_one(struct relay *relay, topic_result *result, bool by_id, bool twice)
{
    struct topics_error error = {0};
    struct decision decision;
    decision_init(&decision);
    if (twice)
        topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "Duplicate topic name or id.");
    else if (decide(relay, result, by_id, &decision, &error) && relay_append(relay, &decision, &error))
        DIAG_INFO(&relay->controller->env->diag, "topic deleted topic=%.*s", (int)result->name.len,
                  (const char *)result->name.data);
    decision_fini(&decision);
    result->error_code = error.code;
    result->error_message = relay_text(relay, &error);
}

void delete_topics(struct relay *relay)
{
    const struct kafka_delete_topics_request *request = relay->request;
    struct kafka_delete_topics_response *response = relay->response;
    bool states = relay->version >= 6;
    int32_t count = states ? request->topics_count : request->topic_names_count;
    topic_result *results = kafka_structure_array(&kafka_delete_topics_response_deletable_topic_result_type,
                                                  &relay->arena, count);
    if (results == NULL) {
        relay->failed = ST_LIMIT;
        return;
    }
    response->responses = results;
    response->responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        results[i].name = states ? request->topics[i].name : request->topic_names[i];
        if (states)
            results[i].topic_id = request->topics[i].topic_id;
    }
    const bool *names = named_twice(relay, results, count, false);
    const bool *ids = named_twice(relay, results, count, true);
    if (names == NULL || ids == NULL)
        relay->failed = ST_LIMIT;
    for (int32_t i = 0; i < count && relay->failed == ST_OK; i++)
        delete_one(relay, &results[i], results[i].name.data == NULL, names[i] || ids[i]);
}
