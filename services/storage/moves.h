// SPDX-License-Identifier: Apache-2.0
// Replicas that move to another data directory of their node while they serve (KIP-113, Kafka's
// ReplicaAlterLogDirsThread): the log is copied into a future log there (log_create_future), batch by batch
// like a follower's; when the copy has everything it takes the log's place, and the old one is removed. A
// replica is in one of the two directories at every moment, and after a crash, whose directories say in which
// (twins.h); a move goes on where a start finds its copy.
#ifndef STORAGE_MOVES_H
#define STORAGE_MOVES_H

#include "base/uuid.h"
#include "log/log.h"
#include "wait.h"

struct moves;
struct partitions;
struct replica;

struct moves *moves_new(struct partitions *partitions);

// The replicas have their logs: copies found on disk go on, or are removed where nothing is to be moved.
void moves_start(struct moves *moves);

// Stops the clock; nothing is begun any more, and waits fail with ST_CLOSED. What is under way ends by itself
// and is freed by moves_destroy.
void moves_stop(struct moves *moves);
void moves_destroy(struct moves **moves);

// Moves a replica, whose log is there, to the directory (its index in log.dirs, see dirs.h). To where it is:
// a move under way is given up; to a third directory: it is begun anew. A crash forgets it until the copy is
// made: moves_await. ST_IO: a directory of this node is offline; which copies it holds is not known, as in
// Kafka then. ST_INVALID: the name is too long for a future log's directory.
enum status moves_request(struct replica *replica, int dir);

// Adds the wait, which is in no list, if the replica's copy has no durable directory yet. It is woken with
// ST_OK when it has one, or when the move is given up for another; with the error when it cannot be made.
// False: nothing to wait for.
bool moves_await(struct replica *replica, struct wait *wait, wait_fn *wake, void *context);

// The replica is removed, or loses its log: so does what is made of it.
void moves_give_up(struct replica *replica);

// The copy a replica's log is moved to by; NULL: none.
const struct log *moves_future(const struct replica *replica);

// A flush round has ended for the replica's log, or for its copy.
void moves_durable(struct replica *replica, const struct log *log);

// ---- where a replica to come is to be made (Kafka's preferred directories; forgotten at a restart) ----
void moves_prefer(struct moves *moves, struct uuid topic, int32_t index, int dir);
int moves_preferred(const struct moves *moves, struct uuid topic, int32_t index); // -1: anywhere
void moves_unprefer(struct moves *moves, struct uuid topic, int32_t index);

#endif
