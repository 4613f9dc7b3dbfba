// SPDX-License-Identifier: Apache-2.0
// Sets of partitions: what a member of a consumer group has, is to have, or gives up. A set is an ascending
// array by topic id, then index, without a partition twice, so that all operations are merges. Pure.
#ifndef PARTS_H
#define PARTS_H

#include "base/arena.h"
#include "base/uuid.h"

#include <stddef.h>

struct parts_item {
    struct uuid topic;
    int32_t index; // of the partition
    int32_t epoch; // assignment epoch it came with (KIP-1251); takes no part in comparisons
};

struct parts { // {0}: empty
    struct parts_item *items;
    size_t count, room;
};

void parts_fini(struct parts *set);
// Order of partitions: < 0, 0, > 0.
int parts_compare(const struct parts_item *a, const struct parts_item *b);
// Behind the last one, which must be smaller: sets are built in order.
void parts_append(struct parts *set, const struct parts_item *part);
// In any order; parts_sort must follow before anything else is asked.
void parts_push(struct parts *set, const struct parts_item *part);
// Sorts, and drops all but the first of equal ones.
void parts_sort(struct parts *set);

bool parts_have(const struct parts *set, const struct parts_item *part);
// NULL when it is not in the set.
const struct parts_item *parts_find(const struct parts *set, const struct parts_item *part);
bool parts_equal(const struct parts *a, const struct parts *b);
// Whether every partition of a is in b.
bool parts_within(const struct parts *a, const struct parts *b);
// Whether any partition of a is in b.
bool parts_meet(const struct parts *a, const struct parts *b);

// New sets, owned by the caller; epochs come from a, of a sum from a where both have the partition.
struct parts parts_copy(const struct parts *a);
struct parts parts_both(const struct parts *a, const struct parts *b);    // a and b
struct parts parts_without(const struct parts *a, const struct parts *b); // a but not b
struct parts parts_sum(const struct parts *a, const struct parts *b);     // a or b
// *set takes over the content of *from, which is empty afterwards.
void parts_move(struct parts *set, struct parts *from);

// ---- by topic, for messages ----
size_t parts_topics(const struct parts *set); // different ones
// Behind the last partition of the topic that begins at from.
size_t parts_topic_end(const struct parts *set, size_t from);
// The indexes of [from, end) in the arena; NULL at its cap.
int32_t *parts_indexes(const struct parts *set, size_t from, size_t end, struct arena *arena);

#endif
