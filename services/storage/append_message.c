// SPDX-License-Identifier: Apache-2.0
// See append_message.h.
#include "append_message.h"

#include "base/assert.h"
#include "base/mem.h"

enum { SMALL_TOTAL_MAX = 2 << 20 };

static void small_close(struct append_message *message)
{
    if (message->small.len == 0)
        return;
    struct block *block = block_copy(buf_slice(&message->small));
    ASSERT(block != NULL && message->frame_count < RPC_PAYLOADS_MAX);
    message->frames[message->frame_count++] = block;
    buf_clear(&message->small);
}

static void piece_drop(void *foreign)
{
    struct piece *piece = foreign;
    piece_release(piece);
    mem_free(piece);
}

static struct block *piece_as_block(struct piece *piece_take)
{
    struct piece *kept = mem_calloc(1, sizeof *kept);
    *kept = *piece_take;
    *piece_take = (struct piece){0};
    return block_wrap((uint8_t *)(uintptr_t)kept->data, kept->len, piece_drop, kept);
}

bool append_message_add(struct append_message *message, const struct append_entry *entry,
                        struct piece *piece_take)
{
    int frames = message->frame_count + (message->small.len > 0);
    bool small = piece_take != NULL && piece_take->len <= APPEND_SMALL_MAX;
    if (message->entry_count == APPEND_ENTRIES_MAX)
        return false;
    if (piece_take != NULL && frames == RPC_PAYLOADS_MAX && !(small && message->small.len > 0))
        return false;
    if (message->entries == NULL) {
        message->entries = mem_calloc(APPEND_ENTRIES_MAX, sizeof *message->entries);
        buf_init(&message->small, SMALL_TOTAL_MAX);
    }
    if (small && message->small.len + piece_take->len > SMALL_TOTAL_MAX)
        return false;
    struct append_entry *added = &message->entries[message->entry_count++];
    *added = *entry;
    added->length = piece_take ? (uint32_t)piece_take->len : 0;
    message->bytes += added->length;
    if (small) {
        enum status status = buf_append(&message->small, piece_take->data, piece_take->len);
        ASSERT(status == ST_OK);
        piece_release(piece_take);
    } else if (piece_take != NULL) {
        small_close(message);
        message->frames[message->frame_count++] = piece_as_block(piece_take);
    }
    return true;
}

void append_message_finish(struct append_message *message, Millrace__AppendRequest *request)
{
    small_close(message);
    if (message->entry_count == 0)
        return;
    message->encoded = mem_calloc((size_t)message->entry_count, sizeof *message->encoded);
    message->pointers = mem_calloc((size_t)message->entry_count, sizeof *message->pointers);
    for (int i = 0; i < message->entry_count; i++) {
        struct append_entry *entry = &message->entries[i];
        Millrace__AppendEntry *encoded = &message->encoded[i];
        millrace__append_entry__init(encoded);
        encoded->topic_id =
            (ProtobufCBinaryData){.len = sizeof entry->topic_id.bytes, .data = entry->topic_id.bytes};
        encoded->partition = entry->partition;
        encoded->leader_epoch = entry->leader_epoch;
        encoded->base_offset = entry->base_offset;
        encoded->length = entry->length;
        encoded->high_watermark = entry->high_watermark;
        encoded->log_start = entry->log_start;
        encoded->subscription = entry->subscription;
        encoded->has_tell_start = encoded->tell_start = entry->tell_start;
        message->pointers[i] = encoded;
    }
    request->n_entries = (size_t)message->entry_count;
    request->entries = message->pointers;
}

void append_message_clear(struct append_message *message)
{
    for (int i = 0; i < message->frame_count; i++)
        block_unref(&message->frames[i]);
    if (message->entries != NULL)
        buf_fini(&message->small);
    mem_free(message->entries);
    mem_free(message->encoded);
    mem_free(message->pointers);
    *message = (struct append_message){0};
}
