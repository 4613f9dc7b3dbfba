// SPDX-License-Identifier: Apache-2.0
// See raft_wire.h. The bytes of all entries travel in one payload frame, so a message costs one copy.
#include "raft_wire.h"

Millrace__RaftVoter *raft_wire_voter(struct arena *arena, struct raft_voter voter)
{
    Millrace__RaftVoter *wire = arena_alloc(arena, sizeof *wire);
    uint8_t *directory = arena_alloc(arena, 16);
    if (wire == NULL || directory == NULL)
        return NULL;
    millrace__raft_voter__init(wire);
    memcpy(directory, voter.directory.bytes, 16);
    wire->id = voter.id;
    wire->directory_id = (ProtobufCBinaryData){.len = 16, .data = directory};
    return wire;
}

bool raft_wire_voter_of(const Millrace__RaftVoter *wire, struct raft_voter *voter)
{
    if (wire == NULL || wire->id < 0 || wire->directory_id.len != 16)
        return false;
    voter->id = wire->id;
    memcpy(voter->directory.bytes, wire->directory_id.data, 16);
    return true;
}

const char *raft_wire_endpoint(const Millrace__RaftVoter *wire)
{
    const char *text = wire->rpc_endpoint;
    return text != NULL && raft_endpoint_valid(slice_str(text)) ? text : "";
}

static void tell_endpoint(Millrace__RaftVoter *wire, const char *endpoint)
{
    if (endpoint[0] != 0)
        wire->rpc_endpoint = (char *)(uintptr_t)endpoint;
}

Millrace__RaftVoter **raft_wire_config(struct arena *arena, const struct raft_config *config)
{
    Millrace__RaftVoter **voters = arena_calloc(arena, RAFT_VOTERS_MAX, sizeof *voters);
    for (int i = 0; voters != NULL && i < config->count; i++) {
        voters[i] = raft_wire_voter(arena, config->voters[i]);
        if (voters[i] == NULL)
            return NULL;
        tell_endpoint(voters[i], config->endpoints[i]);
    }
    return voters;
}

bool raft_wire_config_of(Millrace__RaftVoter *const *voters, size_t count, struct raft_config *config)
{
    *config = (struct raft_config){0};
    if (count > RAFT_VOTERS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!raft_wire_voter_of(voters[i], &config->voters[i]) ||
            (i > 0 && config->voters[i].id <= config->voters[i - 1].id))
            return false;
        const char *endpoint = raft_wire_endpoint(voters[i]);
        memcpy(config->endpoints[i], endpoint, strlen(endpoint) + 1);
        config->count++;
    }
    return true;
}

static bool pack_entries(struct arena *arena, const struct raft_message *message, Millrace__RaftMessage *wire,
                         struct block **payload)
{
    size_t bytes = 0;
    wire->entries = arena_calloc(arena, (size_t)message->entry_count, sizeof *wire->entries);
    Millrace__RaftEntry *entries = arena_calloc(arena, (size_t)message->entry_count, sizeof *entries);
    if (wire->entries == NULL || entries == NULL)
        return false;
    for (int i = 0; i < message->entry_count; i++) {
        const struct raft_entry *entry = &message->entries[i];
        millrace__raft_entry__init(&entries[i]);
        entries[i].term = entry->term;
        entries[i].kind = entry->kind;
        entries[i].length = entry->data != NULL ? (uint32_t)entry->data->len : 0;
        bytes += entries[i].length;
        wire->entries[i] = &entries[i];
    }
    wire->n_entries = (size_t)message->entry_count;
    *payload = block_new(bytes);
    if (*payload == NULL)
        return false;
    uint8_t *at = (*payload)->data;
    for (int i = 0; i < message->entry_count; i++)
        if (entries[i].length > 0) {
            memcpy(at, message->entries[i].data->data, entries[i].length);
            at += entries[i].length;
        }
    return true;
}

static void pack_numbers(const struct raft_message *message, Millrace__RaftMessage *wire)
{
    wire->kind = message->kind;
    wire->term = message->term;
    wire->has_index = wire->has_log_term = wire->has_commit = true;
    wire->index = message->index;
    wire->log_term = message->log_term;
    wire->commit = message->commit;
    wire->has_hint = wire->has_hint_term = message->hint != 0 || message->hint_term != 0;
    wire->hint = message->hint;
    wire->hint_term = message->hint_term;
    wire->has_round = message->round != 0;
    wire->round = message->round;
    wire->has_granted = wire->granted = message->granted;
    wire->has_transfer = wire->transfer = message->transfer;
    wire->has_done = wire->done = message->done;
    wire->has_offset = message->offset != 0;
    wire->offset = message->offset;
}

