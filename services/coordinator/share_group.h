// SPDX-License-Identifier: Apache-2.0
// One share group (KIP-932) as a pure state machine: heartbeats, the clock, topics that come and go, and what
// share coordinators have been told go in; answers, a mark that something must be written (dirty) and the
// next time to look at it (wake_us) come out. Members may have the same partitions, so each gets what the
// target says at once; epochs are those of consumer groups (consumer_group.h).
//
// A partition is given to members only when its state is kept by its share coordinator: it is initialising
// until that has been told (share_group_pending), and initialised from then on. What is durable are Kafka's
// records (share_group_record.h); a new owner builds the group from them and calls share_group_resume.
#ifndef SHARE_GROUP_H
#define SHARE_GROUP_H

#include "consumer_group.h"

struct share_group;

enum { SHARE_LEAVE = -1 }; // member epoch of a heartbeat that says goodbye

struct share_settings {
    int32_t heartbeat_ms; // group.share.heartbeat.interval.ms
    int32_t session_ms;   // group.share.session.timeout.ms
    int32_t size_max;     // group.share.max.size: members
    size_t bytes_max;     // group.max.bytes: what all members say of themselves
};

// settings and topics are borrowed. NULL when memory is short.
struct share_group *share_group_new(struct slice id, const struct share_settings *settings,
                                    const struct consumer_topics *topics);
void share_group_destroy(struct share_group **group);
// share.session.timeout.ms of the group; it counts from each member's next heartbeat.
void share_group_set_session(struct share_group *group, int32_t session_ms);

struct share_beat { // ShareGroupHeartbeat
    struct slice member_id;
    int32_t epoch;                   // 0: joins; > 0; SHARE_LEAVE
    struct consumer_profile profile; // rack, client and topics count; topic_count < 0: unchanged
};

struct share_beaten {
    int32_t epoch;
    const struct parts *assignment; // what it has from now on; NULL: unchanged. Borrowed.
};

// Kafka's error; the answer counts with NONE only.
int16_t share_group_heartbeat(struct share_group *group, struct group_now now, const struct share_beat *beat,
                              struct share_beaten *answer);

// ---- state kept by share coordinators ----
// Partitions whose share coordinator is still to be told, and those that are initialised. Borrowed.
const struct parts *share_group_pending(const struct share_group *group);
const struct parts *share_group_initialized(const struct share_group *group);
// Whether share coordinators may keep anything of the group.
bool share_group_kept(const struct share_group *group);
// The share coordinators have been told of these: they may be given to members.
void share_group_told(struct share_group *group, const struct parts *parts);
// The share coordinators have forgotten these: nothing of them is kept any more.
void share_group_forgotten(struct share_group *group, const struct parts *parts);
// State epoch of what is set from now on: the group's epoch, which moves first when advance is set.
int32_t share_group_state_epoch(struct share_group *group, bool advance);

// ---- topics and clock ----
bool share_group_subscribed(const struct share_group *group, struct slice topic);
void share_group_topics_removed(struct share_group *group); // some are not in the image any more
void share_group_tick(struct share_group *group, struct group_now now); // at share_group_wake_us
void share_group_resume(struct share_group *group, struct group_now now);

// ---- reading ----
int64_t share_group_wake_us(const struct share_group *group); // GROUP_NEVER_US: not at all
bool share_group_dirty(const struct share_group *group);
bool share_group_unused(const struct share_group *group);       // nothing was ever written, nobody is in it
const char *share_group_state(const struct share_group *group); // "Stable", "Empty"
int32_t share_group_epoch(const struct share_group *group);
int32_t share_group_target_epoch(const struct share_group *group);
size_t share_group_size(const struct share_group *group);

struct share_member_view {
    struct slice id;
    int32_t epoch;
    const struct consumer_profile *profile;
    const struct parts *assigned;
};
// In the order they joined: start with *cursor = NULL, false at the end.
bool share_group_next(const struct share_group *group, struct map_entry **cursor,
                      struct share_member_view *view);

#endif
