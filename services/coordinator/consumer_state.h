// SPDX-License-Identifier: Apache-2.0
// The inside of a consumer group, shared by the files that make up its state machine: consumer_group.c (life
// and reading), consumer_member.c (members, ownership, clocks), consumer_heartbeat.c, consumer_reconcile.c,
// consumer_target.c (subscriptions and target), consumer_regex.c, consumer_classic.c, consumer_offsets.c,
// consumer_record.c and migrate.c. Nobody else includes it.
#ifndef CONSUMER_STATE_H
#define CONSUMER_STATE_H

#include "cluster/sorted.h"
#include "consumer_group.h"
#include "consumer_profile.h"
#include "regex.h"

enum member_progress { // as in Kafka's records
    MEMBER_STABLE = 1,
    MEMBER_UNREVOKED = 2,  // it has been told to give something up and has not said that it did
    MEMBER_UNRELEASED = 3, // it is to have what somebody else has not given up yet
    MEMBER_UNKNOWN = 127   // written by a newer Kafka: it starts over
};

struct consumer_member {
    struct block *id;
    struct consumer_profile *profile; // never NULL once resumed
    size_t profile_bytes;
    int32_t epoch, previous_epoch;
    enum member_progress progress;
    struct parts assigned, revoking; // owned by it: both are in group->owners
    struct parts target;
    // GROUP_NEVER_US: not watched
    int64_t session_us;                              // it must have said something
    int64_t rebalance_us;                            // ... have given up what it was told to
    int64_t join_us;                                 // ... have joined again (classic)
    int64_t sync_us;                                 // ... have asked for its assignment (classic)
    bool dirty_profile, dirty_target, dirty_current; // to be written
};

struct consumer_regex {
    struct regex *compiled;
    int32_t members; // that subscribe to it
    bool resolved;   // all topics have been looked at
    bool dirty;
    struct block *seen;  // name of the last topic looked at; NULL: none yet
    struct map topics;   // names that match
    int64_t version;     // of the image, as written
    int64_t resolved_ms; // wall clock, as written; 0: never
};

struct consumer_group {
    const struct consumer_settings *settings;
    const struct consumer_topics *topics;
    struct block *id;
    int32_t session_ms; // of members of the consumer protocol
    int32_t epoch, target_epoch;
    int32_t stays_epoch; // see consumer_stay; 0: none
    uint64_t hash;       // of the subscribed topics at this epoch
    uint64_t hashed_at;  // topics->version of it; 0: not known
    struct map members;  // by id
    struct sorted order; // the same in the order of their ids, as assignors want them
    struct map statics;  // by instance id
    struct map owners;   // by partition, the member that has it
    struct map names;    // subscribed topics, by name, struct consumer_name
    struct map regexes;  // by pattern
    struct map gone;     // ids of removed members whose records are to be buried; value: the group
    struct map gone_regexes;
    size_t bytes; // of all profiles
    bool dirty;   // something below or in a member or expression is to be written
    bool dirty_epoch, dirty_target_epoch;
    bool had_metadata; // a record of Kafka before 4.1 is to be buried
    bool written;
    int64_t wake_us;
};

struct consumer_name {
    int32_t users; // members and regular expressions that name it
};

// ---- members (consumer_member.c) ----
struct consumer_member *consumer_find(const struct consumer_group *group, struct slice id);
struct consumer_member *consumer_find_static(const struct consumer_group *group, struct slice instance_id);
// A member nothing is known of yet; NULL when memory is short.
struct consumer_member *consumer_member_new(struct consumer_group *group, struct slice id);
// Takes the member out with all it owns. Its records are buried at the next writing.
void consumer_remove(struct consumer_group *group, struct consumer_member *member);
// Takes the member out of the tables of members only.
void consumer_unlist(struct consumer_group *group, struct consumer_member *member);
// Frees a member that is in no map any more.
void consumer_member_free(struct consumer_member *member);
// While loading: it has said nothing after all.
void consumer_drop_profile(struct consumer_group *group, struct consumer_member *member);
void consumer_set_profile(struct consumer_group *group, struct consumer_member *member,
                          struct consumer_profile *profile_take);
// What it owns from now on; takes over both sets.
void consumer_set_current(struct consumer_group *group, struct consumer_member *member,
                          struct parts *assigned, struct parts *revoking);
// The same without a record of it, for members that are being loaded.
void consumer_own(struct consumer_group *group, struct consumer_member *member);
struct consumer_member *consumer_owner(const struct consumer_group *group, const struct parts_item *part);
// Whether the group has room for a member of that id and profile in place of former (NULL: none).
bool consumer_room(const struct consumer_group *group, struct slice id,
                   const struct consumer_profile *profile, const struct consumer_member *former);
// NONE, UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID.
int16_t consumer_validate(const struct consumer_group *group, struct slice id, struct slice instance_id,
                          struct consumer_member **member);
// A new member with what the old one had, which is removed (KIP-345).
struct consumer_member *consumer_replace(struct consumer_group *group, struct consumer_member *old,
                                         struct slice id);
void consumer_schedule(struct consumer_group *group, int64_t at_us);
void consumer_watch(struct consumer_group *group, struct consumer_member *member, struct group_now now);
// Members are gone: the group has another epoch.
void consumer_shrunk(struct consumer_group *group);

// ---- subscriptions and target (consumer_target.c) ----
void consumer_count_name(struct consumer_group *group, struct slice name, int32_t more);
bool consumer_member_reads(const struct consumer_group *group, const struct consumer_member *member,
                           struct slice topic);
// Bumps the group epoch when asked, or when the subscribed topics have changed.
void consumer_refresh(struct consumer_group *group, bool bump);
// Computes the target anew when the group epoch is ahead of it.
void consumer_retarget(struct consumer_group *group);

// ---- regular expressions (consumer_regex.c) ----
// Whether a member may subscribe: NONE, INVALID_REGULAR_EXPRESSION or GROUP_MAX_SIZE_REACHED.
int16_t consumer_regex_check(const struct consumer_group *group, struct slice pattern);
void consumer_regex_use(struct consumer_group *group, struct slice pattern, int32_t more);
bool consumer_regex_resolved(const struct consumer_group *group, struct slice pattern);
bool consumer_regex_unfinished(const struct consumer_group *group);
// Looks at some more topics. Whether members may read others than before.
bool consumer_regex_scan(struct consumer_group *group, struct group_now now);
void consumer_regex_destroy(struct consumer_regex *regex);
// The entry of a pattern, made when it is new; nobody subscribes to it yet.
struct consumer_regex *consumer_regex_load(struct consumer_group *group, struct slice pattern);
// What a record says: the names it matched. It is held against all topics once more after loading.
void consumer_regex_take(struct consumer_group *group, struct consumer_regex *regex,
                         const struct slice *names, int32_t count);
void consumer_regex_unload(struct consumer_group *group, struct slice pattern);
// After loading: expressions nobody subscribes to are buried.
void consumer_regex_sweep(struct consumer_group *group);

// ---- reconciliation (consumer_reconcile.c) ----
struct reconcile {
    const struct parts *owned; // what the member says it has; NULL: it did not say
    bool changed;              // its subscription has
};
void consumer_reconcile(struct consumer_group *group, struct consumer_member *member, struct group_now now,
                        const struct reconcile *with);
bool consumer_reconciled(const struct consumer_group *group, const struct consumer_member *member);
// Whether somebody else still has what it is to have.
bool consumer_waits(const struct consumer_group *group, const struct consumer_member *member);

#endif
