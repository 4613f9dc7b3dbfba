// SPDX-License-Identifier: Apache-2.0
// Whose batches a connection has had refused lately. A client has several Produce requests under way on a
// connection and relies on this: when one fails, those behind it fail as out of order (librdkafka takes the
// success of a later one for the success of all before it). The producer table sees to it, but not for a
// producer it knows nothing of, which may begin anywhere (KIP-360): it may, unless an earlier batch was
// refused here a moment ago. Bounded; what is forgotten is let in, as Kafka does.
#ifndef STORAGE_REFUSED_H
#define STORAGE_REFUSED_H

#include "conn/listener.h"
#include "io/env.h"

// A batch of the producer was not acknowledged.
void refused_note(struct conn_peer *peer, struct env *env, int64_t producer_id);

bool refused_lately(const struct conn_peer *peer, struct env *env, int64_t producer_id);

// conn_handler's on_closed.
void refused_forget(struct conn_peer *peer, void *context);

#endif
