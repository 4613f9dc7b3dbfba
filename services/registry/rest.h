// SPDX-License-Identifier: Apache-2.0
// Confluent's REST interface on a port of its own: requests into calls, answers back. Routes come from the
// table of operations, each once as it is and once behind /contexts/{context}. Part of the program, not of
// the library the simulator links.
#ifndef REGISTRY_REST_H
#define REGISTRY_REST_H

#include "registry.h"

struct rest;

// Listens where `listeners` says. EXISTS: the port is taken; INVALID: no http://host:port. A diagnostic line
// says more.
enum status rest_new(struct env *env, const struct config *config, struct registry *registry,
                     struct rest **rest);
// No new connections.
void rest_quiesce(struct rest *rest);
// After the registry has ended what was under way.
void rest_destroy(struct rest **rest);

// "host:port" as bound.
const char *rest_address(const struct rest *rest);

#endif
