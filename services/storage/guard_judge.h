// SPDX-License-Identifier: Apache-2.0
// Whether the records of a batch have the schemas that their topic asks for, by the books of its two sides
// (guard_cache.h). Pure, on the loop or on the pool; nothing is told of a batch whose records are all good.
#ifndef STORAGE_GUARD_JUDGE_H
#define STORAGE_GUARD_JUDGE_H

#include "base/arena.h"
#include "guard_cache.h"
#include "kafka/batch.h"

enum {
    GUARD_FAULTS_MAX = 100,      // records at fault that are told of one by one
    GUARD_EXPLAINED_MAX = 10,    // payloads at fault of which it is said what is wrong in them
    GUARD_MISSING_MAX = 64,      // ids that are asked about at once
    GUARD_VALUES_PER_BYTE = 4,   // values that payloads of a batch may have for each of its bytes ...
    GUARD_SPARE_LOOP = 16 << 10, // ... and besides on the loop
    GUARD_SPARE_POOL = 4 << 20   // ... and on the pool
};

// What a topic's records are judged by; NULL: that side is not looked at.
struct guard_books {
    struct guard_book *sides[SCHEMA_SIDES];
};

static inline bool guard_books_any(const struct guard_books *books)
{
    return books->sides[SCHEMA_KEY] != NULL || books->sides[SCHEMA_VALUE] != NULL;
}
// Whether a side's payloads are looked at; and whether that may take long.
bool guard_books_full(const struct guard_books *books);
bool guard_books_dear(const struct guard_books *books);
void guard_books_ref(const struct guard_books *books);
void guard_books_unref(struct guard_books *books);

enum guard_reason {
    GUARD_BARE,    // it begins with no id
    GUARD_HEADER,  // its header with the id has none
    GUARD_NOBODYS, // GUARD_UNKNOWN
    GUARD_FOREIGN, // GUARD_UNREGISTERED
    GUARD_SEALED,  // GUARD_UNREADABLE
    GUARD_PAYLOAD, // it is not of its schema
    GUARD_REASONS
};
const char *guard_reason_name(enum guard_reason reason); // for metrics

struct guard_fault {
    int32_t record; // index in the batch
    int side;
    enum guard_reason reason;
    struct guard_id id;              // not with BARE and HEADER
    const struct guard_entry *entry; // in the book; NULL with BARE and HEADER
    char *why;                       // PAYLOAD: where and what is wrong, of the first ones; NULL: not told
};

struct guard_missing {
    int side;
    struct guard_id id;
};

// At least one of bad, missing, silence and spent is something.
struct guard_report {
    int64_t bad; // records at fault, all of them
    int64_t by_reason[GUARD_REASONS];
    int fault_count;
    struct guard_fault faults[GUARD_FAULTS_MAX]; // the first ones
    int missing_count;                           // of ids that nothing is known of
    struct guard_missing missing[GUARD_MISSING_MAX];
    bool silence; // no registry answered about one of the ids
    bool spent;   // a payload has too many values for the caller's budget, or is refused for its size; or
                  // not all were looked at
};

// records: those of a valid batch, unpacked. spare: GUARD_SPARE_*. stop: once it is true, set by any thread,
// no further record is looked at, and the report says spent; NULL: to the end. NULL: all are good. The caller
// frees the report (guard_report_free), which points into the books.
struct guard_report *guard_judge(const struct guard_books *books, const struct batch_header *header,
                                 struct slice records, size_t spare, const _Atomic bool *stop);
void guard_report_free(struct guard_report **report); // NULL inside is fine

// A sentence for the client. topic: the name. NULL at the arena's cap.
const char *guard_fault_text(struct arena *arena, const char *topic, const struct guard_fault *fault);

#endif
