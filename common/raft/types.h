// SPDX-License-Identifier: Apache-2.0
// What the Raft core speaks of: voters, configurations, log entries, hard state, messages. Indexes and terms
// start at 1; 0 stands for "before the first". A voter is a pair (id, directory id): a machine that comes
// back under its old id with an empty directory is another voter, so its forgotten votes and entries count
// for nothing.
#ifndef RAFT_TYPES_H
#define RAFT_TYPES_H

#include "base/block.h"
#include "base/status.h"
#include "base/uuid.h"

enum {
    RAFT_VOTERS_MAX = 7,
    RAFT_LEARNERS_MAX = 7,                 // followers without a vote that a leader serves
    RAFT_ENDPOINT_SIZE = 264,              // "tcp://", a DNS name, a port, and NUL
    RAFT_MESSAGE_ENTRIES_MAX = 512,        // entries in one append message
    RAFT_MESSAGE_BYTES_MAX = 256 * 1024,   // their bytes, unless the first alone is larger
    RAFT_ENTRY_BYTES_MAX = 512 * 1024,     // one entry: a message of it fits the control lane
    RAFT_INFLIGHT_MAX = 4096,              // entries sent to a follower and not acknowledged
    RAFT_UNCOMMITTED_MAX = 16384,          // entries a leader takes before the first of them is committed
    RAFT_UNCOMMITTED_BYTES_MAX = 64 << 20, // their bytes
    RAFT_READS_MAX = 1024,                 // reads waiting for a round of heartbeats
    RAFT_LOG_ENTRIES_MAX = 1 << 20         // entries in memory; beyond it nothing is taken until a snapshot
};

struct raft_voter {
    int32_t id; // node id; < 0 stands for nobody
    struct uuid directory;
};

// The voting members, ascending by id. The core only carries their addresses: they are in force with the
// configuration, as soon as it is in the log, so that whoever has the entry can reach the new majority.
struct raft_config {
    int count;
    struct raft_voter voters[RAFT_VOTERS_MAX];
    char endpoints[RAFT_VOTERS_MAX]
                  [RAFT_ENDPOINT_SIZE]; // "tcp://host:port"; "": the driver knows it otherwise
};

enum raft_entry_kind {
    RAFT_ENTRY_NOOP = 0,  // appended by a new leader (§8 of the paper, §6.4 of the dissertation)
    RAFT_ENTRY_DATA = 1,  // the application's bytes
    RAFT_ENTRY_CONFIG = 2 // raft_config_encode'd; in force as soon as it is in the log (dissertation §4.1)
};

struct raft_entry {
    int64_t index;
    int64_t term;
    enum raft_entry_kind kind;
    struct block *data; // NULL for a no-op; the log holds a reference
    uint64_t sequence;  // the core's: which persistence covers it
};

// Must be durable before any message of this term leaves (Figure 2, "persistent state").
struct raft_hard {
    int64_t term;
    struct raft_voter vote; // id -1: none in this term
};

// What a snapshot replaces: everything up to and including index.
struct raft_snapshot {
    int64_t index;
    int64_t term;
    struct raft_config config; // in force at index
};

enum raft_message_kind {
    RAFT_PRE_VOTE = 1,       // dissertation §9.6
    RAFT_PRE_VOTE_REPLY = 2, // a refusal carries the refuser's own term, a grant the asked-for one
    RAFT_VOTE = 3,           // §5.2
    RAFT_VOTE_REPLY = 4,
    RAFT_APPEND = 5, // §5.3; without entries: heartbeat
    RAFT_APPEND_REPLY = 6,
    RAFT_CHUNK = 7, // a piece of a snapshot (§7); the driver fills data and done from its file
    RAFT_CHUNK_REPLY = 8,
    RAFT_TIMEOUT_NOW = 9 // leadership transfer (dissertation §3.10)
};

struct raft_message {
    enum raft_message_kind kind;
    struct raft_voter from;
    struct raft_voter to;
    int64_t term;
    int64_t index;    // votes: last persisted index; append: the one before entries; append reply: highest
                      // matching persisted index, or the refused one; chunk, chunk reply: the snapshot's
    int64_t log_term; // term of index (votes, append, chunk)
    int64_t commit;   // append: the leader's
    int64_t hint;     // refused append: where to try next
    int64_t hint_term;
    uint64_t round;    // append and its reply: newest heartbeat round (read-index, dissertation §6.4)
    bool granted;      // replies: yes
    bool transfer;     // vote: the old leader asked for it, a known leader is no reason to refuse
    bool done;         // chunk: the last one
    int64_t offset;    // chunk: byte position; chunk reply: the one wanted next
    struct slice data; // chunk: its bytes
    struct raft_config config;        // chunk: of the snapshot
    const struct raft_entry *entries; // append: borrowed, valid until the next step
    int entry_count;
    uint64_t after; // send only when this persistence is acknowledged; 0: at once
};

// Whether both stand for the same voter.
bool raft_voter_equal(struct raft_voter a, struct raft_voter b);

// Position of the voter in the configuration, -1 when it is none.
int raft_config_find(const struct raft_config *config, struct raft_voter voter);

// The same by node id alone, whatever its directory.
int raft_config_find_id(const struct raft_config *config, int32_t id);

// Whether the address of every voter is in it, and so the configuration says where they are. False without
// voters.
bool raft_config_addressed(const struct raft_config *config);

// Puts a voter in its place by id. endpoint: shorter than RAFT_ENDPOINT_SIZE. There is room, and nobody of
// that id yet.
void raft_config_insert(struct raft_config *config, struct raft_voter voter, const char *endpoint);

// Takes the voter at a position out.
void raft_config_remove(struct raft_config *config, int at);

// A block with the encoded form; never NULL.
struct block *raft_config_encode(const struct raft_config *config);

// Whether bytes of the network can be an address: none at all, or "tcp://" and more, short enough, printable.
bool raft_endpoint_valid(struct slice text);

// MALFORMED when the bytes are not a configuration.
enum status raft_config_decode(struct slice bytes, struct raft_config *config);

#endif
