// SPDX-License-Identifier: Apache-2.0
// One partition as one share group reads it (KIP-932, Kafka's SharePartition): which records between the
// start offset and the end are with whom, which may be delivered again, which are over. A pure state machine:
// times are given in, what has to be written comes out as a share_write, and what waits for that write
// changes when its result is told. The leader of the partition owns it; it is thrown away with leadership and
// restored from what was written.
//
// A record is available, acquired by a member for the time of its lock, and in the end acknowledged or
// archived (rejected, delivered too often, or no longer in the log). The start offset is the first record
// that is not over; the end is where nobody has read yet. Between them lie the runs.
//
// Differences from Kafka 4.2: never more than locks_max records are on their way, also when a record batch is
// longer than what is left (Kafka acquires it whole), and offsets between two batches that were fetched are
// over at once instead of being acquired for the client to report them as gaps.
#ifndef STORAGE_SHARE_PARTITION_H
#define STORAGE_SHARE_PARTITION_H

#include "share_write.h"

#include "base/status.h"

struct share_limits {
    int32_t locks_max;      // share.partition.max.record.locks of the group: records on their way, 1 or more
    int16_t deliveries_max; // share.delivery.count.limit of the group, 1 or more
    int64_t lock_ms;        // share.record.lock.duration.ms of the group
    bool no_renewals;       // share.renew.acknowledge.enable of the group is false
};

struct share_partition {
    struct share_limits limits; // may be changed at any time; counts from then on
    struct share_runs runs;     // from start on, up to end
    int64_t start;              // the first record that is not over
    int64_t end;                // behind the last record that was ever acquired
    int64_t writes;             // number of the last write somebody waits for
    int64_t deadline_ms;        // no lock ends before; INT64_MAX: none is held
};

// start: the first offset to be read. seed: for the hash table.
void share_partition_init(struct share_partition *partition, const struct share_limits *limits, int64_t start,
                          uint64_t seed);
void share_partition_fini(struct share_partition *partition);

// Takes over what was written, right after init with the start offset that belongs to it. Batches below the
// start are passed over; offsets that no batch names were with a member, or never delivered, and are
// available. ST_CORRUPT: not ascending, or a state or count that is never written; the partition can then
// only be ended.
enum status share_partition_restore(struct share_partition *partition, const struct share_batch *batches,
                                    size_t count);

// ---- acquiring ----

// Where the log should be read next: at the first available record, else at the end.
int64_t share_partition_next(const struct share_partition *partition);

// Whether anything can be acquired: a record is available, or not too many are on their way.
bool share_partition_room(const struct share_partition *partition);

struct share_span {
    int64_t first, last; // offsets, both belong to it
};

// What was read from the log.
struct share_fetched {
    int64_t offset;                   // asked for; at most the end
    const struct share_span *batches; // base and last offset of every record batch, ascending
    size_t count;
};

struct share_demand {
    struct slice member;
    int32_t records_max; // MaxRecords of the request
    int32_t batch_size;  // BatchSize of the request: parts of the answer are joined until they have so many
    bool strict;         // ShareAcquireMode 1 (KIP-1206): not one more; else a batch begun is taken whole
    int64_t now_ms;
};

struct share_acquired {
    int64_t first, last; // offsets, both belong to it
    int16_t deliveries;  // this one included
};

// Parts of an answer, ascending; never more than records that were acquired.
struct share_acquisition {
    struct share_acquired *parts; // owned: mem_free
    size_t count, room;
    int64_t records;
};

// Locks what of the fetched records may be delivered and adds it to the acquisition (begun as zero). What is
// missing from the log, before a batch and behind the offset asked for, is over by it. A record that was
// delivered often comes with ever fewer others, the last time alone, so that one bad record does not take its
// neighbours with it (as in Kafka 4.2).
void share_partition_acquire(struct share_partition *partition, const struct share_demand *demand,
                             const struct share_fetched *fetched, struct share_acquisition *acquisition);

// Records nobody is to read although they are in the log (aborted transactions, markers) are over at once;
// also before they are reached, as long as they begin at or before the end. spans: ascending; from the first
// that begins behind the end they are left for later.
void share_partition_pass(struct share_partition *partition, const struct share_span *spans, size_t count);

// ---- what becomes of acquired records ----

enum share_ack_type { SHARE_GAP = 0, SHARE_ACCEPT = 1, SHARE_RELEASE = 2, SHARE_REJECT = 3, SHARE_RENEW = 4 };

// AcknowledgementBatch of ShareFetch and ShareAcknowledge.
struct share_ack {
    int64_t first, last;
    const int8_t *types; // one for all offsets, or one for each
    int32_t count;
};

// All of it or nothing. KAFKA_ERR_NONE: write has what must be written, for whose result the records wait, or
// no number when nothing must be (renewals, records below the start). KAFKA_ERR_INVALID_REQUEST: not
// ascending, unknown types, too many or too few of them, or offsets behind the end.
// KAFKA_ERR_INVALID_RECORD_STATE: a record is not held by the member, an answer for it is under way, or it is
// a renewal and those are switched off.
// write: as share_write_init leaves it.
int16_t share_partition_acknowledge(struct share_partition *partition, struct slice member,
                                    const struct share_ack *acks, size_t count, int64_t now_ms,
                                    struct share_write *write);

// The member's session is over: what it holds may be delivered again, and this delivery does not count.
// write as above.
void share_partition_release(struct share_partition *partition, struct slice member,
                             struct share_write *write);

// The write with a number is made.
void share_partition_written(struct share_partition *partition, int64_t number);
// It is not made (for now): the member holds its records as before, and their locks do not end before
// until_ms.
void share_partition_kept(struct share_partition *partition, int64_t number, int64_t until_ms);

// Ends the locks whose time is over; write has what should be written, count 0 when no lock ended. What comes
// again does so at once, whether it is written or not. What was delivered too often waits for the write,
// which has a dead_number then: nobody gets it meanwhile.
void share_partition_expire(struct share_partition *partition, int64_t now_ms, struct share_write *write);

// Makes it the write of all records that were delivered before and wait for a member.
void share_partition_waiting(const struct share_partition *partition, struct share_write *write);

// When share_partition_expire has something to do, or earlier; INT64_MAX: not before something is acquired.
int64_t share_partition_deadline(const struct share_partition *partition);

// The log begins at offset now: what lies below is over. Told to __share_group_state with the next write.
void share_partition_move_start(struct share_partition *partition, int64_t offset);

#endif
