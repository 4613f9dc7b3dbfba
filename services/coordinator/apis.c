// SPDX-License-Identifier: Apache-2.0
// The API table. See apis.h.
#include "apis.h"

#include "kafka/messages/add_offsets_to_txn.h"
#include "kafka/messages/add_partitions_to_txn.h"
#include "kafka/messages/alter_share_group_offsets.h"
#include "kafka/messages/consumer_group_describe.h"
#include "kafka/messages/delete_share_group_offsets.h"
#include "kafka/messages/describe_share_group_offsets.h"
#include "kafka/messages/consumer_group_heartbeat.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/describe_transactions.h"
#include "kafka/messages/delete_share_group_state.h"
#include "kafka/messages/initialize_share_group_state.h"
#include "kafka/messages/read_share_group_state.h"
#include "kafka/messages/read_share_group_state_summary.h"
#include "kafka/messages/write_share_group_state.h"
#include "kafka/messages/end_txn.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/share_group_describe.h"
#include "kafka/messages/share_group_heartbeat.h"
#include "kafka/messages/streams_group_describe.h"
#include "kafka/messages/streams_group_heartbeat.h"
#include "kafka/messages/sync_group.h"
#include "kafka/messages/txn_offset_commit.h"

static struct slice join_group(const void *body, int16_t version)
{
    return ((const struct kafka_join_group_request *)body)->group_id;
}

static struct slice sync_group(const void *body, int16_t version)
{
    return ((const struct kafka_sync_group_request *)body)->group_id;
}

static struct slice heartbeat_group(const void *body, int16_t version)
{
    return ((const struct kafka_heartbeat_request *)body)->group_id;
}

static struct slice leave_group(const void *body, int16_t version)
{
    return ((const struct kafka_leave_group_request *)body)->group_id;
}

static struct slice commit_group(const void *body, int16_t version)
{
    return ((const struct kafka_offset_commit_request *)body)->group_id;
}

static struct slice fetch_group(const void *body, int16_t version)
{
    const struct kafka_offset_fetch_request *fetch = body;
    if (version < 8)
        return fetch->group_id;
    return fetch->groups_count > 0 ? fetch->groups[0].group_id : (struct slice){0};
}

static struct slice delete_offsets_group(const void *body, int16_t version)
{
    return ((const struct kafka_offset_delete_request *)body)->group_id;
}

static struct slice consumer_beat_group(const void *body, int16_t version)
{
    return ((const struct kafka_consumer_group_heartbeat_request *)body)->group_id;
}

static struct slice consumer_describe_group(const void *body, int16_t version)
{
    const struct kafka_consumer_group_describe_request *describe = body;
    return describe->group_ids_count > 0 ? describe->group_ids[0] : (struct slice){0};
}

static struct slice streams_beat_group(const void *body, int16_t version)
{
    return ((const struct kafka_streams_group_heartbeat_request *)body)->group_id;
}

static struct slice streams_describe_group(const void *body, int16_t version)
{
    const struct kafka_streams_group_describe_request *describe = body;
    return describe->group_ids_count > 0 ? describe->group_ids[0] : (struct slice){0};
}

static struct slice share_beat_group(const void *body, int16_t version)
{
    return ((const struct kafka_share_group_heartbeat_request *)body)->group_id;
}

static struct slice share_describe_group(const void *body, int16_t version)
{
    const struct kafka_share_group_describe_request *describe = body;
    return describe->group_ids_count > 0 ? describe->group_ids[0] : (struct slice){0};
}

static struct slice share_offsets_group(const void *body, int16_t version)
{
    const struct kafka_describe_share_group_offsets_request *describe = body;
    return describe->groups_count > 0 ? describe->groups[0].group_id : (struct slice){0};
}

static struct slice alter_share_group(const void *body, int16_t version)
{
    return ((const struct kafka_alter_share_group_offsets_request *)body)->group_id;
}

static struct slice delete_share_group(const void *body, int16_t version)
{
    return ((const struct kafka_delete_share_group_offsets_request *)body)->group_id;
}

static struct slice describe_group(const void *body, int16_t version)
{
    const struct kafka_describe_groups_request *describe = body;
    return describe->groups_count > 0 ? describe->groups[0] : (struct slice){0};
}

