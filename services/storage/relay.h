// SPDX-License-Identifier: Apache-2.0
// Passes raw Kafka requests on to whoever owns what they name: the coordinator of the shard of a group, a
// transactional id or a share partition, one coordinator by node id, or the active controller; brings the raw
// answer back. The rules are those of design section 1: what may run twice, or certainly did not run, is sent
// again until the deadline; what may have run and must not run twice fails; with no owner known it waits up
// to 2 s. An answer that depends on a metadata offset is held until this node's image has it.
#ifndef STORAGE_RELAY_H
#define STORAGE_RELAY_H

#include "base/block.h"
#include "base/slice.h"
#include "cluster/authorise.h"
#include "cluster/controllers.h"
#include "cluster/follow.h"
#include "io/env.h"
#include "rpc/rpc.h"

struct relays; // of a node
struct relay;  // one request under way

enum {
    RELAY_BYTES_MAX = 16 << 20, // relay.max.bytes: a larger frame is refused
    RELAYS_MAX = 65536,         // under way in one process, one per connection at most; above: ST_LIMIT
    RELAY_PARK_MS = 2000,       // how long to wait for an owner
    RELAY_OFFSET_MS = 5000,     // how long an answer waits for its metadata offset
    RELAY_LINGER_US = 10000      // heartbeats: a burst of them costs both ends little more than one alone
};

enum relay_target { RELAY_GROUP, RELAY_TRANSACTION, RELAY_SHARE, RELAY_NODE, RELAY_CONTROLLER };

// ST_OK: response is the raw answer, header included (borrowed). Else response is NULL. ST_NOT_FOUND: no
// owner within 2 s; ST_LOADING: the owner was still reading its shard; ST_TIMEOUT, ST_UNREACHABLE: the
// outcome is unknown; ST_LIMIT: too many relays, or too large; ST_CANCELLED: this node stops; else as the
// owner said.
typedef void relay_fn(void *context, enum status status, struct block *response);

struct relay_call {
    struct block *frame;               // the request from its header on; a reference is taken
    const struct principal *principal; // borrowed until done
    enum relay_target target;
    struct slice key;   // group or transactional id, or name of a share partition; borrowed until done
    int32_t node;       // RELAY_NODE
    bool repeatable;    // running twice is harmless
    bool unhurried;     // may wait RELAY_LINGER_US for others to go out with
    int64_t timeout_ms; // from now
    int64_t try_ms;     // repeatable: an owner that says nothing for so long is looked for again; 0: never
    relay_fn *done;     // called exactly once, never from inside relay_start
    void *context;
};

struct relays *relays_new(struct env *env, struct rpc *rpc, struct controllers *controllers,
                          struct follow *follow, const struct image *image);
// Ends what is under way: done is called with ST_CANCELLED from inside.
void relays_cancel(struct relays *relays);
void relays_destroy(struct relays **relays);
int relays_count(const struct relays *relays);

struct relay *relay_start(struct relays *relays, const struct relay_call *call);

// The client is gone: the owner is told to drop what it holds; done is not called any more.
void relay_cancel(struct relay **relay);

#endif
