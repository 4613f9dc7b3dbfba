// SPDX-License-Identifier: Apache-2.0
// The inside of a streams group, shared by the files that make up its state machine: streams_group.c (life
// and reading), streams_offsets.c, streams_profile.c, streams_member.c (members, ownership, clocks),
// streams_heartbeat.c, streams_target.c (topics and target), streams_reconcile.c, streams_record.c and
// streams_load.c. Nobody else includes it.
#ifndef STREAMS_STATE_H
#define STREAMS_STATE_H

#include "streams_group.h"

enum streams_progress { // as in Kafka's records
    STREAMS_DONE = 1,
    STREAMS_UNREVOKED = 2,  // it has been told to give something up and has not said that it did
    STREAMS_UNRELEASED = 3, // it is to have what somebody else has not given up yet
    STREAMS_UNKNOWN = 127   // written by a newer Kafka: it starts over
};

struct streams_process {
    int32_t members;
    struct map held; // tasks its members have, whatever the role; by task, how often
};

struct streams_member {
    struct block *id;
    struct streams_profile *profile; // never NULL once resumed
    size_t profile_bytes;
    struct streams_process *process; // of the profile
    int32_t epoch, previous_epoch;
    enum streams_progress progress;
    struct streams_tasks assigned, revoking; // it has both
    struct streams_tasks target;
    int64_t session_us, rebalance_us; // GROUP_NEVER_US: not watched
    bool dirty_profile, dirty_target, dirty_current;
};

struct streams_group {
    const struct streams_settings *settings;
    const struct consumer_topics *topics;
    struct block *id;
    struct streams_options options;
    struct streams_topology *topology;
    struct streams_plan *plan; // of the topology on the topics of hashed_at; NULL: not looked at
    int32_t epoch, target_epoch;
    int32_t validated_epoch; // of the topology, when its plan was ready at this group epoch; else -1
    int32_t standbys;        // replicas this group epoch was made with; -1: not known
    uint64_t hash;           // of the topics the topology needs, at this group epoch
    uint64_t hashed_at;      // topics->version the plan is of; 0: none
    struct map members;      // by id
    struct map processes;    // by process id
    struct map owners;       // by active task, the member that has it
    struct map gone;         // ids of removed members whose records are to be buried; value: the group
    size_t bytes;            // of all profiles
    int64_t delay_us;        // the first target is computed then; GROUP_NEVER_US: no delay
    int32_t endpoint_epoch;
    struct block *shutdown_by; // member that asked for it; NULL: none
    bool dirty;                // something below or in a member is to be written
    bool dirty_epoch, dirty_target_epoch, dirty_topology;
    bool written;
    int64_t wake_us;
};

// ---- profiles (streams_profile.c) ----
// One allocation with everything in it; NULL when memory is short.
struct streams_profile *streams_profile_copy(const struct streams_profile *profile);
size_t streams_profile_bytes(const struct streams_profile *profile);
bool streams_profile_equal(const struct streams_profile *a, const struct streams_profile *b);
// base with what change states; base NULL: of a new member.
struct streams_profile streams_profile_merge(const struct streams_profile *base,
                                             const struct streams_profile *change);

// ---- members (streams_member.c) ----
struct streams_member *streams_find(const struct streams_group *group, struct slice id);
// A member nothing is known of yet; NULL when memory is short.
struct streams_member *streams_member_new(struct streams_group *group, struct slice id);
void streams_member_free(struct streams_member *member); // that is in no map any more
// Takes the member out with all it has. Its records are buried at the next writing.
void streams_remove(struct streams_group *group, struct streams_member *member);
void streams_set_profile(struct streams_group *group, struct streams_member *member,
                         struct streams_profile *profile_take);
void streams_drop_profile(struct streams_group *group, struct streams_member *member); // while loading
bool streams_room(const struct streams_group *group, struct slice id, const struct streams_profile *profile,
                  const struct streams_member *former);
// What it has belongs to it, and to its process; or to nobody.
void streams_hold(struct streams_group *group, struct streams_member *member);
void streams_release(struct streams_group *group, struct streams_member *member);
struct streams_member *streams_owner(const struct streams_group *group, const struct parts_item *task);
bool streams_process_has(const struct streams_process *process, const struct parts_item *task);
void streams_schedule(struct streams_group *group, int64_t at_us);
void streams_watch(struct streams_group *group, struct streams_member *member, struct group_now now);

// ---- topics and target (streams_target.c) ----
// Looks at the topics again when they may have changed; whether the group's tasks may be others than before.
bool streams_look(struct streams_group *group);
// The plan the topology would have now; NULL when memory is short.
struct streams_plan *streams_plan_new(const struct streams_group *group,
                                      const struct streams_topology *topology);
void streams_bump(struct streams_group *group); // the group epoch
// Computes the target anew when the group epoch is ahead of it.
void streams_retarget(struct streams_group *group);

// ---- reconciliation (streams_reconcile.c) ----
struct streams_goal { // what a member is to reach
    int32_t epoch;
    const struct streams_tasks *tasks;
};
// owned: what the member says it has; NULL: it did not say.
void streams_reconcile(struct streams_group *group, struct streams_member *member, struct group_now now,
                       const struct streams_goal *goal, const struct streams_tasks *owned);
bool streams_reconciled(const struct streams_group *group, const struct streams_member *member);

#endif
