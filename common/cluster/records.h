// SPDX-License-Identifier: Apache-2.0
// Metadata records as bytes: Follow payloads, snapshots and Raft entries hold them one after the other, each
// as varint length + packed MetadataRecord. Length 0 stands for a log entry without metadata.
#ifndef CLUSTER_RECORDS_H
#define CLUSTER_RECORDS_H

#include "base/arena.h"
#include "base/buf.h"
#include "protos/records_metadata.pb-c.h"

enum { RECORDS_RECORD_MAX = 1 << 20 }; // bytes of one packed record

// Appends one record; NULL appends length 0. LIMIT: the buffer or RECORDS_RECORD_MAX is exceeded.
enum status records_put(struct buf *out, const Millrace__MetadataRecord *record);

// Appends one that is packed already.
enum status records_put_packed(struct buf *out, struct slice record);

// Takes the next record's bytes off the front of *rest (a slice of length 0 for an entry without metadata).
// NOT_FOUND at the end, TRUNCATED when only the beginning of a record is there (nothing is taken), MALFORMED.
enum status records_next(struct slice *rest, struct slice *record);

// Unpacks into the arena; nothing has to be freed. MALFORMED when the bytes are no record or the arena is
// full.
enum status records_unpack(struct arena *arena, struct slice bytes, Millrace__MetadataRecord **record);

#endif
