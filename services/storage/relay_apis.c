// SPDX-License-Identifier: Apache-2.0
// The rules of design section 1 as a table: per API the group or transactional id it names, its own timeout,
// and whether it may run twice. See relay_apis.h.
#include "relay_apis.h"

#include "applied.h"
#include "base/assert.h"
#include "kafka/messages/add_offsets_to_txn.h"
#include "kafka/messages/add_partitions_to_txn.h"
#include "kafka/messages/add_raft_voter.h"
#include "kafka/messages/alter_partition_reassignments.h"
#include "kafka/messages/alter_share_group_offsets.h"
#include "kafka/messages/consumer_group_heartbeat.h"
#include "kafka/messages/create_partitions.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/delete_share_group_offsets.h"
#include "kafka/messages/delete_topics.h"
#include "kafka/messages/elect_leaders.h"
#include "kafka/messages/end_txn.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/list_partition_reassignments.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/streams_group_heartbeat.h"
#include "kafka/messages/share_group_heartbeat.h"
#include "kafka/messages/sync_group.h"
#include "kafka/messages/txn_offset_commit.h"
#include "kafka/messages/update_features.h"
#include "storage.h"

#include <stddef.h>

enum { TIMEOUT_MS = 30000, GRACE_MS = 5000, OWN_TIMEOUT_MS_MAX = RPC_DEADLINE_MS_MAX - GRACE_MS };

enum twice { NEVER, HARMLESS, HARMLESS_WITH_MEMBER, HARMLESS_IN_NEW_FLOW };

// From here on EndTxn and TxnOffsetCommit belong to KIP-890's flow: their epoch is that of one transaction,
// so that a second run cannot meet another one.
enum { NEW_FLOW_VERSION = 5, TXN_BATCHED_VERSION = 4 };

struct rule {
    int16_t api;
    enum twice twice;
    int32_t
        key; // offset of the group's or transactional id in the request struct; -1: goes to the controller
    int32_t (*own_timeout_ms)(const void *body, int16_t version); // NULL: 30 s
};

static int32_t join_timeout(const void *body, int16_t version)
{
    const struct kafka_join_group_request *join = body;
    return version >= 1 ? join->rebalance_timeout_ms : join->session_timeout_ms;
}

static int32_t create_topics_timeout(const void *body, int16_t version)
{
    return ((const struct kafka_create_topics_request *)body)->timeout_ms;
}

static int32_t delete_topics_timeout(const void *body, int16_t version)
{
    return ((const struct kafka_delete_topics_request *)body)->timeout_ms;
}

static int32_t create_partitions_timeout(const void *body, int16_t version)
{
    return ((const struct kafka_create_partitions_request *)body)->timeout_ms;
}

static int32_t elect_leaders_timeout(const void *body, int16_t version)
{
    return ((const struct kafka_elect_leaders_request *)body)->timeout_ms;
}

static int32_t alter_reassignments_timeout(const void *body, int16_t version)
{
    return ((const struct kafka_alter_partition_reassignments_request *)body)->timeout_ms;
}

static int32_t list_reassignments_timeout(const void *body, int16_t version)
{
    return ((const struct kafka_list_partition_reassignments_request *)body)->timeout_ms;
}

static int32_t update_features_timeout(const void *body, int16_t version)
{
    return ((const struct kafka_update_features_request *)body)->timeout_ms;
}

static int32_t add_raft_voter_timeout(const void *body, int16_t version)
{
    return ((const struct kafka_add_raft_voter_request *)body)->timeout_ms;
}

#define GROUP_OF(api) offsetof(struct kafka_##api##_request, group_id)
#define TXN_OF(api)   offsetof(struct kafka_##api##_request, transactional_id)

