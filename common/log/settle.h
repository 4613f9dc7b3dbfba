// SPDX-License-Identifier: Apache-2.0
// Transactions that a producer snapshot has as open although they have ended since and have been compacted
// away together with their markers, which would be waited for in vain. Compaction takes nothing of an open
// transaction: where the log has no batch at its beginning, the producer's next one counts, if there is any.
#ifndef LOG_SETTLE_H
#define LOG_SETTLE_H

#include "log/state.h"

// Corrects what the state's producers have open, once all batches from `from` on, the snapshot's offset, have
// been noted. What retention has taken the beginning of stays open, and what damage hides. Reads the files;
// blocking; I/O errors.
enum status log_settle_transactions(const struct log_load *load, struct log_state *state, int64_t from);

#endif
