// SPDX-License-Identifier: Apache-2.0
// Reads along a ledger that another process owns: every committed record, in order, as soon as it is
// committed (the partition's leader holds the request until there is one). For processes that serve reads of
// a state whose writes they pass on to its owner. When this process becomes the owner, it destroys the tail
// and hands ledger_tail_position to ledger_new, which goes on from there.
#ifndef LEDGER_TAIL_H
#define LEDGER_TAIL_H

#include "ledger/ledger.h"

struct ledger_tail;

enum { TAIL_WAIT_MS = 2000, TAIL_RETRY_MS_MIN = 10, TAIL_RETRY_MS_MAX = 500, TAIL_SLICE_US = 4000 };

struct ledger_tail_config {
    struct env *env;
    struct rpc *rpc;
    struct image *image;
    const char *topic; // copied
    int32_t partition;
    int64_t position; // everything below has been applied already, and is committed; 0: nothing
    // apply (and apply_pending, apply_marker) as for an owner. ready: everything that was committed when a
    // read was answered is applied, told once, and again after each reset. reset: the log was found to be
    // another one, all is read anew. seal is not used.
    const struct ledger_ops *ops;
    // Records were applied up to ledger_tail_position.
    void (*on_progress)(void *context);
    void *context;
};

// Begins to read. Callbacks never come from inside. Never NULL.
struct ledger_tail *ledger_tail_new(const struct ledger_tail_config *config);
void ledger_tail_destroy(struct ledger_tail **tail);

// Whether ready was told.
bool ledger_tail_ready(const struct ledger_tail *tail);
// Everything below has been applied; 0: nothing.
int64_t ledger_tail_position(const struct ledger_tail *tail);

#endif
