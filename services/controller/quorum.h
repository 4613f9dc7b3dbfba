// SPDX-License-Identifier: Apache-2.0
// Drives the Raft core: its messages over rpc, its persistence through the store, its time by a timer. Knows
// nothing of metadata; what is committed is handed up in order.
#ifndef CONTROLLER_QUORUM_H
#define CONTROLLER_QUORUM_H

#include "protos/controller.pb-c.h"
#include "raft/raft.h"
#include "reach.h"
#include "rpc/rpc.h"
#include "store.h"

struct quorum;

struct quorum_options {
    struct env *env;
    struct rpc *rpc;
    struct store *store;
    const struct voters *voters; // the configured ones
    const char *endpoint;        // "tcp://host:port" of this one, borrowed; "": not to be told to others
    int32_t node_id;
    int election_ms; // 0: the core's default
    void *context;
    // Something happened: the commit index may have moved, role, term or leader may have changed. Called at
    // the end of a step; proposing from inside is allowed.
    void (*on_step)(void *context);
    // A read (quorum_read) is confirmed: what is committed now is current.
    void (*on_read)(void *context, uint64_t token);
};

struct quorum *quorum_new(const struct quorum_options *options, const struct store_boot *boot);
void quorum_destroy(struct quorum **quorum);
void quorum_start(struct quorum *quorum);

const struct raft *quorum_raft(const struct quorum *quorum);
// A snapshot is on its way to the disk: nothing may be applied until store on_installed.
bool quorum_installing(const struct quorum *quorum);

// Blocks become one entry each; *first gets the first one's index.
enum status quorum_propose(struct quorum *quorum, struct block *const *blocks, int count, int64_t *first);
// Asks a majority whether this is still the leader (read-index, §8 of the paper). A token is confirmed by
// on_read, or lost with leadership.
enum status quorum_read(struct quorum *quorum, uint64_t token);
enum status quorum_configure(struct quorum *quorum, const struct raft_config *config);
// Who else is sent the log, at most RAFT_LEARNERS_MAX; until leadership ends.
enum status quorum_learners(struct quorum *quorum, const struct raft_voter *learners, int count);
enum status quorum_transfer(struct quorum *quorum, int32_t to);

// Where the others are.
struct reach *quorum_reach(const struct quorum *quorum);

// From the store.
void quorum_durable(struct quorum *quorum, uint64_t step);
void quorum_installed(struct quorum *quorum);
void quorum_snapshot_done(struct quorum *quorum, int64_t index);

// A Raft message from another controller.
void quorum_receive(struct quorum *quorum, const Millrace__RaftMessage *wire, struct block *payload);

#endif
