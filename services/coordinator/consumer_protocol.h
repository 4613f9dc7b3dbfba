// SPDX-License-Identifier: Apache-2.0
// The embedded consumer protocol: what classic consumers put into the opaque bytes of JoinGroup and
// SyncGroup, int16 version first. Read and written where a group changes its protocol.
#ifndef CONSUMER_PROTOCOL_H
#define CONSUMER_PROTOCOL_H

#include "base/arena.h"
#include "base/buf.h"
#include "cluster/image.h"
#include "parts.h"

struct subscription {
    struct arena arena;
    struct slice *topics; // ascending, each once; borrowed from the bytes
    int32_t topic_count;
    struct slice rack;  // data NULL: none
    struct parts owned; // those of topics that exist
};

void subscription_init(struct subscription *subscription);
void subscription_fini(struct subscription *subscription);
// ST_MALFORMED, ST_TRUNCATED: not a subscription; ST_NO_MEMORY: too large.
enum status subscription_read(struct subscription *subscription, struct slice bytes,
                              const struct image *image);

// The partitions of an assignment whose topics exist; "" is an empty one. ST_UNSUPPORTED: its assignor adds
// data of its own, which would be lost.
enum status assignment_read(struct slice bytes, const struct image *image, struct parts *out);
// Appends an assignment of the version the member's subscription has. ST_LIMIT: out is full.
enum status assignment_write(const struct parts *parts, const struct image *image, struct slice subscription,
                             struct buf *out);

#endif
