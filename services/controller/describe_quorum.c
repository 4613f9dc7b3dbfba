// SPDX-License-Identifier: Apache-2.0
// DescribeQuorum (API 55, KIP-595, KIP-836): who votes over the metadata, how far each voter's log and each
// node's picture is, and when they were last heard. Voters' ends are indexes of the Raft log, one entry each.
// A node follows records, of which an entry holds many: its end is told as far behind the high watermark as
// it lacks records, so that a lag of 0 means the same as for a voter.
#include "leases.h"
#include "nodes.h"
#include "relay.h"

#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/describe_quorum.h"

typedef struct kafka_describe_quorum_response_partition_data partition;
typedef struct kafka_describe_quorum_response_replica_state replica;
typedef struct kafka_describe_quorum_response_topic_data topic;

#define METADATA_TOPIC "__cluster_metadata"
#define NOT_HOSTED     "This server does not host this topic-partition."

static int64_t wall_of(struct env *env, int64_t monotonic_ms)
{
    return env_wall_ms(env) - (env_now_ms(env) - monotonic_ms);
}

enum { VERSION_DIRECTORIES = 2 }; // from here on answers have directory ids and addresses

static void tell_voter(const struct relay *relay, struct raft_voter voter, replica *out)
{
    struct controller *controller = relay->controller;
    const struct raft *raft = quorum_raft(controller->quorum);
    int64_t match = raft_last_index(raft), contact_ms = env_now_ms(controller->env);
    bool heard = voter.id == controller->node_id || raft_progress(raft, voter.id, &match, &contact_ms);
    out->replica_id = voter.id;
    if (relay->version >= VERSION_DIRECTORIES)
        out->replica_directory_id = voter.directory;
    out->log_end_offset = heard ? match + 1 : 0;
    if (!heard || contact_ms <= 0)
        return;
    out->last_fetch_timestamp = wall_of(controller->env, contact_ms);
    if (match >= raft_commit(raft))
        out->last_caught_up_timestamp = out->last_fetch_timestamp;
}

// A controller without a vote that is served.
static void tell_learners(const struct relay *relay, partition *out)
{
    struct raft_voter learner;
    const struct raft *raft = quorum_raft(relay->controller->quorum);
    for (int i = 0; raft_learner(raft, i, &learner); i++)
        tell_voter(relay, learner, &out->observers[out->observers_count++]);
}

static void tell_node(const struct relay *relay, const struct image_node *node, replica *out)
{
    struct controller *controller = relay->controller;
    const struct lease *lease = leases_get(controller->nodes, node->id);
    int64_t end = raft_commit(quorum_raft(controller->quorum)) + 1;
    int64_t commit = metadata_commit_offset(controller->metadata);
    out->replica_id = node->id;
    if (relay->version >= VERSION_DIRECTORIES)
        out->replica_directory_id = node->directory_id;
    if (lease == NULL || lease->assumed || lease->reported < 0)
        return;
    int64_t lacks = lease->reported < lease->commit_then ? commit - lease->reported : 0;
    out->log_end_offset = end > lacks ? end - lacks : 0;
    out->last_fetch_timestamp = wall_of(controller->env, lease->heard_ms);
    if (lacks == 0)
        out->last_caught_up_timestamp = out->last_fetch_timestamp;
}

static bool tell_replicas(struct relay *relay, partition *out)
{
    struct controller *controller = relay->controller;
    const struct raft_config *config = raft_config(quorum_raft(controller->quorum));
    const struct image *image = metadata_committed(controller->metadata);
    out->current_voters = kafka_structure_array(&kafka_describe_quorum_response_replica_state_type,
                                                &relay->arena, config->count);
    out->observers = kafka_structure_array(&kafka_describe_quorum_response_replica_state_type, &relay->arena,
                                           RAFT_LEARNERS_MAX + (int32_t)image_node_count(image));
    if (out->current_voters == NULL || out->observers == NULL)
        return false;
    for (int i = 0; i < config->count; i++)
        tell_voter(relay, config->voters[i], &out->current_voters[out->current_voters_count++]);
    tell_learners(relay, out);
    for (size_t i = 0; i < image_node_count(image); i++)
        if (!image_node_at(image, i)->fenced)
            tell_node(relay, image_node_at(image, i), &out->observers[out->observers_count++]);
    return true;
}

