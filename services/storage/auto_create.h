// SPDX-License-Identifier: Apache-2.0
// Topics made because a client asked Metadata for them: CreateTopics to the active controller on the client's
// behalf, at most one under way per name. Nobody waits for it; the client asks again.
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

#endif
