// SPDX-License-Identifier: Apache-2.0
// A controller of a quorum that is not static looks for the active one, through the configured servers
// (controller.quorum.bootstrap.servers, controller.quorum.voters) and the voters it knows, and says that it
// is there: so an empty directory becomes part of the cluster and follows, also behind a leader that it was
// not configured with, and a voter that has moved is found again. Without another server to ask, an empty
// directory begins a cluster of its own (formation.h).
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
