// SPDX-License-Identifier: Apache-2.0
// The Kafka listeners of a node as a whole: parsed from the configuration, bound, advertised, drained
// together.
#ifndef STORAGE_NODE_LISTENERS_H
#define STORAGE_NODE_LISTENERS_H

#include "base/config.h"
#include "cluster/member.h"
#include "conn/listener.h"

enum { NODE_LISTENERS_MAX = 8 };

struct node_listeners;

// INVALID with a diagnostic line when listeners or advertised.listeners cannot be understood. A listener on
// port 0 is bound at once, since its port must be registered; it takes clients from node_listeners_open on.
enum status node_listeners_new(struct env *env, const struct config *config,
                               const struct conn_handler *handler, void *context,
                               struct node_listeners **listeners);
// Frees; what is in progress is cancelled.
void node_listeners_destroy(struct node_listeners **listeners);

// Takes clients. The first failure to bind ends it; text names the address.
enum status node_listeners_open(struct node_listeners *listeners, char *text, size_t size);
bool node_listeners_opened(const struct node_listeners *listeners);

// As clients are told; valid until destroy. Returns the count.
size_t node_listeners_endpoints(struct node_listeners *listeners, struct member_endpoint *endpoints,
                                size_t room);

// max.connections and max.connections.per.ip from here on.
void node_listeners_limit(struct node_listeners *listeners, int32_t connections_max, int32_t per_ip_max);

// "host:port" of the first one as bound, "" while it is not.
const char *node_listeners_address(struct node_listeners *listeners);

// Answers what is in progress, then closes; done once for all.
void node_listeners_drain(struct node_listeners *listeners, void (*done)(void *context), void *context);

int node_listeners_connections(const struct node_listeners *listeners);
int node_listeners_requests(const struct node_listeners *listeners);

#endif
