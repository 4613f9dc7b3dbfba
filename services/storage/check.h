// SPDX-License-Identifier: Apache-2.0
// Validation of a produced batch (kafka/batch.h), on the spot where it is cheap, else on the pool: decompressing
// is bounded by its output, not by what arrived, and the loop has other connections to serve.
#ifndef STORAGE_CHECK_H
#define STORAGE_CHECK_H

#include "io/env.h"
#include "kafka/batch.h"

// What is known of a batch once it was looked at.
struct check_result {
    enum status status; // batch_validate's
    struct batch_header header;
    struct batch_verdict verdict;
};

// Validates now if that costs no more than looking at its bytes and CHECK_UNPACKED_MAX unpacked ones. False: it
// costs more, and nothing is known.
enum { CHECK_PACKED_MAX = 16 << 10, CHECK_UNPACKED_MAX = 64 << 10 };
bool check_now(struct slice batch, const struct batch_rules *rules, struct check_result *result);

struct check;
typedef void check_fn(void *context);

// Validates on the pool and keeps the block meanwhile; batch lies in it, and nobody changes it. done comes once,
// on the loop.
struct check *check_new(struct env *env, struct block *block, struct slice batch,
                        const struct batch_rules *rules, check_fn *done, void *context);
// One that is finished already, to stand in line with others.
struct check *check_known(const struct batch_rules *rules, const struct check_result *result);

// NULL while it runs.
const struct check_result *check_result(const struct check *check);
const struct batch_rules *check_rules(const struct check *check);

// Ends it at any time: done is not called any more. NULL inside is fine.
void check_destroy(struct check **check);

#endif
