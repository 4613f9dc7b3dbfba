// SPDX-License-Identifier: Apache-2.0
// A controller that nobody has configured as a voter (controller.quorum.voters is empty) looks for the active
// one, through controller.quorum.bootstrap.servers and the voters it knows, and says that it is there: so an
// empty directory becomes part of the cluster and follows, and a voter that has moved is found again. Without
// another server to ask, an empty directory begins a cluster of its own (formation.h).
#ifndef CONTROLLER_JOINING_H
#define CONTROLLER_JOINING_H

#include "state.h"

struct joining *joining_new(struct controller *controller);
void joining_destroy(struct joining **joining);
void joining_start(struct joining *joining);

// Whether there is another server to ask, or voters are configured: an empty directory must not begin a
// cluster because of being alone.
bool joining_waits(const struct controller *controller);

#endif
