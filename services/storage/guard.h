// SPDX-License-Identifier: Apache-2.0
// Validation of records against a schema registry (Confluent's broker-side schema validation): the cache of
// what is known (guard_cache.h), and the questions to registries of the cluster. produce.c takes the books of
// a topic, judges a batch by them (guard_judge.h), and when ids are missing has them asked about; all batches
// that wait for an id share one question, which has a deadline. Schemas are parsed on the pool.
#ifndef STORAGE_GUARD_H
#define STORAGE_GUARD_H

#include "cluster/image.h"
#include "guard_judge.h"
#include "io/env.h"
#include "rpc/rpc.h"
#include "wait.h"

enum {
    GUARD_ASK_MS = 3000,      // a question, all registries asked
    GUARD_TRY_MS = 1000,      // one registry
    GUARD_PAUSE_MS = 50,      // between two
    GUARD_ASKS_MAX = 64,      // questions under way
    GUARD_SCHEMA_FACTOR = 16, // memory of a parsed schema per byte of its text, counted
};

struct guard_options {
    struct env *env;
    struct rpc *rpc;
    const struct image *image;
    size_t entries_max, bytes_max; // millrace.schema.cache.*
};

struct guard;
// Never NULL.
struct guard *guard_new(const struct guard_options *options);
// What waits is not told. NULL inside is fine.
void guard_destroy(struct guard **guard);

// A topic as its replicas know it; the name is borrowed.
struct guard_topic {
    struct uuid id;
    const char *name;
    const struct guard_rules *rules;
};

// What records of the topic are judged by now; the caller gives the books back. Has what is getting old asked
// about again.
struct guard_books guard_books_of(struct guard *guard, const struct guard_topic *topic);

// Has the registries asked about what is missing in a report, and parks wait until they have answered. False:
// wait is not parked; there are too many questions already.
bool guard_ask(struct guard *guard, const struct guard_topic *topic, const struct guard_report *report,
               struct wait *wait, wait_fn *told, void *context);

// Counts a batch that was judged for the first time, by what guard_judge said.
void guard_count_batch(struct guard *guard, const struct guard_report *report);
// Counts records that are refused.
void guard_count_refused(struct guard *guard, const struct guard_report *report);

#endif
