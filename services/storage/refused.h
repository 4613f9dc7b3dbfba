// SPDX-License-Identifier: Apache-2.0
// Whose batches a connection has had refused lately. A client has several Produce requests under way on a
// connection, and when one is refused those behind it must not be let in (librdkafka takes the success of a
// later one for the success of all before it). The producer table sees to it, but not for a producer it knows
// nothing of, which may begin anywhere (KIP-360): it may, unless an earlier batch was refused here a moment
// ago. Bounded; what is forgotten is let in, as Kafka does.
//
// What is out of order only because the batch before it is to be sent again is itself to be sent again, and
// is told so. OUT_OF_ORDER_SEQUENCE_NUMBER would make librdkafka raise its epoch and send everything anew
// that has no answer yet, also what other partitions have written already: twice, then. Kafka takes a
// connection's requests one by one and hardly meets that; here many are under way.
#ifndef STORAGE_REFUSED_H
#define STORAGE_REFUSED_H

#include "conn/listener.h"
#include "io/env.h"

// A batch of the producer was not acknowledged, for a cause of its own: not for being out of order.
void refused_note(struct conn_peer *peer, struct env *env, int64_t producer_id, int16_t error);

// Whether one was refused within five minutes, longer than a request is under way.
bool refused_lately(const struct conn_peer *peer, struct env *env, int64_t producer_id);

// Whether the last refusal is one that clients answer by sending the batch again, within a minute: the client
// of a batch that nobody sends again hears the truth then.
bool refused_to_repeat(const struct conn_peer *peer, struct env *env, int64_t producer_id);

// conn_handler's on_closed.
void refused_forget(struct conn_peer *peer, void *context);

#endif
