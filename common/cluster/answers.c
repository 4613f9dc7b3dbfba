// SPDX-License-Identifier: Apache-2.0
// Metadata and the other answers about nodes; topic names. Rules as in Kafka 4 (KRaftMetadataCache,
// MetadataRequest): v0 means "all topics" by an empty array, later versions by null; ids may stand for names
// from v12 on; a partition without a reachable leader carries an error, and in v0 also one with an
// unreachable replica.
#include "cluster/answers.h"

#include "cluster/answers_state.h"
#include "cluster/shard.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/describe_cluster.h"
#include "kafka/messages/metadata.h"

typedef struct kafka_metadata_request_metadata_request_topic wanted_topic;
typedef struct kafka_metadata_response_metadata_response_broker metadata_broker;
typedef struct kafka_metadata_response_metadata_response_topic metadata_topic;
typedef struct kafka_metadata_response_metadata_response_partition metadata_partition;
typedef struct kafka_describe_cluster_response_describe_cluster_broker cluster_broker;

bool answers_topic_name_ok(struct slice name, const char **why)
{
    const char *wrong = NULL;
    if (name.len == 0)
        wrong = "the topic name is empty";
    else if (name.len > 249)
        wrong = "the topic name is longer than 249 characters";
    else if (slice_is(name, ".") || slice_is(name, ".."))
        wrong = "the topic name cannot be \".\" or \"..\"";
    for (size_t i = 0; i < name.len && wrong == NULL; i++) {
        uint8_t c = name.data[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
        if (!ok)
            wrong = "the topic name has a character other than ASCII letters, digits, '.', '_' and '-'";
    }
    if (why != NULL)
        *why = wrong;
    return wrong == NULL;
}

// ---- shared with answers_topics.c ----

const struct image_endpoint *answers_endpoint(const struct answers_scope *scope, int32_t node_id)
{
    const struct image_node *node = image_node(scope->image, node_id);
    return image_node_live(node, MILLRACE__ROLE__ROLE_STORAGE)
               ? image_endpoint(node, scope->principal->listener)
               : NULL;
}

// Replicas that a client coming in by this listener cannot reach.
static enum status offline_replicas(const struct answers_scope *scope,
                                    const struct image_partition *partition, struct answers_partition *view)
{
    for (size_t i = 0; i < partition->replicas.count; i++) {
        if (answers_endpoint(scope, partition->replicas.ids[i]) != NULL)
            continue;
        if (view->offline == NULL)
            view->offline = arena_calloc(scope->arena, partition->replicas.count, sizeof(int32_t));
        if (view->offline == NULL)
            return ST_LIMIT;
        view->offline[view->offline_count++] = partition->replicas.ids[i];
    }
    return ST_OK;
}

enum status answers_partition_view(const struct answers_scope *scope, const struct image_partition *partition,
                                   struct answers_partition *view)
{
    *view = (struct answers_partition){.leader = partition->leader};
    bool lost = scope->lost != NULL && scope->lost(scope->context, partition->leader);
    if (lost || answers_endpoint(scope, partition->leader) == NULL) {
        bool live = !lost && image_node_live(image_node(scope->image, partition->leader),
                                             MILLRACE__ROLE__ROLE_STORAGE);
        view->error =
            live && scope->version >= 6 ? KAFKA_ERR_LISTENER_NOT_FOUND : KAFKA_ERR_LEADER_NOT_AVAILABLE;
        view->leader = -1;
    }
    return offline_replicas(scope, partition, view);
}

int32_t answers_topic_operations(const struct answers_scope *scope, struct slice name)
{
    return authorise_operations(scope->principal, RESOURCE_TYPE_TOPIC, name);
}

struct slice answers_cluster_id(const struct answers_scope *scope)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(image_cluster_id(scope->image), text);
    return slice_str(arena_strndup(scope->arena, text, sizeof text - 1));
}

static struct slice rack_of(const struct image_node *node)
{
    return node->rack[0] != '\0' ? slice_str(node->rack) : (struct slice){0};
}

// The same on every node while membership stands still, so that admin clients do not wander.
static int32_t controller_of(const struct answers_scope *scope)
{
    const struct image_node *node =
        shard_front(scope->image, scope->principal->listener, slice_str("controller"));
    return node != NULL ? node->id : -1;
}

// ---- Metadata ----

// Where a broker is that is named; NULL: it is not.
static const struct image_endpoint *listed_endpoint(const struct answers_scope *scope,
                                                    const struct image_node *node)
{
    if (node->role == MILLRACE__ROLE__ROLE_STORAGE && scope->away != NULL &&
        scope->away(scope->context, node->id))
        return image_endpoint(node, scope->principal->listener);
    return answers_endpoint(scope, node->id);
}

