// SPDX-License-Identifier: Apache-2.0
// Builds one Append message of the replication stream: entries and the payload frames their bytes travel in.
// Large pieces go as frames of their own, referencing the buffer they came from; small ones are copied
// together into one.
#ifndef STORAGE_APPEND_MESSAGE_H
#define STORAGE_APPEND_MESSAGE_H

#include "base/block.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "protos/storage.pb-c.h"
#include "rpc/rpc.h"

enum { APPEND_ENTRIES_MAX = 256, APPEND_SMALL_MAX = 16 << 10 };

struct append_entry {
    struct uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;
    int64_t base_offset;
    int64_t high_watermark;
    int64_t log_start;
    bool tell_start;
    uint32_t subscription;
    uint32_t length; // set by append_message_add
};

// Zeroed memory is an empty message.
struct append_message {
    struct append_entry *entries; // APPEND_ENTRIES_MAX once used
    Millrace__AppendEntry *encoded;
    Millrace__AppendEntry **pointers;
    int entry_count;
    struct block *frames[RPC_PAYLOADS_MAX];
    int frame_count;
    struct buf small; // small pieces that follow one another
    size_t bytes;     // of all pieces
};

// Adds an entry; piece is whole batches in memory and is taken over, NULL for none. False, and nothing is
// taken, when the message has no room for it.
bool append_message_add(struct append_message *message, const struct append_entry *entry,
                        struct piece *piece_take);

// Fills the request's entries, which stay valid until append_message_clear; frames are complete afterwards.
void append_message_finish(struct append_message *message, Millrace__AppendRequest *request);

// Empties it and frees its memory.
void append_message_clear(struct append_message *message);

#endif