// clang-format off
static const struct rule rules[] = {
    {KAFKA_API_OFFSET_COMMIT,     HARMLESS,             GROUP_OF(offset_commit), NULL},
    {KAFKA_API_OFFSET_FETCH,      HARMLESS,             GROUP_OF(offset_fetch),  NULL},
    {KAFKA_API_JOIN_GROUP,        HARMLESS_WITH_MEMBER, GROUP_OF(join_group),    join_timeout},
    {KAFKA_API_HEARTBEAT,         HARMLESS,             GROUP_OF(heartbeat),     NULL},
    {KAFKA_API_LEAVE_GROUP,       NEVER,                GROUP_OF(leave_group),   NULL},
    {KAFKA_API_SYNC_GROUP,        HARMLESS,             GROUP_OF(sync_group),    NULL},
    {KAFKA_API_OFFSET_DELETE,     HARMLESS,             GROUP_OF(offset_delete), NULL},
    {KAFKA_API_TXN_OFFSET_COMMIT, HARMLESS_IN_NEW_FLOW, GROUP_OF(txn_offset_commit), NULL},
    // What the first run has told would be old news to the second: a client that is told of the failure asks in full.
    {KAFKA_API_CONSUMER_GROUP_HEARTBEAT, NEVER,         GROUP_OF(consumer_group_heartbeat), NULL},
    {KAFKA_API_STREAMS_GROUP_HEARTBEAT, NEVER,          GROUP_OF(streams_group_heartbeat), NULL},
    // The second run tells all of it again: the epoch it names is the last one by then.
    {KAFKA_API_SHARE_GROUP_HEARTBEAT, HARMLESS,         GROUP_OF(share_group_heartbeat), NULL},
    {KAFKA_API_ALTER_SHARE_GROUP_OFFSETS, HARMLESS,     GROUP_OF(alter_share_group_offsets), NULL},
    {KAFKA_API_DELETE_SHARE_GROUP_OFFSETS, HARMLESS,    GROUP_OF(delete_share_group_offsets), NULL},
    {KAFKA_API_INIT_PRODUCER_ID,  NEVER,                TXN_OF(init_producer_id),    NULL},
    {KAFKA_API_ADD_PARTITIONS_TO_TXN, HARMLESS,
     offsetof(struct kafka_add_partitions_to_txn_request, v3_and_below_transactional_id), NULL},
    {KAFKA_API_ADD_OFFSETS_TO_TXN, HARMLESS,            TXN_OF(add_offsets_to_txn),  NULL},
    {KAFKA_API_END_TXN,           HARMLESS_IN_NEW_FLOW, TXN_OF(end_txn),             NULL},
    {KAFKA_API_CREATE_TOPICS,     NEVER,                -1, create_topics_timeout},
    {KAFKA_API_DELETE_TOPICS,     NEVER,                -1, delete_topics_timeout},
    {KAFKA_API_CREATE_PARTITIONS, NEVER,                -1, create_partitions_timeout},
    {KAFKA_API_ALTER_CONFIGS,     HARMLESS,             -1, NULL},
    {KAFKA_API_INCREMENTAL_ALTER_CONFIGS, NEVER,        -1, NULL},
    {KAFKA_API_ELECT_LEADERS,     NEVER,                -1, elect_leaders_timeout},
    {KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, NEVER,    -1, alter_reassignments_timeout},
    {KAFKA_API_LIST_PARTITION_REASSIGNMENTS, HARMLESS,  -1, list_reassignments_timeout},
    {KAFKA_API_DESCRIBE_QUORUM,   HARMLESS,             -1, NULL},
    {KAFKA_API_UPDATE_FEATURES,   NEVER,                -1, update_features_timeout},
    {KAFKA_API_UNREGISTER_BROKER, NEVER,                -1, NULL},
    {KAFKA_API_ADD_RAFT_VOTER,    NEVER,                -1, add_raft_voter_timeout},
    {KAFKA_API_REMOVE_RAFT_VOTER, NEVER,                -1, NULL},
};
// clang-format on

static const struct rule *rule_of(int16_t api)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].api == api)
            return &rules[i];
    }
    UNREACHABLE("a relayed API without its rule");
}

static bool repeatable(const struct rule *rule, const void *body, int16_t version)
{
    if (rule->twice == HARMLESS_WITH_MEMBER)
        return ((const struct kafka_join_group_request *)body)->member_id.len > 0;
    if (rule->twice == HARMLESS_IN_NEW_FLOW)
        return version >= NEW_FLOW_VERSION;
    return rule->twice == HARMLESS;
}

