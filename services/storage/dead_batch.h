// SPDX-License-Identifier: Apache-2.0
// Record batches for dead-letter topics (KIP-1191): records of a source partition that a share group has
// given up, with headers that say where each came from and why. Ours keep the records' own headers behind
// those, so that they can be put back (millrace group replay). No I/O; runs on the pool, since batches are
// unpacked.
#ifndef STORAGE_DEAD_BATCH_H
#define STORAGE_DEAD_BATCH_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { DEAD_BATCH_BYTES = 512 << 10 }; // of one batch; a single larger record goes alone

// Which records, and what is said of them.
struct dead_spec {
    const char *topic; // of the source
    int32_t partition;
    const char *group;
    int64_t first, last; // offsets, both belong to it
    int16_t deliveries;
    const char *cause;
    bool copies; // key, value and own headers too (errors.deadletterqueue.copy.record.enable)
    int64_t now_ms;
};

// Puts the records of [first, last] that are among whole batches read from the log into one batch. *next: the
// offset behind the last one that is dealt with: behind the bytes, behind last, or where the batch was full.
// out stays empty when none is there. ST_CORRUPT, ST_LIMIT, ST_NO_MEMORY, as batch_reader_init: of a batch
// that is passed over; the others' records are in out nevertheless. *next is first when the bytes are none.
enum status dead_batch_build(const struct dead_spec *spec, struct slice batches, struct buf *out,
                             int64_t *next);

#endif
