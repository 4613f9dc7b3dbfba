// SPDX-License-Identifier: Apache-2.0
// Nodes that were live a moment ago. Metadata goes on naming them for AWAY_LISTED_MS, as Kafka names a broker
// until its session is over (broker.session.timeout.ms, 9 s): a restart is shorter, and librdkafka 2.16 drops
// a broker that is not named, then waits in vain for a request that was on its way to it (offsets of a
// transaction). That nobody leads or coordinates there is known at once all the same. A process that has just
// started does not know since when a node is fenced, which may restart as well: it names it for the same time.
#ifndef STORAGE_AWAY_H
#define STORAGE_AWAY_H

#include "base/map.h"
#include "cluster/image.h"
#include "io/env.h"

enum { AWAY_LISTED_MS = 9000 };

struct away {
    struct env *env;
    int64_t began_ms;
    struct map since; // by node id: when it was fenced; at most the nodes of the image
};

void away_init(struct away *away, struct env *env);
void away_fini(struct away *away);

// A storage node has changed; NULL as in image_listener.on_node.
void away_note(struct away *away, const struct image_node *before, const struct image_node *after);

// Whether the node is fenced, and was live AWAY_LISTED_MS ago or later.
bool away_recent(const struct away *away, int32_t node);

#endif
