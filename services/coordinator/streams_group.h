// SPDX-License-Identifier: Apache-2.0
// One group of the streams protocol (KIP-1071) as a pure state machine, as far as Kafka 4.2 has it:
// heartbeats and the clock go in; answers, a mark that something must be written (dirty) and the next time to
// look at it (wake_us) come out. Epochs and the way from target to assignment are those of consumer groups
// (consumer_group.h); what is given out is tasks instead of partitions (streams_tasks.h):
//
//   an active task belongs to at most one member at any time, and no process has a task twice, whatever the
//   roles. A process is what runs several members as its threads and keeps state in one directory.
//
// The topology comes with the first member and does not change (streams_topology.h); what it needs of topics
// is its plan (streams_plan.h). Static members, regular expressions and warm-up tasks are refused, or not
// given out, as in 4.2. What is durable are Kafka's records (streams_record.h); a new owner of the shard
// builds the group from them and calls streams_resume. Endpoint epochs and a wish to shut down are not
// durable.
#ifndef STREAMS_GROUP_H
#define STREAMS_GROUP_H

#include "consumer_group.h"
#include "streams_plan.h"
#include "streams_tasks.h"

struct streams_group;
struct streams_member;

enum streams_state {
    STREAMS_EMPTY,
    STREAMS_NOT_READY,
    STREAMS_ASSIGNING,
    STREAMS_RECONCILING,
    STREAMS_STABLE
};

enum { STREAMS_LEAVE = -1 }; // member epoch of a heartbeat that says goodbye

struct streams_options {
    int32_t session_ms; // streams.session.timeout.ms
    int32_t delay_ms;   // streams.initial.rebalance.delay.ms
    int32_t standbys;   // streams.num.standby.replicas
};

struct streams_settings {
    struct streams_options options; // of groups that say nothing else: group.streams.*
    int32_t heartbeat_ms;           // group.streams.heartbeat.interval.ms
    int32_t size_max;               // group.streams.max.size: members
    size_t bytes_max; // group.max.bytes: what all members say of themselves; as much for the topology
};

// settings and topics are borrowed. NULL when memory is short.
struct streams_group *streams_group_new(struct slice id, const struct streams_settings *settings,
                                        const struct consumer_topics *topics);
void streams_group_destroy(struct streams_group **group);
// The group's own configuration, which holds from the next heartbeat on.
void streams_group_set_options(struct streams_group *group, const struct streams_options *options);

struct streams_tag {
    struct slice key, value;
};

// What a member says of itself. In a request data NULL and counts, times and epochs < 0 mean "unchanged".
struct streams_profile {
    struct slice rack, process_id;
    struct slice client_id, client_host;
    struct slice endpoint_host; // for interactive queries; data NULL: none
    int32_t endpoint_port;
    const struct streams_tag *tags;
    int32_t tag_count;
    int32_t rebalance_ms;
    int32_t topology_epoch;
};

struct streams_beat { // StreamsGroupHeartbeat
    struct slice member_id;
    int32_t epoch; // 0: joins; > 0; STREAMS_LEAVE
    struct streams_profile profile;
    struct streams_topology **topology; // when joining; taken over when the group needs it. Else NULL.
    const struct streams_tasks *owned;  // what it has now; NULL: not stated
    int32_t endpoint_epoch;             // the last it has heard of
    bool shutdown;                      // asks for the end of the application
};

struct streams_beaten {
    int32_t epoch;
    const struct streams_tasks *tasks; // what it is to have from now on; NULL: unchanged. Borrowed.
    int32_t endpoint_epoch;
    bool endpoints;      // who has what is to be told: streams_next_endpoint
    bool stale, delayed; // STREAMS_STALE_TOPOLOGY, STREAMS_ASSIGNMENT_DELAYED
    const char *text;    // of an error, stands for itself; NULL: its usual text
};

// Kafka's error; the answer counts with NONE only, but for its text. Nothing has changed with an error.
int16_t streams_heartbeat(struct streams_group *group, struct group_now now, const struct streams_beat *beat,
                          struct streams_beaten *answer);
// ---- offsets ----
// Whether a commit is let in; *member (NULL: a tool's, or up to date) is for streams_may_commit_part.
int16_t streams_may_commit(const struct streams_group *group, const struct consumer_commit *commit,
                           const struct streams_member **member);
// An older epoch may commit for active tasks it already had at that epoch.
bool streams_may_commit_part(const struct streams_group *group, const struct streams_member *member,
                             int32_t epoch, struct slice topic, int32_t partition);
// OffsetFetch from version 9 on. member_id.data NULL and epoch < 0: anybody.
int16_t streams_may_fetch(const struct streams_group *group, struct slice member_id, int32_t epoch);
int16_t streams_may_delete(const struct streams_group *group); // NONE or NON_EMPTY_GROUP
bool streams_subscribed(const struct streams_group *group, struct slice topic);

// ---- clock ----
// Does what is due: sessions, rebalance timeouts, the initial delay. To be called at streams_wake_us.
void streams_tick(struct streams_group *group, struct group_now now);
// Starts the clocks, and puts right what a cut between two batches may have left, after loading.
void streams_resume(struct streams_group *group, struct group_now now);

// ---- reading ----
int64_t streams_wake_us(const struct streams_group *group); // GROUP_NEVER_US: not at all
bool streams_dirty(const struct streams_group *group);
bool streams_unused(const struct streams_group *group); // nothing of it was ever written, nobody is in it
enum streams_state streams_state(const struct streams_group *group);
const char *streams_state_text(enum streams_state state); // "NotReady"
int32_t streams_epoch(const struct streams_group *group);
int32_t streams_target_epoch(const struct streams_group *group);
size_t streams_size(const struct streams_group *group);
const struct streams_topology *streams_topology_of(const struct streams_group *group); // NULL: none yet
const struct streams_plan *streams_plan_of(const struct streams_group *group);         // NULL: not looked at
struct slice streams_shutdown_by(const struct streams_group *group); // member id; data NULL: nobody wants it

struct streams_member_view {
    struct slice id;
    int32_t epoch;
    const struct streams_profile *profile;
    const struct streams_tasks *assigned, *target;
};
// In the order they joined: start with *cursor = NULL, false at the end.
bool streams_next_member(const struct streams_group *group, struct map_entry **cursor,
                         struct streams_member_view *view);

#endif
