// SPDX-License-Identifier: Apache-2.0
// The APIs a coordinator serves: one row each, one handler file each, named as the protocol names it.
#ifndef APIS_H
#define APIS_H

#include "request.h"

// Whose shards a request is about.
enum api_shards { API_GROUPS, API_TRANSACTIONS, API_SHARE_STATE };

struct coordinator_api {
    int16_t key;
    void (*handle)(struct coordinator_request *request);
    // The (first) group or transactional id a request is about, which decides its shard; data NULL: none.
    // NULL: all shards.
    struct slice (*id_of)(const void *body, int16_t version);
    enum api_shards shards;
    // API_SHARE_STATE: the first share partition the request is about; false: it names none.
    bool (*share_of)(const void *body, struct share_key *key);
};

extern const struct coordinator_api coordinator_apis[];
extern const int coordinator_api_count;

// NULL when the API is not served here.
const struct coordinator_api *coordinator_api(int16_t key);

void coordinator_join_group(struct coordinator_request *request);
void coordinator_sync_group(struct coordinator_request *request);
void coordinator_consumer_group_describe(struct coordinator_request *request);
void coordinator_consumer_group_heartbeat(struct coordinator_request *request);
void coordinator_streams_group_describe(struct coordinator_request *request);
void coordinator_streams_group_heartbeat(struct coordinator_request *request);
void coordinator_heartbeat(struct coordinator_request *request);
void coordinator_leave_group(struct coordinator_request *request);
void coordinator_offset_commit(struct coordinator_request *request);
void coordinator_offset_fetch(struct coordinator_request *request);
void coordinator_offset_delete(struct coordinator_request *request);
void coordinator_describe_groups(struct coordinator_request *request);
void coordinator_list_groups(struct coordinator_request *request);
void coordinator_delete_groups(struct coordinator_request *request);
void coordinator_txn_offset_commit(struct coordinator_request *request);
void coordinator_init_producer_id(struct coordinator_request *request);
void coordinator_add_partitions_to_txn(struct coordinator_request *request);
void coordinator_add_offsets_to_txn(struct coordinator_request *request);
void coordinator_end_txn(struct coordinator_request *request);
void coordinator_describe_transactions(struct coordinator_request *request);
void coordinator_list_transactions(struct coordinator_request *request);
void coordinator_share_group_heartbeat(struct coordinator_request *request);
void coordinator_share_group_describe(struct coordinator_request *request);
void coordinator_describe_share_group_offsets(struct coordinator_request *request);
void coordinator_alter_share_group_offsets(struct coordinator_request *request);
void coordinator_delete_share_group_offsets(struct coordinator_request *request);
void coordinator_initialize_share_group_state(struct coordinator_request *request);
void coordinator_read_share_group_state(struct coordinator_request *request);
void coordinator_write_share_group_state(struct coordinator_request *request);
void coordinator_delete_share_group_state(struct coordinator_request *request);
void coordinator_read_share_group_state_summary(struct coordinator_request *request);

// How groups answer parked requests: functions of join_group.c and sync_group.c.
void join_group_answered(void *context, void *waiter, const struct group_joined *answer);
void sync_group_answered(void *context, void *waiter, const struct group_synced *answer);
extern const struct group_sink coordinator_group_sink;

#endif
