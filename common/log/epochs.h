// SPDX-License-Identifier: Apache-2.0
// The list of (leader epoch, first offset) of a log and its file leader-epoch-checkpoint. It is derived from
// the batches alone: an epoch enters with its first batch. Pure.
#ifndef LOG_EPOCHS_H
#define LOG_EPOCHS_H

#include "base/buf.h"

enum { LOG_EPOCHS_MAX = 65536 }; // beyond it the oldest is forgotten

struct log_epoch {
    int32_t epoch;
    int64_t start; // offset of its first record
};

struct log_epochs {
    struct log_epoch *rows; // both columns ascending
    int count, cap;
    bool changed; // since it was last saved
};

void log_epochs_fini(struct log_epochs *epochs);

void log_epochs_copy(struct log_epochs *to, const struct log_epochs *from); // to is empty
bool log_epochs_equal(const struct log_epochs *a, const struct log_epochs *b);

// Notes a batch; an epoch already known or older is ignored.
void log_epochs_assign(struct log_epochs *epochs, int32_t epoch, int64_t offset);

int32_t log_epochs_last(const struct log_epochs *epochs); // -1: none

// Forgets epochs that begin at or above end.
void log_epochs_cut(struct log_epochs *epochs, int64_t end);

// The log now starts at start: of the epochs that begin up to it the last one is moved there, the others go.
void log_epochs_trim(struct log_epochs *epochs, int64_t start);

// See log_epoch_end in log.h.
void log_epochs_end(const struct log_epochs *epochs, int32_t requested, int64_t log_end, int32_t *epoch,
                    int64_t *end);
int32_t log_epochs_at(const struct log_epochs *epochs, int64_t offset);

// Copies what is known of offsets in [from, up_to); to is empty.
void log_epochs_copy_range(struct log_epochs *to, const struct log_epochs *from, int64_t offset,
                           int64_t up_to);

// Whether a batch of that epoch at offset is otherwise than the list has it. Below its first row, which moves
// up with the log's start, older ones and the same may be.
bool log_epochs_contradict(const struct log_epochs *epochs, int32_t epoch, int64_t offset);

// What a batch says of itself in its leader epoch, which no checksum covers.
struct log_said {
    int64_t base, last; // offsets; last -1: there is no such batch
    int32_t epoch;
};

// Whether the list knows otherwise. It may be wrong itself: its file has no checksum either.
bool log_epochs_differ(const struct log_epochs *epochs, struct log_said batch);
// Whether it is the batch that is damaged: it alone differs, while a neighbour of the same epoch agrees, or
// it breaks the order of epochs. said: the batch before it, itself, the one behind it. A batch that is alone
// with its epoch gets the benefit of the doubt.
bool log_epochs_damaged(const struct log_epochs *epochs, const struct log_said said[3]);

enum status log_epochs_parse(struct slice text, struct log_epochs *epochs);
enum status log_epochs_print(const struct log_epochs *epochs, struct buf *out);

#endif
