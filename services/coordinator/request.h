// SPDX-License-Identifier: Apache-2.0
// One relayed Kafka request inside the coordinator. A handler looks at the state of the request's shard,
// decides, and answers once by request_answer, at once or, when it parked the request in a group, later. The
// answer is encoded at once and leaves when everything decided before it is committed (request_settle).
#ifndef REQUEST_H
#define REQUEST_H

#include "base/arena.h"
#include "cluster/authorise.h"
#include "cluster/follow.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "ledger/ledger.h"
#include "protos/coordinator.pb-c.h"
#include "shard.h"
#include "share_shard.h"
#include "txn_shard.h"

struct coordinator;
struct coordinator_request;
struct coordinator_api;

enum request_state {
    REQUEST_RUNNING, // its handler works on it
    REQUEST_PARKED,  // a group will answer it, or who waits for something else
    REQUEST_WAITING, // for the image: it may name what this node has not heard of yet
    REQUEST_ANSWERED // the answer waits for the ledger
};

// Requests of a coordinator, in order of arrival; answered ones that have not begun to wait.
struct requests {
    struct coordinator_request *first, *last;
    size_t count, parked;
    struct coordinator_request *answered, *answered_last;
    struct map by_relay; // sender's incarnation and relay id
};

struct coordinator_request {
    struct coordinator *coordinator;
    struct rpc_call *call;
    Millrace__RelayReply_Closure closure;
    uint64_t relay_id;
    const struct coordinator_api *row;
    const struct kafka_api *api;
    int16_t version;
    int32_t correlation_id;
    struct slice client_id; // "" when null
    struct principal principal;
    struct arena arena;              // until the answer
    void *body;                      // the decoded request struct
    struct shard *shard;             // of its groups; NULL: it is about all shards, or about transactions
    struct txn_shard *txn_shard;     // of its transactional id
    struct share_shard *share_shard; // of its share partition
    struct ledger *ledger;           // of any of them; NULL: it is about all shards
    enum request_state state;
    void (*on_dropped)(struct coordinator_request *request); // of who has parked it, unless a group has
    void *parked_in;                                         // ... and its own
    struct block *response;
    struct ledger_wait *waits; // one per ledger, in the arena
    int32_t open;              // waits that have not ended
    bool failed;
    struct follow_wait image_wait;
    int64_t image_deadline_us; // 0: has not waited yet
    struct coordinator_request *next, *previous, *next_answered;
};

// Decodes and runs the request of one Relay call; it answers the call once.
void request_begin(struct coordinator *coordinator, const Millrace__RelayRequest *relay,
                   Millrace__RelayReply_Closure closure, struct rpc_call *call);
// The client is gone: a parked answer is dropped, the group's state stays.
void request_cancel(struct coordinator *coordinator, const struct rpc_sender *sender, uint64_t relay_id);
// Fails the requests parked in a shard (NULL: in all shards): they were not executed.
void request_fail_parked(struct coordinator *coordinator, const struct ledger *ledger);
// Lets the answers given meanwhile wait for the ledger. To be called after whatever may have answered.
void request_settle(struct coordinator *coordinator);

// ---- for handlers ----
// response: struct of the API's response message. Encoded before it returns.
void request_answer(struct coordinator_request *request, const void *response);
// The request is the waiter of a group from now on, until the sink answers it.
void request_park(struct coordinator_request *request);
// The same for what is not a group: the request is run again by request_run_again, or answered. on_dropped is
// called when it ends otherwise.
void request_park_for(struct coordinator_request *request,
                      void (*on_dropped)(struct coordinator_request *request), void *parked_in);
// Runs the handler of a request parked so once more.
void request_run_again(struct coordinator_request *request);
// Runs the handler again when the image has moved, for a short time after the first call only; false: it has
// waited enough.
bool request_wait_image(struct coordinator_request *request);
// Whether the principal may do the API's operation on the group.
bool request_allowed(const struct coordinator_request *request, struct slice group_id);
// Whether the principal may do the API's operation on the transactional id.
bool request_allowed_txn(const struct coordinator_request *request, struct slice transactional_id);
const struct image *request_image(const struct coordinator_request *request);
struct env *request_env(const struct coordinator_request *request);
const struct config *request_config(const struct coordinator_request *request);
// A number of the group's own configuration, else the fallback.
int32_t request_group_setting(struct coordinator_request *request, struct slice group_id, const char *key,
                              int32_t fallback);
// Whether the group belongs to the request's shard.
bool request_owns(const struct coordinator_request *request, struct slice group_id);
bool request_owns_txn(const struct coordinator_request *request, struct slice transactional_id);
// For what nodes of the cluster ask one another about a share partition: CLUSTER_AUTHORIZATION_FAILED,
// NOT_COORDINATOR, or NONE.
int16_t request_may_share(const struct coordinator_request *request, const struct share_key *key);

#endif
