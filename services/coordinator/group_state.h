// SPDX-License-Identifier: Apache-2.0
// The inside of a group, shared by the files that make up the state machine: group.c (members and reading),
// group_join.c (join phase), group_session.c (sync, heartbeat, leave, commit, clocks), group_record.c
// (snapshot), and by migrate.c, which makes one of a group of the other protocol. Nobody else includes it.
#ifndef GROUP_STATE_H
#define GROUP_STATE_H

#include "group.h"

enum { GROUP_MEMBER_FRAME = 32 }; // what a member takes in the record beside its texts, at most

struct group_member {
    struct slice id, instance_id, client_id, client_host; // in text
    struct block *text;
    struct group_protocol *protocols; // in protocol_bytes
    int32_t protocol_count;
    struct block *protocol_bytes;
    struct block *assignment; // NULL: empty
    int32_t session_ms, rebalance_ms;
    int64_t expires_us; // GROUP_NEVER_US: not watched
    void *join_waiter;  // NULL: nobody to answer
    void *sync_waiter;
    bool joined;    // takes part in the rebalance under way (its JoinGroup is parked)
    bool parked;    // its SyncGroup is parked
    bool synced;    // has asked for its assignment of this generation
    bool fresh;     // was never answered: only new_member_wait_ms limits it
    bool unseen;    // joined without knowing its id and has not used it yet (before KIP-394): if the owner
                    // fails now, the client comes back with another id and this one would be a ghost
    bool condensed; // read from a record, which holds the protocol that was chosen only
};

struct group_pending { // KIP-394: id given out, not used yet
    int64_t expires_us;
};

struct group {
    const struct group_settings *settings;
    const struct group_sink *sink;
    struct block *id;
    enum group_state state;
    int32_t generation;
    struct block *protocol_type; // NULL: none
    struct block *protocol;      // NULL: none
    struct group_member *leader; // NULL: none
    struct map members;          // by id
    struct map statics;          // by instance id
    struct map pending;          // by id, struct group_pending
    struct map supported;        // by protocol; value: count of the members that know it
    size_t any_count;            // members that know any protocol
    size_t joined_count;         // members with joined set
    size_t unsynced_count;       // members with synced not set
    size_t bytes;                // held for members
    int64_t state_since_ms;
    int64_t join_deadline_us, sync_deadline_us;
    int32_t initial_left_ms; // how much longer the initial delay may be extended
    bool initial;            // rebalance of a group that was empty: only the clock ends it
    bool new_member_added;
    bool dirty;
    bool written; // some record of it exists
    int64_t wake_us;
};

static inline struct slice block_text(const struct block *block)
{
    return block == NULL ? (struct slice){0} : block_slice(block);
}

// ---- members (group.c) ----
// A member with the identity and protocols of a join; NULL when memory is short.
struct group_member *group_member_new(const struct group_join *join, struct slice id);
void group_member_destroy(struct group_member *member);
// Takes over protocols and timeouts of a join; false when memory is short (nothing is changed).
bool group_member_update(struct group *group, struct group_member *member, const struct group_join *join);
bool group_member_set_assignment(struct group *group, struct group_member *member, struct slice assignment);
struct group_member *group_member_find(const struct group *group, struct slice id);
// The member an instance id stands for, or NULL.
struct group_member *group_member_static(const struct group *group, struct slice instance_id);
void group_member_add(struct group *group, struct group_member *member_take);
// What its group holds for it: no less than it takes in the group's record.
size_t group_member_bytes(const struct group_member *member);
// Takes it out (also as leader) and frees it. Parked answers must have been given.
void group_member_remove(struct group *group, struct group_member *member);
// A condensed member without any protocol was read in the middle of a rebalance: it could be any.
bool group_member_any(const struct group_member *member);
// The client has used its id; the record of a rebalance says so from now on.
void group_member_seen(struct group *group, struct group_member *member);
// member is in the group.
void group_member_set_synced(struct group *group, struct group_member *member, bool synced);
void group_member_park_join(struct group *group, struct group_member *member, void *waiter);
void pending_remove(struct group *group, struct slice id);
struct slice group_member_metadata(const struct group_member *member, struct slice protocol);
// NONE, UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID (KIP-345).
int16_t group_member_validate(const struct group *group, struct slice id, struct slice instance_id);

void group_set_state(struct group *group, struct group_now now, enum group_state state);
// Makes sure group_tick runs at that time or before.
void group_schedule(struct group *group, int64_t at_us);
void group_watch_session(struct group *group, struct group_member *member, struct group_now now);
int64_t group_rebalance_us(const struct group *group); // longest rebalance timeout of the members

// ---- protocols (group.c) ----
// Whether a member of this type with these protocols can be in the group.
bool group_supports(const struct group *group, const struct group_join *join);
// The protocol of the next generation: each member votes for its first that all know.
struct slice group_select_protocol(const struct group *group);

// ---- join phase (group_join.c) ----
void group_answer_join(struct group *group, struct group_member *member, const struct group_joined *answer);
void group_refuse_join(struct group *group, struct group_member *member, int16_t error, struct slice id);
void group_prepare(struct group *group, struct group_now now);
void group_maybe_complete(struct group *group, struct group_now now);
void group_join_due(struct group *group, struct group_now now);
// Starts a rebalance if none is under way, else completes it if it can be.
void group_rebalance(struct group *group, struct group_now now);

// ---- sync (group_session.c) ----
void group_answer_sync(struct group *group, struct group_member *member, int16_t error);
void group_answer_syncs(struct group *group, struct group_now now, int16_t error); // all that are parked

#endif
