// SPDX-License-Identifier: Apache-2.0
// The inside of a share group, shared by share_group.c, share_target.c and share_group_record.c.
#ifndef SHARE_GROUP_STATE_H
#define SHARE_GROUP_STATE_H

#include "consumer_profile.h"
#include "share_group.h"

struct share_member {
    struct block *id;
    struct consumer_profile *profile; // never NULL once resumed
    size_t profile_bytes;
    int32_t epoch, previous_epoch;
    struct parts assigned, target;
    int64_t session_us; // it must have said something; GROUP_NEVER_US: not watched
    bool dirty_profile, dirty_target, dirty_current;
};

struct share_group {
    const struct share_settings *settings;
    const struct consumer_topics *topics;
    struct block *id;
    int32_t session_ms;
    int32_t epoch, target_epoch;
    uint64_t hash;      // of the subscribed topics at this epoch
    uint64_t hashed_at; // topics->version of it; 0: not known
    struct map members; // by id
    struct map gone;    // ids of removed members whose records are to be buried; value: the group
    struct parts pending, initialized;
    size_t bytes; // of all profiles
    bool dirty;   // something below or in a member is to be written
    bool dirty_epoch, dirty_target_epoch, dirty_parts;
    bool written;
    int64_t wake_us;
};

// ---- share_group.c ----
struct share_member *share_member_find(const struct share_group *group, struct slice id);
struct share_member *share_member_new(struct share_group *group, struct slice id); // NULL: no memory
void share_member_free(struct share_member *member);
void share_member_set(struct share_group *group, struct share_member *member,
                      struct consumer_profile *profile_take);
// Bumps the epoch when asked, or when the subscribed topics have changed.
void share_group_refresh(struct share_group *group, bool bump);

// ---- share_target.c ----
// The partitions that members subscribe to and that exist, ascending.
struct parts share_group_wanted(const struct share_group *group);
// Computes the target anew when the epoch is ahead of it.
void share_group_retarget(struct share_group *group);

#endif
