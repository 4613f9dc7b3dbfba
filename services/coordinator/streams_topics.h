// SPDX-License-Identifier: Apache-2.0
// Makes the internal topics of streams groups (repartition and changelog topics): CreateTopics to the active
// controller on the member's behalf, which must be allowed to. A name is asked for once at a time; what went
// wrong is kept for a while, so that members can be told. Their next heartbeat tries again.
#ifndef STREAMS_TOPICS_H
#define STREAMS_TOPICS_H

#include "cluster/authorise.h"
#include "cluster/controllers.h"
#include "streams_plan.h"

enum {
    STREAMS_CREATIONS_MAX = 1000,     // names on their way, or failed lately; more wait for a later heartbeat
    STREAMS_CREATION_ERROR_MS = 60000 // how long an error is kept
};

struct streams_topics;

struct streams_topics *streams_topics_new(struct env *env); // borrowed
// Calls under way are cancelled; controllers must be there still.
void streams_topics_destroy(struct streams_topics **topics);

// Asks for those of plan->missing that are not on their way.
void streams_topics_make(struct streams_topics *topics, struct controllers *controllers,
                         const struct principal *principal, const struct streams_plan *plan);
// Why the topic could not be made, until it is asked for again; NULL: nothing is known.
const char *streams_topics_error(const struct streams_topics *topics, struct slice name);

#endif
