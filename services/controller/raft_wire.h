// SPDX-License-Identifier: Apache-2.0
// Raft messages as protobuf: one direction each, checked when unpacked.
#ifndef CONTROLLER_RAFT_WIRE_H
#define CONTROLLER_RAFT_WIRE_H

#include "base/arena.h"
#include "protos/raft.pb-c.h"
#include "raft/raft.h"

// Into the arena; *payload gets the bytes of entries or chunk (NULL when there are none), to be released by
// the caller. endpoint: of the sender, borrowed; "": not told. NULL when the arena is full.
Millrace__RaftMessage *raft_wire_pack(struct arena *arena, const struct raft_message *message,
                                      const char *endpoint, struct block **payload);

// The address a voter says it has, borrowed; "" when there is none that can be one.
const char *raft_wire_endpoint(const Millrace__RaftVoter *wire);

// The other way; entries' blocks are new and released by raft_wire_release, message->data borrows the
// payload. MALFORMED: ids, lengths or configuration make no sense.
enum status raft_wire_unpack(struct arena *arena, const Millrace__RaftMessage *wire, struct slice payload,
                             struct raft_message *message);
void raft_wire_release(struct raft_message *message);

Millrace__RaftVoter *raft_wire_voter(struct arena *arena, struct raft_voter voter);
bool raft_wire_voter_of(const Millrace__RaftVoter *wire, struct raft_voter *voter);
// Repeated voters, ascending by id.
Millrace__RaftVoter **raft_wire_config(struct arena *arena, const struct raft_config *config);
bool raft_wire_config_of(Millrace__RaftVoter *const *voters, size_t count, struct raft_config *config);

#endif
