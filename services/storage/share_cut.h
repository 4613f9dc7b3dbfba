// SPDX-License-Identifier: Apache-2.0
// What a share group can be given of bytes read from the log (KIP-932): the batches in them, less those that
// nobody is to read (markers, and for read_committed aborted transactions), and afterwards the bytes of those
// of which records were acquired. Bytes were verified when they were read or written. No I/O.
#ifndef STORAGE_SHARE_CUT_H
#define STORAGE_SHARE_CUT_H

#include "base/block.h"
#include "log/log.h"
#include "share_partition.h"

struct share_cut_batch {
    int64_t first, last; // offsets
    int piece;
    size_t from, len; // bytes in it
    bool skipped;     // nobody is to read it
};

struct share_cut { // {0}: empty
    struct share_cut_batch *batches;
    size_t count;
    struct share_span *spans; // of those that are not skipped
    size_t span_count;
    struct share_span *passed; // what nobody is to read, each with what is missing from the log before it
    size_t passed_count;
};

// Aborted transactions, as log_find_aborted finds them; count 0 for read_uncommitted.
struct share_aborted {
    const struct log_aborted *rows;
    int count;
};

// pieces: memory, whole batches, as the log has them from the offset from on. ST_CORRUPT: they are not. To be
// ended with share_cut_fini however it went.
enum status share_cut_parse(struct share_cut *cut, const struct piece *pieces, int count, int64_t from,
                            const struct share_aborted *aborted);
void share_cut_fini(struct share_cut *cut);

// Keeps of the pieces what reaches from the batch that has the offset first to the one that has last;
// releases the others. Returns how many are left, at the front.
int share_cut_trim(const struct share_cut *cut, struct piece *pieces, int count, struct share_span kept);

#endif
