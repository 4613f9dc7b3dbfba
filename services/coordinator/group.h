// SPDX-License-Identifier: Apache-2.0
// One classic consumer group as a pure state machine: requests and the clock go in; answers to waiting
// members (through a sink), a mark that the group must be written (dirty) and the next time to look at it
// (wake_us) come out. The rules are Kafka's (KIP-62, 134, 345, 394, 429, 559, 800, 814), in its words.
//
// What is durable is a snapshot (group_record.h): state, generation, protocol, leader, members. A new owner
// of the shard builds the group from it and calls group_resume; parked answers, pending ids and the clocks of
// sessions and rebalances are not durable and start over there. Unlike Kafka the snapshot is also taken in
// the middle of a rebalance, so that it completes at the next owner with the same members.
#ifndef GROUP_H
#define GROUP_H

#include "base/block.h"
#include "base/map.h"
#include "kafka/errors.h"

struct group;
struct group_member;

enum { GROUP_PROTOCOLS_MAX = 64 }; // of one member; more are refused with INCONSISTENT_GROUP_PROTOCOL

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE };

struct group_settings {
    int32_t initial_delay_ms;   // group.initial.rebalance.delay.ms
    int32_t session_min_ms;     // group.min.session.timeout.ms
    int32_t session_max_ms;     // group.max.session.timeout.ms
    int32_t size_max;           // group.max.size: members
    size_t bytes_max;           // group.max.bytes: protocols, names and assignments of all members
    int32_t pending_max;        // ids given out by KIP-394 and not used yet
    int32_t new_member_wait_ms; // how long a member that was never answered may wait (Kafka: 5 minutes)
};

struct group_protocol {
    struct slice name, metadata;
};

struct group_now {
    int64_t us;      // env_now_us
    int64_t wall_ms; // env_wall_ms, for the time stamp of the state only
};

// What a joining member is told. Slices are borrowed from the group, valid during the sink's call.
struct group_joined {
    int16_t error;
    int32_t generation;         // -1 with an error
    struct slice protocol_type; // data NULL with an error
    struct slice protocol;      // data NULL with an error
    struct slice leader;        // "" with an error
    struct slice member_id;
    bool skip_assignment;           // KIP-814
    const struct group *members_of; // the leader gets the members of this group; NULL: no members
};

struct group_synced {
    int16_t error;
    struct slice protocol_type, protocol; // data NULL with an error
    struct slice assignment;
};

// Where answers go. waiter is what the request carried. Called from inside the functions below.
struct group_sink {
    void (*joined)(void *context, void *waiter, const struct group_joined *answer);
    void (*synced)(void *context, void *waiter, const struct group_synced *answer);
    void *context;
};

// A new group is empty, of generation 0. settings and sink are borrowed. NULL when memory is short.
struct group *group_new(struct slice id, const struct group_settings *settings,
                        const struct group_sink *sink);
// Parked waiters are forgotten, not answered.
void group_destroy(struct group **group);

struct group_join {
    int16_t version;          // of JoinGroup
    struct slice member_id;   // "" = none yet
    struct slice instance_id; // data NULL: dynamic member
    struct slice client_id, client_host;
    struct slice protocol_type;
    const struct group_protocol *protocols; // in the member's order of preference
    int32_t protocol_count;
    int32_t session_ms, rebalance_ms; // rebalance_ms < 0: as the session's
    struct slice new_id;              // unique id to give to a member that has none
    void *waiter;
};

// Answers now or later, once, through the sink.
void group_join(struct group *group, struct group_now now, const struct group_join *join);

struct group_assignment {
    struct slice member_id, assignment;
};

struct group_sync {
    int32_t generation;
    struct slice member_id, instance_id;
    struct slice protocol_type, protocol; // data NULL: not stated (before v5)
    const struct group_assignment *assignments;
    int32_t assignment_count;
    void *waiter;
};

void group_sync(struct group *group, struct group_now now, const struct group_sync *sync);

// Who acts on a group: Heartbeat, OffsetCommit, LeaveGroup.
struct group_identity {
    struct slice member_id;   // "" = not stated
    struct slice instance_id; // data NULL: not stated
    int32_t generation;       // not used by leave
    bool transactional;       // commits in a transaction (KIP-447)
};

int16_t group_heartbeat(struct group *group, struct group_now now, const struct group_identity *who);

// Removes members (LeaveGroup); errors[i] belongs to who[i].
void group_leave(struct group *group, struct group_now now, const struct group_identity *who, int32_t count,
                 int16_t *errors);

// Whether this identity may commit offsets now. A commit by a member keeps its session.
int16_t group_may_commit(struct group *group, struct group_now now, const struct group_identity *who);

// Whether the group may be deleted: NONE or NON_EMPTY_GROUP.
int16_t group_may_delete(const struct group *group);

// The client behind a parked answer is gone: it is answered no more, the group's state stays.
void group_forget(struct group *group, const void *waiter);

// Does what is due. To be called at group_wake_us, earlier does no harm.
void group_tick(struct group *group, struct group_now now);

// Starts the clocks after the group was built from its record.
void group_resume(struct group *group, struct group_now now);

// ---- reading ----
enum { GROUP_NEVER_US = -1 };
int64_t group_wake_us(const struct group *group); // when to call group_tick, GROUP_NEVER_US: not at all
bool group_dirty(const struct group *group);      // the durable half has changed since group_clean
bool group_is_written(const struct group *group); // a record of it may exist
void group_clean(struct group *group);

enum group_state group_state(const struct group *group);
const char *group_state_text(enum group_state state); // "PreparingRebalance"
struct slice group_id(const struct group *group);
int32_t group_generation(const struct group *group);
struct slice group_protocol_type(const struct group *group); // "" = none: only offsets were committed
struct slice group_protocol(const struct group *group);      // data NULL: none
struct slice group_leader(const struct group *group);        // data NULL: none
int64_t group_state_since_ms(const struct group *group);     // wall clock; -1: not known
size_t group_size(const struct group *group);
size_t group_parked(const struct group *group); // answers that wait
// Nobody uses it and nothing of it was ever written: it may simply be dropped.
bool group_unused(const struct group *group);
// Nobody is in it or about to join.
bool group_idle(const struct group *group);

struct group_member_view {
    struct slice id, instance_id, client_id, client_host; // instance_id.data NULL: dynamic
    struct slice metadata;                                // for the group's protocol
    struct slice assignment;
};
// In the order they joined: start with *cursor = NULL, false at the end.
bool group_next_member(const struct group *group, struct map_entry **cursor, struct group_member_view *view);

// Whether a member's subscription names the topic (protocol type "consumer"; true when a subscription cannot
// be read). topics_of: the set for many questions; false: unknown, count every topic as subscribed.
bool group_subscribed(const struct group *group, struct map *topics);

#endif
