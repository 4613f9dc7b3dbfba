// SPDX-License-Identifier: Apache-2.0
// Raft messages survive their encoding; messages that make no sense are refused before they reach the core.
#include <criterion/criterion.h>

#include "raft_wire.h"

static struct raft_message sample(struct raft_entry *entries)
{
    entries[0] = (struct raft_entry){.index = 8, .term = 3, .kind = RAFT_ENTRY_NOOP};
    entries[1] = (struct raft_entry){
        .index = 9, .term = 4, .kind = RAFT_ENTRY_DATA, .data = block_copy(slice_str("payload"))};
    return (struct raft_message){.kind = RAFT_APPEND,
                                 .from = {.id = 1, .directory = {{1}}},
                                 .to = {.id = 2, .directory = {{2}}},
                                 .term = 4,
                                 .index = 7,
                                 .log_term = 3,
                                 .commit = 5,
                                 .round = 11,
                                 .entries = entries,
                                 .entry_count = 2};
}

Test(wire, an_append_comes_back_as_it_went)
{
    struct arena arena;
    struct raft_entry entries[2];
    struct raft_message message = sample(entries), back;
    struct block *payload;
    arena_init(&arena, 1 << 20);
    Millrace__RaftMessage *wire = raft_wire_pack(&arena, &message, "tcp://a:1", &payload);
    cr_assert_not_null(wire);
    cr_assert_eq(raft_wire_unpack(&arena, wire, block_slice(payload), &back), ST_OK);
    cr_assert_eq(back.kind, RAFT_APPEND);
    cr_assert(raft_voter_equal(back.from, message.from) && raft_voter_equal(back.to, message.to));
    cr_assert_eq(back.index, 7);
    cr_assert_eq(back.round, 11);
    cr_assert_eq(back.entry_count, 2);
    cr_assert_eq(back.entries[0].index, 8);
    cr_assert_eq(back.entries[1].term, 4);
    cr_assert(slice_is(block_slice(back.entries[1].data), "payload"));
    raft_wire_release(&back);
    block_unref(&payload);
    block_unref(&entries[1].data);
    arena_fini(&arena);
}

Test(wire, lengths_that_do_not_fit_the_payload_are_refused)
{
    struct arena arena;
    struct raft_entry entries[2];
    struct raft_message message = sample(entries), back;
    struct block *payload;
    arena_init(&arena, 1 << 20);
    Millrace__RaftMessage *wire = raft_wire_pack(&arena, &message, "tcp://a:1", &payload);
    struct slice bytes = block_slice(payload);
    cr_assert_eq(raft_wire_unpack(&arena, wire, slice_of(bytes.data, bytes.len - 1), &back), ST_MALFORMED);
    wire->entries[1]->length--;
    cr_assert_eq(raft_wire_unpack(&arena, wire, bytes, &back), ST_MALFORMED, "bytes are left over");
    wire->entries[1]->length = UINT32_MAX;
    cr_assert_eq(raft_wire_unpack(&arena, wire, bytes, &back), ST_MALFORMED);
    wire->entries[1]->length = 7;
    wire->entries[0]->kind = 9;
    cr_assert_eq(raft_wire_unpack(&arena, wire, bytes, &back), ST_MALFORMED);
    wire->entries[0]->kind = RAFT_ENTRY_NOOP;
    wire->from->directory_id.len = 15;
    cr_assert_eq(raft_wire_unpack(&arena, wire, bytes, &back), ST_MALFORMED);
    wire->from->directory_id.len = 16;
    wire->kind = 77;
    cr_assert_eq(raft_wire_unpack(&arena, wire, bytes, &back), ST_MALFORMED);
    block_unref(&payload);
    block_unref(&entries[1].data);
    arena_fini(&arena);
}
