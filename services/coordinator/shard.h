// SPDX-License-Identifier: Apache-2.0
// One shard this process owns: a partition of __consumer_offsets as a ledger, and the groups whose ids fall
// into it. The groups' state machine (group.h) and the offsets (offsets.h) are pure; here they meet the
// ledger, the clock and the requests that wait.
#ifndef SHARD_H
#define SHARD_H

#include "consumer_group.h"
#include "group.h"
#include "lag.h"
#include "ledger/ledger.h"
#include "offsets.h"
#include "streams_group.h"
#include "share_group.h"
#include "share_round.h"

struct shard;
struct coordinator;

struct shard_settings {
    struct group_settings group;
    struct consumer_settings consumer;
    struct streams_settings streams;
    struct share_settings share;
    int64_t retention_ms;       // offsets.retention.minutes
    int64_t retention_check_ms; // offsets.retention.check.interval.ms
    int32_t metadata_max;       // offset.metadata.max.bytes
    int32_t groups_max;         // groups.per.shard.max
};

// A group and its offsets; known under its id as long as there is anything to know.
struct shard_group {
    struct shard *shard;
    struct group *group;             // the group, or an empty one that only gives it its name
    struct consumer_group *consumer; // the group, when it uses the consumer protocol (KIP-848)
    struct streams_group *streams;   // the group, when it uses the streams protocol (KIP-1071)
    struct share_group *share;       // the group, when it is a share group (KIP-932)
    struct share_round *telling;     // share coordinators are told of partitions it begins to read
    struct share_round *looking;     // ... are asked whether they keep those it reads
    bool unsure;                     // they may have forgotten some while it was empty
    bool converting;                 // its records are buried because it changes its protocol
    struct offsets offsets;
    struct map pending;       // by producer id, struct offsets: of open transactions
    struct timer timer;       // group_tick
    bool put_off;             // ... was due while members were not heard
    struct lag_group *lag;    // NULL: how far it is behind is not watched
    struct shard_group *next; // in the shard's list of groups to be written
    bool listed;
};

// Who commits an offset in a transaction.
struct shard_pending {
    struct ledger_producer producer;
    int64_t started_ms; // of the transaction; -1: not known
};

struct shard_end {
    struct ledger_producer producer;
    bool commit;
    int32_t coordinator_epoch;
    int64_t started_ms; // an older transaction than the one that waits changes nothing; -1: any
    bool raised;        // the epoch is above that of the transaction's offsets: with the same one it is older
};

struct shard_check { // embedded, zero at first
    struct shard *shard;
    int64_t producer_id;
    bool stale;
    struct shard_check *next, *previous;
};

struct shard_options {
    struct env *env;
    struct rpc *rpc;
    struct image *image;
    struct ledger_loads *loads; // borrowed
    const struct shard_settings *settings; // borrowed
    const struct group_sink *sink;         // borrowed; for all groups
    struct lag *lag;                       // borrowed; is told of commits. NULL: nobody wants to know
    const struct consumer_topics *topics;  // borrowed; of the image
    struct share_peers *peers;             // borrowed; share coordinators
    int32_t index;                         // partition of __consumer_offsets
    int32_t owner, owner_epoch;
    int64_t metadata_offset;
    // The state is dropped: requests parked in its groups must be failed, ledger waits have ended.
    void (*on_reset)(void *context, struct ledger *ledger);
    // A clock has changed groups: the answers they gave are to be settled.
    void (*on_clock)(void *context, struct shard *shard);
    // Whether members are heard at present; else none is put out for its silence.
    bool (*hears)(void *context);
    void *context;
};

struct shard *shard_new(const struct shard_options *options);
// Waits of the ledger end with ST_NOT_LEADER; parked requests must have been failed.
void shard_destroy(struct shard **shard);

int32_t shard_index(const struct shard *shard);
int32_t shard_owner_epoch(const struct shard *shard);
bool shard_ready(const struct shard *shard);
// Members were not heard for long while a clock of a group was due. The shard is to be loaded anew, which gives
// every member its whole session again.
bool shard_deaf(const struct shard *shard);
struct ledger *shard_ledger(struct shard *shard);
const struct shard_settings *shard_settings(const struct shard *shard);

