// SPDX-License-Identifier: Apache-2.0
// FindCoordinator (a live storage node by rendezvous hash of the key: it relays to the real coordinator) and
// DescribeTopicPartitions (KIP-966: topics in the order of their names, cut at a number of partitions, with a
// cursor).
#include "cluster/answers.h"

#include "cluster/answers_state.h"
#include "cluster/shard.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/describe_topic_partitions.h"
#include "kafka/messages/find_coordinator.h"

#include <stdlib.h>

typedef struct kafka_find_coordinator_response_coordinator found_coordinator;
typedef struct kafka_describe_topic_partitions_request_topic_request described_request;
typedef struct kafka_describe_topic_partitions_response_describe_topic_partitions_response_topic
    described_topic;
typedef struct kafka_describe_topic_partitions_response_describe_topic_partitions_response_partition
    described_partition;

// ---- FindCoordinator ----

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2 };

static int16_t key_refused(const struct answers_scope *scope, int8_t type, struct slice key)
{
    if (type == KEY_GROUP)
        return authorise(scope->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_GROUP, key)
                   ? KAFKA_ERR_NONE
                   : KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (type == KEY_TRANSACTION)
        return authorise(scope->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TRANSACTIONAL_ID, key)
                   ? KAFKA_ERR_NONE
                   : KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (type == KEY_SHARE && scope->version >= 6)
        return authorise(scope->principal, OPERATION_CLUSTER_ACTION, RESOURCE_TYPE_CLUSTER,
                         slice_str(RESOURCE_CLUSTER_NAME))
                   ? KAFKA_ERR_NONE
                   : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
    return KAFKA_ERR_INVALID_REQUEST;
}

static void find_one(const struct answers_scope *scope, int8_t type, struct slice key,
                     found_coordinator *found)
{
    found->key = key;
    found->node_id = -1;
    found->host = slice_str("");
    found->port = -1;
    found->error_code = key_refused(scope, type, key);
    if (found->error_code != KAFKA_ERR_NONE)
        return;
    const struct image_node *node = shard_front(scope->image, scope->principal->listener, key);
    if (node == NULL) {
        found->error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
        found->error_message = slice_str("no storage node is live");
        return;
    }
    const struct image_endpoint *endpoint = image_endpoint(node, scope->principal->listener);
    found->node_id = node->id;
    found->host = slice_str(endpoint->host);
    found->port = endpoint->port;
}

enum status answers_find_coordinator(const struct answers_scope *scope,
                                     const struct kafka_find_coordinator_request *request,
                                     struct kafka_find_coordinator_response *response)
{
    kafka_defaults(&kafka_find_coordinator_response_message, response);
    if (scope->version < 4) {
        found_coordinator found = {0};
        find_one(scope, request->key_type, request->key, &found);
        response->error_code = found.error_code;
        response->error_message = found.error_message;
        response->node_id = found.node_id;
        response->host = found.host;
        response->port = found.port;
        return ST_OK;
    }
    response->coordinators = kafka_structure_array(&kafka_find_coordinator_response_coordinator_type,
                                                   scope->arena, request->coordinator_keys_count);
    if (response->coordinators == NULL)
        return ST_LIMIT;
    response->coordinators_count = request->coordinator_keys_count;
    for (int32_t i = 0; i < request->coordinator_keys_count; i++)
        find_one(scope, request->key_type, request->coordinator_keys[i], &response->coordinators[i]);
    return ST_OK;
}

// ---- DescribeTopicPartitions ----

enum { DESCRIBE_PARTITIONS_MAX = 2000 }; // max.request.partition.size.limit

struct describe {
    const struct answers_scope *scope;
    struct kafka_describe_topic_partitions_response *response;
    struct slice from_topic; // cursor
    int32_t from_partition;
    int32_t left; // partitions that still fit
};

static void put_list(const struct image_ids *ids, int32_t **out, int32_t *count)
{
    *out = (int32_t *)(uintptr_t)ids->ids;
    *count = (int32_t)ids->count;
}

static enum status describe_partition(const struct describe *describe,
                                      const struct image_partition *partition, described_partition *out)
{
    struct answers_partition view;
    enum status status = answers_partition_view(describe->scope, partition, &view);
    out->partition_index = partition->index; // without an error: that it has no leader is said by leader -1
    out->leader_id = view.leader;
    out->leader_epoch = partition->leader_epoch;
    put_list(&partition->replicas, &out->replica_nodes, &out->replica_nodes_count);
    put_list(&partition->isr, &out->isr_nodes, &out->isr_nodes_count);
    put_list(&partition->eligible, &out->eligible_leader_replicas, &out->eligible_leader_replicas_count);
    put_list(&partition->last_known, &out->last_known_elr, &out->last_known_elr_count);
    out->offline_replicas = view.offline;
    out->offline_replicas_count = view.offline_count;
    return status;
}

