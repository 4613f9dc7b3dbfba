// SPDX-License-Identifier: Apache-2.0
// The client side of the controller quorum: knows the voters' endpoints, finds the active one by NOT_LEADER
// hints, asks again with back-off until the deadline. A call that could have run already is sent again only
// when the caller says that twice is harmless. A controller fails with NOT_LEADER, AGAIN or LOADING only what
// it has not executed; a call whose outcome it does not know (leadership lost before commit) it fails with
// CLOSED or CANCELLED.
#ifndef CLUSTER_CONTROLLERS_H
#define CLUSTER_CONTROLLERS_H

#include "base/slice.h"
#include "io/env.h"
#include "protos/controller.pb-c.h"

struct rpc;
struct controllers;

enum { CONTROLLERS_MAX = 31 }; // endpoints kept, hints included

// endpoints: "host:port,host:port" or "tcp://host:port,…", as in controller.quorum.bootstrap.servers;
// "id@host:port" (controller.quorum.voters) too, which names the key that has to answer there; without an id
// only a key of the whole role does. INVALID with a diagnostic line when it names
// none.
enum status controllers_new(struct env *env, struct rpc *rpc, const char *endpoints,
                            struct controllers **out);
// Calls under way end with ST_CANCELLED from inside.
void controllers_destroy(struct controllers **controllers);

// Another one to ask: "tcp://host:port". What is no such address, or more than CONTROLLERS_MAX, is passed over.
void controllers_learn(struct controllers *controllers, const char *address);

size_t controllers_count(const struct controllers *controllers);
const char *controllers_endpoint(const struct controllers *controllers, size_t i); // "tcp://host:port"
// The last known active controller, or NULL.
const char *controllers_active(const struct controllers *controllers);

// reply and payload are valid during the call; reply is NULL unless status is ST_OK. text: the failure's
// text.
typedef void controllers_fn(void *context, enum status status, const ProtobufCMessage *reply,
                            struct slice payload, const char *text);

struct controllers_call {
    const char *method;              // name in controller.proto's service, e.g. "AlterIsr"
    const ProtobufCMessage *request; // packed before controllers_invoke returns
    struct block *payload;           // payload frame 0, or NULL; a reference is taken
    int64_t timeout_ms;              // deadline of the whole, retries included
    bool idempotent;      // running twice is harmless: send again after a lost connection or time-out
    controllers_fn *done; // called exactly once, never from inside controllers_invoke
    void *context;
};

struct controllers_pending;

// Calls the active controller. ST_TIMEOUT when the deadline passes, ST_UNREACHABLE when the outcome of a call
// that is not idempotent is unknown; other failures of the controller are passed on with their text.
struct controllers_pending *controllers_invoke(struct controllers *controllers,
                                               const struct controllers_call *call);
// done is not called any more. Not to be used after done.
void controllers_cancel(struct controllers *controllers, struct controllers_pending **pending);

#endif
