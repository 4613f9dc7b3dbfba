// SPDX-License-Identifier: Apache-2.0
// What partitions.c, replica.c and the streams share: the set of replicas of this node and the ways out of
// it. Private to these files; handlers use partitions.h and replica.h.
#ifndef STORAGE_PARTITIONS_STATE_H
#define STORAGE_PARTITIONS_STATE_H

#include "away.h"
#include "base/map.h"
#include "cluster/contacts.h"
#include "moves.h"
#include "pace.h"
#include "partitions.h"

struct isr;
struct reports;
struct streams_in;
struct streams_out;

struct partitions {
    struct partitions_options options; // strings owned
    struct image_listener listener;
    struct map replicas; // key: topic id and index, see partitions_key
    struct away away;
    struct timer tick;
    struct watched {
        struct replica *first, *last; // linked by watch_next, see watch.h
        int64_t count;
        struct metric metric;
    } watched;
    struct wait_list room_waits; // replicas whose append_waits wait for memory
    struct timer room;           // wakes them
    struct pace pace;
    // Of the topic asked for last: its partitions come in a row. Until a setting changes.
    struct settings_known {
        bool any;
        struct uuid topic;
        struct replica_settings replica;
        struct log_config log;
    } known;
    struct moves *moves;
    struct isr *isr;
    struct reports *reports;
    struct streams_in *in;
    struct streams_out *out;
    struct contacts coordinators; // whom transactions are asked of
    struct metric damaged;        // replica_damaged
    struct metric strays;
    bool started;
    bool starting; // in partitions_start
    bool closing;
    int removals; // logs being deleted
    partitions_closed_fn *closed;
    void *closed_context;
    char name[300]; // replica_name
};

enum { PARTITIONS_KEY_SIZE = 20 };

// Writes the map key of a partition and returns it.
struct slice partitions_key(uint8_t bytes[PARTITIONS_KEY_SIZE], struct uuid topic, int32_t index);

// The replica a pair of protobuf fields names; NULL when there is none or the id is malformed.
struct replica *partitions_find_proto(struct partitions *partitions, ProtobufCBinaryData topic,
                                      int32_t index);

// Removes a log's files; or keeps them out of the way (log_set_aside). It is nobody's any more.
void partitions_drop_log(struct partitions *partitions, struct log *log);
void partitions_keep_aside(struct partitions *partitions, struct log *log);

// The settings of a replica's log.
struct log_config replica_log_config(const struct replica *replica);

// A log holds less in memory than before: what waits for room is tried again, soon.
void partitions_room_made(struct partitions *partitions);

// A follower that may link now: its log is there and usable; an emptied ("lost") one is started anew first.
bool replica_linkable(struct replica *replica);

#endif
