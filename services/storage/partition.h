// SPDX-License-Identifier: Apache-2.0
// One replica of one partition as a state machine without I/O: who leads, who is in sync, how far the high
// watermark is. Events go in (leadership from the image, bytes appended or flushed here, acknowledgements of
// followers, time); what changed comes out as bits. partitions.c owns the log and acts on the bits;
// replicate.c brings acknowledgements.
//
// Rules (design section 6): the high watermark is the lowest flushed offset over the committed ISR and every
// member whose addition is proposed but not yet committed; it never goes back within an epoch and does not
// move while the committed ISR is smaller than the effective minimum (KIP-966). An acknowledgement counts
// only in the current leader epoch and from the follower's registered incarnation (KAFKA-15221).
#ifndef STORAGE_PARTITION_H
#define STORAGE_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

enum { PARTITION_REPLICAS_MAX = 16 }; // replication factor at most

enum partition_role { PARTITION_OFFLINE, PARTITION_FOLLOWER, PARTITION_LEADER };

// What an event changed; the caller acts on it.
enum partition_change {
    PARTITION_WATERMARK = 1, // high_watermark moved: wake waiters
    PARTITION_PROPOSE = 2,   // proposed[] differs from the committed ISR: send AlterIsr
    PARTITION_ROLE = 4,      // role or leader epoch changed
};

struct partition_replica {
    int32_t node;         // node id
    uint64_t incarnation; // registered one; 0 while the node is not registered
    bool fenced;          // the controller has fenced it: not to be proposed
    bool adding;          // comes in by a reassignment that runs (KIP-455)
    bool failed;          // its node says that its log cannot be used: nothing it acknowledges counts
    bool in_isr;          // committed
    bool proposed;        // member of the proposed ISR while a proposal is open, else equal to in_isr
    int64_t flushed; // durable there (exclusive) as acknowledged in this leader epoch; -1: nothing heard yet
    int64_t log_start;    // where its log durably starts, as told in this leader epoch; -1: nothing heard yet
    int64_t caught_up_us; // last time it was known to have everything
    int64_t heard_us;     // time of the last acknowledgement
    int64_t log_end_then; // our log end at that time
};

struct partition {
    int32_t self; // our node id
    enum partition_role role;
    int32_t leader; // node id, -1: none
    int32_t leader_epoch;
    int32_t partition_epoch;
    int32_t min_isr;                    // min.insync.replicas as configured
    struct partition_replica *replicas; // owned
    int replica_count;
    int64_t log_start;
    int64_t log_end;        // next offset
    int64_t flushed;        // durable here (exclusive); equals log_end with flush.before.ack=false
    int64_t high_watermark; // exclusive
    int64_t epoch_start;    // leader: log end when this epoch began
    bool proposal_open;     // an AlterIsr is under way or its outcome unknown
};

// Leadership as the image has it; the caller fills one from the image's partition and node entries.
struct partition_view {
    int32_t leader;
    int32_t leader_epoch;
    int32_t partition_epoch;
    int32_t min_isr;
    int replica_count;
    struct {
        int32_t node;
        uint64_t incarnation;
        bool fenced;
        bool adding;
        bool failed;
        bool in_isr;
    } replicas[PARTITION_REPLICAS_MAX];
};

// An empty replica that knows only what its log says: log_start <= high_watermark <= log_end, flushed <=
// log_end. What an earlier use of the memory owned must have been freed.
void partition_init(struct partition *partition, int32_t self, int64_t log_start, int64_t log_end,
                    int64_t high_watermark);
void partition_fini(struct partition *partition);

// Takes over the image's picture. A view older than the present partition epoch changes nothing. Returns
// change bits.
int partition_view(struct partition *partition, const struct partition_view *view, int64_t now_us);

// The leader appended up to log_end (exclusive), or a follower did.
void partition_appended(struct partition *partition, int64_t log_end);

// The log is durable up to flushed (exclusive).
int partition_flushed(struct partition *partition, int64_t flushed);

// The log is being cut, or was: log end and flushed are at most to from now on. Only a follower begins to
// truncate, but it may lead before it is done; what lies below its watermark is cut only after an unclean
// election, and then the watermark goes with it.
void partition_truncated(struct partition *partition, int64_t to);

// The log was read anew after its disk had failed, while another one leads or nobody: it says the same as to
// partition_init. The watermark never rises by that.
void partition_reloaded(struct partition *partition, int64_t log_start, int64_t log_end,
                        int64_t high_watermark);

// A follower acknowledges flushed (exclusive) in leader_epoch from incarnation. Other epochs, nodes,
// incarnations are ignored.
int partition_acknowledged(struct partition *partition, int32_t node, uint64_t incarnation,
                           int32_t leader_epoch, int64_t flushed, int64_t now_us);

// The log durably starts at log_start from now on; never lower than before.
void partition_started(struct partition *partition, int64_t log_start);

// A follower's log durably starts at log_start; as for partition_acknowledged, others are ignored.
void partition_follower_started(struct partition *partition, int32_t node, uint64_t incarnation,
                                int32_t leader_epoch, int64_t log_start);

// Below it no live replica has anything any more (Kafka's Partition.lowWatermarkIfLeader); -1 while one of
// them has not said where it starts.
int64_t partition_low_watermark(const struct partition *partition);

// A follower learnt the leader's watermark in leader_epoch.
int partition_leader_watermark(struct partition *partition, int32_t leader_epoch, int64_t high_watermark);

// The stream to node was alive at heard_us: an idle follower that has everything counts as caught up then.
void partition_heard(struct partition *partition, int32_t node, int64_t heard_us);

// Members behind for longer than lag_max_us are proposed for removal; else a follower that has everything for
// addition.
int partition_tick(struct partition *partition, int64_t now_us, int64_t lag_max_us);

// Whether partition_tick has nothing to do before something else happens: no proposal is open, members have
// everything, and who is none has had nothing to say for lag_max_us. It holds only while every member's
// stream is alive (partition_heard). Always true of one that leads nobody.
bool partition_quiet(const struct partition *partition, int64_t now_us, int64_t lag_max_us);

// The controller refused the open proposal, or it was never sent (not: no answer); partition_epoch is the one
// the controller has. A newer one than ours says that something is decided which the image does not have yet,
// and it may be this very proposal, carried out when it was sent before: it stays open, its members count,
// until the image says what is true. Returns change bits.
int partition_refused(struct partition *partition, int32_t partition_epoch);

// Number of committed ISR members, and the minimum that acks=all needs: min(min_isr, replicas). A replica
// that is being added is none before it is in sync: a topic of one replica that gets two more takes writes
// meanwhile.
int partition_isr_size(const struct partition *partition);
int partition_isr_needed(const struct partition *partition);

// Whether the end offset may be told to clients: not before the watermark passed this epoch's start
// (KIP-207).
bool partition_end_known(const struct partition *partition);

struct partition_replica *partition_replica(struct partition *partition, int32_t node);

#endif
