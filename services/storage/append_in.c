// SPDX-License-Identifier: Apache-2.0
// Follower's end of the stream: every batch of an Append message is checked (position, epoch, checksum) and
// appended from the frame it came in; the answer, which is the acknowledgement, leaves when all of it is
// durable here.
#include "base/assert.h"
#include "base/mem.h"
#include "partitions_state.h"
#include "stream_in.h"
#include "stream_in_state.h"

// One message being made durable.
struct append_in {
    struct streams_in *owner;
    struct rpc_call *call;
    Millrace__AppendReply_Closure closure;
    uint64_t stream_id;
    int remaining; // entries not yet durable or failed, and one while the message is being taken in
    int count;
    int32_t throttle_ms; // what the answer asks for
    struct append_in_entry {
        struct append_in *message;
        struct uuid topic_id;
        int32_t index;
        int32_t leader_epoch;
        uint32_t subscription;
        bool tell_start;
        enum status status;
        int64_t flushed, log_start;
        struct wait wait;
    } entries[];
};

static void reply_send(struct append_in *message)
{
    size_t count = (size_t)message->count;
    Millrace__AppendReply reply = MILLRACE__APPEND_REPLY__INIT;
    Millrace__AppendAck *acks = mem_calloc(count, sizeof *acks);
    Millrace__AppendAck **pointers = mem_calloc(count, sizeof *pointers);
    for (size_t i = 0; i < count; i++) {
        struct append_in_entry *entry = &message->entries[i];
        millrace__append_ack__init(&acks[i]);
        acks[i].topic_id = (ProtobufCBinaryData){.len = 16, .data = entry->topic_id.bytes};
        acks[i].partition = entry->index;
        acks[i].leader_epoch = entry->leader_epoch;
        acks[i].status = (int32_t)entry->status;
        acks[i].flushed = entry->flushed;
        acks[i].subscription = entry->subscription;
        acks[i].has_log_start = entry->tell_start && entry->status == ST_OK;
        acks[i].log_start = entry->log_start;
        pointers[i] = &acks[i];
    }
    reply.stream_id = message->stream_id;
    reply.n_acks = count;
    reply.acks = pointers;
    reply.has_throttle_ms = message->throttle_ms > 0;
    reply.throttle_ms = message->throttle_ms;
    message->closure(&reply, message->call);
    mem_free(pointers);
    mem_free(acks);
    mem_free(message);
}

static void entry_done(struct append_in_entry *entry, enum status status)
{
    struct append_in *message = entry->message;
    struct replica *replica = partitions_find(message->owner->partitions, entry->topic_id, entry->index);
    entry->status = status;
    // What is acknowledged is true in the epoch it is said in: a newer one has been told by its own
    // subscription.
    if (replica == NULL || replica->log == NULL || replica->state.leader_epoch != entry->leader_epoch)
        entry->status = status == ST_OK ? ST_STALE : status;
    else {
        entry->flushed = log_flushed(replica->log);
        entry->log_start = replica->state.log_start;
    }
#ifdef PLANTED_ACKNOWLEDGED_BEFORE_FLUSH
    entry->flushed = replica ? replica->state.log_end : 0;
#endif
    if (--message->remaining == 0)
        reply_send(message);
}

static void entry_on_reached(struct wait *wait, enum status status)
{
    entry_done(wait->context, status);
}

// The frames one after the other, as a cursor.
struct frames {
    struct block *const *blocks;
    int count, at;
    size_t position; // in blocks[at]
};

static struct block *frames_take(struct frames *frames, size_t len, size_t *from)
{
    while (frames->at < frames->count && frames->position == frames->blocks[frames->at]->len) {
        frames->at++;
        frames->position = 0;
    }
    if (frames->at == frames->count || frames->blocks[frames->at]->len - frames->position < len)
        return NULL;
    *from = frames->position;
    frames->position += len;
    return frames->blocks[frames->at];
}

// Appends the whole batches of an entry. ST_OK when all of them are in the log. Gaps before and between them
// are the leader's: it has said that it continues where our log ends.
static enum status batches_append(struct replica *replica, struct block *block, size_t from, size_t len)
{
    while (len > 0) {
        struct batch_header header;
        struct slice rest = slice_of(block->data + from, len);
        enum status status = batch_parse(rest, &header);
        if (status == ST_OK && batch_size(&header) > len)
            status = ST_TRUNCATED;
        if (status == ST_OK && !batch_crc_ok(slice_of(rest.data, batch_size(&header)), &header))
            status = ST_CORRUPT;
        if (status == ST_OK && header.base_offset < replica->state.log_end)
            status = ST_OUT_OF_RANGE;
        if (status == ST_OK)
            status = log_append(replica->log, block, from, batch_size(&header), &header);
        if (status != ST_OK)
            return status;
        partition_appended(&replica->state, log_end(replica->log));
        from += batch_size(&header);
        len -= batch_size(&header);
    }
    return ST_OK;
}

