// SPDX-License-Identifier: Apache-2.0
// The inside of a coordinator, shared by coordinator.c (life, shards), request.c and report.c.
#ifndef COORDINATOR_STATE_H
#define COORDINATOR_STATE_H

#include "cluster/controllers.h"
#include "cluster/member.h"
#include "cluster/contacts.h"
#include "cluster/producer_ids.h"
#include "coordinator.h"
#include "lag.h"
#include "request.h"

enum coordinator_drain { DRAIN_NONE, DRAIN_HANDOVER, DRAIN_COMMITS, DRAIN_LEAVING, DRAIN_DONE };

struct streams_topics;

struct coordinator {
    struct coordinator_options options;
    struct env *env;
    const struct config *config;
    struct rpc *rpc;
    char *rpc_endpoint;
    struct image *image;
    struct controllers *controllers;
    struct follow *follow;
    struct member *member;
    struct image_listener listener;
    Millrace__Coordinator_Service service;
    struct shard_settings settings;
    int32_t node_id;               // -1: not registered yet
    bool joined;                   // the image has had the registration
    struct consumer_topics topics; // for consumer groups
    struct map shards;             // of __consumer_offsets, by index
    struct map txn_shards;         // of __transaction_state, by index
    struct map share_shards;       // of __share_group_state, by index
    struct txn_settings txn_settings;
    struct producer_ids *producer_ids;
    struct contacts storages, coordinators; // whom transactions are told to and asked of
    struct txn_outbox *outbox;              // markers on their way to them
    struct share_peers share_peers;
    struct lag *lag;
    struct ledger_loads *loads;
    struct streams_topics *topics_made; // internal topics of streams groups, on their way
    struct requests requests;
    enum coordinator_drain drain;
    struct timer drain_timer;
    int64_t drain_deadline_us;
    void (*drained)(void *context);
    void *drained_context;
    struct timer gauges; // sets the gauges
    struct metric relayed, shard_count, group_count, parked_count, txn_shard_count, txn_count;
    struct metric consumer_count, consumer_members;
    struct metric streams_count, streams_members;
    struct metric share_shard_count, share_partition_count, share_count, share_members;
};

// Whether it may decide anything: member of the cluster, lease held, not about to leave.
bool coordinator_serving(const struct coordinator *coordinator);
// The shard of a group id when this process owns it, else NULL.
struct shard *coordinator_shard_of(const struct coordinator *coordinator, struct slice group_id);
struct shard *coordinator_shard_at(const struct coordinator *coordinator, int32_t index);
// The same for a transactional id.
struct txn_shard *coordinator_txn_shard_of(const struct coordinator *coordinator, struct slice id);
// The same for a share partition.
struct share_shard *coordinator_share_shard_of(const struct coordinator *coordinator,
                                               const struct share_key *key);

// ---- report.c ----
void report_start(struct coordinator *coordinator); // registers metrics
void report_stop(struct coordinator *coordinator);

#endif
