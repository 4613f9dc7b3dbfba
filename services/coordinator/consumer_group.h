// SPDX-License-Identifier: Apache-2.0
// One group of the consumer protocol (KIP-848) as a pure state machine: heartbeats, the clock and topics that
// come and go go in; answers, a mark that something must be written (dirty) and the next time to look at it
// (wake_us) come out. The words are Kafka's:
//
//   group epoch       grows with every change of members, subscriptions or subscribed topics;
//   target epoch      group epoch the target assignment was computed for: who is to have what;
//   member epoch      target epoch a member has reached: it gives up what it is not to have any more, says
//   so,
//                     and gets what it is to have as soon as nobody else has it (consumer_reconcile.c).
//
// A partition belongs to at most one member at any time. Members of the classic protocol take part through
// JoinGroup, SyncGroup and Heartbeat (consumer_classic.c) while a group migrates. What is durable are Kafka's
// records (consumer_record.h); a new owner of the shard builds the group from them and calls
// consumer_resume. Topics are looked up in the image; group_now, identities and classic requests are those
// of group.h.
#ifndef CONSUMER_GROUP_H
#define CONSUMER_GROUP_H

#include "cluster/image.h"
#include "group.h"
#include "parts.h"

struct consumer_group;
struct consumer_member;

enum consumer_state { CONSUMER_EMPTY, CONSUMER_ASSIGNING, CONSUMER_RECONCILING, CONSUMER_STABLE };

enum {
    CONSUMER_LEAVE = -1,        // member epoch of a heartbeat that says goodbye
    CONSUMER_LEAVE_STATIC = -2, // ... of a static member that means to come back
    CONSUMER_REGEX_MAX = 1024,  // bytes of a regular expression; longer: INVALID_REGULAR_EXPRESSION
    CONSUMER_REGEXES_MAX = 100, // different ones in one group; more: GROUP_MAX_SIZE_REACHED
    CONSUMER_SCAN_MAX = 512     // topics looked at in one turn for one regular expression
};

struct consumer_settings {
    int32_t heartbeat_ms;       // group.consumer.heartbeat.interval.ms
    int32_t session_ms;         // group.consumer.session.timeout.ms
    int32_t size_max;           // group.consumer.max.size: members
    size_t bytes_max;           // group.max.bytes: what all members say of themselves
    struct slice assignor;      // the first of group.consumer.assignors: for who names none
    bool may_upgrade;           // group.consumer.migration.policy
    bool may_downgrade;         // ...
    int32_t downgrade_size_max; // group.max.size: a larger group stays as it is
};

// The topics of the cluster; one for all groups.
struct consumer_topics {
    const struct image *image;
    uint64_t version; // grows whenever a topic or a partition appears or vanishes; at least 1
};

// settings and topics are borrowed. NULL when memory is short.
struct consumer_group *consumer_group_new(struct slice id, const struct consumer_settings *settings,
                                          const struct consumer_topics *topics);
void consumer_group_destroy(struct consumer_group **group);
// The group's own session timeout (its configuration consumer.session.timeout.ms); it counts from each member's
// next heartbeat. Until it is set that of the settings holds.
void consumer_group_set_session(struct consumer_group *group, int32_t session_ms);

// What a member says of itself. As a request: data NULL, topic_count and rebalance_ms < 0 mean "unchanged".
struct consumer_profile {
    struct slice instance_id, rack, assignor; // data NULL: none
    struct slice regex;                       // "" or data NULL: none
    struct slice client_id, client_host;
    const struct slice *topics; // subscribed by name, ascending, each once
    int32_t topic_count;
    int32_t rebalance_ms;
    bool classic; // uses the classic protocol; then what follows counts
    int32_t session_ms;
    const struct group_protocol *protocols; // in its order of preference
    int32_t protocol_count;
};

// Whether it is none, or a regular expression that may be subscribed to.
bool consumer_regex_valid(struct slice pattern);
// Makes names such a list: ascending, each once. Returns how many are left; a negative count stays.
int32_t consumer_sort_topics(struct slice *topics, int32_t count);

struct consumer_beat { // ConsumerGroupHeartbeat
    struct slice member_id;
    int32_t epoch;                   // 0: joins; > 0; CONSUMER_LEAVE; CONSUMER_LEAVE_STATIC
    struct consumer_profile profile; // instance_id is of the request in any case
    const struct parts *owned;       // what it has now; NULL: not stated
};