static enum status metadata_brokers(const struct answers_scope *scope,
                                    struct kafka_metadata_response *response)
{
    int32_t nodes = (int32_t)image_node_count(scope->image);
    response->brokers =
        kafka_structure_array(&kafka_metadata_response_metadata_response_broker_type, scope->arena, nodes);
    if (response->brokers == NULL)
        return ST_LIMIT;
    response->brokers_count = 0;
    for (int32_t i = 0; i < nodes; i++) {
        const struct image_node *node = image_node_at(scope->image, (size_t)i);
        const struct image_endpoint *endpoint = listed_endpoint(scope, node);
        if (endpoint == NULL)
            continue;
        metadata_broker *broker = &response->brokers[response->brokers_count++];
        broker->node_id = node->id;
        broker->host = slice_str(endpoint->host);
        broker->port = endpoint->port;
        broker->rack = rack_of(node);
    }
    return ST_OK;
}

static void keep_reachable(const struct answers_scope *scope, int32_t **ids, int32_t *count, int32_t *room)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < *count; i++)
        if (answers_endpoint(scope, (*ids)[i]) != NULL)
            room[kept++] = (*ids)[i];
    *ids = room;
    *count = kept;
}

// v0 clients cannot bear a replica that is not in the list of brokers.
static enum status hide_unreachable(const struct answers_scope *scope, metadata_partition *out)
{
    int32_t *room = arena_calloc(scope->arena, (size_t)(out->replica_nodes_count + out->isr_nodes_count) + 1,
                                 sizeof *room);
    if (room == NULL)
        return ST_LIMIT;
    int32_t before = out->replica_nodes_count + out->isr_nodes_count;
    int32_t *isr_room = room + out->replica_nodes_count;
    keep_reachable(scope, &out->replica_nodes, &out->replica_nodes_count, room);
    keep_reachable(scope, &out->isr_nodes, &out->isr_nodes_count, isr_room);
    if (out->error_code == KAFKA_ERR_NONE && out->replica_nodes_count + out->isr_nodes_count < before)
        out->error_code = KAFKA_ERR_REPLICA_NOT_AVAILABLE;
    return ST_OK;
}

static enum status metadata_fill_partition(const struct answers_scope *scope,
                                           const struct image_partition *partition, metadata_partition *out)
{
    struct answers_partition view;
    enum status status = answers_partition_view(scope, partition, &view);
    if (status != ST_OK)
        return status;
    out->error_code = view.error;
    out->partition_index = partition->index;
    out->leader_id = view.leader;
    out->leader_epoch = partition->leader_epoch;
    out->replica_nodes = (int32_t *)(uintptr_t)partition->replicas.ids;
    out->replica_nodes_count = (int32_t)partition->replicas.count;
    out->isr_nodes = (int32_t *)(uintptr_t)partition->isr.ids;
    out->isr_nodes_count = (int32_t)partition->isr.count;
    out->offline_replicas = view.offline;
    out->offline_replicas_count = view.offline_count;
    return scope->version == 0 ? hide_unreachable(scope, out) : ST_OK;
}

static enum status metadata_fill_topic(const struct answers_scope *scope, bool operations,
                                       const struct image_topic *topic, metadata_topic *out)
{
    out->name = slice_str(topic->name);
    out->topic_id = topic->id;
    out->is_internal = topic->internal;
    if (operations && scope->version >= 8)
        out->topic_authorized_operations = answers_topic_operations(scope, out->name);
    out->partitions = kafka_structure_array(&kafka_metadata_response_metadata_response_partition_type,
                                            scope->arena, (int32_t)topic->partition_count);
    if (out->partitions == NULL)
        return ST_LIMIT;
    out->partitions_count = (int32_t)topic->partition_count;
    enum status status = ST_OK;
    for (size_t i = 0; i < topic->partition_count && status == ST_OK; i++)
        status = metadata_fill_partition(scope, topic->partitions[i], &out->partitions[i]);
    return status;
}

static int16_t named_topic_error(const struct answers_scope *scope, const wanted_topic *wanted,
                                 const struct image_topic **topic)
{
    if (scope->version < 12 && (wanted->name.data == NULL || !uuid_is_zero(wanted->topic_id)))
        return KAFKA_ERR_INVALID_REQUEST;
    bool by_id = !uuid_is_zero(wanted->topic_id);
    *topic =
        by_id ? image_topic(scope->image, wanted->topic_id) : image_topic_slice(scope->image, wanted->name);
    struct slice name = *topic != NULL ? slice_str((*topic)->name) : wanted->name;
    if (by_id && *topic == NULL)
        return KAFKA_ERR_UNKNOWN_TOPIC_ID;
    if (!authorise(scope->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, name))
        return by_id ? KAFKA_ERR_UNKNOWN_TOPIC_ID : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    if (*topic != NULL)
        return KAFKA_ERR_NONE;
    return answers_topic_name_ok(name, NULL) ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION
                                             : KAFKA_ERR_INVALID_TOPIC_EXCEPTION;
}

