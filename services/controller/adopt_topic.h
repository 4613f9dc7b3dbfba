// SPDX-License-Identifier: Apache-2.0
// AdoptTopic: a topic whose logs a storage node has from Apache Kafka (`millrace storage adopt`) becomes one
// of the cluster, with the id it had, on that node alone. Its leader epochs begin behind those in the logs,
// and the producer ids in them are never given out.
#ifndef CONTROLLER_ADOPT_TOPIC_H
#define CONTROLLER_ADOPT_TOPIC_H

#include "state.h"

// Fails the call with ST_STALE (not the node's registered incarnation), ST_EXISTS (another topic has the
// name), ST_INVALID (name, id, number of partitions, configuration; the text says what). A topic of that id
// that is there already is left as it is.
void adopt_topic(struct controller *controller, const Millrace__AdoptTopicRequest *request,
                 Millrace__Empty_Closure closure, struct rpc_call *call);

#endif
