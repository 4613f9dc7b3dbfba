// SPDX-License-Identifier: Apache-2.0
// A ledger under test between its owner (a map of keys to values) and two storage nodes that share one log
// and can be told to misbehave. Real rpc over loopback, one loop.
#ifndef LEADERS_H
#define LEADERS_H

#include "base/map.h"
#include "io/env_posix.h"
#include "ledger/ledger.h"
#include "ledger/tail.h"
#include "protos/storage.pb-c.h"

enum append_mode {
    APPEND_OK,
    APPEND_REFUSED, // fails, nothing is written
    APPEND_UNKNOWN, // written, but the answer is a failure
    APPEND_HELD     // written, answered by release_held
};

enum { LOG_MAX = 64 };

struct leaders {
    struct env *env;
    struct transport *transports[3]; // owner, storage 1, storage 2
    struct rpc *rpcs[3];
    struct leader {
        Millrace__Storage_Service service; // first member
        struct leaders *all;
        int node;
        int opens, reads, appends;
    } nodes[2];
    char endpoints[2][64];
    struct image *image;
    int leader_epoch; // 0, 1, 2.. ; node 1 leads in even epochs
    int owner_epoch;  // newest seen

    struct block *log[LOG_MAX]; // batches
    int64_t base[LOG_MAX];
    int batches;
    int64_t log_end;
    int64_t high_watermark_lag; // batches at the end not committed yet
    enum append_mode mode;      // of the next append only
    struct rpc_call *held;
    Millrace__LedgerAppendReply_Closure held_closure;
    int64_t held_base;

    struct ledger_loads *loads;
    struct ledger *ledger;
    struct ledger_tail *tail;
    struct map state;   // key -> value (char *)
    struct map pending; // the same, not committed yet; of one producer
    struct ledger_producer pending_of;
    int readies, resets, seals, applied, progress;
    int waiting_reads; // of somebody who reads along
    int apply_us;      // what each record takes
    bool seal_fails;
    const char *snapshot_key, *snapshot_value; // what seal writes
};

void leaders_start(struct leaders *all);
void leaders_stop(struct leaders *all);
struct ledger_config leaders_config(struct leaders *all);
// The owner opens the ledger.
void leaders_own(struct leaders *all);
// The owner goes on from a position.
void leaders_own_from(struct leaders *all, int64_t position);
// Somebody reads along instead.
void leaders_follow(struct leaders *all);
void leaders_follow_from(struct leaders *all, int64_t position);
// The log is another one: empty.
void leaders_lose_log(struct leaders *all);
// The owner's state is empty, as in a new process.
void leaders_forget(struct leaders *all);
// Appends a batch to the log directly, as a former owner did.
void leaders_write(struct leaders *all, const char *key, const char *value);
// The same, count records of one batch, with keys "0", "1", ...
void leaders_write_many(struct leaders *all, int count);
// Moves leadership to the other node.
void leaders_move(struct leaders *all);
// A node registers and may work again; the leader epoch stays.
void leaders_restart(struct leaders *all, int id);
void leaders_release_held(struct leaders *all);
void leaders_turns(struct leaders *all, int ms);
// Turns until *counter reaches count or 5 s have passed.
void leaders_await(struct leaders *all, const int *counter, int count);
const char *leaders_value(const struct leaders *all, const char *key);
enum status leaders_put(struct leaders *all, const char *key, const char *value);

#endif