static struct slice delete_group(const void *body, int16_t version)
{
    const struct kafka_delete_groups_request *request = body;
    return request->groups_names_count > 0 ? request->groups_names[0] : (struct slice){0};
}

static struct slice txn_commit_group(const void *body, int16_t version)
{
    return ((const struct kafka_txn_offset_commit_request *)body)->group_id;
}

static struct slice init_id(const void *body, int16_t version)
{
    return ((const struct kafka_init_producer_id_request *)body)->transactional_id;
}

// From version 4 on several transactions are named; those of other shards are refused one by one.
static struct slice add_partitions_id(const void *body, int16_t version)
{
    const struct kafka_add_partitions_to_txn_request *add = body;
    if (version < 4)
        return add->v3_and_below_transactional_id;
    return add->transactions_count > 0 ? add->transactions[0].transactional_id : slice_str("");
}

static struct slice add_offsets_id(const void *body, int16_t version)
{
    return ((const struct kafka_add_offsets_to_txn_request *)body)->transactional_id;
}

static struct slice end_id(const void *body, int16_t version)
{
    return ((const struct kafka_end_txn_request *)body)->transactional_id;
}

static struct slice describe_txn_id(const void *body, int16_t version)
{
    const struct kafka_describe_transactions_request *describe = body;
    return describe->transactional_ids_count > 0 ? describe->transactional_ids[0] : (struct slice){0};
}

static bool initialize_share(const void *body, struct share_key *key)
{
    const struct kafka_initialize_share_group_state_request *request = body;
    if (request->topics_count == 0 || request->topics[0].partitions_count == 0)
        return false;
    *key = (struct share_key){request->group_id, request->topics[0].topic_id,
                              request->topics[0].partitions[0].partition};
    return true;
}

static bool read_share(const void *body, struct share_key *key)
{
    const struct kafka_read_share_group_state_request *request = body;
    if (request->topics_count == 0 || request->topics[0].partitions_count == 0)
        return false;
    *key = (struct share_key){request->group_id, request->topics[0].topic_id,
                              request->topics[0].partitions[0].partition};
    return true;
}

static bool write_share(const void *body, struct share_key *key)
{
    const struct kafka_write_share_group_state_request *request = body;
    if (request->topics_count == 0 || request->topics[0].partitions_count == 0)
        return false;
    *key = (struct share_key){request->group_id, request->topics[0].topic_id,
                              request->topics[0].partitions[0].partition};
    return true;
}

static bool delete_share(const void *body, struct share_key *key)
{
    const struct kafka_delete_share_group_state_request *request = body;
    if (request->topics_count == 0 || request->topics[0].partitions_count == 0)
        return false;
    *key = (struct share_key){request->group_id, request->topics[0].topic_id,
                              request->topics[0].partitions[0].partition};
    return true;
}

static bool summary_share(const void *body, struct share_key *key)
{
    const struct kafka_read_share_group_state_summary_request *request = body;
    if (request->topics_count == 0 || request->topics[0].partitions_count == 0)
        return false;
    *key = (struct share_key){request->group_id, request->topics[0].topic_id,
                              request->topics[0].partitions[0].partition};
    return true;
}

