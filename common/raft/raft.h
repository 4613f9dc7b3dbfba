// SPDX-License-Identifier: Apache-2.0
// Consensus as a pure step function (Ongaro and Ousterhout, "In Search of an Understandable Consensus
// Algorithm", extended version; Ongaro's dissertation where named). An event goes in; what to persist, send
// and apply comes out. No clock, no I/O, no randomness but a seed. services/controller/quorum.c drives it.
//
// THE ORDER OF PERSISTENCE. A step whose updates have persist != 0 asks for one durable write, to be carried
// out in the order of these numbers and within one step as: hard state, snapshot chunk (with chunk.done:
// install it and drop the log), truncation, appended entries. When all of it is durable the driver steps
// RAFT_EVENT_PERSISTED with that number. A message leaves when its `after` is acknowledged, with after = 0 at
// once: a leader sends entries while it writes them itself, but a vote, a request for votes and everything
// else said in a new term waits for the hard state. A failed write is the end of this instance: the driver
// stops and starts again from what is on disk.
//
// What counts as persisted: a candidate claims, a follower acknowledges and a leader counts for itself only
// what has been acknowledged by PERSISTED; a voter compares with everything it has been given, because it may
// still acknowledge that (§5.4.1).
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include "raft/types.h"

struct raft;

enum raft_role { RAFT_FOLLOWER, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };

struct raft_options {
    int election_ms;  // base election timeout; each is random in [base, 2 base). 0 = 150
    int heartbeat_ms; // 0 = 50
    int keep_entries; // entries kept behind a snapshot for slow followers. 0 = 1024
};

// What is on disk at start, and who we are.
struct raft_start {
    struct raft_voter self;
    uint64_t seed;
    struct raft_options options;
    struct raft_hard hard;            // vote.id -1 when none
    struct raft_snapshot snapshot;    // index 0 when none
    const struct raft_entry *entries; // ascending, without gaps; at or before snapshot.index + 1 at first
    int64_t entry_count;
    int64_t now_ms;
};

enum raft_event_kind {
    RAFT_EVENT_TICK,      // time has passed (raft_deadline_ms says when the next one is needed)
    RAFT_EVENT_MESSAGE,   // message: received, validated as bytes; entries' blocks are borrowed
    RAFT_EVENT_PERSISTED, // sequence: that and all earlier persistence is durable
    RAFT_EVENT_PROPOSE,   // blocks, block_count: one data entry each; leader only
    RAFT_EVENT_CONFIG, // config: one voter more or less, or other addresses; leader only (dissertation §4.1)
    RAFT_EVENT_LEARNERS, // learners, learner_count: who else follows, without a vote; leader only (§4.2.1
                         // there). Who loses its vote follows until the next such event
    RAFT_EVENT_SNAPSHOT, // index: a snapshot up to it is durable, the log before may go (§7)
    RAFT_EVENT_TRANSFER, // peer: hand leadership to it (dissertation §3.10)
    RAFT_EVENT_READ,     // token: tell when reads at the present commit index are current (§8)
    RAFT_EVENT_PEER_LOST // peer: its process is gone (connection refused): do not wait for the timeout
};

struct raft_event {
    enum raft_event_kind kind;
    int64_t now_ms; // monotonic
    const struct raft_message *message;
    uint64_t sequence;
    struct block *const *blocks;
    int block_count;
    const struct raft_config *config;
    const struct raft_voter *learners; // voters among them are passed over
    int learner_count;                 // at most RAFT_LEARNERS_MAX
    int64_t index;
    int32_t peer;
    uint64_t token;
};

// A piece of a snapshot to stage. offset 0 starts a new one; done installs it: from then on the log starts
// behind it and the state machine is to be rebuilt from it before anything later is applied.
struct raft_chunk {
    struct raft_snapshot snapshot;
    int64_t offset;
    struct slice data; // borrowed from the event
    bool done;
};

struct raft_read {
    uint64_t token;
    int64_t index; // serve the read when this is applied
};

// Filled by raft_step, valid until the next one.
struct raft_updates {
    uint64_t persist; // number of the durable write asked for; 0 = none
    bool hard_changed;
    struct raft_hard hard;
    bool has_chunk;
    struct raft_chunk chunk;
    int64_t truncate_from; // drop entries from here on; 0 = none
    int64_t append_from;   // write entries from here to raft_last_index; 0 = none
    struct raft_message *messages;
    int message_count, message_cap;
    struct raft_read *reads; // confirmed reads
    int read_count, read_cap;
    bool commit_changed; // raft_commit has moved
    bool role_changed;   // role, term or known leader differ from before
    bool reads_dropped;  // leadership is lost: every read not confirmed yet has failed
    int64_t proposed;    // index of the first entry of an accepted proposal or configuration
};

// Never NULL; owns references to the entries' blocks.
struct raft *raft_new(const struct raft_start *start);
void raft_destroy(struct raft **raft);

void raft_updates_init(struct raft_updates *out);
void raft_updates_fini(struct raft_updates *out);

// One event. A refused PROPOSE, CONFIG, LEARNERS, TRANSFER or READ gives NOT_LEADER; LIMIT when too much
// waits; AGAIN for a configuration change before an entry of the own term is committed or while another one
// is under way; LOADING when the new voter is no learner that has caught up; INVALID when it changes more
// than one voter. Everything else gives OK. out is filled in every case.
enum status raft_step(struct raft *raft, const struct raft_event *event, struct raft_updates *out);

// Whether a PROPOSE of so many entries would be taken now, their sizes aside: OK, NOT_LEADER or LIMIT.
enum status raft_may_propose(const struct raft *raft, int count);

// When the next TICK has something to do.
int64_t raft_deadline_ms(const struct raft *raft);

enum raft_role raft_role(const struct raft *raft);
int64_t raft_term(const struct raft *raft);
struct raft_voter raft_self(const struct raft *raft);
struct raft_voter raft_leader(const struct raft *raft); // id -1: not known
int64_t raft_commit(const struct raft *raft);
int64_t raft_last_index(const struct raft *raft);
int64_t raft_persisted(const struct raft *raft);   // highest durable index
int64_t raft_first_index(const struct raft *raft); // oldest entry in memory
const struct raft_snapshot *raft_snapshot(const struct raft *raft);
const struct raft_config *raft_config(const struct raft *raft); // in force

// Index of the entry that brought the configuration in force, or of the snapshot that did.
int64_t raft_config_index(const struct raft *raft);

// Leader, and its own first entry is committed: all earlier entries are known to be committed (§8).
bool raft_ready(const struct raft *raft);

// The entry at an index between first and last.
const struct raft_entry *raft_entry(const struct raft *raft, int64_t index);

// Term and configuration of a snapshot that would end at index (first - 1 <= index <= commit).
struct raft_snapshot raft_snapshot_at(const struct raft *raft, int64_t index);

// Highest index a follower has acknowledged, and when it was last heard; for metrics. False: not leader or no
// such peer.
bool raft_progress(const struct raft *raft, int32_t peer, int64_t *match, int64_t *contact_ms);

// Whether this is the leader and the follower has been heard lately and lacks no more than one message's
// entries. What a voter must fulfil before it is added: a slow one would keep commits waiting (dissertation
// §4.2.1).
bool raft_caught_up(const struct raft *raft, struct raft_voter follower);

// The i-th learner the leader serves; false behind the last one, or when this is not the leader.
bool raft_learner(const struct raft *raft, int i, struct raft_voter *learner);

#endif