static int64_t timeout_ms(const struct rule *rule, const struct storage_request *request)
{
    int32_t own = rule->own_timeout_ms != NULL ? rule->own_timeout_ms(request->body, request->version) : -1;
    if (own < 0)
        return TIMEOUT_MS;
    return (own < OWN_TIMEOUT_MS_MAX ? own : OWN_TIMEOUT_MS_MAX) + GRACE_MS;
}

// Heartbeats of members that neither join (epoch 0) nor leave (below).
static bool unhurried(int16_t api, const void *body)
{
    switch (api) {
    case KAFKA_API_HEARTBEAT:
        return true;
    case KAFKA_API_CONSUMER_GROUP_HEARTBEAT:
        return ((const struct kafka_consumer_group_heartbeat_request *)body)->member_epoch > 0;
    case KAFKA_API_SHARE_GROUP_HEARTBEAT:
        return ((const struct kafka_share_group_heartbeat_request *)body)->member_epoch > 0;
    case KAFKA_API_STREAMS_GROUP_HEARTBEAT:
        return ((const struct kafka_streams_group_heartbeat_request *)body)->member_epoch > 0;
    default:
        return false;
    }
}

int16_t relay_group_error(enum status status)
{
    switch (status) {
    case ST_NOT_FOUND:
    case ST_LIMIT:
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    case ST_LOADING:
        return KAFKA_ERR_COORDINATOR_LOAD_IN_PROGRESS;
    default:
        return KAFKA_ERR_NOT_COORDINATOR;
    }
}

int16_t relay_controller_error(enum status status)
{
    return status == ST_DENIED ? KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED : KAFKA_ERR_REQUEST_TIMED_OUT;
}

static void relay_on_done(void *context, enum status status, struct block *response)
{
    struct storage_request *request = context;
    request->held = NULL;
    if (status == ST_OK)
        applied_answer(request, response);
    else if (status == ST_CANCELLED)
        storage_answer_close(request, "the node stops");
    else if (rule_of(request->api->key)->key >= 0)
        relay_answer_error(request, relay_group_error(status));
    else
        relay_answer_error(request, relay_controller_error(status));
}

static void relay_on_cancelled(struct storage_request *request)
{
    struct relay *relay = request->held;
    relay_cancel(&relay);
    storage_answer_none(request);
}

static void relay_whole(struct storage_request *request, struct relay_call *call)
{
    const struct rule *rule = rule_of(request->api->key);
    ASSERT(request->conn->frame.len == request->conn->block->len);
    if (request->conn->frame.len > RELAY_BYTES_MAX) {
        storage_answer_close(request, "request is larger than relay.max.bytes");
        return;
    }
    call->frame = request->conn->block;
    call->principal = &request->principal;
    call->repeatable = repeatable(rule, request->body, request->version);
    call->unhurried = unhurried(rule->api, request->body);
    call->timeout_ms = timeout_ms(rule, request);
    call->done = relay_on_done;
    call->context = request;
    request->on_cancelled = relay_on_cancelled;
    request->held = relay_start(storage_relays(request->storage), call);
}

static struct slice key_of(const struct storage_request *request)
{
    const struct rule *rule = rule_of(request->api->key);
    ASSERT(rule->key >= 0);
    return *(const struct slice *)(const void *)((const char *)request->body + rule->key);
}

void relay_group(struct storage_request *request)
{
    struct relay_call call = {.target = RELAY_GROUP, .key = key_of(request)};
    relay_whole(request, &call);
}

// What nodes of a Kafka cluster ask one another names several transactions: they are looked for where the
// first one is.
static struct slice transaction_of(const struct storage_request *request)
{
    const struct kafka_add_partitions_to_txn_request *add = request->body;
    if (request->api->key != KAFKA_API_ADD_PARTITIONS_TO_TXN || request->version < TXN_BATCHED_VERSION)
        return key_of(request);
    return add->transactions_count > 0 ? add->transactions[0].transactional_id : slice_str("");
}

void relay_transaction(struct storage_request *request)
{
    struct relay_call call = {.target = RELAY_TRANSACTION, .key = transaction_of(request)};
    relay_whole(request, &call);
}

void relay_controller(struct storage_request *request)
{
    struct relay_call call = {.target = RELAY_CONTROLLER};
    relay_whole(request, &call);
}
