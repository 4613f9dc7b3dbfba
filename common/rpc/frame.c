// SPDX-License-Identifier: Apache-2.0
// Bytes of a message: [envelope][message][payload...]. Everything read here came from outside: sizes are
// checked before unpacking, unpacking happens in a capped arena, and what protobuf-c lets pass is checked
// after.
#include "rpc/internal.h"

#include "base/assert.h"

void frames_ref(struct frames *frames, struct block *const *blocks, int count)
{
    ASSERT(count >= 0 && frames->count + count <= TRANSPORT_FRAMES_MAX);
    for (int i = 0; i < count; i++)
        frames->at[frames->count++] = block_ref(blocks[i]);
}

void frames_unref(struct frames *frames)
{
    for (int i = 0; i < frames->count; i++)
        block_unref(&frames->at[i]);
    frames->count = 0;
}

size_t frames_bytes(const struct frames *frames)
{
    size_t bytes = 0;
    for (int i = 0; i < frames->count; i++)
        bytes += frames->at[i]->len;
    return bytes;
}

static enum status pack_one(const ProtobufCMessage *message, size_t max, struct frames *frames)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > max)
        return ST_LIMIT;
    struct block *block = block_new(size);
    if (block == NULL)
        return ST_NO_MEMORY;
    protobuf_c_message_pack(message, block->data);
    frames->at[frames->count++] = block;
    return ST_OK;
}

enum status frames_pack(struct rpc *rpc, Millrace__Envelope *envelope, const ProtobufCMessage *message,
                        struct block *const *payload, int payload_count, struct frames *frames)
{
    frames->count = 0;
    enum status status = pack_one(&envelope->base, RPC_ENVELOPE_MAX, frames);
    if (status == ST_OK && message != NULL)
        status = pack_one(message, RPC_MESSAGE_MAX, frames);
    if (status != ST_OK) {
        frames_unref(frames);
        return status;
    }
    ASSERT(payload_count <= RPC_PAYLOADS_MAX);
    frames_ref(frames, payload, payload_count);
    if (frames_bytes(frames) <= RPC_TOTAL_MAX)
        return ST_OK;
    frames_unref(frames);
    return ST_LIMIT;
}

void envelope_fill(struct rpc *rpc, Millrace__Envelope *envelope, Millrace__Envelope__Kind kind,
                   uint64_t correlation)
{
    millrace__envelope__init(envelope);
    envelope->version = RPC_VERSION;
    envelope->kind = kind;
    envelope->correlation = correlation;
    envelope->has_cluster = !uuid_is_zero(rpc->cluster);
    envelope->cluster = (ProtobufCBinaryData){.len = sizeof rpc->cluster.bytes, .data = rpc->cluster.bytes};
    envelope->has_role = envelope->has_node = envelope->has_incarnation = true;
    envelope->role = rpc->self.role;
    envelope->node = rpc->self.node;
    envelope->incarnation = rpc->incarnation;
}

struct rpc_sender envelope_sender(const Millrace__Envelope *envelope)
{
    return (struct rpc_sender){
        .node = {.role = envelope->has_role ? (enum rpc_role)envelope->role : (enum rpc_role)0,
                 .node = envelope->has_node ? envelope->node : -1},
        .incarnation = envelope->incarnation};
}

bool envelope_same_cluster(const struct rpc *rpc, const Millrace__Envelope *envelope)
{
    if (!envelope->has_cluster || uuid_is_zero(rpc->cluster))
        return true;
    return slice_equal(slice_of(envelope->cluster.data, envelope->cluster.len),
                       slice_of(rpc->cluster.bytes, sizeof rpc->cluster.bytes));
}

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void release_nothing(void *arena, void *memory)
{
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, const struct block *frame,
                                struct arena *arena)
{
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release_nothing, .allocator_data = arena};
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, frame->len, frame->data);
    return message != NULL && message_valid(message) ? message : NULL;
}

const Millrace__Envelope *envelope_read(struct rpc *rpc, struct block *const *frames, int count)
{
    arena_reset(&rpc->scratch);
    if (count < 1 || frames[0]->len > RPC_ENVELOPE_MAX)
        return NULL;
    return (const Millrace__Envelope *)unpack(&millrace__envelope__descriptor, frames[0], &rpc->scratch);
}

enum status message_unpack(const ProtobufCMessageDescriptor *type, const struct block *frame,
                           struct arena *arena, ProtobufCMessage **message)
{
    if (frame->len > RPC_MESSAGE_MAX)
        return ST_LIMIT;
    arena_init(arena, RPC_UNPACK_BASE + RPC_UNPACK_FACTOR * frame->len);
    *message = unpack(type, frame, arena);
    return *message != NULL ? ST_OK : ST_MALFORMED;
}