Millrace__RaftMessage *raft_wire_pack(struct arena *arena, const struct raft_message *message,
                                      const char *endpoint, struct block **payload)
{
    *payload = NULL;
    Millrace__RaftMessage *wire = arena_alloc(arena, sizeof *wire);
    if (wire == NULL)
        return NULL;
    millrace__raft_message__init(wire);
    pack_numbers(message, wire);
    wire->from = raft_wire_voter(arena, message->from);
    wire->to = raft_wire_voter(arena, message->to);
    if (wire->from == NULL || wire->to == NULL)
        return NULL;
    tell_endpoint(wire->from, endpoint);
    if (message->kind == RAFT_CHUNK) {
        wire->voters = raft_wire_config(arena, &message->config);
        if (wire->voters == NULL)
            return NULL;
        wire->n_voters = (size_t)message->config.count;
    }
    if (message->entry_count > 0 && !pack_entries(arena, message, wire, payload)) {
        block_unref(payload);
        return NULL;
    }
    return wire;
}

static enum status unpack_entries(struct arena *arena, const Millrace__RaftMessage *wire,
                                  struct slice payload, struct raft_message *message)
{
    if (wire->n_entries > RAFT_MESSAGE_ENTRIES_MAX)
        return ST_MALFORMED;
    struct raft_entry *entries = arena_calloc(arena, wire->n_entries, sizeof *entries);
    if (entries == NULL)
        return ST_NO_MEMORY;
    message->entries = entries;
    size_t at = 0;
    for (size_t i = 0; i < wire->n_entries; i++) {
        const Millrace__RaftEntry *entry = wire->entries[i];
        if (entry->kind > RAFT_ENTRY_CONFIG || entry->length > payload.len - at ||
            entry->length > RAFT_ENTRY_BYTES_MAX || (entry->kind == RAFT_ENTRY_NOOP) != (entry->length == 0))
            return ST_MALFORMED;
        entries[i] = (struct raft_entry){.index = message->index + 1 + (int64_t)i,
                                         .term = entry->term,
                                         .kind = (enum raft_entry_kind)entry->kind};
        message->entry_count++;
        if (entry->length == 0)
            continue;
        entries[i].data = block_copy(slice_of(payload.data + at, entry->length));
        if (entries[i].data == NULL)
            return ST_NO_MEMORY;
        at += entry->length;
    }
    return at == payload.len ? ST_OK : ST_MALFORMED;
}

enum status raft_wire_unpack(struct arena *arena, const Millrace__RaftMessage *wire, struct slice payload,
                             struct raft_message *message)
{
    *message = (struct raft_message){.kind = (enum raft_message_kind)wire->kind,
                                     .term = wire->term,
                                     .index = wire->index,
                                     .log_term = wire->log_term,
                                     .commit = wire->commit,
                                     .hint = wire->hint,
                                     .hint_term = wire->hint_term,
                                     .round = wire->round,
                                     .granted = wire->granted,
                                     .transfer = wire->transfer,
                                     .done = wire->done,
                                     .offset = wire->offset};
    if (wire->kind < RAFT_PRE_VOTE || wire->kind > RAFT_TIMEOUT_NOW || wire->index < 0 || wire->offset < 0 ||
        !raft_wire_voter_of(wire->from, &message->from) || !raft_wire_voter_of(wire->to, &message->to) ||
        !raft_wire_config_of(wire->voters, wire->n_voters, &message->config))
        return ST_MALFORMED;
    if (message->kind == RAFT_CHUNK) {
        message->data = payload;
        return payload.len > 0 && message->index > 0 ? ST_OK : ST_MALFORMED;
    }
    if (wire->n_entries == 0)
        return ST_OK;
    enum status status = unpack_entries(arena, wire, payload, message);
    if (status != ST_OK)
        raft_wire_release(message);
    return status;
}

void raft_wire_release(struct raft_message *message)
{
    for (int i = 0; i < message->entry_count; i++) {
        struct block *data = message->entries[i].data;
        block_unref(&data);
    }
    message->entry_count = 0;
}