static enum status set_cursor(struct describe *describe, struct slice topic, int32_t partition)
{
    struct kafka_describe_topic_partitions_response *response = describe->response;
    response->next_cursor = kafka_structure_array(&kafka_describe_topic_partitions_response_cursor_type,
                                                  describe->scope->arena, 1);
    if (response->next_cursor == NULL)
        return ST_LIMIT;
    response->next_cursor->topic_name = topic;
    response->next_cursor->partition_index = partition;
    return ST_OK;
}

static enum status describe_known(struct describe *describe, const struct image_topic *topic,
                                  described_topic *out)
{
    int32_t first = slice_equal(describe->from_topic, slice_str(topic->name)) ? describe->from_partition : 0;
    int32_t total = (int32_t)topic->partition_count;
    int32_t count = first < total ? total - first : 0;
    bool cut = count > describe->left;
    if (cut)
        count = describe->left;
    out->name = slice_str(topic->name);
    out->topic_id = topic->id;
    out->is_internal = topic->internal;
    out->topic_authorized_operations = answers_topic_operations(describe->scope, out->name);
    out->partitions = kafka_structure_array(
        &kafka_describe_topic_partitions_response_describe_topic_partitions_response_partition_type,
        describe->scope->arena, count);
    if (out->partitions == NULL)
        return ST_LIMIT;
    out->partitions_count = count;
    describe->left -= count;
    enum status status = ST_OK;
    for (int32_t i = 0; i < count && status == ST_OK; i++)
        status = describe_partition(describe, topic->partitions[first + i], &out->partitions[i]);
    return status == ST_OK && cut ? set_cursor(describe, out->name, first + count) : status;
}

static enum status describe_named(struct describe *describe, struct slice name)
{
    described_topic *out = &describe->response->topics[describe->response->topics_count];
    bool allowed = authorise(describe->scope->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, name);
    const struct image_topic *topic = image_topic_slice(describe->scope->image, name);
    if (describe->left == 0) // the cursor names where the next answer begins
        return describe->response->next_cursor == NULL ? set_cursor(describe, name, 0) : ST_OK;
    describe->response->topics_count++;
    if (allowed && topic != NULL)
        return describe_known(describe, topic, out);
    out->name = name;
    out->error_code = !allowed                            ? KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED
                      : answers_topic_name_ok(name, NULL) ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION
                                                          : KAFKA_ERR_INVALID_TOPIC_EXCEPTION;
    return ST_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len > 0 ? memcmp(x->data, y->data, len) : 0;
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static struct slice *wanted_names(const struct describe *describe,
                                  const struct kafka_describe_topic_partitions_request *request,
                                  int32_t *count)
{
    const struct image *image = describe->scope->image;
    bool all = request->topics_count <= 0;
    *count = all ? (int32_t)image_topic_count(image) : request->topics_count;
    struct slice *names = arena_calloc(describe->scope->arena, (size_t)*count, sizeof *names);
    if (names == NULL)
        return NULL;
    for (int32_t i = 0; i < *count; i++)
        names[i] = all ? slice_str(image_topic_at(image, (size_t)i)->name) : request->topics[i].name;
    qsort(names, (size_t)*count, sizeof *names, by_name);
    return names;
}

enum status answers_describe_topic_partitions(const struct answers_scope *scope,
                                              const struct kafka_describe_topic_partitions_request *request,
                                              struct kafka_describe_topic_partitions_response *response)
{
    kafka_defaults(&kafka_describe_topic_partitions_response_message, response);
    struct describe describe = {
        .scope = scope, .response = response, .left = request->response_partition_limit};
    if (describe.left <= 0 || describe.left > DESCRIBE_PARTITIONS_MAX)
        describe.left = DESCRIBE_PARTITIONS_MAX;
    if (request->cursor != NULL) {
        describe.from_topic = request->cursor->topic_name;
        describe.from_partition = request->cursor->partition_index > 0 ? request->cursor->partition_index : 0;
    }
    int32_t count;
    struct slice *names = wanted_names(&describe, request, &count);
    response->topics = kafka_structure_array(
        &kafka_describe_topic_partitions_response_describe_topic_partitions_response_topic_type, scope->arena,
        count);
    if (names == NULL || response->topics == NULL)
        return ST_LIMIT;
    response->topics_count = 0;
    enum status status = ST_OK;
    for (int32_t i = 0; i < count && status == ST_OK && response->next_cursor == NULL; i++) {
        bool again = i > 0 && slice_equal(names[i], names[i - 1]);
        if (!again && by_name(&names[i], &describe.from_topic) >= 0)
            status = describe_named(&describe, names[i]);
    }
    return status;
}
