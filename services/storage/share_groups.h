// SPDX-License-Identifier: Apache-2.0
// The share groups that read partitions led here (KIP-932, Kafka's SharePartitionManager): which share
// partitions are served, the sessions of their members, and what a group's configuration says. ShareFetch and
// ShareAcknowledge come through here.
#ifndef STORAGE_SHARE_GROUPS_H
#define STORAGE_SHARE_GROUPS_H

#include "cluster/image.h"
#include "kafka/errors.h"
#include "relay.h"
#include "share_served.h"
#include "share_sessions.h"

struct dead_office;
struct storage;

struct share_groups *share_groups_new(struct storage *storage);
void share_groups_destroy(struct share_groups **groups); // no request is held any more

struct share_sessions *share_groups_sessions(struct share_groups *groups);

// The share partition, READY or on its way there. NULL: too many are served here.
struct share_served *share_groups_serve(struct share_groups *groups, struct slice group,
                                        struct replica *replica);
// The same when it is served already, in the replica's epoch; else NULL.
struct share_served *share_groups_find(struct share_groups *groups, struct slice group,
                                       const struct replica *replica);

// The same for who only wants to know: nothing is changed by it.
const struct share_served *share_groups_look(const struct share_groups *groups, struct slice group,
                                             const struct replica *replica);

// All share partitions served here: start with *cursor = NULL, NULL at the end; nothing may be changed
// meanwhile.
const struct share_served *share_groups_next(const struct share_groups *groups, struct map_entry **cursor);

// The session ends: what its member holds may be delivered again.
void share_groups_end_session(struct share_groups *groups, struct share_session *session);
// A client's connection is gone.
void share_groups_disconnected(struct share_groups *groups, uint64_t connection);

// A value of the group's configuration, its default when it has none.
const char *share_groups_setting(const struct share_groups *groups, const char *group, const char *key);
bool share_groups_read_committed(const struct share_groups *groups, const char *group);
int32_t share_groups_lock_ms(const struct share_groups *groups, const char *group);

// What has been acquired, for the metrics.
void share_groups_acquired(struct share_groups *groups, int64_t records);

// ---- for share_served.c and share_start.c ----
struct env *share_groups_env(const struct share_groups *groups);
struct share_limits share_groups_limits(const struct share_groups *groups, const char *group);
struct dead_office *share_groups_office(struct share_groups *groups);
// The replica it is of, when it is led here in its epoch; else NULL.
struct replica *share_groups_replica(const struct share_served *served);
// Asks the share coordinator of the share partition; done gets served.
struct relay *share_groups_ask(struct share_served *served, struct block *frame, relay_fn *done);
// Ends it; it is gone.
void share_groups_drop(struct share_served *served, enum status status);
// Locks have ended.
void share_groups_expired(struct share_groups *groups, const struct share_write *write);
// It is written that records are over.
void share_groups_over(struct share_groups *groups, const struct share_write *write);

#endif