const struct coordinator_api coordinator_apis[] = {
    {KAFKA_API_OFFSET_COMMIT, coordinator_offset_commit, commit_group, API_GROUPS, NULL},
    {KAFKA_API_OFFSET_FETCH, coordinator_offset_fetch, fetch_group, API_GROUPS, NULL},
    {KAFKA_API_JOIN_GROUP, coordinator_join_group, join_group, API_GROUPS, NULL},
    {KAFKA_API_HEARTBEAT, coordinator_heartbeat, heartbeat_group, API_GROUPS, NULL},
    {KAFKA_API_LEAVE_GROUP, coordinator_leave_group, leave_group, API_GROUPS, NULL},
    {KAFKA_API_SYNC_GROUP, coordinator_sync_group, sync_group, API_GROUPS, NULL},
    {KAFKA_API_DESCRIBE_GROUPS, coordinator_describe_groups, describe_group, API_GROUPS, NULL},
    {KAFKA_API_LIST_GROUPS, coordinator_list_groups, NULL, API_GROUPS, NULL},
    {KAFKA_API_DELETE_GROUPS, coordinator_delete_groups, delete_group, API_GROUPS, NULL},
    {KAFKA_API_OFFSET_DELETE, coordinator_offset_delete, delete_offsets_group, API_GROUPS, NULL},
    {KAFKA_API_TXN_OFFSET_COMMIT, coordinator_txn_offset_commit, txn_commit_group, API_GROUPS, NULL},
    {KAFKA_API_CONSUMER_GROUP_HEARTBEAT, coordinator_consumer_group_heartbeat, consumer_beat_group,
     API_GROUPS, NULL},
    {KAFKA_API_CONSUMER_GROUP_DESCRIBE, coordinator_consumer_group_describe, consumer_describe_group,
     API_GROUPS, NULL},
    {KAFKA_API_STREAMS_GROUP_HEARTBEAT, coordinator_streams_group_heartbeat, streams_beat_group, API_GROUPS,
     NULL},
    {KAFKA_API_STREAMS_GROUP_DESCRIBE, coordinator_streams_group_describe, streams_describe_group, API_GROUPS,
     NULL},
    {KAFKA_API_SHARE_GROUP_HEARTBEAT, coordinator_share_group_heartbeat, share_beat_group, API_GROUPS, NULL},
    {KAFKA_API_SHARE_GROUP_DESCRIBE, coordinator_share_group_describe, share_describe_group, API_GROUPS,
     NULL},
    {KAFKA_API_DESCRIBE_SHARE_GROUP_OFFSETS, coordinator_describe_share_group_offsets, share_offsets_group,
     API_GROUPS, NULL},
    {KAFKA_API_ALTER_SHARE_GROUP_OFFSETS, coordinator_alter_share_group_offsets, alter_share_group,
     API_GROUPS, NULL},
    {KAFKA_API_DELETE_SHARE_GROUP_OFFSETS, coordinator_delete_share_group_offsets, delete_share_group,
     API_GROUPS, NULL},
    {KAFKA_API_INIT_PRODUCER_ID, coordinator_init_producer_id, init_id, API_TRANSACTIONS, NULL},
    {KAFKA_API_ADD_PARTITIONS_TO_TXN, coordinator_add_partitions_to_txn, add_partitions_id, API_TRANSACTIONS,
     NULL},
    {KAFKA_API_ADD_OFFSETS_TO_TXN, coordinator_add_offsets_to_txn, add_offsets_id, API_TRANSACTIONS, NULL},
    {KAFKA_API_END_TXN, coordinator_end_txn, end_id, API_TRANSACTIONS, NULL},
    {KAFKA_API_DESCRIBE_TRANSACTIONS, coordinator_describe_transactions, describe_txn_id, API_TRANSACTIONS,
     NULL},
    {KAFKA_API_LIST_TRANSACTIONS, coordinator_list_transactions, NULL, API_TRANSACTIONS, NULL},
    {KAFKA_API_INITIALIZE_SHARE_GROUP_STATE, coordinator_initialize_share_group_state, NULL, API_SHARE_STATE,
     initialize_share},
    {KAFKA_API_READ_SHARE_GROUP_STATE, coordinator_read_share_group_state, NULL, API_SHARE_STATE, read_share},
    {KAFKA_API_WRITE_SHARE_GROUP_STATE, coordinator_write_share_group_state, NULL, API_SHARE_STATE,
     write_share},
    {KAFKA_API_DELETE_SHARE_GROUP_STATE, coordinator_delete_share_group_state, NULL, API_SHARE_STATE,
     delete_share},
    {KAFKA_API_READ_SHARE_GROUP_STATE_SUMMARY, coordinator_read_share_group_state_summary, NULL,
     API_SHARE_STATE, summary_share},
};
const int coordinator_api_count = sizeof coordinator_apis / sizeof *coordinator_apis;

const struct group_sink coordinator_group_sink = {.joined = join_group_answered,
                                                  .synced = sync_group_answered};

const struct coordinator_api *coordinator_api(int16_t key)
{
    for (int i = 0; i < coordinator_api_count; i++) {
        if (coordinator_apis[i].key == key)
            return &coordinator_apis[i];
    }
    return NULL;
}
