// SPDX-License-Identifier: Apache-2.0
// The inside of a coordinator, shared by coordinator.c (life, shards), request.c and report.c.
#ifndef COORDINATOR_STATE_H
#define COORDINATOR_STATE_H

#include "cluster/controllers.h"
#include "cluster/member.h"
#include "coordinator.h"
#include "request.h"

enum coordinator_drain { DRAIN_NONE, DRAIN_HANDOVER, DRAIN_COMMITS, DRAIN_LEAVING, DRAIN_DONE };

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
    int32_t node_id;   // -1: not registered yet
    bool joined;       // the image has had the registration
    struct map shards; // by index
    struct requests requests;
    enum coordinator_drain drain;
    struct timer drain_timer;
    int64_t drain_deadline_us;
    void (*drained)(void *context);
    void *drained_context;
    struct timer gauges; // sets the gauges
    struct metric relayed, shard_count, group_count, parked_count;
};

// Whether it may decide anything: member of the cluster, lease held, not about to leave.
bool coordinator_serving(const struct coordinator *coordinator);
// The shard of a group id when this process owns it, else NULL.
struct shard *coordinator_shard_of(const struct coordinator *coordinator, struct slice group_id);

// ---- report.c ----
void report_start(struct coordinator *coordinator); // registers metrics
void report_stop(struct coordinator *coordinator);

#endif