static bool tell_partition(struct relay *relay, partition *out)
{
    const struct raft *raft = quorum_raft(relay->controller->quorum);
    out->leader_id = relay->controller->node_id;
    out->leader_epoch = (int32_t)raft_term(raft);
    out->high_watermark = raft_commit(raft) + 1;
    return tell_replicas(relay, out);
}

static bool tell_listener(struct relay *relay, const char *endpoint,
                          struct kafka_describe_quorum_response_node *node)
{
    char host[256];
    int port;
    if (config_address(endpoint, NULL, host, &port) != ST_OK)
        return true; // a voter of one, whom nobody has to reach
    node->listeners = kafka_structure_array(&kafka_describe_quorum_response_listener_type, &relay->arena, 1);
    if (node->listeners == NULL)
        return false;
    node->listeners_count = 1;
    node->listeners[0].name = slice_str("CONTROLLER");
    node->listeners[0].host = slice_str(arena_strndup(&relay->arena, host, strlen(host)));
    node->listeners[0].port = (uint16_t)port;
    return true;
}

// Where a voter is: by the log, else by the configuration.
static const char *endpoint_of(const struct controller *controller, const struct raft_config *config, int at)
{
    const struct voters_item *item = voters_find(&controller->voters, config->voters[at].id);
    if (config->endpoints[at][0] != 0)
        return config->endpoints[at];
    return item != NULL ? item->endpoint : "";
}

static bool tell_endpoints(struct relay *relay, struct kafka_describe_quorum_response *response)
{
    const struct raft_config *config = raft_config(quorum_raft(relay->controller->quorum));
    response->nodes =
        kafka_structure_array(&kafka_describe_quorum_response_node_type, &relay->arena, config->count);
    for (int i = 0; response->nodes != NULL && i < config->count; i++) {
        struct kafka_describe_quorum_response_node *node = &response->nodes[response->nodes_count++];
        node->node_id = config->voters[i].id;
        if (!tell_listener(relay, endpoint_of(relay->controller, config, i), node))
            return false;
    }
    return response->nodes != NULL;
}

// Kafka answers for this one partition and nothing beside it.
static bool asks_for_metadata(const struct kafka_describe_quorum_request *request)
{
    return request->topics_count == 1 && slice_is(request->topics[0].topic_name, METADATA_TOPIC) &&
           request->topics[0].partitions_count == 1 && request->topics[0].partitions[0].partition_index == 0;
}

// The partitions of the request, each refused unless they are as they must be.
static bool echo(struct relay *relay, struct kafka_describe_quorum_response *response)
{
    const struct kafka_describe_quorum_request *request = relay->request;
    response->topics = kafka_structure_array(&kafka_describe_quorum_response_topic_data_type, &relay->arena,
                                             request->topics_count);
    for (int32_t t = 0; response->topics != NULL && t < request->topics_count; t++) {
        topic *to = &response->topics[response->topics_count++];
        int32_t count = request->topics[t].partitions_count;
        to->topic_name = request->topics[t].topic_name;
        to->partitions =
            kafka_structure_array(&kafka_describe_quorum_response_partition_data_type, &relay->arena, count);
        if (to->partitions == NULL)
            return false;
        to->partitions_count = count;
        for (int32_t p = 0; p < count; p++) {
            to->partitions[p].partition_index = request->topics[t].partitions[p].partition_index;
            if (asks_for_metadata(request))
                continue;
            to->partitions[p].error_code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
            to->partitions[p].error_message = slice_str(NOT_HOSTED);
        }
    }
    return response->topics != NULL;
}

void describe_quorum(struct relay *relay)
{
    struct kafka_describe_quorum_response *response = relay->response;
    if (!authorise(&relay->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME))) {
        response->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
        return;
    }
    bool ok = echo(relay, response);
    if (ok && asks_for_metadata(relay->request))
        ok = tell_partition(relay, &response->topics[0].partitions[0]) &&
             (relay->version < VERSION_DIRECTORIES || tell_endpoints(relay, response));
    relay->failed = ok ? ST_OK : ST_LIMIT;
}
