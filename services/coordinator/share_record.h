// SPDX-License-Identifier: Apache-2.0
// Records of __share_group_state as Kafka 4.2 writes them: ShareSnapshotKey/Value, the whole state of a share
// partition, and ShareUpdateKey/Value, what changed since its last snapshot. An update counts only behind the
// snapshot whose epoch it names; the topic must not be compacted, which would keep the last update only.
#ifndef COORDINATOR_SHARE_RECORD_H
#define COORDINATOR_SHARE_RECORD_H

#include "share_state.h"

#include "base/buf.h"
#include "base/uuid.h"

struct share_key {
    struct slice group;
    struct uuid topic;
    int32_t partition;
};

// Appends the key; snapshot: of a snapshot (whose tombstone ends the state), else of an update. ST_LIMIT at
// out's maximum.
enum status share_record_key(const struct share_key *key, bool snapshot, struct buf *out);
// Appends the value: of the whole state, or of an update behind the snapshot of that epoch, whose state epoch
// is not written.
enum status share_record_snapshot(const struct share_state *state, struct buf *out);
enum status share_record_update(int32_t snapshot_epoch, const struct share_update *update, struct buf *out);

// group borrows from bytes. ST_UNSUPPORTED: a key of a newer kind; ST_MALFORMED, ST_TRUNCATED.
enum status share_record_key_parse(struct slice bytes, struct share_key *key, bool *snapshot);

// What a value does to the state of its key. present: whether there is one; changed in place. A snapshot's
// tombstone (value.data NULL) ends it. An update without its snapshot changes nothing. ST_UNSUPPORTED: a
// version we do not know; ST_CORRUPT: batches that cannot be; ST_MALFORMED, ST_TRUNCATED, ST_NO_MEMORY: the
// state is as before.
enum status share_record_apply(bool snapshot, struct slice value, struct share_state *state, bool *present);

#endif
