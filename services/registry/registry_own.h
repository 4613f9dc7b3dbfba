// SPDX-License-Identifier: Apache-2.0
// The inside of a registry, shared by registry.c (life, whose the topics are), work.c (requests) and
// report.c.
#ifndef REGISTRY_OWN_H
#define REGISTRY_OWN_H

#include "cluster/contacts.h"
#include "cluster/controllers.h"
#include "cluster/member.h"
#include "ledger/ledger_loads.h"
#include "ledger/tail.h"
#include "protos/registry.pb-c.h"
#include "keys.h"
#include "registry.h"
#include "seats.h"

enum registry_drain { DRAIN_NONE, DRAIN_HANDOVER, DRAIN_WORK, DRAIN_LEAVING, DRAIN_DONE };

// One of the topics: who writes it, and what its records add up to.
struct registry_store {
    struct registry *registry;
    const char *topic;
    const struct ledger_ops *ops;        // what its records do
    bool refused;                        // a record was passed over; work.c sets it back
    struct ledger *ledger;               // this process owns the topic, in
    int32_t owner_epoch;                 // this epoch
    struct ledger_tail *tail;            // it does not
    struct controllers_pending *needing; // NeedTopic under way
};

struct registry {
    struct registry_options options;
    struct env *env;
    const struct config *config;
    struct rpc *rpc;
    char *rpc_endpoint;
    struct settings settings;
    struct image *image;
    struct controllers *controllers;
    struct follow *follow;
    struct member *member;
    struct image_listener listener;
    Millrace__Registry_Service service;
    int32_t node_id; // -1: not registered yet
    bool joined;     // the image has had the registration
    char cluster[UUID_TEXT_SIZE];

    struct state *state; // of `_schemas`
    struct keys *keys;   // of `_dek_registry_keys`
    struct ledger_loads *loads;
    struct registry_store stores[STORES];
    struct contacts peers;      // other registries
    struct job_queue *thinkers; // does what is too dear for the loop, one after the other
    size_t thinking_bytes;      // of schemas there
    struct seats seats;         // of the requests that have something done there

    struct registry_work *first; // under way
    size_t work_count;
    enum registry_drain drain;
    struct timer drain_timer;
    int64_t drain_deadline_us;
    void (*drained)(void *context);
    void *drained_context;

    struct timer gauges;
    struct metric requests, forwarded, failed, passed_over, thoughts;                             // counters
    struct metric subjects, schemas, owner, waiting, thinking, seatless, keys_held, associations; // gauges
};

// Whether the topic exists. The first write has it made.
bool registry_has_topic(const struct registry_store *store);
void registry_need_topic(struct registry_store *store);
// Whether its state is whole: read to the end, or owned and loaded, or there is no topic.
bool registry_has_state(const struct registry_store *store);
// Up to where the state here has the topic.
int64_t registry_position(const struct registry_store *store);
// The other registry that owns the topic; NULL when there is none now, or it is this one.
const struct image_node *registry_owner(const struct registry_store *store);

// ---- work.c ----
// What waits for something looks whether it is there now.
void work_wake(struct registry *registry);
// Ends everything under way.
void work_stop(struct registry *registry);
void work_serve(struct registry *registry); // offers the rpc service

// ---- report.c ----
void registry_report_start(struct registry *registry);
void registry_report_stop(struct registry *registry);

#endif
