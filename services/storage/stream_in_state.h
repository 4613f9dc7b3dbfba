// SPDX-License-Identifier: Apache-2.0
// What stream_in.c and append_in.c share: the stream to one leader.
#ifndef STORAGE_STREAM_IN_STATE_H
#define STORAGE_STREAM_IN_STATE_H

#include "base/map.h"
#include "replica.h"
#include "rpc/rpc.h"

struct streams_in;

enum stream_in_state { STREAM_IN_CLOSED, STREAM_IN_OPENING, STREAM_IN_OPEN };

struct stream_in {
    struct streams_in *owner;
    int32_t leader; // node id
    enum stream_in_state state;
    uint64_t id;            // random, of the present opening; 0 when closed
    uint64_t next_sequence; // of the leader's next message
    int64_t heard_us;
    int64_t retry_ms;
    struct rpc_peer *peer; // NULL until it is first opened
    int64_t lost_us;       // when its connection was lost; 0: it is up, or never was
    struct timer timer;
    struct replica *replicas; // that follow this leader
    uint32_t subscriptions;   // asked for so far
};

struct streams_in {
    struct partitions *partitions;
    struct map by_leader; // node id -> struct stream_in; streams are kept
};

// Ends the stream; it is opened again after delay_ms and every replica subscribes anew.
void stream_in_reset(struct stream_in *stream, int64_t delay_ms);

// The replica is to be subscribed (again) after delay_ms.
void stream_in_wanted(struct replica *replica, int64_t delay_ms);

#endif
