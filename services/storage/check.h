// SPDX-License-Identifier: Apache-2.0
// Validation of a produced batch (kafka/batch.h), on the spot where it is cheap, else on the pool:
// decompressing is bounded by its output, not by what arrived, and the loop has other connections to serve. A
// batch of another codec than the topic's compression.type is packed anew there.
#ifndef STORAGE_CHECK_H
#define STORAGE_CHECK_H

#include "base/metric.h"
#include "guard_judge.h"
#include "io/env.h"
#include "kafka/batch.h"

// All checks of a node: how much memory the batches packed anew take until the log has them.
struct checks {
    struct env *env;
    int64_t packed_bytes;
    struct metric packed, batches;
};

// Beyond so many bytes of them the next one is refused with ST_NO_MEMORY, to be sent again.
enum { CHECKS_PACKED_BYTES_MAX = 128 << 20 };

void checks_init(struct checks *checks, struct env *env);
void checks_fini(struct checks *checks);

// What a topic asks of a batch.
struct check_rules {
    struct batch_rules batch;
    bool repack;              // compression.type is not "producer" ...
    enum compression codec;   // ... but this
    int level;                // of the codec: compression.*.level
    size_t bytes_max;         // max.message.bytes, for what is packed anew
    struct guard_books guard; // what its records' schemas are judged by
};

// What is known of a batch once it was looked at.
struct check_result {
    enum status status; // batch_validate's; ST_LIMIT and ST_NO_MEMORY also of packing anew
    struct batch_header header;
    struct batch_verdict verdict;
    struct guard_report *guard; // owned; of a valid batch whose schemas are not all known and good, else NULL
};

// Validates now if that costs no more than looking at its bytes and CHECK_UNPACKED_MAX unpacked ones. False:
// it costs more, and nothing is known. The caller frees result->guard.
enum { CHECK_PACKED_MAX = 16 << 10, CHECK_UNPACKED_MAX = 64 << 10 };
bool check_now(struct slice batch, const struct check_rules *rules, struct check_result *result);

struct check;
typedef void check_fn(void *context);

// Validates on the pool and keeps the block meanwhile; batch lies in it, and nobody changes it. done comes
// once, on the loop.
struct check *check_new(struct checks *checks, struct block *block, struct slice batch,
                        const struct check_rules *rules, check_fn *done, void *context);
// One that is finished already, to stand in line with others; result->guard is the check's from now on. Both
// take references of the books.
struct check *check_known(const struct check_rules *rules, const struct check_result *result);

// NULL while it runs.
const struct check_result *check_result(const struct check *check);
const struct check_rules *check_rules(const struct check *check);

// The batch packed anew, the caller's from now on and not shared; NULL when it is to be taken as it came. It
// counts until it is given back: once the log has a reference of its own, or when it is not wanted.
struct block *check_take_packed(struct check *check);
void checks_give_back(struct checks *checks, struct block **packed); // NULL inside is fine

// Ends it at any time: done is not called any more. NULL inside is fine.
void check_destroy(struct check **check);

#endif
