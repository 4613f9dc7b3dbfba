// SPDX-License-Identifier: Apache-2.0
// The inside of a ledger, shared by ledger.c (life, opening, waits), ledger_read.c (loading, confirming),
// ledger_loads.c (whose turn it is to load) and ledger_batch.c (collecting, appending). Nobody else includes
// it.
#ifndef LEDGER_STATE_H
#define LEDGER_STATE_H

#include "ledger/ledger.h"

#include "base/block.h"
#include "base/buf.h"
#include "ledger/ledger_loads.h"
#include "ledger/records.h"
#include "protos/storage.pb-c.h"

enum ledger_phase {
    LEDGER_OPENING,    // LedgerOpen is asked or will be
    LEDGER_LOADING,    // reading up to the end LedgerOpen named
    LEDGER_CONFIRMING, // the batch of unknown outcome is in the log: waiting until it is committed
    LEDGER_SERVING
};

enum ledger_kind { LEDGER_PLAIN, LEDGER_PENDING, LEDGER_COMMIT, LEDGER_ABORT };

struct ledger_record {
    enum ledger_kind kind;
    size_t key_at, key_len, value_at, value_len;
    bool tombstone;
    int64_t timestamp_ms;
    struct ledger_producer producer; // unless it is plain
    int32_t coordinator_epoch;       // of a marker
};

// Records collected for appends; their bytes one after the other.
struct ledger_batch {
    struct buf bytes;
    struct ledger_record *records;
    size_t count, cap;
};

// Loading: the answer of a LedgerRead that is applied a slice at a time, and the place among the others.
struct ledger_load {
    struct block *bytes;           // NULL: none
    struct ledger_records records; // of it
    int64_t high_watermark;
    bool listed; // in config.loads
    int64_t began_us;
    struct ledger *next, *previous;
};

// What is left of a turn for loading.
struct ledger_slice {
    struct env *env;
    int64_t end_us;
    int32_t records; // applied
};

struct ledger {
    struct ledger_config config;
    char *topic;
    enum ledger_phase phase;
    bool ready;       // the state is whole
    int64_t position; // next offset to apply or to write; -1: from the log's start
    int64_t log_end;  // as of LedgerOpen
    int32_t leader_epoch;
    struct rpc_peer *peer;
    struct timer retry; // opening, reading
    struct timer send;  // closes the open batch at the end of the turn
    int retry_ms;
    struct ledger_load load;

    struct ledger_batch open;   // being collected
    struct ledger_batch sealed; // on its way, in one or more appends
    size_t sent;                // records of sealed that are committed
    size_t flying;              // records of sealed in the append whose outcome is awaited or unknown
    uint32_t flying_crc;
    bool touched;
    bool sealing;      // inside ops->seal
    uint64_t open_seq; // number of the open batch
    uint64_t done_seq; // batches up to here are committed
    struct ledger_wait *first, *last;
    struct image_listener listener;
    uint64_t batches, records, drops, reopens;
};

// ---- ledger.c ----
// Looks the leader up and opens again, forgetting calls under way.
void ledger_reopen(struct ledger *ledger);
void ledger_reopen_later(struct ledger *ledger);
// Drops the state whole and starts over.
void ledger_drop(struct ledger *ledger, const char *why);
// The stub of the leader for the next call; payload (one frame or NULL) is looked at by that call.
ProtobufCService *ledger_on_leader(struct ledger *ledger, int64_t deadline_ms, struct block *const *payload);
// Batches up to this number are committed.
void ledger_committed(struct ledger *ledger, uint64_t seq);

// ---- ledger_read.c ----
void ledger_read_on(struct ledger *ledger); // the next LedgerRead, while loading or confirming
// Applies of load.bytes until they or the slice are used up; what follows is done: the next read, the end of
// loading, or the state is dropped.
void ledger_load_apply(struct ledger *ledger, struct ledger_slice *slice);
// Forgets bytes that are not applied; the ledger does not load any more. Idempotent.
void ledger_load_stop(struct ledger *ledger);

// ---- ledger_loads.c ----
bool ledger_slice_over(const struct ledger_slice *slice);
void ledger_loads_enter(struct ledger *ledger); // loading begins; idempotent
// It has ended; whole: the state is. Idempotent.
void ledger_loads_leave(struct ledger *ledger, bool whole);
void ledger_loads_kick(struct ledger_loads *loads); // a ledger of it has got bytes

// ---- ledger_batch.c ----
void ledger_kick(struct ledger *ledger); // sends what is due, at the end of the turn
void ledger_send(struct ledger *ledger); // the next append of the sealed batch; serving
// The flying records are committed.
void ledger_landed(struct ledger *ledger);
void ledger_batches_fini(struct ledger *ledger);
void ledger_batches_clear(struct ledger *ledger);

#endif
