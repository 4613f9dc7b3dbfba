// SPDX-License-Identifier: Apache-2.0
// Topics made because a client asked Metadata for them, or a share group for a dead-letter topic:
// CreateTopics to the active controller on the client's (this node's) behalf, at most one under way per name.
// A Metadata answer may wait a moment for it (auto_create_wait).
#ifndef STORAGE_AUTO_CREATE_H
#define STORAGE_AUTO_CREATE_H

#include "base/slice.h"
#include "cluster/authorise.h"

struct auto_create;
struct storage;

struct auto_create *auto_create_new(struct storage *storage);
void auto_create_destroy(struct auto_create **auto_create);

// Asks for a topic with default partitions, replicas and configuration. The name is a valid topic name.
// Nothing happens when it is under way or too many are.
void auto_create_topic(struct auto_create *auto_create, const struct principal *principal, struct slice name);

// The same for a dead-letter topic (KIP-1191), on this node's behalf: allows, a topic configuration, is true.
// Nothing happens either within 3 s of a failure.
void auto_create_dead_letters(struct auto_create *auto_create, struct slice name, const char *allows);

// Whether a topic of that name is being made.
bool auto_create_busy(const struct auto_create *auto_create, struct slice name);

// Told whenever a creation has ended, until it is cancelled; embedded in the waiter.
struct auto_create_wait {
    void (*ended)(void *context);
    void *context;
    struct auto_create *owner; // NULL while it waits for nothing
    struct auto_create_wait *next, *previous;
};
void auto_create_wait(struct auto_create *auto_create, struct auto_create_wait *wait,
                      void (*ended)(void *context), void *context);
void auto_create_wait_cancel(struct auto_create_wait *wait);

#endif
