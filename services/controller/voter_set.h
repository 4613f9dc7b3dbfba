// SPDX-License-Identifier: Apache-2.0
// Who votes, as it is changed at run time (KIP-853). A quorum is static while the addresses of its voters
// come from controller.quorum.voters, as with kraft.version 0: its set does not change, but for a directory
// that was lost and is exchanged (formation.h). It is dynamic, as with kraft.version 1, when the log has the
// address of every voter.
#ifndef CONTROLLER_VOTER_SET_H
#define CONTROLLER_VOTER_SET_H

#include "relay.h"
#include "state.h"

// Whether the set in force can be changed.
bool voter_set_dynamic(const struct controller *controller);

// Whether this controller is configured as a voter of a static quorum and has no vote yet.
bool voter_set_expects(const struct controller *controller);

// Leader: the voter is at this address from now on; nothing happens when it is so already, or the quorum is
// static, or when another change is under way: whoever moved says it again.
void voter_set_move(struct controller *controller, struct raft_voter voter, const char *endpoint);

// Leader: puts its own address into the log where it is missing or has changed, unless the quorum is static;
// and kraft.version follows what the log has.
void voter_set_tick(struct controller *controller);

// What AddRaftVoter and RemoveRaftVoter begin with: the cluster is this one (id NULL: any), the voter is one
// (id not negative, a directory id), the quorum is dynamic.
bool voter_set_check(const struct relay *relay, struct slice cluster, struct raft_voter voter,
                     struct topics_error *error);

// Appends the set, unless another change is under way; the answer waits until it is committed.
bool voter_set_append(struct relay *relay, const struct raft_config *config, struct topics_error *error);

// kraft.version 1: a static quorum becomes dynamic, the addresses that are configured go into the log.
// Nothing happens when it is so, or when the request only validates.
bool voter_set_upgrade(struct relay *relay, struct topics_error *error);

enum { VOTER_SET_TEXT = 80 }; // room for a voter as text

// "id@directory", as Kafka writes a voter in messages.
const char *voter_set_text(struct raft_voter voter, char text[VOTER_SET_TEXT]);

#endif
