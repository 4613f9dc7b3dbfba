// SPDX-License-Identifier: Apache-2.0
// The assignors a coordinator offers to consumer groups (KIP-848): who is to have which partition. Pure
// functions with Kafka's names and rules (org.apache.kafka.coordinator.group.assignor).
//
//   uniform: balance first, then as few moves as possible. Members differ by at most one partition when all
//            subscribe to the same topics; otherwise no single move would make it more even.
//   range:   per topic each subscriber gets a run of neighbouring partitions, in the order of instance ids,
//            then of member ids; topics of the same size and subscribers are split at the same places.
#ifndef ASSIGNOR_H
#define ASSIGNOR_H

#include "base/slice.h"
#include "parts.h"

struct assignor_topic {
    struct uuid id;
    int32_t partitions; // count
};

struct assignor_member {
    struct slice id, instance_id; // instance_id.data NULL: dynamic
    const int32_t *topics;        // places in the input's topics, ascending: what it subscribes to
    int32_t topic_count;
    const struct parts *current; // what the last target gave it
    struct parts target;         // out, empty before: what it is to have; the caller's
};

struct assignor_input {
    const struct assignor_topic *topics; // ascending id
    int32_t topic_count;
    struct assignor_member *members; // ascending id: the result depends on nothing else
    int32_t member_count;            // at least 1
};

typedef void assignor_fn(const struct assignor_input *input);

void assignor_uniform(const struct assignor_input *input);
void assignor_range(const struct assignor_input *input);

// By the name clients and group.consumer.assignors use; NULL: there is none.
assignor_fn *assignor_named(struct slice name);

// ---- shared by the two ----
// Whether all members subscribe to the same topics.
bool assignor_homogeneous(const struct assignor_input *input);

#endif
