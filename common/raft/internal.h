// SPDX-License-Identifier: Apache-2.0
// The state of one Raft instance and what its files share. raft.c dispatches; election.c votes, follower.c
// takes entries and snapshots, leader.c replicates and commits, log.c keeps the entries.
#ifndef RAFT_INTERNAL_H
#define RAFT_INTERNAL_H

#include "raft/raft.h"

#include "base/prng.h"

// The entries behind base, contiguous.
struct raft_log {
    int64_t base; // index before the first entry in memory
    int64_t base_term;
    struct raft_config base_config; // in force at base
    struct raft_entry *entries;     // entries[begin + i] has index base + 1 + i
    size_t begin, count, cap;
    struct raft_config config; // latest in the log, else base_config
    int64_t config_index;      // of that entry; base when it is base_config
};

enum progress_state {
    PROGRESS_PROBE,     // one append at a time until the follower agrees
    PROGRESS_REPLICATE, // entries are sent as they come
    PROGRESS_SNAPSHOT   // it needs what the log no longer has
};

struct progress {
    struct raft_voter voter;
    enum progress_state state;
    int64_t match; // durable there
    int64_t next;  // to send
    bool probing;  // PROBE: one is under way
    int64_t contact_ms;
    uint64_t round; // newest heartbeat round it answered
    int64_t commit_sent;
    int64_t chunk_index, chunk_offset, chunk_sent_ms;
};

struct pending_read {
    struct raft_read read;
    uint64_t round;
};

struct raft {
    struct raft_voter self;
    struct raft_options options;
    struct prng prng;
    struct raft_log log;
    struct raft_hard hard;
    struct raft_snapshot snapshot;
    int64_t now_ms;
    enum raft_role role;
    struct raft_voter leader;
    int64_t commit;
    // persistence
    uint64_t step;         // number this step's persistence has if it asks for any
    uint64_t acked;        // acknowledged up to here
    uint64_t hard_step;    // which one carries the present hard state
    uint64_t install_step; // which one carries a snapshot not yet durable; 0 = none
    int64_t persisted;
    // election
    int64_t election_ms; // when to campaign
    int64_t heard_ms;    // when a leader of this term was last heard
    bool votes[RAFT_VOTERS_MAX];
    bool transferring; // this candidacy was asked for by the old leader
    // follower
    int64_t leader_match; // highest index known to agree with the leader of this term
    uint64_t leader_round;
    int64_t chunk_term, chunk_index, chunk_offset; // snapshot being received
    // leader
    struct progress peers[RAFT_VOTERS_MAX + RAFT_LEARNERS_MAX];
    int peer_count;                                // without ourselves
    int voter_count;                               // the first of them: those that vote; learners follow
    struct raft_voter learners[RAFT_LEARNERS_MAX]; // voters by now among them
    int learner_count;
    int64_t heartbeat_ms;
    int64_t own_index; // the no-op of this leadership
    size_t uncommitted_bytes;
    int32_t transfer_to; // -1: none
    int64_t transfer_ms; // given up then
    bool transfer_sent;
    uint64_t round;
    struct pending_read reads[RAFT_READS_MAX];
    int read_count;
    struct raft_updates *out;
};

// ---- log.c ----
void raft_log_load(struct raft *raft, const struct raft_start *start);
void raft_log_fini(struct raft_log *log);
int64_t raft_log_last(const struct raft_log *log);
// -1 when the index is not known any more or not there yet.
int64_t raft_log_term(const struct raft_log *log, int64_t index);
struct raft_entry *raft_log_entry(const struct raft_log *log, int64_t index);
// Takes a reference to data; follows a configuration entry.
void raft_log_append(struct raft_log *log, struct raft_entry entry);
void raft_log_truncate(struct raft_log *log, int64_t from);
void raft_log_trim(struct raft_log *log, int64_t upto);
void raft_log_reset(struct raft_log *log, const struct raft_snapshot *snapshot);
struct raft_config raft_log_config_at(const struct raft_log *log, int64_t index);

// ---- raft.c ----
// The message to fill; term and from are set, the rest is zero. after = hard state.
struct raft_message *raft_out_message(struct raft *raft, enum raft_message_kind kind, struct raft_voter to);
void raft_out_append(struct raft *raft, struct raft_entry entry); // to the log and to the updates
void raft_out_truncate(struct raft *raft, int64_t from);
void raft_hard_set(struct raft *raft, int64_t term, struct raft_voter vote);
void raft_commit_set(struct raft *raft, int64_t index);
void raft_become_follower(struct raft *raft, int64_t term, struct raft_voter leader);
extern const struct raft_voter raft_nobody;

// ---- election.c ----
void raft_election_reset(struct raft *raft);
void raft_election_tick(struct raft *raft);
void raft_election_campaign(struct raft *raft, bool transfer); // without pre-vote
void raft_election_persisted(struct raft *raft);               // the own vote may count now
void raft_election_on_request(struct raft *raft, const struct raft_message *message);
void raft_election_on_reply(struct raft *raft, const struct raft_message *message);
bool raft_election_sticky(const struct raft *raft); // a leader is alive: refuse to help replace it

// ---- follower.c ----
void raft_follower_on_append(struct raft *raft, const struct raft_message *message);
void raft_follower_on_chunk(struct raft *raft, const struct raft_message *message);
void raft_follower_acknowledge(struct raft *raft);

// ---- leader.c ----
void raft_leader_begin(struct raft *raft);
void raft_leader_configure(struct raft *raft); // peers follow the configuration and the learners
void raft_leader_tick(struct raft *raft);
void raft_leader_on_append_reply(struct raft *raft, const struct raft_message *message);
void raft_leader_on_chunk_reply(struct raft *raft, const struct raft_message *message);
void raft_leader_finish(struct raft *raft); // commit what can be, send what is to be sent
enum status raft_leader_propose(struct raft *raft, const struct raft_event *event);
enum status raft_leader_change(struct raft *raft, const struct raft_config *config);
enum status raft_leader_learners(struct raft *raft, const struct raft_voter *learners, int count);
enum status raft_leader_read(struct raft *raft, uint64_t token);
enum status raft_leader_transfer(struct raft *raft, int32_t peer);

#endif