static enum status entry_take(struct stream_in *stream, struct replica *replica,
                              const Millrace__AppendEntry *entry, struct frames *frames)
{
    size_t from = 0;
    struct block *block = entry->length > 0 ? frames_take(frames, entry->length, &from) : NULL;
    if (entry->length > 0 && block == NULL)
        return ST_MALFORMED;
    if (replica == NULL || replica->stream != stream || replica->log == NULL)
        return ST_NOT_FOUND;
    if (entry->leader_epoch != replica->state.leader_epoch || entry->subscription != replica->subscription)
        return ST_STALE;
    if (replica->link != REPLICA_LINKED && replica->link != REPLICA_ASKED)
        return ST_AGAIN;
    if (entry->base_offset != replica->state.log_end) // without records, too: what was to come next is gone
        return ST_OUT_OF_RANGE;
    if (block != NULL) {
        enum status status = batches_append(replica, block, from, entry->length);
        if (status != ST_OK)
            return status;
        replica->link = REPLICA_LINKED;
    }
    // What comes next the leader does not have any more: start anew. Unless that is just done, and the batch
    // that holds the leader's start is still to come.
    if (entry->log_start > log_end(replica->log) && log_last_epoch(replica->log) >= 0)
        return ST_OUT_OF_RANGE;
    replica_raise_start(replica, entry->log_start);
    replica_act(replica,
                partition_leader_watermark(&replica->state, entry->leader_epoch, entry->high_watermark));
    return ST_OK;
}

static int64_t needed_flush(const struct replica *replica)
{
#ifdef PLANTED_ACKNOWLEDGED_BEFORE_FLUSH
    return 0;
#endif
    return replica->state.log_end;
}

// The entry is done when the list's value, which is `present` now, reaches `needed`.
static void entry_wait(struct append_in_entry *entry, struct wait_list *list, int64_t present, int64_t needed)
{
    if (present >= needed)
        entry_done(entry, ST_OK);
    else
        wait_add(list, &entry->wait, needed, entry_on_reached, entry);
}

// The answer says how long the leader is to wait with more of it.
static void entry_pace(struct append_in *message, struct replica *replica, int64_t bytes)
{
    int32_t pause_ms = pace_taken_ms(replica, bytes, env_now_us(replica->partitions->options.env));
    message->throttle_ms = pause_ms > message->throttle_ms ? pause_ms : message->throttle_ms;
}

static void entry_begin(struct append_in *message, struct stream_in *stream,
                        const Millrace__AppendEntry *entry, struct frames *frames)
{
    struct partitions *partitions = message->owner->partitions;
    struct replica *replica = partitions_find_proto(partitions, entry->topic_id, entry->partition);
    enum status status = entry_take(stream, replica, entry, frames);
    if (status != ST_OK && replica != NULL && replica->stream == stream &&
        (replica->link == REPLICA_LINKED || replica->link == REPLICA_ASKED) && status != ST_STALE)
        stream_in_wanted(replica, 0);
    if (status == ST_CORRUPT || status == ST_MALFORMED || status == ST_TRUNCATED)
        DIAG_ERROR(&partitions->options.env->diag,
                   "damaged batch from the leader node=%d partition=%d why=%s", stream->leader,
                   entry->partition, status_text(status));
    if (entry->length == 0 && !entry->tell_start)
        return;
    struct append_in_entry *taken = &message->entries[message->count++];
    taken->message = message;
    if (entry->topic_id.len == sizeof taken->topic_id.bytes)
        memcpy(taken->topic_id.bytes, entry->topic_id.data, sizeof taken->topic_id.bytes);
    taken->index = entry->partition;
    taken->leader_epoch = entry->leader_epoch;
    taken->subscription = entry->subscription;
    taken->tell_start = entry->length == 0;
    message->remaining++;
    if (status == ST_OK)
        entry_pace(message, replica, entry->length);
    if (status != ST_OK)
        entry_done(taken, status);
    else if (taken->tell_start)
        entry_wait(taken, &replica->start_waits, replica->state.log_start, entry->log_start);
    else
        entry_wait(taken, &replica->flush_waits, log_flushed(replica->log), needed_flush(replica));
}

void streams_in_append(struct streams_in *streams, const Millrace__AppendRequest *request,
                       Millrace__AppendReply_Closure closure, struct rpc_call *call)
{
    int32_t leader = rpc_call_sender(call)->node.node;
    struct stream_in *stream = map_get_u64(&streams->by_leader, (uint64_t)leader);
    // A message may overtake the answer to OpenStream; the id was ours to choose, so it is known.
    if (stream == NULL || stream->state == STREAM_IN_CLOSED || stream->id != request->stream_id) {
        rpc_fail(call, ST_STALE, "no such stream");
        return;
    }
    if (request->sequence != stream->next_sequence) {
        rpc_fail(call, ST_STALE, "a message of the stream is missing");
        stream_in_reset(stream, 0);
        return;
    }
    stream->next_sequence++;
    stream->heard_us = env_now_us(streams->partitions->options.env);
    struct append_in *message =
        mem_calloc(1, sizeof *message + request->n_entries * sizeof message->entries[0]);
    message->owner = streams;
    message->call = call;
    message->closure = closure;
    message->stream_id = request->stream_id;
    message->remaining = 1;
    struct frames frames = {0};
    frames.count = rpc_call_payloads(call, &frames.blocks);
    for (size_t i = 0; i < request->n_entries; i++)
        entry_begin(message, stream, request->entries[i], &frames);
    partitions_flush(streams->partitions);
    if (--message->remaining == 0)
        reply_send(message);
}
