// SPDX-License-Identifier: Apache-2.0
// Memory that cold reads of a set have filled and that answers still hold, counted until it comes back:
// whoever reads slowly holds it for long. Blocks are given back on any thread, and may outlive the set.
#ifndef LOG_LENT_H
#define LOG_LENT_H

#include "base/block.h"

struct log_lent;

struct log_lent *log_lent_new(void);
void log_lent_unref(struct log_lent **lent); // the set's end; blocks that are out keep it

int64_t log_lent_bytes(const struct log_lent *lent);

// A block that counts until its last reference is given back. NULL when memory is short.
struct block *log_lent_block(struct log_lent *lent, size_t len);

#endif