// NULL when nothing is known of the group. create: makes a new empty one, NULL at groups_max or when memory
// is short.
struct shard_group *shard_find(struct shard *shard, struct slice group_id, bool create);
// The group may have changed: it is written with the next batch, its clock is set, an unused one is dropped
// (cell is gone then). To be called after every event given to cell->group.
void shard_changed(struct shard_group *cell);

// The group uses the consumer protocol from now on: an empty classic one is replaced, one with members taken
// over with them. Kafka's error: it stays what it is.
int16_t shard_to_consumer(struct shard_group *cell);
// The group uses the streams protocol from now on; it is a new or an empty classic one.
int16_t shard_to_streams(struct shard_group *cell);
// An empty consumer or streams group becomes a classic one. INCONSISTENT_GROUP_PROTOCOL: a share group.
int16_t shard_to_classic(struct shard_group *cell);
// The group is a share group from now on, if nothing was known of it; else GROUP_ID_NOT_FOUND.
int16_t shard_to_share(struct shard_group *cell);
// What is asked of share coordinators about the share group would mix with what its caller is about to tell
// them: nothing comes of it.
void shard_share_hush(struct shard_group *cell);
// Topics have come or gone: what groups subscribe to by regular expression may be another set.
void shard_topic_added(struct shard *shard, struct slice topic);

// Writes (and applies) one offset, or its removal. ST_LIMIT, ST_NO_MEMORY: nothing is done.
enum status shard_commit(struct shard_group *cell, struct slice topic, int32_t partition,
                         const struct offset_commit *commit);
enum status shard_forget(struct shard_group *cell, struct slice topic, int32_t partition);
// ---- offsets of transactions: they count from the marker on that commits their producer's transaction ----

// Whether the producer's transaction is open here: offsets of it wait.
bool shard_txn_open(const struct shard *shard, const struct ledger_producer *producer);
// Writes one offset to wait. started_ms: when the transaction began, as its coordinator has said. Statuses as
// shard_commit.
enum status shard_commit_pending(struct shard_group *cell, const struct shard_pending *pending,
                                 struct slice topic, int32_t partition, const struct offset_commit *commit);
// The transaction has ended: a marker is written when offsets wait here. ST_AGAIN: the ledger is full.
enum status shard_end_txn(struct shard *shard, const struct shard_end *end);
// Whether an offset of an open transaction waits for the partition (KIP-447).
bool shard_unstable(const struct shard_group *cell, struct slice topic, int32_t partition);
// While a transaction's coordinator is asked; stale once the transaction has ended meanwhile.
void shard_check_begin(struct shard *shard, struct shard_check *check, int64_t producer_id);
void shard_check_end(struct shard_check *check); // idempotent

// Removes the group and its offsets; it must be empty. cell is gone. false: it is there with what offsets the
// ledger could not take now; to be tried again.
bool shard_delete(struct shard_group *cell);
// The topic is gone from the cluster: so are the offsets committed for it.
void shard_forget_topic(struct shard *shard, const struct image_topic *topic);
// Removes what has expired (Kafka's OffsetExpirationCondition) or belongs to a topic that is gone. Runs by
// itself every retention_check_ms.
void shard_expire(struct shard *shard);

// Groups in the order they became known: start with *cursor = NULL; nothing may be changed meanwhile.
bool shard_next(const struct shard *shard, struct map_entry **cursor, struct shard_group **cell);
size_t shard_count(const struct shard *shard);

// Of a group of whatever protocol, as ListGroups names it.
const char *shard_group_type(const struct shard_group *cell);  // "classic", "consumer", "streams", "share"
const char *shard_group_state(const struct shard_group *cell); // "Stable"
size_t shard_group_members(const struct shard_group *cell);
struct slice shard_group_protocol_type(const struct shard_group *cell); // "consumer"
// Whether members of the group read the topic by a protocol that tells; classic groups are asked elsewhere.
bool shard_group_subscribed(const struct shard_group *cell, struct slice topic);
// Those of the consumer protocol; adds their members to *members.
size_t shard_consumers(const struct shard *shard, size_t *members);
size_t shard_streams(const struct shard *shard, size_t *members); // the same of the streams protocol
size_t shard_shares(const struct shard *shard, size_t *members); // the same of share groups

struct group_now shard_now(const struct shard *shard);

#endif
