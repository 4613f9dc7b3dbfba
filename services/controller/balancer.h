// SPDX-License-Identifier: Apache-2.0
// The balancer: what balance_plan finds is carried out as reassignments of its own, some at a time
// (millrace.balancer.*). It uses nodes that are new and empties those that an operator drains
// (millrace.node.draining). What an operator reassigns it leaves alone.
#ifndef CONTROLLER_BALANCER_H
#define CONTROLLER_BALANCER_H

#include "state.h"

// The key of a storage node's dynamic configuration that an operator sets to "true" to empty the node.
#define BALANCER_DRAINING "millrace.node.draining"

// Whether the node is being emptied.
bool balancer_drains(const struct image *image, int32_t node);

// The active controller's clock; does something every millrace.balancer.interval.ms.
void balancer_tick(struct controller *controller);

#endif
