// SPDX-License-Identifier: Apache-2.0
// The owner's part of a ledger: one partition of a compacted internal topic that this process alone writes,
// for an owner epoch given by the controller (design section 5). The owner decides on its state, appends
// records, and answers when they are committed:
//
//   decide:  the owner looks at its state and makes records (ledger_append applies each at once), or changes
//            its state and says so (ledger_touch), then writes a snapshot when asked (ops->seal).
//   answer:  every answer, of reads too, waits until all that its decision could have seen is committed
//            (ledger_wait); at once when nothing is open.
//   group:   what is decided while a batch is on its way becomes the next batch.
//
// A batch whose outcome is unknown (leader gone, time-out) is looked for by opening the log again: it is
// there, or is sent again with the same expected base offset, so it is never written twice. When the log
// turns out otherwise (another owner wrote) the state is dropped whole: waits end with a retriable status,
// ops->reset, and all is read anew. There is no undo.
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/slice.h"
#include "cluster/image.h"
#include "io/env.h"
#include "ledger/ledger_loads.h"
#include "rpc/rpc.h"

struct ledger;

enum {
    LEDGER_BATCH_BYTES = 512 << 10, // (tune) records of one append; a single larger record goes alone
    LEDGER_RECORD_MAX = 12 << 20,   // key and value; must fit a bulk frame
    LEDGER_PENDING_MAX = 32 << 20,  // bytes of records decided and not sealed, above: ledger_full
    LEDGER_BYTES_MAX = 512 << 20,   // ... with snapshots, which are taken in any case
    LEDGER_READ_BYTES = 256 << 10,  // (tune) of each ledger that loads, in memory at a time
    LEDGER_READ_BYTES_MAX = 1 << 20,
    LEDGER_OPEN_MS = 3000,    // deadline of LedgerOpen
    LEDGER_APPEND_MS = 10000, // ... of LedgerAppend
    LEDGER_READ_MS = 5000,    // ... of LedgerRead
    LEDGER_RETRY_MS_MIN = 10, // first wait after a failure, doubling up to
    LEDGER_RETRY_MS_MAX = 500
};

// Whose transaction a record belongs to.
struct ledger_producer {
    int64_t id;
    int16_t epoch;
};

struct ledger_ops {
    // A record, in log order: at loading, in slices of a turn (ledger_loads.h), and from inside
    // ledger_append. value.data NULL: a tombstone.
    void (*apply)(void *context, int64_t timestamp_ms, struct slice key, struct slice value);
    // A batch is about to be closed: write snapshots of what ledger_touch was called for. Anything but ST_OK
    // drops the state, since answers wait for what could not be written. May be NULL.
    enum status (*seal)(void *context);
    // The state is dropped whole: forget everything. Waits have ended already. It will be loaded again.
    void (*reset)(void *context);
    // All is loaded: decisions may begin.
    void (*ready)(void *context);
    // As apply, of a record that counts when its producer's transaction commits. May be NULL: such records
    // are passed over.
    void (*apply_pending)(void *context, const struct ledger_producer *producer, int64_t timestamp_ms,
                          struct slice key, struct slice value);
    // The producer's transaction has ended: what is pending of it counts from now on (commit), or never.
    // NULL when apply_pending is.
    void (*apply_marker)(void *context, const struct ledger_producer *producer, bool commit);
};

struct ledger_config {
    struct env *env;
    struct rpc *rpc;
    struct image *image;        // where the partition's leader is looked up and followed
    struct ledger_loads *loads; // borrowed; of the process
    const char *topic;          // copied
    int32_t partition;
    int32_t owner; // this node
    int32_t owner_epoch;
    int64_t metadata_offset;      // of the assignment
    uint32_t read_bytes;          // of the log at a time while it is loaded; 0: LEDGER_READ_BYTES
    int64_t position;             // everything below has been applied already (ledger/tail.h); 0: nothing
    const struct ledger_ops *ops; // static
    void *context;                // for ops
};

// Begins to open and load. Callbacks never come from inside. Never NULL.
struct ledger *ledger_new(const struct ledger_config *config);
// Waits end with ST_NOT_LEADER from inside; ops are not called any more. What was appended and not committed
// may or may not be in the log.
void ledger_destroy(struct ledger **ledger);

// Whether the state is whole: only then may the owner decide and answer.
bool ledger_ready(const struct ledger *ledger);
// Too much waits to be committed: refuse what would write.
bool ledger_full(const struct ledger *ledger);

// Adds a record to the open batch and applies it (ops->apply). value.data NULL: a tombstone. Copies. Only
// while ready. ST_LIMIT: larger than LEDGER_RECORD_MAX, nothing is done.
enum status ledger_append(struct ledger *ledger, struct slice key, struct slice value);

// The same for a record of an open transaction (ops->apply_pending), and for the transaction's marker
// (ops->apply_marker). The owner has seen to it that the transaction is open, or ends.
enum status ledger_append_pending(struct ledger *ledger, const struct ledger_producer *producer,
                                  struct slice key, struct slice value);
enum status ledger_append_marker(struct ledger *ledger, const struct ledger_producer *producer, bool commit,
                                 int32_t coordinator_epoch);

// The owner has changed its state and will write it from ops->seal by ledger_snapshot (not applied again).
void ledger_touch(struct ledger *ledger);
enum status ledger_snapshot(struct ledger *ledger, struct slice key, struct slice value);

typedef void ledger_fn(void *context, enum status status);

struct ledger_wait { // embedded in the waiter
    ledger_fn *done;
    void *context;
    uint64_t target;
    struct ledger_wait *next, *previous;
    struct ledger *ledger; // NULL: not waiting
};

// Calls done once everything decided so far is committed (ST_OK), from inside when nothing is open;
// ST_LOADING when the state was dropped, ST_NOT_LEADER when the ledger is closed: the outcome is then not
// known. Waits end in the order they began.
void ledger_wait(struct ledger *ledger, struct ledger_wait *wait, ledger_fn *done, void *context);
// Idempotent; done is not called any more.
void ledger_wait_cancel(struct ledger_wait *wait);

// For dump and metrics.
struct ledger_view {
    const char *phase; // "opening", "loading", "serving", "confirming"
    int64_t position;  // next offset, -1: not known
    int64_t log_end;   // where loading ends
    int32_t leader_epoch;
    uint64_t batches, records, drops, reopens; // since ledger_new
};
struct ledger_view ledger_view(const struct ledger *ledger);

#endif
