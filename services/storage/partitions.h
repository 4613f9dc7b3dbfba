// SPDX-License-Identifier: Apache-2.0
// The replicas of this node: made, changed and removed as the image says. Opens their logs in the data
// directory, removes what the cluster no longer knows, runs the ISR clock, and holds the streams to and from
// other nodes.
#ifndef STORAGE_PARTITIONS_H
#define STORAGE_PARTITIONS_H

#include "base/config.h"
#include "base/map.h"
#include "cluster/controllers.h"
#include "cluster/follow.h"
#include "cluster/image.h"
#include "dirs.h"
#include "replica.h"
#include "rpc/rpc.h"

struct partitions;

struct partitions_options {
    struct env *env;
    struct rpc *rpc;
    struct image *image;
    struct follow *follow;
    struct controllers *controllers;
    const struct config *config; // what the process was started with
    struct dirs *dirs;           // open and recovered; closed by partitions_close, freed by the owner
    int32_t node_id;
    uint64_t incarnation;
    const char *rpc_endpoint; // "tcp://host:port" where others reach this process; copied
    int64_t lag_ms_max;       // replica.lag.time.max.ms
    // Whether the lease is held; a leader without it answers nothing.
    bool (*lease_held)(void *context);
    // Whether the logs of a topic that the image does not know stay (adopt.h); NULL: never.
    bool (*keeps)(void *context, struct uuid topic);
    // No data directory works any more.
    void (*on_failed)(void *context);
    void *context;
};

// Serves the Storage rpc service; knows no replica until partitions_start. Never NULL.
struct partitions *partitions_new(const struct partitions_options *options);

// The image has reached this node's registration: adopts or creates the logs of its replicas, deletes the
// directories of topics that are gone, follows the image from now on.
void partitions_start(struct partitions *partitions);

// Stops being leader or follower of anything, answers what is parked with ST_NOT_LEADER, closes the log
// clean.
typedef void partitions_closed_fn(void *context, enum status status);
void partitions_close(struct partitions *partitions, partitions_closed_fn *done, void *context);

// Frees everything; when not closed before, the log is abandoned as in a crash.
void partitions_destroy(struct partitions **partitions);

// Whether that node is fenced and was live a moment ago, see away.h.
bool partitions_node_away(const struct partitions *partitions, int32_t node);
// Whether this node follows that leader and has just lost its connection to it, see stream_in.h.
bool partitions_leader_lost(const struct partitions *partitions, int32_t node);

// The data directories; NULL once they are being closed.
struct dirs *partitions_dirs(const struct partitions *partitions);
// All replicas, in no order; *at is NULL at first. NULL at the end.
struct replica *partitions_next(const struct partitions *partitions, struct map_entry **at);

// NULL when this node has no such replica.
struct replica *partitions_find(struct partitions *partitions, struct uuid topic, int32_t index);
struct replica *partitions_find_named(struct partitions *partitions, struct slice topic, int32_t index);

// Starts a flush round for what was appended in this turn and sends it to the followers.
void partitions_flush(struct partitions *partitions);

// Counts for dump and metrics.
int partitions_count(const struct partitions *partitions);
int partitions_led(const struct partitions *partitions);

// Age of the running flush in ms, for heartbeats.
int64_t partitions_flush_age_ms(const struct partitions *partitions);

// One line per replica (at most max) for `millrace status` and debug bundles.
void partitions_dump(const struct partitions *partitions, struct buf *out, int max);

#endif
