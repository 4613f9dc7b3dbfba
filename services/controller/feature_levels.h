// SPDX-License-Identifier: Apache-2.0
// Feature levels are written into the metadata when a cluster is formed, so that a later release does not
// change what an existing cluster does.
#ifndef CONTROLLER_FEATURE_LEVELS_H
#define CONTROLLER_FEATURE_LEVELS_H

#include "decision.h"

// Adds the levels of all features unless the image has some. fresh: the cluster is new; else it was formed by
// a release that kept none, and what that one did goes on.
void feature_levels_begin(const struct image *image, struct decision *decision, bool fresh);

enum { FEATURE_LEVELS_WHY = 120 };

// Whether every storage node, also one that is down, and every coordinator that is up understands the level;
// else why, in the words of Kafka's QuorumFeatures.reasonNotSupported. 0 is understood by all: it is not in
// use.
bool feature_levels_understood(const struct image *image, const char *name, int16_t level,
                               char why[FEATURE_LEVELS_WHY]);

#endif