static enum status metadata_named(const struct answers_scope *scope,
                                  const struct kafka_metadata_request *request,
                                  struct kafka_metadata_response *response)
{
    response->topics = kafka_structure_array(&kafka_metadata_response_metadata_response_topic_type,
                                             scope->arena, request->topics_count);
    if (response->topics == NULL)
        return ST_LIMIT;
    response->topics_count = request->topics_count;
    enum status status = ST_OK;
    for (int32_t i = 0; i < request->topics_count && status == ST_OK; i++) {
        const wanted_topic *wanted = &request->topics[i];
        metadata_topic *out = &response->topics[i];
        const struct image_topic *topic = NULL;
        out->error_code = named_topic_error(scope, wanted, &topic);
        if (out->error_code == KAFKA_ERR_NONE) {
            status = metadata_fill_topic(scope, request->include_topic_authorized_operations, topic, out);
        } else {
            out->name = wanted->name.data != NULL || scope->version >= 12 ? wanted->name : slice_str("");
            out->topic_id = wanted->topic_id;
        }
    }
    return status;
}

static enum status metadata_all(const struct answers_scope *scope,
                                const struct kafka_metadata_request *request,
                                struct kafka_metadata_response *response)
{
    int32_t count = (int32_t)image_topic_count(scope->image);
    response->topics =
        kafka_structure_array(&kafka_metadata_response_metadata_response_topic_type, scope->arena, count);
    if (response->topics == NULL)
        return ST_LIMIT;
    response->topics_count = 0;
    enum status status = ST_OK;
    for (int32_t i = 0; i < count && status == ST_OK; i++) {
        const struct image_topic *topic = image_topic_at(scope->image, (size_t)i);
        if (authorise(scope->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_TOPIC, slice_str(topic->name)))
            status = metadata_fill_topic(scope, request->include_topic_authorized_operations, topic,
                                         &response->topics[response->topics_count++]);
    }
    return status;
}

enum status answers_metadata(const struct answers_scope *scope, const struct kafka_metadata_request *request,
                             struct kafka_metadata_response *response)
{
    kafka_defaults(&kafka_metadata_response_message, response);
    enum status status = metadata_brokers(scope, response);
    if (status != ST_OK)
        return status;
    response->cluster_id = answers_cluster_id(scope);
    response->controller_id = controller_of(scope);
    if (request->include_cluster_authorized_operations && scope->version >= 8 && scope->version <= 10)
        response->cluster_authorized_operations =
            authorise_operations(scope->principal, RESOURCE_TYPE_CLUSTER, slice_str(RESOURCE_CLUSTER_NAME));
    bool all = request->topics_count < 0 || (scope->version == 0 && request->topics_count == 0);
    status = all ? metadata_all(scope, request, response) : metadata_named(scope, request, response);
    return response->cluster_id.data == NULL ? ST_LIMIT : status;
}

// ---- DescribeCluster ----

enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static enum status cluster_brokers(const struct answers_scope *scope, bool fenced_too,
                                   struct kafka_describe_cluster_response *response)
{
    int32_t nodes = (int32_t)image_node_count(scope->image);
    response->brokers = kafka_structure_array(&kafka_describe_cluster_response_describe_cluster_broker_type,
                                              scope->arena, nodes);
    if (response->brokers == NULL)
        return ST_LIMIT;
    response->brokers_count = 0;
    for (int32_t i = 0; i < nodes; i++) {
        const struct image_node *node = image_node_at(scope->image, (size_t)i);
        const struct image_endpoint *endpoint = image_endpoint(node, scope->principal->listener);
        if (node->role != MILLRACE__ROLE__ROLE_STORAGE || endpoint == NULL || (node->fenced && !fenced_too))
            continue;
        cluster_broker *broker = &response->brokers[response->brokers_count++];
        broker->broker_id = node->id;
        broker->host = slice_str(endpoint->host);
        broker->port = endpoint->port;
        broker->rack = rack_of(node);
        broker->is_fenced = node->fenced;
    }
    return ST_OK;
}

enum status answers_describe_cluster(const struct answers_scope *scope,
                                     const struct kafka_describe_cluster_request *request,
                                     struct kafka_describe_cluster_response *response)
{
    kafka_defaults(&kafka_describe_cluster_response_message, response);
    response->cluster_id = answers_cluster_id(scope);
    if (response->cluster_id.data == NULL)
        return ST_LIMIT;
    if (request->endpoint_type != ENDPOINT_BROKERS) {
        response->error_code = request->endpoint_type == ENDPOINT_CONTROLLERS
                                   ? KAFKA_ERR_MISMATCHED_ENDPOINT_TYPE
                                   : KAFKA_ERR_UNSUPPORTED_ENDPOINT_TYPE;
        response->error_message = slice_str("storage nodes tell of brokers only");
        return ST_OK;
    }
    response->controller_id = controller_of(scope);
    if (request->include_cluster_authorized_operations)
        response->cluster_authorized_operations =
            authorise_operations(scope->principal, RESOURCE_TYPE_CLUSTER, slice_str(RESOURCE_CLUSTER_NAME));
    return cluster_brokers(scope, scope->version >= 2 && request->include_fenced_brokers, response);
}