struct consumer_beaten {
    int32_t epoch;
    const struct parts *assignment; // what it is to have from now on; NULL: unchanged. Borrowed.
};

// Kafka's error; the answer counts with NONE only. The group may have changed in any case.
int16_t consumer_heartbeat(struct consumer_group *group, struct group_now now,
                           const struct consumer_beat *beat, struct consumer_beaten *answer);

// ---- members of the classic protocol ----
// All answer at once; the answer of a join borrows from the group and the request.
void consumer_classic_join(struct consumer_group *group, struct group_now now, const struct group_join *join,
                           struct group_joined *answer);
// The member whose assignment a SyncGroup gets; with an error NULL.
int16_t consumer_classic_sync(struct consumer_group *group, struct group_now now,
                              const struct group_sync *sync, const struct consumer_member **member);
int16_t consumer_classic_heartbeat(struct consumer_group *group, struct group_now now,
                                   const struct group_identity *who);
// Takes members of either protocol out (LeaveGroup); errors[i] belongs to who[i].
void consumer_classic_leave(struct consumer_group *group, struct group_now now,
                            const struct group_identity *who, int32_t count, int16_t *errors);
// What the member was told to be its protocol.
struct slice consumer_classic_protocol(const struct consumer_member *member);
// Appends the member's assignment in the form of the embedded consumer protocol.
enum status consumer_classic_assignment(const struct consumer_group *group,
                                        const struct consumer_member *member, struct buf *out);

// ---- offsets ----
struct consumer_commit {
    struct group_identity who; // generation: member epoch
    int16_t version;           // of OffsetCommit
};
// Whether a commit is let in; *member (NULL: a tool's) is for consumer_may_commit_part.
int16_t consumer_may_commit(const struct consumer_group *group, const struct consumer_commit *commit,
                            const struct consumer_member **member);
// An older epoch may commit what it already had at that epoch (KIP-1251).
bool consumer_may_commit_part(const struct consumer_member *member, int32_t epoch,
                              const struct parts_item *part);
// OffsetFetch from version 9 on. member_id.data NULL and epoch < 0: anybody.
int16_t consumer_may_fetch(const struct consumer_group *group, struct slice member_id, int32_t epoch);
int16_t consumer_may_delete(const struct consumer_group *group); // NONE or NON_EMPTY_GROUP
bool consumer_subscribed(const struct consumer_group *group, struct slice topic);

// ---- topics and clock ----
void consumer_topic_added(struct consumer_group *group, struct slice name);
void consumer_topic_removed(struct consumer_group *group, struct slice name);
// Does what is due: sessions, rebalance timeouts, regular expressions. To be called at consumer_wake_us.
void consumer_tick(struct consumer_group *group, struct group_now now);
// Starts the clocks, and puts right what a cut between two batches may have left, after loading.
void consumer_resume(struct consumer_group *group, struct group_now now);

// ---- reading ----
int64_t consumer_wake_us(const struct consumer_group *group); // GROUP_NEVER_US: not at all
bool consumer_dirty(const struct consumer_group *group);
// Only members of the classic protocol are left, and it may become a classic group.
bool consumer_wants_downgrade(const struct consumer_group *group);
// It could not: it does not want to before its next epoch.
void consumer_stay(struct consumer_group *group);
bool consumer_unused(const struct consumer_group *group); // nothing of it was ever written, nobody is in it
enum consumer_state consumer_state(const struct consumer_group *group);
const char *consumer_state_text(enum consumer_state state); // "Reconciling"
int32_t consumer_epoch(const struct consumer_group *group);
int32_t consumer_target_epoch(const struct consumer_group *group);
struct slice consumer_assignor(const struct consumer_group *group); // that most members prefer
size_t consumer_size(const struct consumer_group *group);

struct consumer_member_view {
    struct slice id;
    int32_t epoch;
    const struct consumer_profile *profile;
    const struct parts *assigned, *target;
};
// In the order they joined: start with *cursor = NULL, false at the end.
bool consumer_next_member(const struct consumer_group *group, struct map_entry **cursor,
                          struct consumer_member_view *view);

#endif
